"""What was visible on which evening: the only place where flow reads the lake.

Evenings between which no late fact arrived share one view. A fact is late when it became known
after the evening that would normally see it: a restated file, a bar that came days after its
session. Late facts cut the run of evenings, so that each run needs one read and no evening sees
what it could not have known.
"""

from __future__ import annotations

import bisect
import datetime
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from tapemill.clock import calendar
from tapemill.contracts import Quality
from tapemill.contracts.columns import TAPE_SUMS
from tapemill.flow.evening import as_of_column, evening_of, sessions_before
from tapemill.flow.inputs import EveningInputs
from tapemill.flow.otc_block import LOOKBACK_SESSIONS
from tapemill.flow.panel import Panel, matrices_of
from tapemill.flow.short_rows import ShortRows, read_short_rows
from tapemill.refine.symbology import is_test_symbol, root_symbol, security_class

if TYPE_CHECKING:
    from tapemill.lake import Lake
    from tapemill.settings import FlowSettings

__all__ = ["READ_BEFORE", "daily_lookback", "evening_inputs"]

READ_BEFORE = datetime.timedelta(days=190)
"""Weeks and settlements that began so long before the first session are read too: enough to know a
tier and the newest settlement whatever the lookback."""
_RUNNING_WEEK = datetime.timedelta(days=6)
_DAY = ("symbol", "session")
_TAPE_VOLUMES = ("buy_volume", "sell_volume", "unclassified_volume", "bulk_volume")


def daily_lookback(flow: FlowSettings) -> int:
    """Sessions behind a row of gold.flow_daily."""
    return max(LOOKBACK_SESSIONS, flow.baseline_sessions + flow.median_sessions)


def evening_inputs(
    lake: Lake,
    evenings: Sequence[datetime.date],
    *,
    lookback: int,
    as_of: datetime.datetime | None = None,
    whole: bool = True,
) -> Iterator[EveningInputs]:
    """Everything that the given evenings could know, in runs without late facts.

    Parameters
    ----------
    lake : Lake
    evenings : sequence of date
        Sessions, ascending.
    lookback : int
        Sessions before the first evening.
    as_of : datetime, optional
        One view for all evenings as of this moment instead of their own 18:00: what a reader knew
        then of these evenings.
    whole : bool
        Whether tape sums, OTC weeks and short interest are wanted too; the scan needs none but the
        newest weeks.

    Yields
    ------
    EveningInputs
    """
    sessions = sessions_before(evenings, lookback)
    short = read_short_rows(lake, sessions)
    bars = _bars(lake, sessions)
    splits = _splits(lake, sessions)
    tape = _tape_buckets(lake, sessions, whole=whole)
    stamps = tape.select("session", "known_at", "superseded_at").unique().collect()
    cuts = [] if as_of is not None else _late(short.rows, bars, splits, stamps, sessions)
    memberships = lake.tables.scan("reference.memberships").collect()
    weeks = _weeks(lake, sessions, whole=whole)
    interest = _interest(lake, sessions, whole=whole)
    for run in _runs(evenings, cuts):
        moment = as_of or evening_of(run[-1])
        axis = [day for day in sessions if day <= run[-1]]
        seen = short.visible(moment, run[-1])
        day = bars.filter(_seen(moment), pl.col("session") <= run[-1])
        panel = _panel(seen, day, splits.filter(_seen(moment)), axis)
        yield EveningInputs(
            evenings=tuple(run),
            panel=panel,
            short=seen.of(run),
            tape=_daily_tape(tape.filter(_seen(moment))),
            otc=weeks.filter(pl.col("known_at") <= moment),
            interest=interest.filter(pl.col("known_at") <= moment),
            memberships=memberships.filter(pl.col("known_at") <= moment),
            symbols=_symbols(seen.present()),
        )


# -- reading -------------------------------------------------------------------------------------


def _bars(lake: Lake, sessions: Sequence[datetime.date]) -> pl.DataFrame:
    """Daily bars as they traded. A level that its source adjusted knows splits still to come."""
    as_traded = pl.col("quality") & int(Quality.ADJUSTED) == 0
    return (
        lake.tables.scan("silver.equity_bars_1d", start=sessions[0], end=sessions[-1])
        .filter(pl.col("session").is_between(sessions[0], sessions[-1]), as_traded)
        .select(*_DAY, "close", "high", "low", "volume", "known_at", "superseded_at")
        .collect()
    )


def _splits(lake: Lake, sessions: Sequence[datetime.date]) -> pl.DataFrame:
    return (
        lake.tables.scan("reference.adjustments")
        .filter(pl.col("kind") == "split", pl.col("ex_date").is_between(sessions[0], sessions[-1]))
        .select(
            "symbol",
            session="ex_date",
            share_factor="volume_factor_frac",
            known_at="known_at",
            superseded_at="superseded_at",
        )
        .collect()
    )


