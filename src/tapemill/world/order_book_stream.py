"""One instrument's session as blocks of DBN records, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

import numpy as np

from tapemill.world import _order_flow_book as book
from tapemill.world._order_flow_dress import advance
from tapemill.world._order_flow_messages import SNAPSHOT, fill_book, send_book
from tapemill.world.order_book_path import DayPath, plant_table
from tapemill.world.order_book_spec import OrderBookSpec
from tapemill.world.seeds import stream

__all__ = ["PUBLISHER", "SessionStream", "midnight_ns"]

Array = Any
Feed = Literal["mbo", "mbp-10"]

PUBLISHER: Final = 1
"""Databento's number of GLBX.MDP3."""

_RTYPE = {"mbo": 160, "mbp-10": 10}
_WORDS: dict[str, int] = {"mbo": book.MBO_WORDS, "mbp-10": book.MBP_WORDS}
_TICKS = 1 << 14
_ORDERS = 1 << 17
_ROWS = {"mbo": 1 << 18, "mbp-10": 1 << 15}
_PAUSES = ("halt", "gap", "recovered_gap")
_FIRST_ORDER = 6_412_776_500_000
_SNAPSHOT_REACH = 300
_SHOW_TICKS = 16
_SNAPSHOT_AGE_NS = 11 * 3_600_000_000_000
_DAY_NS = 86_400_000_000_000


class SessionStream:
    """Records of one session, a block at a time.

    Parameters
    ----------
    seed : int
        Seed of the world.
    spec : OrderBookSpec
        The instrument and its effects.
    path : DayPath
        The walk that the records must make happen.
    feeds : tuple of {"mbo", "mbp-10"}
        What to write. The market is the same whatever is written.
    records : int
        Records of `counted` to write (a trade's event is finished).
    counted : {"mbo", "mbp-10"}
        The feed that `records` counts; two feeds of one market need the same.
    with_snapshot : bool
        Whether `records` counts the snapshot at the start of an mbo feed.
    """

    def __init__(
        self,
        seed: int,
        spec: OrderBookSpec,
        path: DayPath,
        feeds: tuple[Feed, ...],
        *,
        records: int,
        counted: Feed = "mbo",
        with_snapshot: bool = False,
    ) -> None:
        self._spec, self._path, self._feeds = spec, path, feeds
        draw = stream(seed, "order flow", spec.instrument.symbol, path.trade_date.toordinal())
        self._random = np.array([draw.integers(1, 2**63)], np.uint64)
        self._records, self._counted = records, counted
        self._with_snapshot = with_snapshot

    def blocks(self) -> Iterator[dict[str, Array]]:
        """Yield uint8 arrays of whole records by feed; each is valid until the next step."""
        spec, path = self._spec, self._path
        table, _ = plant_table(spec)
        state = self._state()
        levels = np.zeros((_TICKS, 4), np.int32)
        orders = np.zeros((_ORDERS, book.ORDER_COLUMNS), np.int32)
        ids = np.zeros(_ORDERS, np.int64)
        shown = np.zeros((len(spec.plants), 2), np.int64)
        fill_book(state, self._random, levels, orders, ids, _SNAPSHOT_REACH)
        out: dict[str, Array] = {
            feed: np.zeros((_ROWS[feed] if feed in self._feeds else 0, words), np.int64)
            for feed, words in _WORDS.items()
        }
        send_book(state, levels, orders, ids, out["mbo"], SNAPSHOT)
        if not self._with_snapshot:
            state[book.TARGET] += state[book.MBO_TOTAL]
        state[book.TS] = path.open_ns
        state[book.GATEWAY] = path.open_ns + 60_000
        over = False
        while not over:
            over = advance(
                state, self._random, levels, orders, ids, table, shown, self._pauses(),
                path.ts_event, path.ts_gateway, path.price, path.aggressor, path.size, path.move,
                path.active, path.phase, path.close_ns - 1,
                out["mbo"], out["mbp-10"],
            )  # fmt: skip
            yield {
                feed: out[feed][: state[place]].view(np.uint8)
                for feed, place in (("mbo", book.MBO_ROW), ("mbp-10", book.MBP_ROW))
                if feed in self._feeds
            }
            state[book.MBO_ROW] = state[book.MBP_ROW] = 0

    def _state(self) -> Array:
        spec, path = self._spec, self._path
        state = np.zeros(book.STATE_LENGTH, np.int64)
        base = spec.start_ticks - _TICKS // 2
        start = midnight_ns(path.open_ns)
        for feed, place in (("mbo", book.MBO_HEADER), ("mbp-10", book.MBP_HEADER)):
            state[place] = (
                _WORDS[feed] * 2
                | _RTYPE[feed] << 8
                | PUBLISHER << 16
                | spec.instrument.instrument_id << 32
            )
        state[book.BASE], state[book.TICK] = base, spec.instrument.tick_nano
        state[book.BID] = state[book.LOWEST] = state[book.HIGHEST] = path.first_bid - base
        state[book.NEXT_ID] = _FIRST_ORDER + path.trade_date.toordinal() * 1_000_000
        state[book.SEQUENCE] = 600
        # A snapshot has the time of an older state, and the start of the day for its receipt.
        state[book.TS], state[book.GATEWAY] = start - _SNAPSHOT_AGE_NS, start
        state[book.CONTROL] = int(self._counted == "mbp-10")
        state[book.TARGET] = self._records
        state[book.DEPTH], state[book.SHOW] = spec.depth, _SHOW_TICKS
        return state

    def _pauses(self) -> Array:
        rows = [(p.start_ns, p.end_ns, _PAUSES.index(p.kind)) for p in self._spec.pauses]
        return np.array(rows, np.int64).reshape(len(rows), 3)


def midnight_ns(moment_ns: int) -> int:
    """Start of the UTC day, from which a day's file is asked for."""
    return moment_ns // _DAY_NS * _DAY_NS
