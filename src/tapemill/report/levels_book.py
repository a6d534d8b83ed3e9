"""The book over time as a grid that fits a screen: what rested at which price, and when.

The book is replayed once and looked at as each column of the grid ends, so memory does not grow
with the number of records.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tapemill.book import Changes, DepthState, Events
from tapemill.book.events import NO_PRICE

__all__ = ["COLUMNS", "ROWS", "BookGrid", "book_grid", "column_edges"]

COLUMNS, ROWS = 600, 200
"""Most columns and rows of the grid."""
_SIDES = (ord("B"), ord("A"))


@dataclasses.dataclass(frozen=True)
class BookGrid:
    """Resting size by price and time.

    Attributes
    ----------
    edges_ns : int64 of shape (columns + 1,)
        Column i shows the book as ``edges_ns[i + 1]`` came (ns UTC).
    low_ticks, step_ticks : int
        Lowest price of the first row, and prices a row.
    size : int32 of shape (rows, columns)
        Largest size that rested at one price of the row; 0: nothing there, or not in view.
    bid, ask : float64 of shape (columns,)
        Best prices in ticks; NaN without one.
    gaps : tuple of (int, int)
        Silences of the feed that were too long: last record before, first after (ns UTC).
    records : int
        Records replayed.
    """

    edges_ns: npt.NDArray[np.int64]
    low_ticks: int
    step_ticks: int
    size: npt.NDArray[np.int32]
    bid: npt.NDArray[np.float64]
    ask: npt.NDArray[np.float64]
    gaps: tuple[tuple[int, int], ...]
    records: int

    @property
    def centres(self) -> npt.NDArray[np.float64]:
        """Middle price of each row, ticks."""
        rows = np.arange(self.size.shape[0], dtype=np.float64)
        return self.low_ticks + rows * self.step_ticks + (self.step_ticks - 1) / 2

    def usual(self) -> tuple[float, float]:
        """A size that is nothing special and one that is rare: ends of a scale of colours."""
        found = self.size[self.size > 0]
        if not len(found):
            return 1.0, 4.0
        least, most = np.quantile(found, [0.2, 0.997])
        return float(max(least, 1.0)), float(max(most, 4.0))


def column_edges(start_ns: int, end_ns: int, columns: int = COLUMNS) -> npt.NDArray[np.int64]:
    """Edges of equal columns over [start_ns, end_ns], whole seconds wide and at most `columns`."""
    second = 1_000_000_000
    span = max(end_ns - start_ns, second)
    width = max(1, -(-span // (columns * second))) * second
    return np.arange(start_ns, end_ns + width, width, dtype=np.int64)


def book_grid(
    feed: Iterable[tuple[Events, Changes]],
    edges_ns: npt.NDArray[np.int64],
    low_ticks: int,
    high_ticks: int,
    gap_seconds: int,
    rows: int = ROWS,
) -> BookGrid:
    """Replay a feed and look at the book as each column ends.

    Parameters
    ----------
    feed : iterable of (Events, Changes)
        In order of arrival, from the beginning of the trade date.
    edges_ns : int64 of shape (columns + 1,)
        See :func:`column_edges`.
    low_ticks, high_ticks : int
        Prices shown, both included.
    gap_seconds : int
        Longest silence that is none; a column that begins and ends within one stays empty.
    rows : int
        Most rows.
    """
    step = max(1, -(-(high_ticks - low_ticks + 1) // rows))
    height = (high_ticks - low_ticks) // step + 1
    wide = len(edges_ns) - 1
    size = np.zeros((height, wide), np.int32)
    best = np.full((2, wide), np.nan)
    state, done, records, latest = DepthState(), 0, 0, None
    gaps: list[tuple[int, int]] = []
    for events, changes in feed:
        times = events.ts_gateway
        if not len(times):
            continue
        gaps += _silences(latest, times, gap_seconds * 1_000_000_000)
        latest = int(times[-1])
        records += len(times)
        begin = 0
        # Columns whose end lies before the last record are complete with what comes before it.
        while done < wide and edges_ns[done + 1] <= latest:
            until = int(np.searchsorted(times, edges_ns[done + 1], side="left"))
            state.apply(changes, int(events.first_change[begin]), int(events.first_change[until]))
            begin = until
            if records - len(times) + until:
                _look(state, size, best, done, low_ticks, step)
            done += 1
        state.apply(changes, int(events.first_change[begin]))
    if done < wide and latest is not None and latest >= edges_ns[done]:
        _look(state, size, best, done, low_ticks, step)
    for before, after in gaps:
        silent = (edges_ns[:-1] > before) & (edges_ns[1:] <= after)
        size[:, silent] = 0
        best[:, silent] = np.nan
    return BookGrid(edges_ns, low_ticks, step, size, best[0], best[1], tuple(gaps), records)


def _silences(latest: int | None, times: Any, most_ns: int) -> list[tuple[int, int]]:
    before = np.concatenate([[times[0] if latest is None else latest], times[:-1]])
    places = np.flatnonzero(times - before > most_ns)
    return [(int(before[i]), int(times[i])) for i in places]


def _look(state: DepthState, size: Any, best: Any, column: int, low: int, step: int) -> None:
    for part, side in enumerate(_SIDES):
        price, resting, _ = state.ladder(side)
        row = (price - low) // step
        inside = (row >= 0) & (row < size.shape[0])
        np.maximum.at(size[:, column], row[inside], resting[inside].astype(np.int32))
        found = state.best()[part]
        best[part, column] = np.nan if found == NO_PRICE else found
