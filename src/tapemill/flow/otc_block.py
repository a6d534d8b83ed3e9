"""The newest OTC week that an evening knows: how much traded off-exchange, weeks ago.

A week shows from the evening of its publication on, with its age, and its values expire. It is
never taken for the volume of the day itself. A restated week replaces the old figures from its own
publication on. What other symbols have published says nothing about a symbol: Tier 2 weeks come two
weeks after those of Tier 1.
"""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from numba import njit

from tapemill.clock import calendar
from tapemill.flow.evening import as_of_column
from tapemill.flow.inputs import EveningInputs
from tapemill.flow.panel import Matrix, Panel
from tapemill.flow.robust import in_blocks
from tapemill.settings.declaration import FlowSettings

__all__ = ["DUE_DAYS", "DUE_T1_DAYS", "LOOKBACK_SESSIONS", "RANKED_WEEKS", "otc_block"]

LOOKBACK_SESSIONS = 300
"""Weeks that began earlier than so many sessions before an evening are not looked at: 52 weeks
before one that is itself up to six weeks old."""
RANKED_WEEKS, RANKED_MIN_WEEKS = 52, 8
"""A participation is ranked among the prior known weeks: at most, and at least so many."""
DUE_T1_DAYS, DUE_DAYS = 21, 35
"""From a week's Monday to its publication: two and four weeks after its end, on a Monday."""

_WEEK = ("row", "week_start")
_CLASSES = ("ats", "non_ats")
_SHOWN = ("otc_week", "otc_published", "otc_tier")
_VALUES = (
    *("otc_volume", "otc_ats_volume", "otc_non_ats_volume", "otc_ats_frac"),
    *("otc_venue_concentration", "otc_average_trade_size", "otc_participation_frac"),
)

Ordinals = npt.NDArray[np.int64]


def otc_block(inputs: EveningInputs, cells: pl.DataFrame, flow: FlowSettings) -> pl.DataFrame:
    """Newest known OTC week of each cell.

    Parameters
    ----------
    inputs : EveningInputs
    cells : pl.DataFrame
        ``symbol``, ``session``, and their places ``row``, ``column`` in the panel.
    flow : FlowSettings

    Returns
    -------
    pl.DataFrame
        One row a cell, in the order of `cells`: ``symbol``, ``session``, ``has_otc`` and the
        metrics of the block ``otc``, in shares. Values are null once the week expired; week, tier,
        age and publication stay.

    Notes
    -----
    ``otc_volume`` and what is made of it need both ATS and non-ATS rows of the symbol's week. One
    class alone cannot tell "did not trade there" from "that file is not in the lake", and taken
    for the whole it would halve the participation: ``otc_ats_volume`` and ``otc_non_ats_volume``
    show what is known of each.

    Participation compares with the consolidated volume of the same Monday to Friday, and only when
    each of its sessions has a bar that the evening knew. Bars may count extended hours, as FINRA's
    weeks do.
    """
    weeks = _Weeks.of(inputs)
    states = _states(inputs, weeks)
    state, percentile = _seen(inputs, states, weeks)
    evening = np.searchsorted(_days(inputs.evenings), _days(cells["session"]))
    at = cells["row"].to_numpy(), evening
    taken = pl.Series(state[at])
    place = taken.set(taken < 0, None).cast(pl.UInt32)
    shown = [states[name].gather(place) for name in (*_SHOWN, *_VALUES, "last_ordinal")]
    found = cells.select("symbol", "session").with_columns(
        *shown,
        otc_participation_percentile=pl.Series(percentile[at], nan_to_null=True),
        ordinal=pl.Series(weeks.ordinal_of(inputs.evenings)[evening]),
    )
    return _aged(found, flow)


def _aged(found: pl.DataFrame, flow: FlowSettings) -> pl.DataFrame:
    """Age, status, and no values from weeks that are too old."""
    first_tier = (pl.col("otc_tier") == "T1").fill_null(value=False)
    age = (pl.col("ordinal") - pl.col("last_ordinal")).cast(pl.Int32)
    limit = (
        pl.when(first_tier).then(flow.otc_expiry_t1_sessions).otherwise(flow.otc_expiry_t2_sessions)
    )
    status = (
        pl.when(age.is_null())
        .then(pl.lit("none"))
        .when(age > limit)
        .then(pl.lit("expired"))
        .otherwise(pl.lit("latest_known"))
    )
    due = pl.when(first_tier).then(DUE_T1_DAYS).otherwise(DUE_DAYS)
    known = pl.col("otc_status") == "latest_known"
    return (
        found.with_columns(otc_age_sessions=age, otc_status=status)
        .with_columns(
            *(
                pl.when(known).then(pl.col(name)).alias(name)
                for name in (*_VALUES, "otc_participation_percentile")
            ),
            has_otc=known,
            otc_next_publication=pl.col("session").dt.truncate("1w") + pl.duration(days=due),
        )
        .drop("ordinal", "last_ordinal")
    )


