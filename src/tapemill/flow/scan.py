"""The whole-market scan: every name of FINRA's file of an evening, measured, judged and ranked.

A row of an evening depends on the 140 sessions before it and the evening itself: 60 evenings of
comparison, each with its 60 sessions of baseline, each with its 20 of usual volume. How many
evenings are computed together changes nothing. A high short share is read as buying pressure,
because market makers who sell to a buyer sell short; that is an inference, not an observation.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from numba import njit

from tapemill.contracts import contract
from tapemill.flow.affiliation import Codes, sectors_of, tiers_of
from tapemill.flow.eligibility import REASONS, classes_of, eligibility
from tapemill.flow.evening import evening_of
from tapemill.flow.inputs import EveningInputs
from tapemill.flow.novelty import NOVELTIES, novelty
from tapemill.flow.panel import Matrix, Panel
from tapemill.flow.robust import BoolMatrix, ascending, in_blocks
from tapemill.flow.significance import POOL_EVENINGS, empirical_p, q_values, without_peers
from tapemill.flow.surprise import median_volume, share_surprise, volume_surprise
from tapemill.settings.declaration import FlowSettings

__all__ = ["scan_lookback", "scan_rows"]

_SPLITS = ("", "listed", "suspected")
_DIRECTIONS = ("", "buying", "selling")
_SOURCES = ("", "prior_evenings", "own_evening")
_HISTORY = REASONS.index("history")
_DUE_T1_DAYS, _DUE_DAYS = 21, 35
"""From the week's Monday to its publication: two and four weeks after its end, on a Monday."""


def scan_lookback(flow: FlowSettings) -> int:
    """Sessions before an evening that its rows depend on."""
    return POOL_EVENINGS + flow.baseline_sessions + flow.median_sessions


def scan_rows(inputs: EveningInputs, flow: FlowSettings) -> pl.DataFrame:
    """Scan the evenings.

    Parameters
    ----------
    inputs : EveningInputs
        With :func:`scan_lookback` sessions before the first evening where the calendar has them.
    flow : FlowSettings

    Returns
    -------
    pl.DataFrame
        Contract ``gold.flow_scan``: one row per symbol that has a row of FINRA on the evening,
        ordered by session and symbol. Only eligible names have p, q, score, direction and ranks.
        `volume_q_value` is one-sided: an evening of unusually little volume asks for no attention,
        and half days would fill the list.
    """
    if not inputs.evenings or not inputs.panel.symbols:
        return contract("gold.flow_scan").empty()
    window = _window(inputs, flow)
    affiliation = (
        sectors_of(inputs.memberships, window.panel.symbols, window.days),
        tiers_of(inputs.otc, window.panel.symbols, window.days),
    )
    cells = _measure(window, inputs.symbols, affiliation[0][0], flow)
    cells["tier"] = affiliation[1][0][window.rows]
    names = {"sector": ("", *affiliation[0][1]), "tier": ("", *affiliation[1][1])}
    return _finished(_frame(window, inputs, cells, names))


# -- measuring -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Window:
    """Which sessions of a panel are evenings, and which are compared with.

    Attributes
    ----------
    panel : Panel
    start, stop : int
        Columns of the panel from the first evening compared with to the last evening.
    rows : slice or ndarray
        The evenings wanted, counted from `start`; a slice where none lies between them.
    first : int
        The first of `rows`.
    """

    panel: Panel
    start: int
    stop: int
    rows: slice | npt.NDArray[np.int64]
    first: int

    @property
    def days(self) -> tuple[datetime.date, ...]:
        return self.panel.sessions[self.start : self.stop]

    def turned(self, matrix: Any) -> Any:
        """(symbols, sessions) → (evenings and those compared with, symbols)."""
        made = np.empty((self.stop - self.start, matrix.shape[0]), dtype=matrix.dtype)
        source = np.ascontiguousarray(matrix)
        in_blocks(len(source), lambda low, high: _turn(source, self.start, low, high, made))
        return made

    def evenings(self, matrix: Any) -> Any:
        """(symbols, sessions) → (evenings, symbols)."""
        return self.turned(matrix)[self.rows]


