"""Approaches of price to zones of levels, found trade by trade."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, cast

import numpy as np

from tapemill.levels import _episodes as kernel
from tapemill.levels import _episodes_layout as layout
from tapemill.levels.trades import NO_TRADES, FeedSilence, Gaps, Trades, require_order
from tapemill.levels.volatility import Volatility
from tapemill.levels.zones import ZoneRows
from tapemill.settings.declaration import LevelsSettings

__all__ = [
    "DELAYS",
    "END_REASONS",
    "NO_ORDINAL",
    "NO_TOUCH",
    "Decisions",
    "EndedEpisodes",
    "EpisodeTracker",
]

Array = Any

DELAYS = (0, 30, 60, 120, 240)
"""Seconds from the touch to each decision."""
NO_ORDINAL = int(layout.FOREVER)
"""Ordinal of a timed decision: it comes after every record of its moment."""
NO_TOUCH = int(layout.NEVER)
"""Touch of an episode that never touched its zone."""
END_REASONS = ("through", "turned", "gap", "close", "end_of_data")
"""What the codes of :class:`EndedEpisodes` stand for."""


class Decisions(NamedTuple):
    """Moments at which something may be decided about an approach, arrays of length n.

    Sorted by decision_ns, ordinal, episode and delay.

    Attributes
    ----------
    decision_ns, ordinal : int64
        The moment (ns UTC) and the last record that may be known at it: the touching trade for
        delay 0, else `NO_ORDINAL` (every record with ts_gateway at or before `decision_ns`).
    episode : int64
        Running number of the episode in its session.
    zone : int32
    delay : int32
        Seconds after the touch.
    direction : int8
        +1 approached from below, -1 from above.
    low, high : float64
        Edges of the zone at the entry, in ticks.
    sigma : float64
        Volatility of one minute as known when the approach began, in ticks.
    touch_ns : int64
        When price touched (ns UTC).
    """

    decision_ns: Array
    ordinal: Array
    episode: Array
    zone: Array
    delay: Array
    direction: Array
    low: Array
    high: Array
    sigma: Array
    touch_ns: Array


class EndedEpisodes(NamedTuple):
    """Approaches, arrays of length n.

    Attributes
    ----------
    episode : int64
        Running number in the session, from 0 in order of entry.
    zone : int32
    direction : int8
        +1 approached from below, -1 from above.
    low, high : float64
        Edges of the zone at the entry, in ticks.
    sigma : float64
        Volatility of one minute as known at the entry, in ticks.
    enter_ns, enter_ordinal : int64
        The trade at which price came into the approach band.
    touch_ns, touch_ordinal : int64
        The trade that touched; `NO_TOUCH` and `NO_ORDINAL` if none did.
    end_ns : int64
        When it ended (ns UTC); `NO_ORDINAL` while it is open.
    reason : int8
        Place in `END_REASONS`; -1 while it is open.
    attempt : int32
        Which touch of its chain, from 1; 0 without touch.
    chain : int64
        Episode that began the chain; itself without touch.
    """

    episode: Array
    zone: Array
    direction: Array
    low: Array
    high: Array
    sigma: Array
    enter_ns: Array
    enter_ordinal: Array
    touch_ns: Array
    touch_ordinal: Array
    end_ns: Array
    reason: Array
    attempt: Array
    chain: Array


_SECOND = 1_000_000_000
_TYPES = {
    "zone": np.int32,
    "delay": np.int32,
    "direction": np.int8,
    "reason": np.int8,
    "attempt": np.int32,
}
_NONE = np.empty(0, np.int64)


def _columns(kind: Any, rows: Any, **more: Array) -> Any:
    """Rows of the kernel as one of the tuples above."""
    columns = {name: more[name] if name in more else rows[name] for name in kind._fields}
    return kind(
        **{name: column.astype(_TYPES.get(name, column.dtype)) for name, column in columns.items()}
    )


_NO_DECISIONS = _columns(Decisions, np.empty(0, layout.DECISION))
_NO_EPISODES = _columns(EndedEpisodes, np.empty(0, layout.EPISODE), episode=_NONE)


class EpisodeTracker:
    """Follows one instrument through one trade date.

    A zone is *armed* once price was beyond its leave band; an episode begins when price then comes
    into the approach band, is touched when price reaches the touch band (or jumps past it), and
    ends when price is beyond the leave band again, at a gap of the feed, at the close or at the end
    of the data. Edges and bands are those known at the entry, for the whole approach: where its
    zone goes meanwhile, or whether other levels join it, counts for the next one. While no
    volatility is known nothing is armed. Only trades move the state: a zone that moves is met at
    the next trade. A decision falls due only while its episode is open.

    Parameters
    ----------
    settings : LevelsSettings
    close_ns : int
        End of the trade date (ns UTC); a trade at it still belongs to the date.
    """

    def __init__(self, settings: LevelsSettings, close_ns: int) -> None:
        self._bands = np.zeros(1, layout.BANDS)
        for band in ("approach", "touch", "leave"):
            self._bands[f"{band}_sigma"] = getattr(settings, f"{band}_sigma")
            self._bands[f"{band}_ticks"] = getattr(settings, f"{band}_min_ticks")
        self._bands["attempt_gap_ns"] = settings.attempt_gap_minutes * 60 * _SECOND
        self._bands["close_ns"] = close_ns
        self._delays = np.array(DELAYS, np.int64)
        self._silence = FeedSilence(settings.gap_seconds)
        self._now = np.zeros(1, layout.NOW)
        self._now["sigma"] = np.nan
        self._now["due_ns"] = self._now["floor"] = layout.FOREVER
        self._now["ceiling"] = layout.NEVER
        self._slots = np.zeros(64, layout.SLOT)
        self._slot_of: dict[int, int] = {}
        self._log = np.zeros(1024, layout.EPISODE)
        self._out = np.zeros(1024, layout.DECISION)
        self._ended = np.zeros(1024, np.int64)
        self._zones = [_NONE, _NONE, np.empty(0), np.empty(0)]
        self._sigma = [_NONE, np.empty(0)]
        self._gaps = [_NONE]
        self._until_ns = int(layout.NEVER)

    def zones(self, rows: ZoneRows) -> None:
        """Extend the schedule of zones.

        Raises
        ------
        ContractError
            When rows are out of order or lie before what has been walked already.
        """
        slots = np.array([self._slot(zone) for zone in np.asarray(rows.zone).tolist()], np.int64)
        self._extend("zone", self._zones, "zone_row", (rows.at_ns, slots, rows.low, rows.high))

    def volatility(self, rows: Volatility) -> None:
        """Extend what is known of the volatility; see `zones` for what it raises."""
        self._extend("volatility", self._sigma, "sigma_row", (rows.at_ns, rows.sigma))

    def advance(
        self, trades: Trades, until_ns: int, gaps: Gaps | None = None
    ) -> tuple[EndedEpisodes, Decisions]:
        """Walk the next trades.

        Parameters
        ----------
        trades : Trades
            All since the last call.
        until_ns : int
            Every record before this moment has been given (ns UTC), and every row of the schedules
            too. Records and rows at it may follow.
        gaps : Gaps, optional
            Silences of the whole feed that became known since the last call. Without them those
            of the trades are taken, and the clock stops at the latest trade.

        Returns
        -------
        tuple of EndedEpisodes and Decisions
            What ended and what was decided at these trades, and by the clock before `until_ns`.

        Raises
        ------
        ContractError
            When trades or gaps lie before what has been walked already.
        """
        own = self._silence.advance(trades.ts_gateway)
        if gaps is None:
            latest = self._silence.latest_ns
            gaps, until_ns = own, min(until_ns, self._until_ns if latest is None else latest)
        self._extend("gap", self._gaps, "gap_row", (gaps.known_ns,))
        require_order("trade", trades.ts_gateway[:1], self._until_ns)
        self._until_ns = max(self._until_ns, until_ns)
        return self._walk(trades)

    def finish(
        self,
        until_ns: int,
        reason: Literal["close", "end_of_data"] = "end_of_data",
        gaps: Gaps | None = None,
    ) -> tuple[EndedEpisodes, Decisions]:
        """End what is still open; nothing may follow.

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
        self._extend("gap", self._gaps, "gap_row", ((own if gaps is None else gaps).known_ns,))
        # The close itself still belongs to the date; other data end before their end.
        self._until_ns = max(self._until_ns, until_ns + (reason == "close"))
        ended, decisions = self._walk(NO_TRADES)
        if self._now["closed"][0]:
            return ended, decisions
        self._room()
        self._now["ended"] = 0
        kernel.finish(
            until_ns,
            END_REASONS.index(reason),
            self._now,
            self._slots,
            self._log,
            self._ended,
        )
        rest = self._episodes(self._ended[: self._now["ended"][0]])
        both = (np.concatenate(pair) for pair in zip(ended, rest, strict=True))
        return EndedEpisodes(*both), decisions

    def entered(self) -> EndedEpisodes:
        """All episodes so far, open ones too, by running number."""
        return self._episodes(np.arange(self._now["episodes"][0]))

    def _slot(self, zone: int) -> int:
        """Place of a zone in the kernel's array; a new one at its first row."""
        slot = self._slot_of.setdefault(zone, len(self._slot_of))
        if slot == self._now["slots"][0]:
            if slot == self._slots.size:
                self._slots = np.concatenate([self._slots, np.zeros_like(self._slots)])
            self._slots[slot]["zone"] = zone
            self._slots[slot]["due_ns"] = layout.FOREVER
            self._slots[slot]["up_ns"] = self._slots[slot]["down_ns"] = layout.NEVER
            self._now["slots"] += 1
        return slot

    def _extend(
        self, what: str, schedule: list[Array], place: str, rows: tuple[Array, ...]
    ) -> None:
        """Append rows to a schedule (moments first) and drop those that were walked."""
        if not len(rows[0]):
            return
        latest = int(schedule[0][-1]) if len(schedule[0]) else layout.NEVER
        require_order(what, np.asarray(rows[0]), max(latest, self._until_ns))
        start = self._now[place][0]
        for column, more in enumerate(rows):
            dtype = schedule[column].dtype
            schedule[column] = np.concatenate([schedule[column][start:], more]).astype(dtype)
        self._now[place] = 0
        self._now["alarm_ns"] = min(self._now["alarm_ns"][0], rows[0][0])

    def _walk(self, trades: Trades) -> tuple[EndedEpisodes, Decisions]:
        """Run the kernel over trades and clock; make room and go on when an output is full."""
        now = self._now
        if now["closed"][0] or (not len(trades.price) and self._until_ns <= now["alarm_ns"][0]):
            return _NO_EPISODES, _NO_DECISIONS
        now["decisions"] = now["ended"] = 0
        columns = [
            np.ascontiguousarray(column, dtype)
            for column, dtype in zip(trades[:3], (np.int64, np.int64, np.int32), strict=True)
        ]
        place, now["full"] = 0, 1
        while now["full"][0]:
            self._room()
            walk: Any = kernel.walk
            place = walk(
                *columns, place, self._until_ns, now, self._slots, self._bands, self._delays,
                *self._zones, *self._sigma, *self._gaps, self._log, self._out, self._ended,
            )  # fmt: skip
        ended, decided = now["ended"][0], now["decisions"][0]
        return (
            self._episodes(self._ended[:ended]) if ended else _NO_EPISODES,
            _decisions(self._out[:decided]) if decided else _NO_DECISIONS,
        )

    def _room(self) -> None:
        """Room in every output for one more step of all zones."""
        now, least = self._now, 4 * self._slots.size
        for name, used in (("_log", "episodes"), ("_out", "decisions"), ("_ended", "ended")):
            rows = getattr(self, name)
            if rows.size - now[used][0] < least:
                wider = np.zeros(2 * rows.size + least, rows.dtype)
                wider[: rows.size] = rows
                setattr(self, name, wider)

    def _episodes(self, numbers: Array) -> EndedEpisodes:
        return cast(
            EndedEpisodes, _columns(EndedEpisodes, self._log[numbers], episode=numbers.copy())
        )


def _decisions(rows: Array) -> Decisions:
    order = np.lexsort([rows[name] for name in ("delay", "episode", "ordinal", "decision_ns")])
    return cast(Decisions, _columns(Decisions, rows[order]))
