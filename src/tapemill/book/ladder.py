"""The book of a feed that sends the best levels: mbp-10 and mbp-1."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapemill.book._buffers import Buffers, bad_price
from tapemill.book._credit import CARRIED, CREDITS, UNEXPLAINED
from tapemill.book._emit import BAD_PRICE, DONE
from tapemill.book._ladder import read_ladders
from tapemill.book.events import Changes, Events
from tapemill.book.records import TRADE, UNDEFINED
from tapemill.errors import ContractError

__all__ = ["LadderBook"]

_LAYOUTS = {levels: np.dtype([*TRADE.descr, ("words", "<i8", (4 * levels,))]) for levels in (1, 10)}
_FIRST_CREDITS = 64


class LadderBook:
    """Reads ladder records of one instrument, in any chunks, into events and changes.

    A change of size inside the window that both ladders show is an `ADD`, a `CANCEL`, or, as far
    as trades of the same venue event took from that price, a `FILL`. A price that the window slid
    over is `REVEALED` or `HIDDEN`. Replayed in order the changes give each record's ladder exactly.

    Parameters
    ----------
    tick_nano : int
        Least price step (1e-9).
    levels : int
        Levels a side of the feed: 10 (mbp-10) or 1 (mbp-1, tbbo).

    Raises
    ------
    ContractError
        The tick is not positive, or the feed has another number of levels.
    """

    def __init__(self, tick_nano: int, levels: int = 10) -> None:
        if tick_nano <= 0:
            raise ContractError(f"tick {tick_nano} is not positive", next_step="give it in 1e-9")
        if levels not in _LAYOUTS:
            raise ContractError(
                f"no feed has {levels} levels a side", next_step="use 10 (mbp-10) or 1 (mbp-1)"
            )
        self._tick = tick_nano
        self._per_nano = 1.0 / tick_nano
        self._levels = levels
        self._words = _LAYOUTS[levels]
        self._carried = np.zeros(CARRIED, np.int64)
        last = np.zeros(1, self._words)
        self._ladder = last["words"][0]
        self._ladder.reshape(levels, 4)[:, :2] = UNDEFINED
        # The kernel reads the ladder before the first record just as it reads those of records,
        # which may be read only: one type, one compilation.
        self._last = last.view()
        self._last.flags.writeable = False
        self._credits = np.zeros((_FIRST_CREDITS, 4), np.int64)
        self._buffers = Buffers(0, "order_id", "channel_id")

    @property
    def unexplained(self) -> int:
        """Records so far whose ladder moved in more places than their action accounts for."""
        return int(self._carried[UNEXPLAINED])

    def apply(self, records: Any, ordinals: Any) -> tuple[Events, Changes]:
        """Read consecutive records.

        Parameters
        ----------
        records : array of MBP_10 or MBP_1
        ordinals : array of int64
            Positions of the records in their file.

        Returns
        -------
        tuple of Events and Changes
            One event a record; `order_id` and `channel_id` are shared zeros: do not write to them.

        Raises
        ------
        ContractError
            A price is no whole number of ticks; the book is of no use afterwards.
        """
        n = records.size
        events = self._buffers.events(n)
        changes = self._buffers.changes(n + (n >> 1) + 8 * self._levels + 16)
        view = records.view(self._words)
        view.flags.writeable = False
        at = m = 0
        while True:
            why, at, m, price = read_ladders(
                view, ordinals, self._tick, self._per_nano, self._carried, self._last,
                self._ladder, self._credits, at, m, events, changes,
            )  # fmt: skip
            if why == DONE:
                break
            if why == BAD_PRICE:
                raise bad_price(price, self._tick, ordinals[at])
            changes = self._buffers.more(changes, m, m + n - at)
            if self._carried[CREDITS] + 2 > self._credits.shape[0]:
                self._credits = np.concatenate([self._credits, np.zeros_like(self._credits)])
        events.first_change[n] = m
        return events, self._buffers.kept(changes, m)
