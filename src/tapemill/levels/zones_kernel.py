"""Kernels of zones: which levels stand together, and where the edges of each zone are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["sweep", "zone_edges"]


@njit(cache=True, nogil=True)
def _reordered(order: Any, count: int, price: Any, number: Any) -> None:
    """Insertion sort by (price, number): from step to step the order hardly changes."""
    for i in range(1, count):
        level = order[i]
        j = i - 1
        while j >= 0 and (
            price[order[j]] > price[level]
            or (price[order[j]] == price[level] and number[order[j]] > number[level])
        ):
            order[j + 1] = order[j]
            j -= 1
        order[j + 1] = level


@njit(cache=True, nogil=True)
def sweep(level: Any, at: Any, ticks: Any, error: Any, merge: Any, number: Any, hold: float) -> Any:
    """Zone of every level after every moment at which one of them moved.

    Steps come sorted by `at`. Neighbours in price stand together when their gap is at most
    `merge`, or at most `hold` · `merge` if they stood together before. A zone has the least
    `number` of its levels. Gives (step at which, level, ticks, error, zone) for each level that
    moved or changed its zone; zone 0: gone.
    """
    count_of_levels = len(number)
    price = np.full(count_of_levels, np.nan)
    band = np.zeros(count_of_levels)
    zone = np.zeros(count_of_levels, np.int64)
    fresh = np.zeros(count_of_levels, np.int64)
    order = np.empty(count_of_levels, np.int64)
    active = 0
    room = 2 * len(at) + count_of_levels
    out_at = np.empty(room, np.int64)
    out_level = np.empty(room, np.int64)
    out_ticks = np.empty(room)
    out_error = np.empty(room)
    out_zone = np.empty(room, np.int64)
    n = 0
    moved = np.zeros(count_of_levels, np.bool_)
    i = 0
    while i < len(at):
        now = at[i]
        first = i
        while i < len(at) and at[i] == now:
            who = level[i]
            if np.isnan(price[who]) and not np.isnan(ticks[i]):
                order[active] = who
                active += 1
            price[who] = ticks[i]
            band[who] = error[i]
            moved[who] = True
            i += 1
        kept = 0
        for k in range(active):
            if not np.isnan(price[order[k]]):
                order[kept] = order[k]
                kept += 1
        active = kept
        _reordered(order, active, price, number)
        k = 0
        while k < active:
            stop = k + 1
            least = number[order[k]]
            while stop < active:
                below = order[stop - 1]
                above = order[stop]
                gap = price[above] - price[below]
                together = zone[below] > 0 and zone[below] == zone[above]
                if gap > merge[first] and not (together and gap <= hold * merge[first]):
                    break
                least = min(least, number[above])
                stop += 1
            for member in range(k, stop):
                fresh[order[member]] = least
            k = stop
        if n + active + (i - first) > len(out_at):
            grown = 2 * len(out_at) + active + (i - first)
            out_at = np.append(out_at, np.empty(grown, np.int64))
            out_level = np.append(out_level, np.empty(grown, np.int64))
            out_ticks = np.append(out_ticks, np.empty(grown))
            out_error = np.append(out_error, np.empty(grown))
            out_zone = np.append(out_zone, np.empty(grown, np.int64))
        for k in range(active):
            who = order[k]
            if moved[who] or fresh[who] != zone[who]:
                out_at[n] = now
                out_level[n] = who
                out_ticks[n] = price[who]
                out_error[n] = band[who]
                out_zone[n] = fresh[who]
                n += 1
            zone[who] = fresh[who]
        for j in range(first, i):
            who = level[j]
            if np.isnan(price[who]) and moved[who]:
                out_at[n] = now
                out_level[n] = who
                out_ticks[n] = np.nan
                out_error[n] = 0.0
                out_zone[n] = 0
                zone[who] = 0
                n += 1
            moved[who] = False
    return out_at[:n], out_level[:n], out_ticks[:n], out_error[:n], out_zone[:n]


@njit(cache=True, nogil=True)
def zone_edges(zone: Any, begin: Any, end: Any, low: Any, high: Any) -> Any:
    """Edges of each zone at each moment that they change; NaN from when it is gone.

    Rows come sorted by (zone, begin). Gives (zone, at, low, high) in that order.
    """
    rows = len(zone)
    out_zone = np.empty(2 * rows, np.int64)
    out_at = np.empty(2 * rows, np.int64)
    out_low = np.empty(2 * rows)
    out_high = np.empty(2 * rows)
    open_rows = np.empty(rows, np.int64)
    n = 0
    i = 0
    while i < rows:
        here = zone[i]
        members = 0
        while True:
            now = np.int64(9223372036854775807)
            for k in range(members):
                now = min(now, end[open_rows[k]])
            if i < rows and zone[i] == here:
                now = min(now, begin[i])
            elif members == 0:
                break
            kept = 0
            for k in range(members):
                if end[open_rows[k]] > now:
                    open_rows[kept] = open_rows[k]
                    kept += 1
            members = kept
            while i < rows and zone[i] == here and begin[i] == now:
                open_rows[members] = i
                members += 1
                i += 1
            lower = np.nan
            upper = np.nan
            for k in range(members):
                row = open_rows[k]
                if k == 0 or low[row] < lower:
                    lower = low[row]
                if k == 0 or high[row] > upper:
                    upper = high[row]
            same = n > 0 and out_zone[n - 1] == here
            if same:
                both_gone = np.isnan(out_low[n - 1]) and members == 0
                same = both_gone or (out_low[n - 1] == lower and out_high[n - 1] == upper)
            if not same:
                out_zone[n] = here
                out_at[n] = now
                out_low[n] = lower
                out_high[n] = upper
                n += 1
    return out_zone[:n], out_at[:n], out_low[:n], out_high[:n]