# -- weeks on the calendar -------------------------------------------------------------------------


def _days(days: Any) -> npt.NDArray[np.int64]:
    """Dates as days since 1970."""
    return pl.Series(days, dtype=pl.Date()).to_physical().cast(pl.Int64).to_numpy()


@dataclasses.dataclass(frozen=True)
class _Weeks:
    """The weeks that appear, ascending, and where their sessions lie.

    ``first`` and ``last`` are ordinals of a week's first and last session on one axis of sessions,
    ``sessions``, as days since 1970; a week without a session has ``first > last``.
    """

    starts: Ordinals
    sessions: Ordinals
    first: Ordinals
    last: Ordinals

    @classmethod
    def of(cls, inputs: EveningInputs) -> _Weeks:
        found = inputs.otc["week_start"].unique().sort()
        begin: date = inputs.panel.sessions[0]
        exchange = calendar("XNYS")
        if len(found):
            oldest: Any = found[0]
            begin = max(min(begin, oldest), exchange.coverage[0])
        sessions = _days(exchange.session_dates(begin, inputs.panel.sessions[-1]))
        starts = _days(found)
        return cls(
            starts,
            sessions,
            np.searchsorted(sessions, starts),
            np.searchsorted(sessions, starts + 5) - 1,
        )

    def ordinal_of(self, days: Any) -> Ordinals:
        return np.searchsorted(self.sessions, _days(days))

    def consolidated(self, panel: Panel) -> Matrix:
        """Volume of each week, shape (symbols, weeks); NaN where a session has no bar."""
        volume = np.full((len(panel.symbols), len(self.starts)), np.nan)
        begin = int(self.ordinal_of(panel.sessions[:1])[0])
        for week, (first, last) in enumerate(zip(self.first, self.last, strict=True)):
            if first >= begin and first <= last:
                days = slice(int(first) - begin, int(last) + 1 - begin)
                volume[:, week] = panel.volume[:, days].sum(axis=1)
        volume[~(volume > 0)] = np.nan
        return volume


# -- what a week said, from when to when -----------------------------------------------------------


def _states(inputs: EveningInputs, weeks: _Weeks) -> pl.DataFrame:
    """What each symbol's weeks said after every change, sorted by row, moment and week.

    A state holds from ``moment`` (microseconds) until the next one of the same week. Without a
    visible row of either class (all were withdrawn) ``known`` is false.
    """
    panel = inputs.panel
    names = pl.DataFrame(
        {"symbol": panel.symbols, "row": np.arange(len(panel.symbols))},
        schema={"symbol": pl.String(), "row": pl.Int64()},
    )
    rows = inputs.otc.join(names, on="symbol").sort("known_at", "version")
    moments = pl.concat(
        [
            rows.select(*_WEEK, moment="known_at"),
            rows.select(*_WEEK, moment="superseded_at").drop_nulls("moment"),
        ]
    )
    states = moments.unique().sort("moment")
    for venue_class in _CLASSES:
        states = _with_class(states, rows, venue_class)
    return _valued(states, inputs, weeks)


def _with_class(states: pl.DataFrame, rows: pl.DataFrame, venue_class: str) -> pl.DataFrame:
    """Add what was visible of one class at each moment."""
    versions = rows.filter(pl.col("venue_class") == venue_class).select(
        *_WEEK,
        "known_at",
        gone=pl.col("superseded_at"),
        shares=pl.col("shares").cast(pl.Float64),
        trades=pl.col("trades").cast(pl.Float64),
        concentration=pl.col("venue_concentration"),
        tier=pl.col("tier"),
        published=pl.col("last_update_date"),
    )
    found = states.join_asof(
        versions,
        left_on="moment",
        right_on="known_at",
        by=list(_WEEK),
        strategy="backward",
        check_sortedness=False,
    )
    values = ("shares", "trades", "concentration", "tier", "published")
    visible = pl.col("gone").is_null() | (pl.col("gone") > pl.col("moment"))
    return found.with_columns(
        pl.when(visible).then(pl.col(name)).alias(f"{venue_class}_{name}") for name in values
    ).drop("known_at", "gone", *values, strict=False)


