"""The book as a state: what rests at which price after some changes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapemill.book._depth import replay
from tapemill.book.events import NO_PRICE, Changes
from tapemill.errors import ContractError

__all__ = ["DepthState"]

_PARTS = {ord("B"): 0, ord("A"): 1}
_FIRST_ROOM = 64


class DepthState:
    """Replays the changes of one instrument, in order, in any portions.

    Changes of a feed with few levels carry what came into and fell out of view, so the state holds
    that feed's ladders exactly; those of a feed of every order give the full depth.

    Parameters
    ----------
    levels : int, optional
        Levels a side that :meth:`ladder` gives when not told; 0: all there are.
    """

    def __init__(self, levels: int = 0) -> None:
        self.levels = levels
        self._rows = np.zeros((2, _FIRST_ROOM, 3), np.int64)
        self._counts = np.zeros(2, np.int64)

    def apply(self, changes: Changes, start: int = 0, stop: int | None = None) -> None:
        """Apply ``changes[start:stop]``."""
        end = changes.side.size if stop is None else stop
        at = start
        while (at := replay(changes, at, end, self._rows, self._counts)) < end:
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)], axis=1)

    def ladder(self, side: int, n: int | None = None) -> tuple[Any, Any, Any]:
        """Return the best `n` levels of a side: price (int64 ticks), size, orders; best first.

        Parameters
        ----------
        side : int
            ASCII ``ord("B")`` or ``ord("A")``.
        n : int, optional
            As many as :attr:`levels` says when left out; fewer come where the book has fewer.

        Raises
        ------
        ContractError
            `side` is neither.
        """
        if side not in _PARTS:
            raise ContractError(f"side {side} is neither 66 (B) nor 65 (A)")
        part = _PARTS[side]
        count = int(self._counts[part])
        wanted = self.levels if n is None else n
        first = count - min(count, wanted) if wanted else 0
        rows = self._rows[part, first:count][::-1]
        price = -rows[:, 0] if part else rows[:, 0].copy()
        return price, rows[:, 1].copy(), rows[:, 2].copy()

    def best(self) -> tuple[int, int]:
        """Return best bid and best ask in ticks; `NO_PRICE` where a side is empty."""
        bids, asks = (int(count) for count in self._counts)
        bid = int(self._rows[0, bids - 1, 0]) if bids else NO_PRICE
        ask = -int(self._rows[1, asks - 1, 0]) if asks else NO_PRICE
        return bid, ask
