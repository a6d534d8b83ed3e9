"""The compiled pass from trades to minutes and half-hour profiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = [
    "HALF_PRICES",
    "MINUTE_FIELDS",
    "MINUTE_NS",
    "PROFILE_FIELDS",
    "STATE_FIELDS",
    "build",
    "close_until",
]

MINUTE_NS = 60_000_000_000
HALF_HOUR_NS = 30 * MINUTE_NS

# Columns of a minute's row, and of the state, which is the row of the open minute first.
START, OPEN, HIGH, LOW, CLOSE, VOLUME, BUY, SELL, TRADES, PRICE_VOLUME, GATEWAY = range(11)
MINUTE_FIELDS = 11
HALF_START, HALF_GATEWAY, HALF_PRICES, CLOSED_UNTIL = range(11, 15)
STATE_FIELDS = 15

# Columns of a profile's row; in the state's profile START and GATEWAY are unused.
P_START, P_PRICE, P_VOLUME, P_BUY, P_SELL, P_GATEWAY = range(6)
PROFILE_FIELDS = 6


@njit(cache=True, nogil=True)
def _close_minute(state: Any, minutes: Any, count: int) -> int:
    """Write the open minute, if there is one, as row `count`; the rows written so far."""
    if state[TRADES] == 0:
        return count
    for field in range(MINUTE_FIELDS):
        minutes[count, field] = state[field]
    state[TRADES] = 0
    state[CLOSED_UNTIL] = max(state[CLOSED_UNTIL], state[START] + MINUTE_NS)
    return count + 1


@njit(cache=True, nogil=True)
def _close_half_hour(state: Any, book: Any, profile: Any, count: int) -> int:
    for place in range(state[HALF_PRICES]):
        for field in range(PROFILE_FIELDS):
            profile[count + place, field] = book[place, field]
        profile[count + place, P_START] = state[HALF_START]
        profile[count + place, P_GATEWAY] = state[HALF_GATEWAY]
    count += state[HALF_PRICES]
    state[HALF_PRICES] = 0
    return count


@njit(cache=True, nogil=True)
def _place(book: Any, count: int, price: int) -> int:
    """Where `price` is, or would go, among the sorted prices of the half hour."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if book[middle, P_PRICE] < price:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _add_to_profile(state: Any, book: Any, price: int, size: int, side: int, gateway: int) -> None:
    count = state[HALF_PRICES]
    place = _place(book, count, price)
    if place == count or book[place, P_PRICE] != price:
        for row in range(count, place, -1):
            for field in range(PROFILE_FIELDS):
                book[row, field] = book[row - 1, field]
        for field in range(PROFILE_FIELDS):
            book[place, field] = 0
        book[place, P_PRICE] = price
        state[HALF_PRICES] = count + 1
    book[place, P_VOLUME] += size
    if side > 0:
        book[place, P_BUY] += size
    elif side < 0:
        book[place, P_SELL] += size
    state[HALF_GATEWAY] = max(state[HALF_GATEWAY], gateway)


@njit(cache=True, nogil=True)
def _add_to_minute(state: Any, price: int, size: int, side: int, gateway: int) -> None:
    if state[TRADES] == 0:
        state[OPEN] = state[HIGH] = state[LOW] = price
        for field in (VOLUME, BUY, SELL, PRICE_VOLUME, GATEWAY):
            state[field] = 0
    state[HIGH] = max(state[HIGH], price)
    state[LOW] = min(state[LOW], price)
    state[CLOSE] = price
    state[VOLUME] += size
    if side > 0:
        state[BUY] += size
    elif side < 0:
        state[SELL] += size
    state[TRADES] += 1
    state[PRICE_VOLUME] += price * size
    state[GATEWAY] = max(state[GATEWAY], gateway)


@njit(cache=True, nogil=True)
def build(
    ts_event: Any,
    ts_gateway: Any,
    price: Any,
    size: Any,
    aggressor: Any,
    state: Any,
    book: Any,
    minutes: Any,
    profile: Any,
    late: Any,
) -> tuple[int, int]:
    """Add trades; finished rows go to `minutes` and `profile`. Returns how many of each.

    `book` needs room for a new price a trade, `minutes` for one row a trade, `profile` for the
    prices in `book` and one row a trade.
    """
    minute_count = profile_count = 0
    for i in range(ts_event.size):
        moment = ts_event[i]
        start = moment - moment % MINUTE_NS
        if moment < state[CLOSED_UNTIL] or (state[TRADES] and start < state[START]):
            late[i] = True
            continue
        if state[TRADES] and start != state[START]:
            minute_count = _close_minute(state, minutes, minute_count)
        half = moment - moment % HALF_HOUR_NS
        if half != state[HALF_START]:
            profile_count = _close_half_hour(state, book, profile, profile_count)
            state[HALF_START] = half
            state[HALF_GATEWAY] = 0
        state[START] = start
        _add_to_minute(state, price[i], size[i], aggressor[i], ts_gateway[i])
        _add_to_profile(state, book, price[i], size[i], aggressor[i], ts_gateway[i])
    return minute_count, profile_count


@njit(cache=True, nogil=True)
def close_until(moment: int, state: Any, book: Any, minutes: Any, profile: Any) -> tuple[int, int]:
    """Finish what ends at or before `moment`; later trades of it would be late."""
    minute_count = profile_count = 0
    if state[TRADES] and state[START] + MINUTE_NS <= moment:
        minute_count = _close_minute(state, minutes, 0)
    if state[HALF_PRICES] and state[HALF_START] + HALF_HOUR_NS <= moment:
        profile_count = _close_half_hour(state, book, profile, 0)
    state[CLOSED_UNTIL] = max(state[CLOSED_UNTIL], np.int64(moment - moment % MINUTE_NS))
    return minute_count, profile_count
