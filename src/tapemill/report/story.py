"""The full causal history of one cell: calls, answers, versions, quarantined rows, builds."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import Any

import polars as pl

from tapemill.clock import calendar
from tapemill.clock.reporting import monday_of, settlement_dates
from tapemill.contracts import contract
from tapemill.errors import UnknownNameError, did_you_mean
from tapemill.intake import offered_names
from tapemill.lake import Lake
from tapemill.lake.control import MARKET
from tapemill.lake.control.cells import COMPLETE
from tapemill.refine import RECIPES
from tapemill.vendors.finra import WEEKLY

__all__ = ["Event", "Story", "tell_story"]

_PERIOD_DAYS = ("week_start", "settlement_date")
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  shown as UTC, kept without a zone


@dataclasses.dataclass(frozen=True)
class Event:
    """One thing that happened to a cell; `at` in UTC, None for what has no moment."""

    at: dt.datetime | None
    kind: str
    detail: str


@dataclasses.dataclass(frozen=True)
class Story:
    """What one cell is and how it came to be so, oldest event first."""

    dataset: str
    symbol: str
    session: dt.date
    verdict: str
    events: tuple[Event, ...]

    def summary(self) -> dict[str, Any]:
        """The story as plain values."""
        return {
            "dataset": self.dataset,
            "symbol": self.symbol,
            "session": self.session.isoformat(),
            "verdict": self.verdict,
            "events": [
                {"at": e.at.isoformat(sep=" ") if e.at else "", "kind": e.kind, "detail": e.detail}
                for e in self.events
            ],
        }


def tell_story(lake: Lake, dataset: str, symbol: str, session: dt.date) -> Story:
    """Tell why a cell is as it is.

    Parameters
    ----------
    lake : Lake
    dataset : str
        A bronze, silver, reference or gold name, or a short name of `tapemill fetch`.
    symbol : str
    session : datetime.date

    Raises
    ------
    UnknownNameError
        No such dataset, or nothing in this lake speaks of the symbol.
    """
    aliases = offered_names()
    name = contract(aliases.get(dataset, dataset)).name
    day = contract(name).event_column
    if day == "week_start":
        session = monday_of(session)
    family = _family(name)
    sources = [one for one in family if one.startswith("bronze.")]
    derived = [one for one in family if not one.startswith("bronze.")]
    events: list[Event] = []
    verdicts: list[str] = []
    for source in sources:
        for asked, whose in _cells(source, symbol).items():
            cell = lake.control.ledger.cell(source, asked, session)
            told = lake.control.why(source, asked, session, derived=derived)
            events += [Event(_moment(e.at_ns), e.kind.value, e.summary) for e in told]
            if cell.updated_ns is not None or (told and not whose):
                reason = f" ({cell.reason})" if cell.reason else ""
                done = "complete" if cell.state in COMPLETE else "not complete"
                verdicts.append(
                    f"{source}{whose}: {cell.state.name.lower()}{reason}, {cell.rows:,} rows, "
                    f"{cell.versions} different answers, {done}"
                )
    for table in derived:
        events += _versions(lake, table, symbol, session, day)
    events += _quarantined(lake, family, symbol, session)
    if not events:
        _require_known(lake, symbol)
        verdicts = [
            "nothing was ever planned, fetched or imported for this cell"
            + (_never(name, day, session) or "; `tapemill fetch` can")
        ]
    events = list(dict.fromkeys(events))
    dated = sorted((e for e in events if e.at), key=lambda e: e.at or EPOCH)
    timeless = [e for e in events if not e.at]
    return Story(name, symbol, session, "; ".join(verdicts), (*dated, *timeless))


def _cells(source: str, symbol: str) -> dict[str, str]:
    """Cells of a source that speak of a symbol, as the ledger calls them, and whose they are."""
    # Gold speaks of the house's symbols, FINRA's own files of BRK/B.
    if source == "bronze.finra_short_volume":
        return {symbol.replace(".", "/"): ""}
    if source == WEEKLY:
        return {symbol: "", f"{MARKET}firms": " of firms", f"{MARKET}firms{symbol}": " of firms"}
    return {symbol: ""}


def _never(name: str, day: str, session: dt.date) -> str:
    """Why there can be nothing of a date; empty where there can."""
    if day == "week_start":
        return f" of the week from Monday {session}; `tapemill fetch` can"
    exchange = calendar("CMES" if "futures" in name else "XNYS")
    if day == "settlement_date":
        settled = settlement_dates(exchange, session, session)
        return "" if settled else f": {session} is no settlement date of short interest"
    closed = exchange.closed_reason(session)
    return f": {session} is no session ({closed})" if closed else ""


def _family(name: str) -> list[str]:
    """The dataset, all it is made from and all that is made from it, in the data's own order."""
    from tapemill.flow import GOLD_RECIPES

    recipes = {**RECIPES, **GOLD_RECIPES}
    family = {name}
    waiting = [name]
    while waiting:
        one = waiting.pop()
        made_from = recipes[one].inputs if one in recipes else ()
        waiting += [source for source in made_from if source not in family]
        family.update(made_from)
    above = {name, *(one for one in family if one.startswith("bronze."))}
    if not name.startswith("gold."):
        # Silver of other sources that a gold row also read says nothing of this dataset.
        family = above
    for recipe in recipes.values():
        if recipe.unit == "session" and set(recipe.inputs) & above:
            above.add(recipe.target)
    family |= above
    layers = ["bronze", "silver", "reference", "gold", "ops"]
    return sorted(family, key=lambda one: (layers.index(one.split(".")[0]), one))


