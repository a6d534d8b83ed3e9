"""What prices did after dated events, beside what they did after random ones.

The study knows nothing of what the events are. It enters at the first open after an event was
known, leaves at the close of the last session of each horizon, takes off the market's return over
the same sessions and the costs, and asks whether what is left could be chance: for all horizons at
once, and against the same names on other dates and other names on the same dates.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.errors import UsageError
from tapemill.proof.inference import Estimate, benjamini_hochberg, dated_mean, holm
from tapemill.proof.placebo import Placebo, placebo_dates, placebo_tickers
from tapemill.proof.windows import (
    PriceBoard,
    Windows,
    board_of,
    market_regime,
    place_events,
    windows,
)

__all__ = ["Horizon", "Slice", "Study", "StudyParameters", "event_study"]

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class StudyParameters:
    """What a study assumes.

    Attributes
    ----------
    horizons : tuple of int
        Sessions, ascending.
    cost_bps : float
        Of each side; an event pays it twice.
    min_events, min_dates : int
        Under either a horizon is not judged.
    min_names : int
        Names that make a market on a session.
    regime_sessions : int
        Sessions of the mean that the market is compared with.
    draws : int
        Placebo studies of each kind, at most.
    seed : int
    """

    horizons: tuple[int, ...] = (1, 5, 10, 20)
    cost_bps: float = 5.0
    min_events: int = 30
    min_dates: int = 20
    min_names: int = 10
    regime_sessions: int = 50
    draws: int = 200
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Horizon:
    """One horizon's answer. Returns are fractions, signed by the events' sides.

    Attributes
    ----------
    sessions : int
    judged : bool
        Whether there was enough of everything.
    reason : str
        Why not.
    gross : Estimate
        Abnormal return before costs; its p-value tests whether there is anything at all.
    net : float
        After costs on both sides; its interval is that of `gross`, moved by the costs.
    net_low, net_high : float
    adjusted_p : float
        Holm over the horizons judged.
    hit_frac : float
        Part of events with a return above zero before costs.
    early : int
        Events that left before the exit because the prices of the name ended.
    open_events, unpriced : int
        Events whose exit lies after the data; events without a price at entry or a market.
    other_dates, other_names : Placebo
    """

    sessions: int
    judged: bool
    reason: str
    gross: Estimate
    net: float
    net_low: float
    net_high: float
    adjusted_p: float
    hit_frac: float
    early: int
    open_events: int
    unpriced: int
    other_dates: Placebo
    other_names: Placebo


@dataclasses.dataclass(frozen=True)
class Slice:
    """A part of the events at one horizon: a regime, a tier or a side."""

    kind: str
    value: str
    sessions: int
    judged: bool
    gross: Estimate
    net: float
    q_value: float


@dataclasses.dataclass(frozen=True)
class Study:
    """A finished study.

    Attributes
    ----------
    parameters : StudyParameters
    events : int
        Events given.
    unknown_names, outside : int
        Events of names without any price; events whose entry lies outside the prices.
    names, sessions : int
        Of the prices.
    horizons : tuple of Horizon
    slices : tuple of Slice
        Benjamini-Hochberg over all of them that were judged; they explain, they never decide.
    """

    parameters: StudyParameters
    events: int
    unknown_names: int
    outside: int
    names: int
    sessions: int
    horizons: tuple[Horizon, ...]
    slices: tuple[Slice, ...]


@dataclasses.dataclass(frozen=True)
class _Events:
    row: Places
    column: Places
    side: Floats
    labels: dict[str, npt.NDArray[np.str_]]


def event_study(
    events: pl.DataFrame,
    prices: pl.DataFrame,
    parameters: StudyParameters | None = None,
    *,
    eligible: pl.DataFrame | None = None,
) -> Study:
    """Study the returns after events.

    Parameters
    ----------
    events : pl.DataFrame
        ``symbol``, ``session``, ``known_at`` (``Datetime`` with zone), ``side`` (+1 or −1) and, if
        there are any, ``tier``; one row a symbol and session.
    prices : pl.DataFrame
        ``symbol``, ``session``, ``open``, ``close``, splits removed.
    parameters : StudyParameters, optional
    eligible : pl.DataFrame, optional
        ``symbol``, ``session`` from which placebo names are drawn; all priced names without it.

    Returns
    -------
    Study

    Raises
    ------
    UsageError
        An event is given twice, or has no side, or no moment at which it was known.
    """
    chosen = parameters or StudyParameters()
    _refuse(events, chosen)
    board = board_of(prices)
    known_ns = events["known_at"].dt.epoch("us").to_numpy().astype(np.int64) * 1000
    row, column = place_events(board, events["symbol"].to_list(), known_ns)
    unknown = row < 0
    outside = ~unknown & ((column < 0) | (column >= len(board.sessions)))
    inside = ~unknown & ~outside
    regimes = np.array(market_regime(board, chosen.regime_sessions), dtype=np.str_)
    placed = _Events(
        row[inside],
        column[inside],
        events["side"].cast(pl.Float64).to_numpy()[inside],
        _labels(events, inside, regimes, column[inside]),
    )
    pool = _pool(board, eligible)
    paths, by_horizon = _paths(board, placed, chosen)
    found = [_horizon(by_horizon[h], paths, placed, pool, chosen) for h in chosen.horizons]
    adjusted = holm([one.gross.p_value if one.judged else float("nan") for one, _ in found])
    horizons = [
        dataclasses.replace(one, adjusted_p=p) for (one, _), p in zip(found, adjusted, strict=True)
    ]
    slices = [part for _, parts in found for part in parts]
    q_values = benjamini_hochberg([x.gross.p_value if x.judged else float("nan") for x in slices])
    return Study(
        chosen,
        events.height,
        int(unknown.sum()),
        int(outside.sum()),
        len(board.symbols),
        len(board.sessions),
        tuple(horizons),
        tuple(
            dataclasses.replace(part, q_value=q) for part, q in zip(slices, q_values, strict=True)
        ),
    )


def _refuse(events: pl.DataFrame, parameters: StudyParameters) -> None:
    horizons = parameters.horizons
    if not horizons or min(horizons) < 1 or len(set(horizons)) < len(horizons):
        raise UsageError(
            f"horizons {list(horizons)} cannot be studied",
            next_step="give different numbers of sessions, each at least 1",
        )
    if events.select("symbol", "session").is_duplicated().any():
        raise UsageError("an event is given twice", next_step="give one row a symbol and session")
    if events["known_at"].null_count() or not events["side"].is_in([1, -1]).all():
        raise UsageError(
            "an event has no side or no moment at which it was known",
            next_step="give side +1 or -1 and known_at for each event",
        )


def _labels(
    events: pl.DataFrame, inside: Flags, regimes: npt.NDArray[np.str_], column: Places
) -> dict[str, npt.NDArray[np.str_]]:
    """Kind of slice → each placed event's value of it."""
    side = np.where(events["side"].cast(pl.Float64).to_numpy() > 0, "long", "short")[inside]
    found = {"regime": regimes[column] if len(regimes) else side[:0], "side": side}
    if "tier" in events.columns:
        tiers = events["tier"].fill_null("unknown").to_list()
        found["tier"] = np.array(tiers, dtype=np.str_)[inside]
    return found


