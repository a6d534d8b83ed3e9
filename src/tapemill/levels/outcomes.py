"""What happened after each decision: first passage of trades through two barriers.

Nothing that makes a feature may import this module.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from tapemill.errors import ContractError
from tapemill.levels import _outcomes as kernel
from tapemill.levels.episodes import Decisions
from tapemill.levels.trades import NO_TRADES, FeedSilence, Gaps, Trades, require_order
from tapemill.settings.declaration import LevelsSettings

__all__ = ["CENSORED_BY", "OUTCOMES", "OutcomeTracker", "Outcomes", "barrier_names"]

Array = Any

OUTCOMES = ("break", "bounce", "neither", "censored")
"""What the codes of `Outcomes.outcome` stand for."""
CENSORED_BY = ("", "gap", "close", "end_of_data")
"""What the codes of `Outcomes.censored_by` stand for."""

_SECOND = 1_000_000_000
_DECISION = ("episode", "delay", "decision_ns", "direction")
_TYPES = {
    "delay": np.int32,
    "direction": np.int8,
    "horizon": np.int32,
    "barrier": np.int8,
    "barrier_ticks": np.float64,
    "anchor": np.int32,
    "outcome": np.int8,
    "censored_by": np.int8,
    "seconds": np.float64,
    "favourable": np.int32,
    "adverse": np.int32,
}


class Outcomes(NamedTuple):
    """Resolved labels in order of resolution, arrays of length n.

    Attributes
    ----------
    episode : int64
    delay : int32
        Which decision: running number of the episode, and seconds after its touch.
    decision_ns : int64
        The moment of decision (ns UTC).
    direction : int8
        Of a break: +1 up, -1 down.
    horizon : int32
        Seconds that are watched, the last of them included.
    barrier : int8
        Place in `barrier_names`.
    barrier_ticks : float64
        Distance of both barriers from the anchor.
    anchor : int32
        Last trade at or before the decision, in ticks.
    outcome, censored_by : int8
        Places in `OUTCOMES` and `CENSORED_BY`.
    seconds : float64
        From the decision to the first passage; NaN without one.
    favourable, adverse : int32
        Furthest from the anchor in the direction of a break and of a bounce (MFE, MAE; not below
        0), up to the end of the label: the trade that passes counts, and what it jumps past too.
    resolved_ns : int64
        When the outcome was known (ns UTC).
    """

    episode: Array
    delay: Array
    decision_ns: Array
    direction: Array
    horizon: Array
    barrier: Array
    barrier_ticks: Array
    anchor: Array
    outcome: Array
    censored_by: Array
    seconds: Array
    favourable: Array
    adverse: Array
    resolved_ns: Array


def barrier_names(settings: LevelsSettings) -> tuple[str, ...]:
    """Names of the barriers: ``k`` multiples of the horizon's volatility, ``t`` fixed ticks."""
    return (
        *(f"k{multiple:g}" for multiple in settings.barrier_multiples),
        *(f"t{ticks}" for ticks in settings.barrier_ticks),
    )


