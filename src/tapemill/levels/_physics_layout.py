"""Where the physics keeps what it carries from event to event.

Prices are kept "mirrored" where both sides share code: bid prices as they are, ask prices negated,
so that on either side a larger number is the better price.

Everything that a window sums up lies in a ring of one-second rows, so that a window is a sum over
rows and an event costs the same whatever the number of zones and windows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tapemill.book.events import NO_PRICE
from tapemill.settings.declaration import LevelsSettings

__all__ = ["State", "grown_book", "new_state"]

Array = Any

SECOND_NS = 1_000_000_000
RING = 256
"""Seconds kept; a power of two above the longest window."""
WIDTH = 2048
"""Prices kept of each second, around the price at its start."""
FAR = 1 << 62
"""Beyond every price."""
NO_BASE = -FAR
"""Of a second that has kept no price yet."""
BOOK_SLOTS = 1 << 15
BOOK_FIELDS = 8
DISTANCES = 128
"""Distances from the best price that have a baseline of their own; the last holds all beyond."""
SWEEPS_KEPT = 1024
SIZE_BINS = 1024
EXACT_SIZES = 256
LEAST_SECONDS = 30
"""Seconds that a baseline or a usual volume needs before it says anything."""
LEAST_PRINTS = 100
"""Trades that the quantile of sizes needs."""
LARGE_PERCENT = 95

# Fields of `whole` (int64).
(
    NOW, LAST_TS, LAST_ORDINAL, SINCE, SECOND, SECOND_START, SECOND_END, ROW, BEST_BID, BEST_ASK,
    COUNT_BID, COUNT_ASK, USED, LIMITED, LEVELS, LAST_PRICE, VOLUME, LAST_TRADED, TRADED_SECONDS,
    USUAL_SINCE, PRINTS, LARGE_ABOVE, LARGE_SINCE, SAMPLES, BURST_SIDE, BURST_NS, BURST_SIZE,
    BURST_PRINTS, BURST_LOW, BURST_HIGH, SWEEPS,
) = range(31)  # fmt: skip
WHOLE_FIELDS = 32

# Fields of `real` (float64); the first are constants of the settings.
GAP_NS, SWEEP_GAP_NS, HALF_LIFE, SWEEP_LEAST, USUAL_SUM, USUAL_WEIGHT, BURST_USUAL = range(7)
REAL_FIELDS = 8

# Fields of a row of `seconds` (int64).
(
    Q_SECOND, Q_BASE, Q_LOW, Q_HIGH, Q_TAPE_LOW, Q_TAPE_HIGH, Q_TRADES, Q_T, Q_P, Q_TT, Q_TP,
    Q_OFI, Q_OFI_MIDDLE, Q_OFI_DEEP, Q_VIEW_BID, Q_VIEW_ASK,
) = range(16)  # fmt: skip
SECOND_FIELDS = 16

# Fields of a price in `flow`: side · 3 + (add, cancel, fill); in `tape`.
FLOW_FIELDS = 8
TAPE_BUY, TAPE_SELL, TAPE_LARGE, TAPE_PRINTS = range(4)
TAPE_FIELDS = 4

# Fields of a sweep.
SWEEP_SECOND, SWEEP_SIDE, SWEEP_LOW, SWEEP_HIGH = range(4)
SWEEP_FIELDS = 4

# Fields of a price in `book`: its key, then size and orders of both sides.
KEY, SIZE, ORDERS = 0, 1, 3
EMPTY = NO_PRICE


class State(NamedTuple):
    """All that is carried; arrays that the kernels change in place.

    Attributes
    ----------
    whole, real : int64 and float64
        Scalars, see the names above.
    book : int32, shape (slots, 8)
        Depth by price: open addressing with the low bits of the price as first place, so that
        neighbouring prices are neighbours in memory and any price fits.
    flow : int32, shape (256, 2048, 8)
        Added, canceled and filled by second, price and side (contracts).
    tape : int32, shape (256, 2048, 4)
        Bought, sold, in large trades (contracts), and sided prints, by second and price.
    seconds : int64, shape (256, 16)
        What each row of the rings stands for, and sums that need no price.
    sweeps, multiples : int64 shape (1024, 4) and float64 shape (1024,)
        The latest sweeps, as a ring.
    sizes : int64, shape (1024,)
        Histogram of the sizes of trades.
    baseline : int64, shape (2, 128)
        Σ size and number of samples by distance from the best price.
    """

    whole: Array
    real: Array
    book: Array
    flow: Array
    tape: Array
    seconds: Array
    sweeps: Array
    multiples: Array
    sizes: Array
    baseline: Array


def new_state(settings: LevelsSettings) -> State:
    """State before the first event."""
    whole = np.zeros(WHOLE_FIELDS, np.int64)
    whole[[NOW, LAST_TS, LAST_ORDINAL, SECOND, LAST_TRADED]] = -1
    whole[[BEST_BID, BEST_ASK]] = -FAR
    whole[[SINCE, USUAL_SINCE, LARGE_SINCE]] = FAR
    whole[LAST_PRICE] = NO_PRICE
    whole[LIMITED] = 1
    real = np.zeros(REAL_FIELDS)
    real[GAP_NS] = settings.gap_seconds * 1e9
    real[SWEEP_GAP_NS] = settings.sweep_gap_ms * 1e6
    real[HALF_LIFE] = settings.sigma_minutes * 60.0
    real[SWEEP_LEAST] = settings.sweep_multiple
    seconds = np.zeros((RING, SECOND_FIELDS), np.int64)
    seconds[:, Q_SECOND] = -1
    seconds[:, [Q_LOW, Q_TAPE_LOW]] = WIDTH
    seconds[:, [Q_HIGH, Q_TAPE_HIGH]] = -1
    return State(
        whole,
        real,
        _empty_book(BOOK_SLOTS),
        np.zeros((RING, WIDTH, FLOW_FIELDS), np.int32),
        np.zeros((RING, WIDTH, TAPE_FIELDS), np.int32),
        seconds,
        np.zeros((SWEEPS_KEPT, SWEEP_FIELDS), np.int64),
        np.zeros(SWEEPS_KEPT),
        np.zeros(SIZE_BINS, np.int64),
        np.zeros((2, DISTANCES), np.int64),
    )


def grown_book(book: Array) -> Array:
    """The same prices with twice the places."""
    grown = _empty_book(2 * book.shape[0])
    mask = grown.shape[0] - 1
    for price in book[book[:, KEY] != EMPTY]:
        place = int(price[KEY]) & mask
        while grown[place, KEY] != EMPTY:
            place = (place + 1) & mask
        grown[place] = price
    return grown


def _empty_book(slots: int) -> Array:
    book = np.zeros((slots, BOOK_FIELDS), np.int32)
    book[:, KEY] = EMPTY
    return book
