"""Run folders: same content same folder, nothing overwritten, nothing half-written."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path

import polars as pl
import pytest

from tapemill.errors import CorruptError, FaultError
from tapemill.report.runs import LATEST, MANIFEST, frame_digest, run_digest, write_run

DAY = datetime.date(2021, 1, 15)


def put(text):
    return lambda folder: (folder / "a.txt").write_text(text, encoding="utf-8") and None


def test_a_run_is_named_by_its_day_and_content_and_lists_the_hash_of_every_file(tmp_path):
    run = write_run(tmp_path, "flow", DAY, "ab" * 32, {"symbols": "GME"}, put("one"))
    assert run.folder == tmp_path / "flow" / "2021-01-15-abababababab"
    assert not run.reused
    assert [path.name for path in run.files] == ["a.txt"]
    manifest = json.loads((run.folder / MANIFEST).read_text())
    assert manifest["symbols"] == "GME"
    assert manifest["files"] == {"a.txt": hashlib.sha256(b"one").hexdigest()}


def test_the_same_content_is_found_again_and_not_written(tmp_path):
    first = write_run(tmp_path, "flow", DAY, "ab" * 32, {}, put("one"))
    stamp = (first.folder / "a.txt").stat().st_mtime_ns

    def never(folder):
        raise AssertionError("written again")

    again = write_run(tmp_path, "flow", DAY, "ab" * 32, {}, never)
    assert again.reused
    assert again.folder == first.folder
    assert (first.folder / "a.txt").stat().st_mtime_ns == stamp


def test_two_runs_of_one_day_remain_and_latest_names_the_one_asked_for_last(tmp_path):
    one = write_run(tmp_path, "flow", DAY, "aa" * 32, {}, put("one"))
    two = write_run(tmp_path, "flow", DAY, "bb" * 32, {}, put("two"))
    latest = tmp_path / "flow" / LATEST
    assert (one.folder / "a.txt").read_text() == "one"
    assert latest.resolve() == two.folder.resolve()
    write_run(tmp_path, "flow", DAY, "aa" * 32, {}, put("one"))
    assert latest.resolve() == one.folder.resolve()


def test_latest_is_a_text_file_where_links_are_impossible(tmp_path, monkeypatch):
    def refuse(self, target, target_is_directory=False):
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    run = write_run(tmp_path, "flow", DAY, "aa" * 32, {}, put("one"))
    assert (tmp_path / "flow" / LATEST).read_text() == f"{run.folder.name}\n"


def test_an_interrupted_run_leaves_nothing_behind(tmp_path):
    def breaks(folder):
        (folder / "a.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_run(tmp_path, "flow", DAY, "aa" * 32, {}, breaks)
    assert list((tmp_path / "flow").iterdir()) == []


def test_a_run_that_was_faster_in_another_process_is_taken(tmp_path):
    def overtaken(folder):
        put("one")(folder)
        write_run(tmp_path, "flow", DAY, "aa" * 32, {}, put("one"))

    run = write_run(tmp_path, "flow", DAY, "aa" * 32, {}, overtaken)
    assert run.reused
    assert sorted(path.name for path in (tmp_path / "flow").iterdir()) == [
        "2021-01-15-aaaaaaaaaaaa",
        LATEST,
    ]


@pytest.mark.parametrize("harm", ["change", "add", "remove", "manifest"])
def test_a_run_whose_files_were_changed_is_not_handed_out(tmp_path, harm):
    run = write_run(tmp_path, "flow", DAY, "aa" * 32, {}, put("one"))
    {
        "change": lambda: (run.folder / "a.txt").write_text("two"),
        "add": lambda: (run.folder / "b.txt").write_text("two"),
        "remove": lambda: (run.folder / "a.txt").unlink(),
        "manifest": lambda: (run.folder / MANIFEST).unlink(),
    }[harm]()
    with pytest.raises(CorruptError, match="changed since"):
        write_run(tmp_path, "flow", DAY, "aa" * 32, {}, put("one"))


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FaultError, match="cannot write the report"):
        write_run(tmp_path / "file", "flow", DAY, "aa" * 32, {}, put("one"))


def test_the_digest_tells_values_types_names_parameters_and_code_apart():
    frame = pl.DataFrame({"a": [1, None], "b": ["", None]})
    assert frame_digest(frame) == frame_digest(frame.clone())
    others = [
        frame.cast({"a": pl.Int32}),
        frame.rename({"a": "c"}),
        frame.with_columns(pl.col("b").fill_null("")),
        frame.reverse(),
    ]
    assert len({frame_digest(one) for one in [frame, *others]}) == 5
    module = "tapemill.report.runs"
    base = run_digest({"a": frame}, {"days": 60}, [module])
    assert base == run_digest({"a": frame}, {"days": 60}, [module])
    assert base != run_digest({"a": frame}, {"days": 61}, [module])
    assert base != run_digest({"a": frame}, {"days": 60}, ["tapemill.report.layout"])