def _window(inputs: EveningInputs, flow: FlowSettings) -> _Window:
    """Cut the panel to what the evenings depend on."""
    panel, first = inputs.panel, inputs.panel.column(inputs.evenings[0])
    last = panel.column(inputs.evenings[-1])
    begin = max(first - scan_lookback(flow), 0)
    if begin or last + 1 < len(panel.sessions):
        kept = slice(begin, last + 1)

        def cut(matrix: Matrix) -> Matrix:
            return np.ascontiguousarray(matrix[:, kept])

        panel = Panel(
            panel.symbols,
            panel.sessions[kept],
            *(cut(panel.short_volume), cut(panel.total_volume), cut(panel.share_factor)),
            *(cut(panel.close), cut(panel.high), cut(panel.low), cut(panel.volume)),
        )
    columns = np.array([panel.column(day) for day in inputs.evenings], dtype=np.int64)
    start = max(int(columns[0]) - POOL_EVENINGS, 0)
    rows: slice | npt.NDArray[np.int64] = columns - start
    if len(columns) == columns[-1] - columns[0] + 1:
        rows = slice(int(columns[0]) - start, int(columns[-1]) - start + 1)
    return _Window(panel, start, int(columns[-1]) + 1, rows, int(columns[0]) - start)


def _measure(
    window: _Window, symbols: pl.DataFrame, sector: Codes, flow: FlowSettings
) -> dict[str, Any]:
    """Everything that is a number or a code, as matrices (evenings, symbols)."""
    panel, rows = window.panel, window.rows
    usual = median_volume(panel, flow)
    verdict = eligibility(panel, flow, symbols, usual)
    made: dict[str, Any] = {"sector": sector[rows], "short_volume": panel.short_volume}
    share = share_surprise(panel, flow, verdict.members, usual=usual)
    deviation, scale = window.turned(share.deviation), window.turned(share.scale)
    made |= {"baseline": share.baseline, "baseline_days": share.days, "usual": usual}
    del share
    reason = window.turned(verdict.reason)
    reason[(reason == 0) & ~np.isfinite(deviation / scale)] = _HISTORY
    eligible = reason == 0
    volume_z = _volume_z(window, verdict.members, eligible, sector, flow)
    z, shift = without_peers(deviation, scale, eligible, sector)
    p, pooled = empirical_p(z, eligible, window.first)
    volume_p, _ = empirical_p(volume_z, eligible, window.first, upper=True)
    new, run = novelty(z)
    made |= {"total_volume": panel.total_volume, "last_close": verdict.last_close}
    made |= {"dollar_volume_median": verdict.dollar_volume, "split": verdict.split}
    made = {name: m if name == "sector" else window.evenings(m) for name, m in made.items()}
    made |= {"reason": reason[rows], "share_move": deviation[rows], "peer_shift": shift[rows]}
    made |= {"z": z[rows], "volume_z": volume_z[rows], "run_length": run[rows]}
    made |= {"novelty": new[rows], "volume_novelty": novelty(volume_z)[0][rows]}
    made |= {"p_value": p[rows], "q_value": q_values(p[rows])}
    made["volume_q_value"] = q_values(volume_p[rows])
    made["letters"] = verdict.letters
    source = np.where(pooled[rows], 1, 2).astype(np.int8)[:, None]
    made["source"] = np.isfinite(p[rows]) * source
    return made | _ranked(made, eligible[rows])


def _volume_z(
    window: _Window, members: BoolMatrix, eligible: BoolMatrix, sector: Codes, flow: FlowSettings
) -> Matrix:
    volume = volume_surprise(window.panel, flow, members)
    own = window.turned(volume.deviation), window.turned(volume.scale)
    return without_peers(*own, eligible, sector)[0]


