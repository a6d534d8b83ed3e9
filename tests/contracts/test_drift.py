"""What counts as drift, and which drift stops a lane."""

from __future__ import annotations

import polars as pl

from tapemill.contracts import compare_fields, unit_changes

EXPECTED = {"o": "number", "n": "integer", "T": "text"}


def kinds(seen: dict[str, str], optional: frozenset[str] = frozenset()) -> dict[str, str]:
    return {drift.field: drift.kind for drift in compare_fields(EXPECTED, seen, optional)}


def test_new_missing_retyped_and_all_null_are_told_apart() -> None:
    assert kinds({"o": "number", "n": "integer", "T": "text"}) == {}
    assert kinds({"o": "integer", "n": "integer", "T": "text"}) == {}, "an integer is a number"
    assert kinds({"o": "text", "n": "null", "x": "flag"}) == {
        "o": "retyped",
        "n": "all_null",
        "T": "missing",
        "x": "new",
    }


def test_documented_absences_are_no_drift() -> None:
    assert kinds({"o": "number", "T": "text"}, frozenset({"n"})) == {}
    assert kinds({"o": "number", "n": "null", "T": "text"}, frozenset({"n"})) == {}


def test_only_missing_retyped_and_unit_changes_stop_a_lane() -> None:
    found = compare_fields(EXPECTED, {"o": "text", "n": "null", "x": "flag"})
    assert {drift.kind for drift in found if drift.blocks} == {"missing", "retyped"}


def test_a_jump_by_a_thousand_is_a_change_of_unit_and_a_crash_is_not() -> None:
    before = {"close": 100.0, "volume": 0.0, "absent": 5.0}
    for close, expected in ((0.1, 1), (100_000.0, 1), (1.0, 0), (10_000.0, 0)):
        frame = pl.DataFrame({"close": [close] * 3, "volume": [1.0] * 3})
        found = unit_changes(before, frame)
        assert len(found) == expected, close
        assert all(drift.blocks for drift in found)