def _pool(board: PriceBoard, eligible: pl.DataFrame | None) -> Flags | None:
    """Entries from which placebo names are drawn: the session after each eligible one."""
    if eligible is None:
        return None
    pool = np.zeros((len(board.symbols), len(board.sessions)), dtype=bool)
    if not board.symbols:
        return pool
    symbols = pl.Series(board.symbols)
    axis = pl.Series(board.sessions, dtype=pl.Date)
    kept = eligible.filter(pl.col("symbol").is_in(symbols), pl.col("session").is_in(axis))
    column = axis.search_sorted(kept["session"]).to_numpy().astype(np.int64) + 1
    row = symbols.search_sorted(kept["symbol"]).to_numpy()
    fits = column < len(board.sessions)
    pool[row[fits], column[fits]] = True
    return pool


def _paths(
    board: PriceBoard, events: _Events, chosen: StudyParameters
) -> tuple[Floats, dict[int, Windows]]:
    """Abnormal return of each event after 1, 2, … sessions; the windows of the horizons."""
    longest = max(chosen.horizons)
    paths = np.full((len(events.row), longest), np.nan)
    kept = {}
    for length in range(1, longest + 1):
        window = windows(board, length, min_names=chosen.min_names)
        paths[:, length - 1] = window.abnormal[events.row, events.column]
        if length in chosen.horizons:
            kept[length] = window
    return paths, kept


def _horizon(
    window: Windows, paths: Floats, events: _Events, pool: Flags | None, chosen: StudyParameters
) -> tuple[Horizon, list[Slice]]:
    sessions = window.horizon
    # A return is the sum of what each session added to it.
    reached = paths[:, :sessions] * events.side[:, None]
    steps = np.diff(reached, axis=1, prepend=0.0)
    past = events.column >= window.complete
    kept: Flags = np.asarray(np.isfinite(steps).all(axis=1), dtype=bool)
    steps, row, column = steps[kept], events.row[kept], events.column[kept]
    side = events.side[kept]
    gross = dated_mean(steps, column)
    reason = _lacking(gross, chosen)
    cost = 2.0 * chosen.cost_bps / 1e4
    rng = np.random.default_rng([chosen.seed, sessions])
    entries = window.abnormal[:, : window.complete]
    drawn = (row, column, side, gross.mean)
    pooled = None if pool is None else pool[:, : window.complete]
    one = Horizon(
        sessions,
        not reason,
        reason,
        gross,
        gross.mean - cost,
        gross.low - cost,
        gross.high - cost,
        float("nan"),
        float(np.mean(steps.sum(axis=1) > 0)) if len(steps) else float("nan"),
        int(window.early[row, column].sum()),
        int(past.sum()),
        int((~kept & ~past).sum()),
        placebo_dates(entries, *drawn, sessions, chosen.draws, rng),
        placebo_tickers(entries, pooled, *drawn, chosen.draws, rng),
    )
    return one, _slices(events, kept, steps, column, sessions, chosen)


def _lacking(estimate: Estimate, chosen: StudyParameters) -> str:
    """Why an estimate cannot be judged; empty if it can."""
    if estimate.events < chosen.min_events or estimate.dates < chosen.min_dates:
        return (
            f"{estimate.events} events on {estimate.dates} dates; "
            f"{chosen.min_events} on {chosen.min_dates} are needed"
        )
    return "" if np.isfinite(estimate.p_value) else "all events fall on the same few days"


def _slices(
    events: _Events,
    kept: Flags,
    steps: Floats,
    column: Places,
    sessions: int,
    chosen: StudyParameters,
) -> list[Slice]:
    parts = []
    for kind, values in sorted(events.labels.items()):
        known = values[kept]
        for value in sorted(set(known.tolist())):
            here = known == value
            gross = dated_mean(steps[here], column[here])
            judged = not _lacking(gross, chosen)
            net = gross.mean - 2.0 * chosen.cost_bps / 1e4
            parts.append(Slice(kind, value, sessions, judged, gross, net, float("nan")))
    return parts