def _ranked(made: Mapping[str, Any], eligible: BoolMatrix) -> dict[str, Any]:
    """Score, its sign, and places in the lists, of the eligible only."""
    z, volume_z = made["z"], made["volume_z"]
    figures = made["dollar_volume_median"], made["usual"], made["total_volume"]
    score = np.empty_like(z)
    sign = np.zeros(z.shape, np.int8)
    rank, volume_rank = np.zeros(z.shape, np.int32), np.zeros(z.shape, np.int32)

    def work(start: int, stop: int) -> None:
        _list(z, volume_z, *figures, eligible, start, stop, score, sign, rank, volume_rank)

    in_blocks(len(score), work, block=8)
    return {"score": score, "direction": sign, "rank": rank, "volume_rank": volume_rank}


@njit(cache=True, nogil=True)
def _list(z, volume_z, paid, usual, total, eligible, start, stop, score, sign, rank, volume_rank):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """The lists of some evenings: the score each way, and volume."""
    names = z.shape[1]
    key = np.empty(names)
    for t in range(start, stop):
        dollars = np.where(np.isnan(paid[t]), -1.0, paid[t])
        shares = np.where(np.isnan(usual[t]), 0.0, usual[t])
        for i in range(names):
            score[t, i] = np.nan
            key[i] = np.nan
            if eligible[t, i]:
                calm = np.sqrt(total[t, i] / usual[t, i])
                score[t, i] = z[t, i] * (1.0 if calm > 1.0 else calm)
                key[i] = -volume_z[t, i]
            if score[t, i] > 0:
                sign[t, i] = 1
            elif score[t, i] < 0:
                sign[t, i] = 2
        _rank(key, np.isfinite(key), dollars, shares, volume_rank[t])
        _rank(-score[t], sign[t] == 1, dollars, shares, rank[t])
        _rank(score[t], sign[t] == 2, dollars, shares, rank[t])


@njit(cache=True, nogil=True)
def _turn(source, first, low, high, made):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Transpose some rows, in squares that stay in the cache."""
    side = 32
    for row in range(low, high, side):
        for t in range(0, made.shape[0], side):
            for i in range(row, min(row + side, high)):
                for k in range(t, min(t + side, made.shape[0])):
                    made[k, i] = source[i, first + k]


@njit(cache=True, nogil=True)
def _rank(key, among, dollars, shares, rank):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Places 1, 2 … by ascending key; ties by dollars, then shares, then place in the alphabet."""
    where = np.flatnonzero(among)
    order = where[ascending(key[where])]
    for k in range(1, order.size):
        mine, at = order[k], k
        while at > 0 and key[order[at - 1]] == key[mine]:
            other = order[at - 1]
            if dollars[other] > dollars[mine]:
                break
            if dollars[other] == dollars[mine] and shares[other] >= shares[mine]:
                break
            order[at] = other
            at -= 1
        order[at] = mine
    for k in range(order.size):
        rank[order[k]] = k + 1


# -- framing ---------------------------------------------------------------------------------------

_NUMBERS = (
    *("short_volume", "total_volume", "usual", "baseline", "baseline_days", "share_move"),
    *("peer_shift", "z", "p_value", "q_value", "volume_z", "volume_q_value", "score", "rank"),
    *("volume_rank", "run_length", "dollar_volume_median", "last_close"),
)
_LABELS = {
    "reason": REASONS,
    "split": _SPLITS,
    "source": _SOURCES,
    "direction": _DIRECTIONS,
    "novelty": NOVELTIES,
    "volume_novelty": NOVELTIES,
}


