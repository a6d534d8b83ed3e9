"""Trades of a stretch in bins that fit a screen: price, and volume by the side that took it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tapemill.levels.trades import Trades

__all__ = ["TapeBins", "bin_seconds", "tape_bins", "wider"]

_SECOND = 1_000_000_000
_WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_PRICE_BINS, _VOLUME_BINS = 1200, 240

Whole = npt.NDArray[np.int64]


class TapeBins(NamedTuple):
    """Bins of equal length in which something traded, in order of time.

    Attributes
    ----------
    seconds : int
        Length of a bin.
    at_ns : int64
        Its start (ns UTC).
    low, high, last : int64
        Ticks.
    buy, sell, unsided : int64
        Contracts, by the aggressor.
    breaks : bool
        Whether more time than a gap may last lies before it.
    """

    seconds: int
    at_ns: Whole
    low: Whole
    high: Whole
    last: Whole
    buy: Whole
    sell: Whole
    unsided: Whole
    breaks: npt.NDArray[np.bool_]


def bin_seconds(span_ns: int, most: int) -> int:
    """The shortest length of a bin, from a list that people like, with at most `most` bins."""
    return next((one for one in _WIDTHS if span_ns <= one * _SECOND * most), _WIDTHS[-1])


def tape_bins(trades: Trades, start_ns: int, end_ns: int, gap_seconds: int) -> TapeBins:
    """Trades of [start_ns, end_ns) in bins of :func:`bin_seconds`."""
    seconds = bin_seconds(end_ns - start_ns, _PRICE_BINS)
    inside = (trades.ts_gateway >= start_ns) & (trades.ts_gateway < end_ns)
    times = trades.ts_gateway[inside]
    price, size = trades.price[inside].astype(np.int64), trades.size[inside].astype(np.int64)
    side = trades.aggressor[inside]
    place = (times - start_ns) // (seconds * _SECOND)
    first = np.flatnonzero(np.diff(place, prepend=-1))
    if not len(first):
        none = np.empty(0, np.int64)
        return TapeBins(seconds, none, none, none, none, none, none, none, np.empty(0, np.bool_))
    last = np.append(first[1:], len(place)) - 1
    silence = np.append(False, times[first[1:]] - times[last[:-1]] > gap_seconds * _SECOND)
    volumes = [np.add.reduceat(np.where(side == one, size, 0), first) for one in (1, -1, 0)]
    return TapeBins(
        seconds,
        start_ns + place[first] * seconds * _SECOND,
        np.minimum.reduceat(price, first),
        np.maximum.reduceat(price, first),
        price[last],
        volumes[0],
        volumes[1],
        volumes[2],
        silence,
    )


def wider(tape: TapeBins, start_ns: int, end_ns: int) -> tuple[int, Whole, Whole, Whole]:
    """Signed volume in bins for bars: seconds, start (ns UTC), bought, sold."""
    seconds = max(tape.seconds, bin_seconds(end_ns - start_ns, _VOLUME_BINS))
    place = (tape.at_ns - start_ns) // (seconds * _SECOND)
    first = np.flatnonzero(np.diff(place, prepend=-1))
    if not len(first):
        return seconds, place, tape.buy, tape.sell
    return (
        seconds,
        start_ns + place[first] * seconds * _SECOND,
        np.add.reduceat(tape.buy, first),
        np.add.reduceat(tape.sell, first),
    )
