"""Patterns that show in the shape of a session: where bars end, what is absent."""

from __future__ import annotations

import polars as pl

from tapemill.refine.detectors.findings import Finding, Severity, by_session

__all__ = [
    "bars_end_at_noon",
    "closing_bar_missing",
    "minute_file_absent",
    "session_cut_1530",
    "vendor_incident",
]

_NOON = 150
"""Regular minutes from 09:30 to 12:00."""
_HALF_PAST_THREE = 360
_PATTERN_NAMES = 5
_PATTERN_FRAC = 0.02
_SHIFTED_BARS = 150
"""Bars before the open that give away a session written in the wrong time zone."""


def _last_minute() -> pl.Expr:
    """Number of minutes from the open to the end of the last regular bar."""
    return pl.col("expected") - pl.col("missing_at_close")


def session_cut_1530(cells: pl.DataFrame) -> list[Finding]:
    """Full sessions of liquid names that end at 15:30 while others run to the close.

    Parameters
    ----------
    cells : pl.DataFrame
        Rows of ``silver.coverage`` of one dataset, as in all detectors of this module.
    """
    cut = cells.filter(
        (pl.col("present") > 0)
        & pl.col("tier").is_between(1, 2)
        & (pl.col("expected") > _HALF_PAST_THREE)
        & _last_minute().is_between(_HALF_PAST_THREE - 1, _HALF_PAST_THREE + 1)
    )
    return _from_cells("session_cut_1530", cut, "{symbols} liquid symbols end at 15:30")


def bars_end_at_noon(cells: pl.DataFrame) -> list[Finding]:
    """Sessions that end at 12:00 New York: regular hours written or cut in the wrong time zone.

    09:30-16:00 New York read as UTC ends at 12:00 in summer and 11:00 in winter.
    """
    last = _last_minute()
    shifted = pl.col("extended") >= _SHIFTED_BARS
    ends = (last - _NOON).abs() <= 1
    ends_in_winter = ((last - _NOON + 60).abs() <= 1) & shifted
    found = cells.filter(
        (pl.col("present") > 0)
        & (pl.col("tier").is_between(1, 2) | shifted)
        & (ends | ends_in_winter)
    )
    return _from_cells("bars_end_at_noon", found, "{symbols} symbols end at noon New York")


def closing_bar_missing(cells: pl.DataFrame) -> list[Finding]:
    """The last regular minute is absent, the one before it is there.

    In a liquid name that is worth a warning by itself; in the middle tier only where several share
    it. It is an error where it has a pattern: five names, or all of fewer, and at least two percent
    of those that trade in nearly every minute. A single name may simply not have traded.
    """
    without = (pl.col("missing_at_close") == 1) & (pl.col("present") > 0)
    traded = cells.filter((pl.col("present") > 0) & pl.col("tier").is_between(1, 2))
    middle = pl.col("tier") == 2
    shared = without.sum().over("session")
    names = pl.len().over("session")
    common = (shared >= 3) & (shared >= 0.2 * names)
    least = pl.max_horizontal(
        pl.min_horizontal(pl.lit(_PATTERN_NAMES), names), _PATTERN_FRAC * names
    )
    found = traded.with_columns(_common=common, _pattern=shared >= least).filter(
        without & (~middle | pl.col("_common"))
    )
    text = "{symbols} symbols lack the closing bar"
    grave, slight = (
        found.filter(test).drop("_common", "_pattern")
        for test in (pl.col("_pattern"), ~pl.col("_pattern"))
    )
    return [
        *_from_cells("closing_bar_missing", grave, text),
        *_from_cells("closing_bar_missing", slight, text, "warning"),
    ]


def minute_file_absent(cells: pl.DataFrame) -> list[Finding]:
    """No minute of the session although its daily bar traded.

    Cells whose fetch failed are not meant: they lack an answer, not a file.
    """
    found = cells.filter(
        (pl.col("present") == 0)
        & (pl.col("extended") == 0)
        & pl.col("state").is_in(["missing", "empty"])
        & pl.col("reasons").str.contains("daily_present", literal=True)
        & ~pl.col("reasons").str.contains("ledger_", literal=True)
    )
    return _from_cells(
        "minute_file_absent", found, "{symbols} symbols have a daily bar and no minutes"
    )


def vendor_incident(dataset: str, incidents: pl.DataFrame) -> list[Finding]:
    """Minutes that many liquid symbols miss at once.

    Parameters
    ----------
    dataset : str
    incidents : pl.DataFrame
        See `Coverage.incidents`.
    """
    found = []
    for (session,), rows in incidents.group_by("session", maintain_order=True):
        worst = rows.sort("symbols", "minute", descending=[True, False]).row(0, named=True)
        detail = (
            f"{session}: {rows.height} minutes missing in many liquid symbols, worst minute "
            f"{worst['minute']} in {worst['symbols']} of {worst['liquid']}"
        )
        subject = f"{worst['symbols']} symbols"
        found.append(
            Finding("vendor_incident", "warning", dataset, subject, worst["session"], detail, rows)
        )
    return found


def _from_cells(
    kind: str, cells: pl.DataFrame, detail: str, severity: Severity = "error"
) -> list[Finding]:
    found = []
    for (dataset,), rows in cells.group_by("dataset", maintain_order=True):
        found += by_session(kind, str(dataset), rows, detail, severity=severity)
    return found