def _moment(ns: int) -> dt.datetime:
    seconds, rest = divmod(ns, 1_000_000_000)
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC).replace(tzinfo=None)
    return moment.replace(microsecond=rest // 1000)


def _versions(lake: Lake, table: str, symbol: str, session: dt.date, day: str) -> list[Event]:
    """Versions of the cell's rows in a derived table, or its coverage verdict.

    A week or a settlement date is told of only where it was asked for, by `day`: gold's session
    that falls on its date knew nothing of it yet.
    """
    if not lake.tables.exists(table):
        return []
    declared = contract(table)
    names = declared.schema.names()
    dated = day if day in _PERIOD_DAYS else "session"
    if "symbol" not in names or dated not in names:
        return []
    rows = lake.tables.scan(table).filter(
        pl.col("symbol") == symbol, pl.col(dated) == pl.lit(session)
    )
    if table == "silver.coverage":
        found = rows.select("dataset", "state", "reasons", "present", "expected").collect()
        return [
            Event(None, "coverage", f"{d}: {s} {r} ({p} of {e} minutes)".replace("  ", " "))
            for d, s, r, p, e in found.iter_rows()
        ]
    if declared.layer == "gold":
        return _evening(table, rows)
    if not declared.versioned:
        return []
    found = (
        rows.group_by("version", "source", "raw_sha256")
        .agg(pl.len(), pl.col("known_at").min(), pl.col("superseded_at").is_null().sum())
        .sort("version", "known_at", "raw_sha256")
        .collect()
    )
    return [
        Event(
            known.replace(tzinfo=None),
            "version",
            f"{table}: {count} rows of version {version} from {source}, raw {raw[:12]}, "
            f"{current} current",
        )
        for version, source, raw, count, known, current in found.iter_rows()
    ]


def _evening(table: str, rows: pl.LazyFrame) -> list[Event]:
    """What the row of an evening says, and as of when."""
    from tapemill.flow.explain import explain

    events = []
    for row in rows.collect().to_dicts():
        if table == "gold.flow_scan":
            said = explain(row)
        elif table == "gold.composite_signal":
            said = f"{row['final_label']}, version {row['inference_version']}"
            said += f" revision {row['revision']}, from {row['data_quality']}"
        else:
            said = f"{row['status']}, {row['pressure_label']}"
        events.append(
            Event(row["as_of"].replace(tzinfo=None), "evening", f"{table}: as known then: {said}")
        )
    return events


def _quarantined(lake: Lake, family: Iterable[str], symbol: str, session: dt.date) -> list[Event]:
    if not lake.tables.exists("ops.quarantine"):
        return []
    found = (
        lake.tables.scan("ops.quarantine")
        .filter(
            pl.col("dataset").is_in(list(family)),
            pl.col("symbol") == symbol,
            (pl.col("session") == pl.lit(session)).fill_null(value=False),
        )
        .sort("dataset", "raw_sha256", "ordinal")
        .collect()
    )
    return [
        Event(
            row["ts_recv"].replace(tzinfo=None),
            "quarantine",
            f"{row['dataset']}: {row['reasons']} in raw {row['raw_sha256'][:12]} row "
            f"{row['ordinal']}: {row['row']}",
        )
        for row in found.iter_rows(named=True)
    ]


def _require_known(lake: Lake, symbol: str) -> None:
    known: set[str] = set()
    for name in lake.datasets():
        if "symbol" in contract(name).schema.names():
            column = lake.tables.scan(name).select(pl.col("symbol").unique()).collect()
            known |= set(column.get_column("symbol").drop_nulls())
    if known and symbol not in known:
        raise UnknownNameError(
            f"nothing in this lake speaks of {symbol!r}",
            where=lake.location,
            next_step=did_you_mean(symbol, known) or 'tapemill sql "show tables"',
        )
