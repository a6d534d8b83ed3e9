"""`tapemill report flow` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from report import flow_made as made
from tapemill.cli.app import main
from tapemill.lake import Lake


@pytest.fixture
def lake(tmp_path):
    lake = Lake.open(tmp_path / "lake", create=True)
    made.fill(lake, days=12)
    lake.tables.replace("gold.flow_scan", made.scan(days=12))
    lake.tables.replace("gold.flow_macro", made.macro(days=12))
    return tmp_path / "lake"


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main(["report", "flow", *map(str, arguments)])
    return end.value.code, *capsys.readouterr()


def test_symbols_are_drawn_into_a_run_folder(lake, tmp_path, capsys):
    out = tmp_path / "out"
    options = ("--days", 5, "--out", out, "--lake", lake)
    code, text, _ = run(capsys, "GME", "AMC", *options, "--no-each")
    assert code == 0
    assert "GME" in text
    assert "buying and selling are inferred" in text
    assert str(out / "flow" / "2021-01-29-") in text
    code, text, _ = run(capsys, "GME", "AMC", *options, "--no-each", "--json")
    facts = json.loads(text)
    assert facts["reused"] is True
    assert facts["sessions"] == ["2021-01-25", "2021-01-29"]
    assert [row["symbol"] for row in facts["rows"]] == ["GME", "AMC"]
    assert all(Path(name).is_file() for name in facts["files"])


def test_as_of_and_end_reach_the_report(lake, tmp_path, capsys):
    options = ("--out", tmp_path / "out", "--lake", lake, "--json", "--no-each")
    _, text, _ = run(capsys, "GME", "--as-of", "2021-01-26", "--days", 3, *options)
    assert json.loads(text)["sessions"][1] == "2021-01-26"
    _, text, _ = run(capsys, "GME", "--end", "2021-01-25", "--days", 3, *options)
    assert json.loads(text)["sessions"] == ["2021-01-21", "2021-01-25"]


def test_scan_and_macro(lake, tmp_path, capsys):
    options = ("--out", tmp_path / "out", "--lake", lake)
    code, text, _ = run(capsys, "--scan", "--top", 3, *options)
    assert code == 0
    assert "GME" in text
    assert "index.html" in text
    _, text, _ = run(capsys, "--scan", "--top", 3, "--json", *options)
    assert json.loads(text)["lists"]["buying"][0]["symbol"] == "GME"
    code, text, _ = run(capsys, "--macro", "--days", 10, *options)
    assert code == 0
    assert "macro.png" in text


@pytest.mark.parametrize("what", [(), ("GME", "--scan"), ("--scan", "--macro")])
def test_one_thing_is_drawn(lake, capsys, what):
    code, _, err = run(capsys, *what, "--lake", lake)
    assert code == 2
    assert "say what to draw" in err


def test_a_lake_without_gold_says_what_to_build(tmp_path, capsys):
    Lake.open(tmp_path / "lake", create=True)
    code, _, err = run(capsys, "GME", "--lake", tmp_path / "lake")
    assert code == 3
    assert "tapemill build gold.flow_daily" in err