def _frame(
    window: _Window,
    inputs: EveningInputs,
    cells: dict[str, Any],
    names: Mapping[str, Sequence[str]],
) -> pl.DataFrame:
    """One row a cell with a row of FINRA. Takes the matrices out of `cells` as it goes."""
    letters = cells.pop("letters")
    there = np.isfinite(cells["total_volume"])
    evening, symbol = (pl.Series(axis.astype(np.uint32)) for axis in np.nonzero(there))
    made = {
        "_symbol": symbol,
        "_evening": evening,
        "eligible": pl.Series(cells["reason"][there] == 0),
    }
    for name in (*_NUMBERS, *_LABELS, *names):
        made[name] = pl.Series(_where(cells.pop(name), there))
    days = pl.Series(inputs.evenings, dtype=pl.Date())
    moments = pl.Series([evening_of(day) for day in inputs.evenings])
    texts = {name: [None, *labels[1:]] for name, labels in (_LABELS | dict(names)).items()}
    return pl.DataFrame(made).with_columns(
        *(pl.col(name).fill_nan(None) for name in _NUMBERS if made[name].dtype.is_float()),
        *(
            _at(pl.Series(labels, dtype=pl.String()), pl.col(name) + (name in names), name)
            for name, labels in texts.items()
        ),
        _at(pl.Series(window.panel.symbols, dtype=pl.String()), pl.col("_symbol"), "symbol"),
        _security_classes(window, inputs, letters, there),
        _at(days, pl.col("_evening"), "session"),
        _at(moments, pl.col("_evening"), "as_of"),
    )


def _security_classes(
    window: _Window,
    inputs: EveningInputs,
    letters: Mapping[int, tuple[str, npt.NDArray[np.bool_]]],
    there: BoolMatrix,
) -> pl.Expr:
    """The class a spelling tells; on evenings on which a fifth letter tells another, that one."""
    spelled = classes_of(window.panel, inputs.symbols)
    if not letters:
        return _at(spelled, pl.col("_symbol"), "security_class")
    told = sorted({name for name, _ in letters.values()})
    codes = np.broadcast_to(np.arange(there.shape[1], dtype=np.uint32), there.shape).copy()
    for row, (name, where) in letters.items():
        holds = where[window.start : window.stop][window.rows]
        codes[holds, row] = there.shape[1] + told.index(name)
    classes = pl.concat([spelled, pl.Series(spelled.name, told, dtype=pl.String())])
    return _at(classes, pl.lit(pl.Series(codes[there])), "security_class")


def _where(cells: Any, there: BoolMatrix) -> Any:
    """``cells[there]``, evenings side by side."""
    ends = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    made = np.empty(ends[-1], dtype=cells.dtype)
    in_blocks(len(cells), lambda low, high: _pick(cells, there, ends, low, high, made), block=32)
    return made


@njit(cache=True, nogil=True)
def _pick(cells, there, ends, low, high, made):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for t in range(low, high):
        place = ends[t]
        for i in range(cells.shape[1]):
            if there[t, i]:
                made[place] = cells[t, i]
                place += 1


def _at(values: pl.Series, place: pl.Expr, name: str) -> pl.Expr:
    """What stands at each place, under a name."""
    return pl.lit(values).gather(place.cast(pl.UInt32())).alias(name)


def _finished(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns that follow from others, under the contract's names and types."""
    total, session = pl.col("total_volume"), pl.col("session")
    usual_share = 1 / (1 + (-pl.col("baseline")).exp())
    moved = 1 / (1 + (-pl.col("baseline") - pl.col("peer_shift")).exp())
    due = pl.when(pl.col("tier") == "T1").then(_DUE_T1_DAYS).otherwise(_DUE_DAYS)
    columns = {
        "known_at": pl.col("as_of"),
        "year": session.dt.year(),
        "ineligible_reason": pl.col("reason"),
        "otc_tier": pl.col("tier"),
        "p_source": pl.col("source"),
        "short_share": pl.when(total > 0).then(pl.col("short_volume") / total),
        "baseline_share": usual_share,
        "peer_share_points": moved - usual_share,
        "volume_ratio": total / pl.col("usual"),
        "run_length": pl.when(pl.col("z").is_not_null()).then(pl.col("run_length")),
        "rank": pl.when(pl.col("rank") > 0).then(pl.col("rank")),
        "volume_rank": pl.when(pl.col("volume_rank") > 0).then(pl.col("volume_rank")),
        "otc_next_publication": session.dt.truncate("1w") + pl.duration(days=due),
    }
    schema = contract("gold.flow_scan").schema
    return frame.select(
        columns.get(name, pl.col(name)).cast(dtype).alias(name) for name, dtype in schema.items()
    )
