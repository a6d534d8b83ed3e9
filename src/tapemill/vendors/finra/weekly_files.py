"""Files of weekly off-exchange volume: whose week it is, and whose volume, when the rows say less.

FINRA's downloads name neither the week nor the kind of summary, only the date of publication. The
week follows from that date and the tier: Tier 1 is published three weeks after the week's Monday,
everything else five weeks after it. The date of publication itself is never taken for the week.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl

from tapemill.clock import calendar
from tapemill.clock.reporting import monday_of
from tapemill.errors import FileFormatError, UnknownNameError, UsageError, did_you_mean
from tapemill.vendors.finra.field_tables import FieldTable, read_fields
from tapemill.vendors.finra.fields import Shaped, day, with_fields
from tapemill.vendors.finra.query import WEEKLY_SUMMARY
from tapemill.vendors.finra.requests import FIRM_TYPES, SYMBOL_TYPES
from tapemill.vendors.finra.weekly import WEEKLY_FIELDS, tier_of, weekly_rows

__all__ = ["WEEKLY_OPTIONS", "read_weekly", "told_class"]

WEEKLY_OPTIONS = ("week", "summary")

_REQUIRED = ("issueSymbolIdentifier", "totalWeeklyShareQuantity", "lastUpdateDate")
_KINDS = (*SYMBOL_TYPES, *FIRM_TYPES)
_NON_ATS = re.compile(r"non[\W_]?ats", re.IGNORECASE)
_ATS = re.compile(r"(?<![a-z])ats(?![a-z])", re.IGNORECASE)
_OTC_VENUES = frozenset(
    {"ALTS", "ARCA", "OTCN", "OTCX", "PPEX", "PROS", "SMKT", "STEN", "SWCL", "VIAT"}
)
"""Venues of OTC equities that are ATSs by FINRA's list, as its files name them."""
_TIER_1_DAYS = 21
_OTHER_TIERS_DAYS = 35
_TUESDAY = 1


def told_class(name: str) -> str:
    """``ATS`` or ``OTC`` (non-ATS), as a file name such as ``OTC_non_ats_…`` tells; or empty."""
    if _NON_ATS.search(name):
        return "OTC"
    return "ATS" if _ATS.search(name) else ""


def read_weekly(content: bytes, options: Mapping[str, str], *, name: str = "") -> Shaped:
    """Read a file of weekly volumes.

    Parameters
    ----------
    content : bytes
        Any form that :func:`~tapemill.vendors.finra.field_tables.read_fields` takes.
    options : Mapping[str, str]
        ``week``: the Monday of every row that names no week. ``summary``: the kind of every row
        that names none, one of ATS_W_SMBL, OTC_W_SMBL, ATS_W_SMBL_FIRM, OTC_W_SMBL_FIRM.
    name : str
        File name; may tell ATS from non-ATS.

    Raises
    ------
    UsageError
        `week` is no Monday, or the rows name other weeks themselves.
    UnknownNameError
        There is no such kind of summary.
    FileFormatError
        The file cannot be read, or nothing tells the kind of its rows.
    """
    table = read_fields(content, WEEKLY_SUMMARY, required=_REQUIRED, name=name)
    rows, told = _with_weeks(with_fields(table.fields, WEEKLY_FIELDS), options.get("week"), name)
    rows, said = _with_kinds(rows, table, options.get("summary"), name)
    frame, rejected, notes = weekly_rows(rows)
    rejected = pl.concat([table.broken, rejected]).sort("ordinal")
    return frame, rejected, (*table.notes, *told, *said, *notes)


def _with_weeks(
    rows: pl.DataFrame, option: str | None, name: str
) -> tuple[pl.DataFrame, list[str]]:
    named = pl.coalesce("weekStartDate", "summaryStartDate")
    untold = rows.select(named.is_null().sum()).item()
    if not untold:
        if option is not None and (rows.select((named != option).any())).item():
            raise UsageError(
                f"week={option} contradicts the file, whose rows name other weeks",
                where=name,
                next_step="leave the option out",
            )
        return rows.with_columns(weekStartDate=named, week_inferred=pl.lit(value=False)), []
    if option is not None:
        monday = _monday(option, name)
        filled = pl.coalesce(named, pl.lit(monday.isoformat()))
        note = f"{untold:,} rows name no week: taken as the week of {monday}, as asked"
        return rows.with_columns(weekStartDate=filled, week_inferred=pl.lit(value=False)), [note]
    published = pl.coalesce("initialPublishedDate", "lastUpdateDate")
    dates = rows.select(published=published).select(day("published", "published")[0]).to_series()
    mondays = {one: _publication_monday(one) for one in dates.drop_nulls().unique()}
    monday_column = dates.replace_strict(mondays, default=None, return_dtype=pl.Date)
    days = (
        pl.when(tier_of("tierIdentifier", "tierDescription") == "T1")
        .then(_TIER_1_DAYS)
        .otherwise(_OTHER_TIERS_DAYS)
    )
    told = rows.with_columns(_monday=monday_column).with_columns(
        _week=(pl.col("_monday") - pl.duration(days=days)).dt.to_string("%Y-%m-%d")
    )
    filled_in = told.with_columns(
        weekStartDate=pl.coalesce(named, "_week"), week_inferred=named.is_null()
    )
    weeks = filled_in.filter("week_inferred")["weekStartDate"].drop_nulls().unique().sort()
    notes = []
    if weeks.len():
        notes.append(
            f"{untold:,} rows name no week: told by date of publication and tier, "
            f"{weeks[0]} to {weeks[-1]}; --map week=YYYY-MM-DD overrides"
        )
    if strays := filled_in["weekStartDate"].null_count():
        notes.append(
            f"{strays:,} rows were not published on a regular date, so no week can be told: "
            "--map week=YYYY-MM-DD names it"
        )
    return filled_in.drop("_monday", "_week"), notes


