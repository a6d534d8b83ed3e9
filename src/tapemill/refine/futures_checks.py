"""Checks of order data: what a file of a contract's trade date may not look like.

Each pattern is judged by the exchange's own hours, on both ladders, and against the contract's
other dates; no price, volume or month is written down here. A finding says what was seen and what
to do about it.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Sequence

import polars as pl

from tapemill.clock import calendar
from tapemill.lake import Lake
from tapemill.refine.detectors.findings import Finding, Severity
from tapemill.refine.futures_facts import SourceFacts, gather
from tapemill.refine.futures_patterns import CHECKS
from tapemill.refine.futures_sources import (
    EVENTS,
    OrderSource,
    order_sources,
    session_window,
    sessions_of_source,
)

__all__ = ["check_futures"]

_FILES = "bronze.databento_files"
_CONTRACTS = "reference.futures_contracts"
_ROLLS = "reference.futures_rolls"
_HOUR_NS = 3_600 * 10**9
_NANO = 10**9
_NEW_YORK = "America/New_York"
_FEW_DATES = 5
_UNUSUAL = 10.0
"""Multiple or fraction of the usual volume that is told."""
_SHARE_LOW, _SHARE_ROLL = 0.5, 0.9


def check_futures(
    lake: Lake,
    symbols: Sequence[str] | None = None,
    start: datetime.date | None = None,
    end: datetime.date | None = None,
) -> list[Finding]:
    """Judge the order data of a lake; nothing is written.

    Parameters
    ----------
    lake : Lake
    symbols : sequence of str, optional
        All outrights and spreads by default; options only when named.
    start, end : date, optional
        First and last trade date.

    Returns
    -------
    list of Finding
        Errors first, then by trade date, symbol and pattern.
    """
    sources = order_sources(lake)
    options = _options(lake)
    facts: list[SourceFacts] = []
    for source in sources:
        wanted = sorted(symbols or set(source.ticks) - options)
        for symbol in wanted:
            if symbol in source.ticks and _reaches(source, start, end):
                facts += gather(lake, source, symbol)
    inside = [one for one in facts if _within(one.session, start, end)]
    found = [finding for one in inside for check in CHECKS if (finding := check.of(one))]
    found += _hours_missing(inside)
    found += _unusual(inside, facts)
    found += _sessions_missing(sources, symbols, start, end)
    found += _torn(sources, start, end)
    found += _steps(lake, sources, symbols)
    found += _shares(lake, symbols, start, end)
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(
        found,
        key=lambda one: (
            order[one.severity],
            one.session or datetime.date.min,
            one.subject,
            one.kind,
            one.detail,
        ),
    )


def _within(day: datetime.date, start: datetime.date | None, end: datetime.date | None) -> bool:
    return (start is None or day >= start) and (end is None or day <= end)


def _reaches(source: OrderSource, start: datetime.date | None, end: datetime.date | None) -> bool:
    return any(_within(day, start, end) for day in sessions_of_source(source))


def _options(lake: Lake) -> set[str]:
    rows = lake.tables.scan(_CONTRACTS).filter(pl.col("kind") == "option").select("symbol")
    return set(rows.collect()["symbol"])


def _hours_missing(facts: Sequence[SourceFacts]) -> Iterator[Finding]:
    """Hours of US regular trading in which no source has a record of the contract."""
    seen: dict[tuple[str, datetime.date], set[int]] = {}
    for one in facts:
        if one.records:
            seen.setdefault((one.symbol, one.session), set()).update(one.hours)
    known = calendar("XNYS")
    for (symbol, day), hours in seen.items():
        if not known.is_session(day):
            continue
        begin, session = session_window(day)[0], known.session(day)
        due = range(
            (session.open_ns - begin) // _HOUR_NS, -(-(session.close_ns - begin) // _HOUR_NS)
        )
        missing = [hour for hour in due if hour not in hours]
        if missing:
            starts = [begin + hour * _HOUR_NS for hour in missing]
            clock = pl.from_epoch(pl.Series(starts), time_unit="ns").dt.replace_time_zone("UTC")
            evidence = pl.DataFrame(
                {"symbol": symbol, "session": day, "hour": clock.dt.convert_time_zone(_NEW_YORK)}
            )
            named = ", ".join(evidence["hour"].dt.strftime("%H:%M"))
            text = f"no record in the hours from {named} New York; import the rest of the date"
            yield Finding("hour_missing", "warning", EVENTS, symbol, day, text, evidence)


def _unusual(inside: Sequence[SourceFacts], facts: Sequence[SourceFacts]) -> Iterator[Finding]:
    """Dates whose traded volume is far from that of the contract's other dates."""
    best: dict[tuple[str, datetime.date], int] = {}
    for one in facts:
        key = one.symbol, one.session
        best[key] = max(best.get(key, 0), one.volume)
    wanted = {(one.symbol, one.session) for one in inside}
    for (symbol, day), volume in best.items():
        others = pl.Series(
            [n for (name, other), n in best.items() if name == symbol and other != day and n]
        )
        if (symbol, day) not in wanted or len(others) < _FEW_DATES:
            continue
        usual = float(others.median())  # type: ignore[arg-type]
        if volume * _UNUSUAL < usual or volume > _UNUSUAL * usual:
            evidence = pl.DataFrame(
                {"symbol": [symbol], "session": [day], "volume": [volume], "usual": [usual]}
            )
            text = (
                f"{volume} contracts traded, {usual:g} on its other dates; part of the date may"
                " be missing, or the contract is far from its delivery"
            )
            yield Finding("volume_unusual", "warning", EVENTS, symbol, day, text, evidence)


