"""`why` and `status`: the history of a cell and the lake at a glance, on a small imported file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tapemill.clock import eastern_ns
from tapemill.clock.injected import FixedClock
from tapemill.errors import UnknownNameError
from tapemill.intake import import_files
from tapemill.lake import Lake
from tapemill.refine import build
from tapemill.report.status import lake_status
from tapemill.report.story import tell_story
from tapemill.settings import default_settings

SESSION = dt.date(2021, 1, 13)
NOW = eastern_ns(dt.date(2021, 1, 14), 9)
HEADER = "Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market\n"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with one short-volume file: one good row, one that breaks the contract."""
    path = tmp_path / "CNMSshvol20210113.txt"
    rows = "20210113|GME|60|1|100|B,Q,N\n20210113|BAD|200|0|100|Q\n2\n"
    path.write_text(HEADER + rows, encoding="utf-8")
    opened = Lake.open(tmp_path / "lake", create=True, clock=FixedClock(NOW))
    settings = default_settings()
    clock = FixedClock(NOW)
    import_files(opened, settings, clock, "finra-short", [path], None)
    build(opened, settings, clock)
    return opened


def test_story_tells_answer_version_and_build(lake: Lake) -> None:
    story = tell_story(lake, "short_volume", "GME", SESSION)
    kinds = [event.kind for event in story.events]
    assert {"import", "answer", "batch", "cell", "version", "build"} <= set(kinds)
    assert "data" in story.verdict
    assert "complete" in story.verdict
    moments = [event.at for event in story.events if event.at]
    assert moments == sorted(moments)


def test_story_shows_the_quarantined_row_itself(lake: Lake) -> None:
    story = tell_story(lake, "bronze.finra_short_volume", "BAD", SESSION)
    (event,) = [event for event in story.events if event.kind == "quarantine"]
    assert "short_exceeds_total" in event.detail
    assert '"BAD"' in event.detail


def test_story_of_a_cell_never_planned_says_so(lake: Lake) -> None:
    story = tell_story(lake, "short_volume", "GME", dt.date(2021, 2, 10))
    assert story.events == ()
    assert "nothing was ever planned" in story.verdict


def test_unknown_symbol_and_dataset_name_the_nearest(lake: Lake) -> None:
    with pytest.raises(UnknownNameError, match="GMEE") as error:
        tell_story(lake, "short_volume", "GMEE", dt.date(2021, 2, 10))
    assert "'GME'" in error.value.next_step
    with pytest.raises(UnknownNameError):
        tell_story(lake, "short_volumes", "GME", SESSION)


def test_status_counts_what_is_there(lake: Lake) -> None:
    facts = lake_status(lake, FixedClock(NOW))
    rows = {table["dataset"]: table["rows"] for table in facts["tables"]}
    assert rows["bronze.finra_short_volume"] == 1
    assert rows["silver.short_volume"] == 1
    assert facts["quarantined"] == 1
    assert facts["raw_objects"] == 1
    assert facts["cells"] == [{"dataset": "bronze.finra_short_volume", "state": "data", "cells": 1}]


def test_status_names_open_incidents_until_they_are_resolved(lake: Lake) -> None:
    incidents = lake.control.incidents
    number = incidents.open(
        "drift_new", "bronze.x", "field", "a number", severity="warning", blocks_lane=False
    )
    (shown,) = lake_status(lake, FixedClock(NOW))["incidents"]
    assert (shown["id"], shown["kind"]) == (number, "drift_new")
    incidents.resolve(number, "looked at")
    assert lake_status(lake, FixedClock(NOW))["incidents"] == []