def _publication_monday(published: date) -> date | None:
    """Monday on which, but for a holiday, the publication was due; None for a restatement.

    Publications slip by a day, or past a closed Monday. Any other weekday is the date of a
    restatement, which tells nothing of the week.
    """
    monday = monday_of(published)
    if published.weekday() <= _TUESDAY:
        return monday
    exchange = calendar("XNYS")
    first, last = exchange.coverage
    closed = first <= monday <= last and not exchange.is_session(monday)
    return monday if closed and not exchange.is_session(monday + timedelta(days=1)) else None


def _monday(option: str, name: str) -> date:
    try:
        monday = date.fromisoformat(option)
    except ValueError:
        monday = None
    if monday is None or monday.weekday() != 0:
        raise UsageError(
            f"week={option} is not the date of a Monday",
            where=name,
            next_step="weeks are named by their Monday, holiday or not: --map week=2025-11-10",
        )
    return monday


def _with_kinds(
    rows: pl.DataFrame, table: FieldTable, option: str | None, name: str
) -> tuple[pl.DataFrame, list[str]]:
    kind = pl.col("summaryTypeCode")
    untold = rows.filter(kind.is_null())
    if option is not None and option not in _KINDS:
        raise UnknownNameError(
            f"there is no summary type {option!r}",
            where=name,
            next_step=did_you_mean(option, _KINDS) or f"known: {', '.join(_KINDS)}",
        )
    others = set(rows["summaryTypeCode"].drop_nulls()) & set(_KINDS)
    if option is not None and others - {option}:
        raise UsageError(
            f"summary={option} contradicts the file, whose rows name other summary types",
            where=name,
            next_step="leave the option out",
        )
    if untold.is_empty():
        return rows, []
    asked = option or _asked_kind(table.asked)
    if asked is not None:
        return rows.with_columns(summaryTypeCode=kind.fill_null(asked)), [
            f"{untold.height:,} rows name no summary type: {asked}, "
            + ("as asked" if option else "as the recorded request says")
        ]
    of_firm = pl.col("MPID").is_not_null() | pl.col("firmCRDNumber").is_not_null()
    venues = told_class(name)
    by = "by the file's name"
    if not venues and set(untold["MPID"].unique()) <= _OTC_VENUES:
        venues, by = "ATS", "by their venues, which are ATSs of OTC equities"
    if not venues:
        raise FileFormatError(
            "nothing tells whether its volume is of ATSs or of other firms",
            where=name,
            next_step="say so: --map summary=ATS_W_SMBL, or one of " + ", ".join(_KINDS[1:]),
        )
    told = (
        pl.when(of_firm).then(pl.lit(f"{venues}_W_SMBL_FIRM")).otherwise(pl.lit(f"{venues}_W_SMBL"))
    )
    kinds = untold.select(told.alias("kind"))["kind"].unique().sort()
    note = (
        f"{untold.height:,} rows name no summary type: {' and '.join(kinds)} {by}; "
        "--map summary=… overrides"
    )
    return rows.with_columns(summaryTypeCode=kind.fill_null(told)), [note]


def _asked_kind(asked: Mapping[str, Any]) -> str | None:
    """The one summary type that a recorded request asked for."""
    found: set[str] = set()
    for entry in _of_kind(asked.get("compareFilters")):
        if entry.get("compareType") == "EQUAL":
            found.add(str(entry.get("fieldValue")))
    for entry in _of_kind(asked.get("domainFilters")):
        values = entry.get("values")
        found |= {str(value) for value in values} if isinstance(values, list) else set()
    only = found.pop() if len(found) == 1 else None
    return only if only in _KINDS else None


def _of_kind(filters: object) -> list[dict[str, Any]]:
    """Filters of the summary type; anybody may have written the file, so nothing is taken as so."""
    entries = filters if isinstance(filters, list) else []
    return [x for x in entries if isinstance(x, dict) and x.get("fieldName") == "summaryTypeCode"]