def _sessions_missing(
    sources: Sequence[OrderSource],
    symbols: Sequence[str] | None,
    start: datetime.date | None,
    end: datetime.date | None,
) -> Iterator[Finding]:
    """Trade dates between a contract's first and last that no file reaches into."""
    dates: dict[str, set[datetime.date]] = {}
    for source in sources:
        reached = sessions_of_source(source)
        for symbol in source.ticks:
            dates.setdefault(symbol, set()).update(reached)
    for symbol in sorted(dates.keys() & set(symbols if symbols is not None else dates)):
        first, last = min(dates[symbol]), max(dates[symbol])
        for day in calendar("CMES").session_dates(first, last):
            if day not in dates[symbol] and _within(day, start, end):
                evidence = pl.DataFrame({"symbol": [symbol], "session": [day]})
                text = "no file reaches into this trade date; import it, or leave it out of studies"
                yield Finding("session_missing", "info", EVENTS, symbol, day, text, evidence)


def _torn(
    sources: Sequence[OrderSource], start: datetime.date | None, end: datetime.date | None
) -> Iterator[Finding]:
    for source in sources:
        if source.fault and _reaches(source, start, end):
            evidence = pl.DataFrame({"file": [source.name], "fault": [source.fault]})
            text = (
                f"{source.name}: {source.fault}; its good records count where no whole file covers"
                " them; import a whole copy"
            )
            subject = ", ".join(sorted(source.ticks)[:5])
            yield Finding("file_torn", "warning", _FILES, subject, None, text, evidence)


def _steps(
    lake: Lake, sources: Sequence[OrderSource], symbols: Sequence[str] | None
) -> Iterator[Finding]:
    """Price steps that files were counted in against those of the definitions."""
    terms = lake.tables.scan(_CONTRACTS).select("symbol", "tick_nano", "evidence").collect()
    for symbol, tick, evidence in terms.sort("symbol").iter_rows():
        if symbols is not None and symbol not in symbols:
            continue
        if evidence.startswith("prices"):
            text = f"the step of {tick / _NANO:g} was guessed from prices; import its definition"
            rows = terms.filter(pl.col("symbol") == symbol)
            yield Finding("tick_guessed", "warning", _CONTRACTS, symbol, None, text, rows)
        for source in sources:
            if evidence.startswith("definition") and source.ticks.get(symbol, tick) != tick:
                rows = pl.DataFrame(
                    {"file": [source.name], "ticks": [json.dumps(source.ticks)], "defined": [tick]}
                )
                text = (
                    f"{source.name} counts in steps of {source.ticks[symbol] / _NANO:g}, the"
                    f" definition says {tick / _NANO:g}; import the file again"
                )
                yield Finding("tick_contradicts", "error", _FILES, symbol, None, text, rows)


def _shares(
    lake: Lake,
    symbols: Sequence[str] | None,
    start: datetime.date | None,
    end: datetime.date | None,
) -> Iterator[Finding]:
    """Dates on which the dominant contract does not stand alone."""
    rolls = lake.tables.scan(_ROLLS).filter(pl.col("share_frac") < _SHARE_ROLL)
    for row in rolls.sort("root", "session").collect().iter_rows(named=True):
        if not _within(row["session"], start, end) or row["symbol"] not in (
            symbols or [row["symbol"]]
        ):
            continue
        low = row["share_frac"] < _SHARE_LOW
        text = (
            f"{row['symbol']} has {row['share_frac']:.0%} of the outright volume of {row['root']},"
            f" {row['runner_up']} is second; "
            + ("no contract speaks for the product" if low else "a roll is under way")
        )
        evidence = rolls.filter(
            (pl.col("root") == row["root"]) & (pl.col("session") == row["session"])
        ).collect()
        severity: Severity = "warning" if low else "info"
        kind = "no_dominant_contract" if low else "roll_under_way"
        yield Finding(kind, severity, _ROLLS, row["symbol"], row["session"], text, evidence)