class OutcomeTracker:
    """Watches decisions of one instrument through one trade date.

    For each decision, horizon h and barrier: the first trade after the decision, and not after its
    horizon, that is at least the barrier away from the anchor. The barrier is
    ``k · sigma · sqrt(h / 60 s)`` or a number of ticks. A trade that jumps past several barriers
    resolves them all. Without passage the outcome is *neither* at the end of the horizon, but
    *censored* when a gap of the feed, the close or the end of the data came first; a horizon that
    ends within a gap is censored too, for nobody knows what was traded in it.

    Parameters
    ----------
    settings : LevelsSettings
    close_ns : int
        End of the trade date (ns UTC); a horizon that ends at it is whole.
    """

    def __init__(self, settings: LevelsSettings, close_ns: int) -> None:
        self._horizons = np.array(settings.horizons_seconds, np.int64)
        self._multiples = np.array(settings.barrier_multiples, np.float64)
        self._fixed = np.array(settings.barrier_ticks, np.float64)
        labels = self._horizons.size * (self._multiples.size + self._fixed.size)
        self._close_ns = close_ns
        self._silence = FeedSilence(settings.gap_seconds)
        self._now = np.zeros(1, kernel.NOW)
        self._now["silent_ns"] = self._now["known_ns"] = kernel.NEVER
        self._waiting = np.zeros(0, kernel.WAIT)
        self._watches = np.zeros(64, kernel.WATCH)
        self._heads = np.zeros(self._horizons.size, np.int64)
        self._need = np.zeros((64, labels), np.int64)
        self._widths = np.zeros((64, labels), np.float64)
        self._gaps = [np.empty(0, np.int64), np.empty(0, np.int64)]
        self._labels = np.zeros(4 * labels, kernel.LABEL)
        self._decisions: list[Decisions] = []
        self._opened = 0
        self._latest_ns = self._until_ns = int(kernel.NEVER)

    def open(self, decisions: Decisions) -> None:
        """Watch these decisions from their moments on.

        Raises
        ------
        ContractError
            When one lies before what has been watched already, after the close, or has no
            volatility.
        """
        count = len(decisions.decision_ns)
        if not count:
            return
        require_order("decision", decisions.decision_ns, max(self._latest_ns, self._until_ns))
        if decisions.decision_ns[-1] > self._close_ns or not np.isfinite(decisions.sigma).all():
            raise ContractError(
                f"decision at {decisions.decision_ns[-1]} ns lies after the close at"
                f" {self._close_ns} ns, or one has no volatility",
                where="decisions",
                next_step="take decisions as EpisodeTracker gives them",
            )
        waiting = np.zeros(count, kernel.WAIT)
        waiting["decision"] = np.arange(self._opened, self._opened + count)
        for name in ("decision_ns", "ordinal", "direction", "sigma"):
            waiting[name] = getattr(decisions, name)
        self._waiting = np.concatenate([self._waiting[self._now["waiting"][0] :], waiting])
        self._now["waiting"] = 0
        self._decisions.append(decisions)
        self._opened += count
        self._latest_ns = int(decisions.decision_ns[-1])
        self._now["alarm_ns"] = kernel.NEVER

    def advance(self, trades: Trades, until_ns: int, gaps: Gaps | None = None) -> Outcomes:
        """Watch the next trades; the decisions about them must be open.

        Parameters
        ----------
        trades : Trades
            All since the last call.
        until_ns : int
            Every record before this moment has been given (ns UTC). Not later than the latest
            record of the feed: beyond it nobody knows yet whether it is a gap.
        gaps : Gaps, optional
            Silences of the whole feed that became known since the last call. Without them those
            of the trades are taken, and the clock stops at the latest trade.

        Raises
        ------
        ContractError
            When trades or gaps lie before what has been watched, or a decision before any trade.
        """
        own = self._silence.advance(trades.ts_gateway)
        if gaps is None:
            latest = self._silence.latest_ns
            gaps, until_ns = own, min(until_ns, self._until_ns if latest is None else latest)
        require_order("trade", trades.ts_gateway[:1], self._until_ns)
        return self._watch(trades, until_ns, gaps, 0)

    def finish(
        self,
        until_ns: int,
        reason: Literal["close", "end_of_data"] = "end_of_data",
        gaps: Gaps | None = None,
    ) -> Outcomes:
        """Censor what is still open; nothing may follow.

        Parameters
        ----------
        until_ns : int
            Where the data end (ns UTC): every record before it has been given.
        reason : str
            Why they end there.
        gaps : Gaps, optional
            As for `advance`.
        """
        own = self._silence.finish(until_ns)
        return self._watch(
            NO_TRADES, until_ns, own if gaps is None else gaps, CENSORED_BY.index(reason)
        )

    def _watch(self, trades: Trades, until_ns: int, gaps: Gaps, why: int) -> Outcomes:
        """Run the kernel; make room and go on when an output is full."""
        now = self._now
        require_order("gap", gaps.start_ns, self._until_ns)
        if len(gaps.start_ns):
            done = now["gap_row"][0]
            self._gaps = [
                np.concatenate([kept[done:], more])
                for kept, more in zip(self._gaps, gaps, strict=True)
            ]
            now["gap_row"] = 0
        self._until_ns = max(self._until_ns, until_ns)
        idle = not len(trades.price) and self._until_ns <= now["alarm_ns"][0]
        if idle and not why and not len(gaps.start_ns):
            return _NO_OUTCOMES
        columns = [
            np.ascontiguousarray(column, dtype)
            for column, dtype in zip(trades[:3], (np.int64, np.int64, np.int32), strict=True)
        ]
        run: Any = kernel.watch
        place, now["labels"], now["full"] = 0, 0, 1
        while now["full"][0] == 1:
            self._room()
            place = run(
                *columns, place, self._until_ns, why, now, self._waiting, self._watches,
                self._heads, self._need, self._widths, self._horizons, self._multiples,
                self._fixed, *self._gaps, self._close_ns, self._labels,
            )  # fmt: skip
        waiting = self._waiting[now["waiting"][0] :]
        if now["full"][0] == -1 or (why and waiting.size):
            raise ContractError(
                f"decision at {waiting['decision_ns'][0]} ns has no trade before it, or lies after"
                " the end of the data",
                where="decisions",
                next_step="give the decisions and all trades of one trade date",
            )
        made = now["labels"][0]
        return self._outcomes(self._labels[:made]) if made else _NO_OUTCOMES

    def _room(self) -> None:
        """Drop decisions whose horizons are over; then room for new ones and for all labels."""
        first, opened = int(self._now["first"][0]), int(self._now["opened"][0])
        alive = opened - first
        size = self._watches.size
        if opened == size:
            size = size if 2 * alive <= size else 2 * size
            for name in ("_watches", "_need", "_widths"):
                rows = getattr(self, name)
                fresh = np.zeros((size, *rows.shape[1:]), rows.dtype)
                fresh[:alive] = rows[first:opened]
                setattr(self, name, fresh)
            self._heads -= first
            self._now["first"], self._now["opened"] = 0, alive
        used = int(self._now["labels"][0])
        least = 2 * (alive + 1) * self._need.shape[1]
        if self._labels.size - used < least:
            wider = np.zeros(2 * self._labels.size + least, kernel.LABEL)
            wider[:used] = self._labels[:used]
            self._labels = wider

    def _outcomes(self, rows: Array) -> Outcomes:
        """Labels of the kernel with the decisions that they are about."""
        columns = self._columns()
        decision = {name: column[rows["decision"]] for name, column in columns.items()}
        waited = (rows["passage_ns"] - decision["decision_ns"]) / _SECOND
        own = {
            "horizon": self._horizons[rows["horizon"]],
            "barrier_ticks": rows["width"],
            "seconds": np.where(rows["passage_ns"] == kernel.NEVER, np.nan, waited),
        }
        same = {name: rows[name] for name in Outcomes._fields if name not in decision | own}
        return _outcomes(decision | own | same)

    def _columns(self) -> dict[str, Array]:
        """Columns of all decisions so far."""
        if len(self._decisions) > 1:
            self._decisions = [Decisions(*map(np.concatenate, zip(*self._decisions, strict=True)))]
        return {name: getattr(self._decisions[0], name) for name in _DECISION}


def _outcomes(columns: dict[str, Array]) -> Outcomes:
    """Columns in their types; those not named are whole numbers of 64 bits."""
    return Outcomes(
        *(columns[name].astype(_TYPES.get(name, np.int64)) for name in Outcomes._fields)
    )


_NO_OUTCOMES = _outcomes(dict.fromkeys(Outcomes._fields, np.empty(0)))