def _tape_buckets(lake: Lake, sessions: Sequence[datetime.date], *, whole: bool) -> pl.LazyFrame:
    """Versions of the regular hours' sums: after-hours prints come after the evening."""
    hours = calendar("XNYS").frame(sessions[0], sessions[-1])
    return (
        lake.tables.scan("silver.tape_5m", start=sessions[0], end=sessions[-1])
        .join(hours.select("session", "open_ns", "close_ns").lazy(), on="session")
        .filter(pl.lit(whole), pl.col("ts_event").is_between("open_ns", "close_ns", closed="left"))
    )


def _daily_tape(buckets: pl.LazyFrame) -> pl.DataFrame:
    """Sums a session and mode; null where no bucket has the figure."""
    sums = [*(column.name for column in TAPE_SUMS), *_TAPE_VOLUMES]
    totals = (pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum()) for name in sums)
    return buckets.group_by(*_DAY, "mode").agg(*totals).sort(*_DAY, "mode").collect()


def _weeks(lake: Lake, sessions: Sequence[datetime.date], *, whole: bool) -> pl.DataFrame:
    """OTC weeks of the whole lookback, or those before it too that tell a name's tier."""
    # A week may begin on a holiday before its first session.
    first = sessions[0] - (_RUNNING_WEEK if whole else READ_BEFORE)
    rows = lake.tables.scan("silver.otc_weekly", start=first, end=sessions[-1])
    return rows.filter(pl.col("week_start").is_between(first, sessions[-1])).collect()


def _interest(lake: Lake, sessions: Sequence[datetime.date], *, whole: bool) -> pl.DataFrame:
    first = sessions[0] - READ_BEFORE
    rows = lake.tables.scan("silver.short_interest", start=first, end=sessions[-1])
    return rows.filter(
        pl.lit(whole) & pl.col("settlement_date").is_between(first, sessions[-1])
    ).collect()


# -- visibility ------------------------------------------------------------------------------------


def _seen(moment: datetime.datetime) -> pl.Expr:
    superseded = pl.col("superseded_at")
    return (pl.col("known_at") <= moment) & (superseded.is_null() | (superseded > moment))


def _late(
    short: pl.DataFrame,
    bars: pl.DataFrame,
    splits: pl.DataFrame,
    stamps: pl.DataFrame,
    sessions: Sequence[datetime.date],
) -> list[datetime.datetime]:
    """Moments at which a fact came or went after the evening that would normally see it first."""
    due = pl.DataFrame({"session": sessions}).with_columns(
        own=as_of_column(), next=as_of_column().shift(-1)
    )
    found: list[datetime.datetime] = []
    for rows, when in ((short, "own"), (stamps, "own"), (bars, "next"), (splits, "own")):
        moments = pl.concat(
            [
                rows.select("session", moment="known_at"),
                # A fact may go without a successor that would tell of it.
                rows.select("session", moment="superseded_at").drop_nulls(),
            ]
        )
        late = moments.unique().join(due, on="session").filter(pl.col("moment") > pl.col(when))
        found += late["moment"].to_list()
    return sorted(set(found))


def _runs(
    evenings: Sequence[datetime.date], cuts: Sequence[datetime.datetime]
) -> Iterator[list[datetime.date]]:
    """Evenings divided before the first one that sees each late fact."""
    moments = [evening_of(day) for day in evenings]
    starts = sorted({0, *(bisect.bisect_left(moments, cut) for cut in cuts)})
    for place, start in enumerate(starts):
        end = starts[place + 1] if place + 1 < len(starts) else len(evenings)
        if start < end:
            yield list(evenings[start:end])


# -- shaping ---------------------------------------------------------------------------------------


def _panel(
    short: ShortRows, bars: pl.DataFrame, splits: pl.DataFrame, axis: Sequence[datetime.date]
) -> Panel:
    symbols = sorted({*short.present()["symbol"], *bars["symbol"].unique()})
    prices = matrices_of(bars, ("close", "high", "low", "volume"), symbols, axis)
    factor = matrices_of(splits, ("share_factor",), symbols, axis, empty=1.0)
    return Panel(tuple(symbols), tuple(axis), **short.matrices(symbols, axis), **prices, **factor)


def _symbols(names: pl.DataFrame) -> pl.DataFrame:
    return names.with_columns(
        security_class=security_class(pl.col("symbol")),
        root=root_symbol(pl.col("symbol")),
        is_test=is_test_symbol(pl.col("symbol")),
    )
