import datetime as dt
import json
import subprocess
import sys

import pytest

from tapemill import Lake
from tapemill.errors import LakeError
from tapemill.lake import marker


def test_a_missing_lake_is_named_with_the_way_to_make_one(tmp_path):
    with pytest.raises(LakeError, match="no lake here") as caught:
        Lake.open(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in caught.value.where
    assert "tapemill fetch" in caught.value.next_step
    assert not (tmp_path / "nowhere").exists()


def test_create_is_needed_once_and_harmless_later(tmp_path):
    Lake.open(tmp_path / "lake", create=True).raw.put(b"x", media_type="text", origin="test")
    for opened in (Lake.open(tmp_path / "lake", create=True), Lake.open(str(tmp_path / "lake"))):
        assert len(list(opened.raw)) == 1
        assert opened.location == str(tmp_path / "lake")


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(LakeError, match=r"thesis\.tex"):
        Lake.open(tmp_path, create=True)
    with pytest.raises(LakeError, match="no lake here"):
        Lake.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_lake(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(LakeError, match="a file, not a folder"):
        Lake.open(tmp_path / "file", create=True)


@pytest.mark.parametrize("found", [marker.FORMAT + 1, 0, "1", None])
def test_another_format_is_refused(tmp_path, found):
    (tmp_path / marker.MARKER).write_text(json.dumps({"tapemill_lake": found}))
    with pytest.raises(LakeError, match="has format") as caught:
        Lake.open(tmp_path, create=True)
    assert "newer Tapemill" in caught.value.next_step


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_damaged_marker_is_no_missing_lake(tmp_path, text):
    (tmp_path / marker.MARKER).write_text(text)
    with pytest.raises(LakeError, match="marker of the lake is damaged"):
        Lake.open(tmp_path, create=True)


def test_many_processes_may_create_one_lake(tmp_path):
    script = f"from tapemill import Lake; Lake.open({str(tmp_path / 'lake')!r}, create=True)"
    running = [
        subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) for _ in range(4)
    ]
    errors = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0] * 4, errors
    assert Lake.open(tmp_path / "lake").verify() == []


def test_the_control_state_lies_in_the_lake_unless_told_otherwise(tmp_path):
    lake = Lake.open(tmp_path / "lake", create=True)
    assert lake.control is lake.control
    lake.close()
    lake.close()
    assert (tmp_path / "lake" / "control.sqlite").is_file()
    apart = Lake.open(
        tmp_path / "other", create=True, control_url=str(tmp_path / "elsewhere.sqlite")
    )
    apart.control.close()
    assert (tmp_path / "elsewhere.sqlite").is_file()
    assert not (tmp_path / "other" / "control.sqlite").exists()


def test_quarantine_keeps_row_and_reason_once(lake):
    import polars as pl

    from lake.rows import BRONZE, MINUTE, bars, weekdays
    from tapemill.contracts import contract

    days = weekdays(dt.date(2025, 1, 30), 1)
    rows = bars(["AAA"], days, dataset=BRONZE).with_columns(
        close=pl.when(pl.col("ordinal") < 2).then(-1.0).otherwise(pl.col("close"))
    )
    good, bad = contract(BRONZE).split(rows)
    assert (good.height, bad.height) == (28, 2)
    assert lake.quarantine(BRONZE, bad, "intake", 7) is not None
    assert lake.quarantine(BRONZE, bad, "intake", 7) is None
    kept = lake.scan("ops.quarantine").collect()
    assert kept["reasons"].str.contains("price_not_positive").all()
    assert kept["symbol"].to_list() == ["AAA", "AAA"]
    assert kept["session"].to_list() == days * 2
    assert [json.loads(row)["close"] for row in kept["row"]] == [-1.0, -1.0]
    parsed = bad.select("raw_sha256", "ordinal", "source", "ts_recv").with_columns(
        reasons=pl.Series([["one", "two"], ["three"]]), row=pl.lit('{"c": -1}')
    )
    lake.quarantine(MINUTE, parsed, "intake", 8)
    more = lake.scan("ops.quarantine").filter(pl.col("dataset") == MINUTE).collect()
    assert sorted(more["reasons"]) == ["one;two", "three"]
    assert more["row"].unique().to_list() == ['{"c": -1}']