def _valued(states: pl.DataFrame, inputs: EveningInputs, weeks: _Weeks) -> pl.DataFrame:
    """The metrics of each state."""
    ats, other = pl.col("ats_shares"), pl.col("non_ats_shares")
    trades = pl.col("ats_trades") + pl.col("non_ats_trades")
    total = ats + other
    states = states.sort("row", "moment", "week_start").with_columns(
        known=ats.is_not_null() | other.is_not_null(),
        otc_week="week_start",
        otc_published=pl.max_horizontal("ats_published", "non_ats_published"),
        otc_tier=pl.coalesce("ats_tier", "non_ats_tier"),
        otc_volume=total,
        otc_ats_volume=ats,
        otc_non_ats_volume=other,
        otc_ats_frac=pl.when(total > 0).then(ats / total),
        otc_venue_concentration="ats_concentration",
        otc_average_trade_size=pl.when(trades > 0).then(total / trades),
    )
    week = np.searchsorted(weeks.starts, _days(states["week_start"]))
    row = states["row"].to_numpy()
    volume = states["otc_volume"].fill_null(float("nan")).to_numpy()
    participation = volume / weeks.consolidated(inputs.panel)[row, week]
    return states.with_columns(
        week=pl.Series(week),
        last_ordinal=pl.Series(weeks.last[week]),
        otc_participation_frac=pl.Series(participation, nan_to_null=True),
    )


# -- evenings --------------------------------------------------------------------------------------


def _seen(
    inputs: EveningInputs, states: pl.DataFrame, weeks: _Weeks
) -> tuple[npt.NDArray[np.int32], Matrix]:
    """State of the newest week and rank of its participation, shape (symbols, evenings)."""
    symbols, evenings = len(inputs.panel.symbols), len(inputs.evenings)
    newest = np.full((symbols, evenings), -1, dtype=np.int32)
    percentile = np.full((symbols, evenings), np.nan)
    row = states["row"].to_numpy()
    bounds = np.searchsorted(row, np.arange(symbols + 1))
    columns = (
        states["moment"].to_physical().to_numpy(),
        states["week"].to_numpy(),
        states["known"].to_numpy(),
        states["otc_participation_frac"].fill_null(float("nan")).to_numpy(),
    )
    axis = weeks.first, weeks.last
    moments = _moments(inputs)
    ordinals = weeks.ordinal_of(inputs.evenings)

    def work(start: int, stop: int) -> None:
        _walk(bounds, *columns, *axis, moments, ordinals, start, stop, newest, percentile)

    in_blocks(symbols, work)
    return newest, percentile


def _moments(inputs: EveningInputs) -> npt.NDArray[np.int64]:
    """18:00 New York of the evenings, microseconds."""
    frame = pl.DataFrame({"session": pl.Series(inputs.evenings, dtype=pl.Date())})
    return frame.select(as_of_column().to_physical()).to_series().to_numpy()


@njit(cache=True, nogil=True)
def _walk(  # type: ignore[no-untyped-def]  # noqa: ANN202
    bounds,  # noqa: ANN001
    moment,  # noqa: ANN001
    week,  # noqa: ANN001
    known,  # noqa: ANN001
    participation,  # noqa: ANN001
    first,  # noqa: ANN001
    last,  # noqa: ANN001
    evening,  # noqa: ANN001
    ordinal,  # noqa: ANN001
    start,  # noqa: ANN001
    stop,  # noqa: ANN001
    newest,  # noqa: ANN001
    percentile,  # noqa: ANN001
):
    """Symbols start … stop: let the changes happen in order and look at every evening."""
    current = np.empty(first.size, dtype=np.int64)
    for symbol in range(start, stop):
        current[:] = -1
        place, end = bounds[symbol], bounds[symbol + 1]
        for k in range(evening.size):
            while place < end and moment[place] <= evening[k]:
                current[week[place]] = place if known[place] else -1
                place += 1
            oldest = ordinal[k] - LOOKBACK_SESSIONS
            for w in range(first.size - 1, -1, -1):
                # Only weeks that are over, and whose bars are known.
                if current[w] < 0 or first[w] < oldest or last[w] >= ordinal[k]:
                    continue
                newest[symbol, k] = current[w]
                percentile[symbol, k] = _rank(participation, current, first, oldest, w)
                break


@njit(cache=True, nogil=True)
def _rank(participation, current, first, oldest, w):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Mid-rank of week w among the weeks before it that the evening knows."""
    own = participation[current[w]]
    if own != own:
        return np.nan
    below, weeks = 0.0, 0
    for v in range(w - 1, -1, -1):
        if current[v] < 0 or first[v] < oldest or weeks == RANKED_WEEKS:
            continue
        other = participation[current[v]]
        if other != other:
            continue
        weeks += 1
        if other < own:
            below += 1.0
        elif other == own:
            below += 0.5
    return below / weeks if weeks >= RANKED_MIN_WEEKS else np.nan
