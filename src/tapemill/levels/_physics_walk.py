"""The compiled walk of events and changes: depth, flows, trades, bursts, by the second."""

from __future__ import annotations

import math
from typing import Any

from numba import types

from tapemill.book._compiled import compiled, compiled_for
from tapemill.book.events import NO_DEPTH, NO_PRICE, Cause, Flag
from tapemill.contracts.level_physics import IMBALANCE_TICKS
from tapemill.levels import _physics_layout as kept
from tapemill.levels._physics_book import depth_at, put, view_limit

__all__ = ["walk"]

_ASK, _BID, _NONE, _TRADE = ord("A"), ord("B"), ord("N"), ord("T")
_ADD, _FILL, _RESET = int(Cause.ADD), int(Cause.FILL), int(Cause.RESET)
_SNAPSHOT = int(Flag.SNAPSHOT)
_BEST, _MIDDLE, _DEEP = IMBALANCE_TICKS

_T: Any = types


def _given(kind: Any) -> Any:
    return _T.Array(kind, 1, "C", readonly=True)


def _kept(kind: Any, dimensions: int) -> Any:
    return _T.Array(kind, dimensions, "C")


STATE_TYPES = (
    _kept(_T.int64, 1), _kept(_T.float64, 1), _kept(_T.int32, 2), _kept(_T.int32, 3),
    _kept(_T.int32, 3), _kept(_T.int64, 2), _kept(_T.int64, 2), _kept(_T.float64, 1),
    _kept(_T.int64, 1), _kept(_T.int64, 2),
)  # fmt: skip
_EVENT_TYPES = tuple(
    _given(kind)
    for kind in (
        _T.int64, _T.int64, _T.int8, _T.int8, _T.int32, _T.int32, _T.int16, _T.int16, _T.int64,
    )
)  # fmt: skip
_CHANGE_TYPES = tuple(
    _given(kind) for kind in (_T.int8, _T.int32, _T.int32, _T.int32, _T.int8, _T.int32)
)


@compiled
def _size_bin(size: int) -> int:
    """Bin of a size: itself below 256, then 32 bins to each doubling."""
    if size < kept.EXACT_SIZES:
        return size
    power = 8
    while size >> (power + 1):
        power += 1
    return kept.EXACT_SIZES + (power - 8) * 32 + ((size >> (power - 5)) & 31)


@compiled
def _close_second(whole: Any, real: Any, sizes: Any, second: int) -> None:
    """What the finished second says about usual volume and usual sizes."""
    if whole[kept.VOLUME] == 0:
        return
    if whole[kept.LAST_TRADED] >= 0:
        fade = 2.0 ** (-(whole[kept.SECOND] - whole[kept.LAST_TRADED]) / real[kept.HALF_LIFE])
        real[kept.USUAL_SUM] *= fade
        real[kept.USUAL_WEIGHT] *= fade
    real[kept.USUAL_SUM] += whole[kept.VOLUME]
    real[kept.USUAL_WEIGHT] += 1.0
    whole[kept.LAST_TRADED] = whole[kept.SECOND]
    whole[kept.VOLUME] = 0
    whole[kept.TRADED_SECONDS] += 1
    if whole[kept.TRADED_SECONDS] == kept.LEAST_SECONDS:
        whole[kept.USUAL_SINCE] = second
    if whole[kept.PRINTS] < kept.LEAST_PRINTS:
        return
    if whole[kept.LARGE_SINCE] == kept.FAR:
        whole[kept.LARGE_SINCE] = second
    seen, place = sizes[0], 0
    while 100 * seen < kept.LARGE_PERCENT * whole[kept.PRINTS]:
        place += 1
        seen += sizes[place]
    whole[kept.LARGE_ABOVE] = place


@compiled
def _sample_depth(whole: Any, book: Any, baseline: Any, view_bid: int, view_ask: int) -> None:
    """Depth by distance from the best price, as far as the feed shows it."""
    best_bid, best_ask = whole[kept.BEST_BID], whole[kept.BEST_ASK]
    if best_bid == -kept.FAR or best_ask == -kept.FAR or best_bid >= -best_ask:
        return
    whole[kept.SAMPLES] += 1
    for side in range(2):
        best = whole[kept.BEST_BID + side]
        worst = view_ask if side else view_bid
        sign = 1 - 2 * side
        for distance in range(kept.DISTANCES):
            if best - distance < worst:
                break
            baseline[0, distance] += depth_at(book, sign * (best - distance), kept.SIZE + side)
            baseline[1, distance] += 1


@compiled
def _clear_row(flow: Any, tape: Any, seconds: Any, row: int) -> None:
    for price in range(seconds[row, kept.Q_LOW], seconds[row, kept.Q_HIGH] + 1):
        for field in range(flow.shape[2]):
            flow[row, price, field] = 0
    for price in range(seconds[row, kept.Q_TAPE_LOW], seconds[row, kept.Q_TAPE_HIGH] + 1):
        for field in range(tape.shape[2]):
            tape[row, price, field] = 0
    for field in range(seconds.shape[1]):
        seconds[row, field] = 0
    seconds[row, kept.Q_LOW] = seconds[row, kept.Q_TAPE_LOW] = kept.WIDTH
    seconds[row, kept.Q_HIGH] = seconds[row, kept.Q_TAPE_HIGH] = -1


@compiled
def _open_second(
    whole: Any, real: Any, book: Any, flow: Any, tape: Any, seconds: Any, sizes: Any, baseline: Any
) -> None:
    """Begin the second of the event at hand, with the book as it stood before it."""
    second = whole[kept.NOW] // kept.SECOND_NS
    _close_second(whole, real, sizes, second)
    view_bid = view_limit(whole, book, 0)
    view_ask = view_limit(whole, book, 1)
    _sample_depth(whole, book, baseline, view_bid, view_ask)
    row = second & (kept.RING - 1)
    _clear_row(flow, tape, seconds, row)
    seconds[row, kept.Q_SECOND] = second
    seconds[row, kept.Q_VIEW_BID] = view_bid
    seconds[row, kept.Q_VIEW_ASK] = view_ask
    seconds[row, kept.Q_BASE] = kept.NO_BASE
    if whole[kept.LAST_PRICE] != NO_PRICE:
        seconds[row, kept.Q_BASE] = whole[kept.LAST_PRICE] - kept.WIDTH // 2
    elif whole[kept.BEST_BID] != -kept.FAR:
        seconds[row, kept.Q_BASE] = whole[kept.BEST_BID] - kept.WIDTH // 2
    whole[kept.SECOND] = second
    whole[kept.SECOND_START] = second * kept.SECOND_NS
    whole[kept.SECOND_END] = (second + 1) * kept.SECOND_NS
    whole[kept.ROW] = row


@compiled
def _place_in_row(whole: Any, seconds: Any, price: int) -> int:
    """Where the second at hand keeps a price; outside 0 … kept.WIDTH − 1 it keeps none."""
    row = whole[kept.ROW]
    if seconds[row, kept.Q_BASE] == kept.NO_BASE:
        seconds[row, kept.Q_BASE] = price - kept.WIDTH // 2
    return int(price - seconds[row, kept.Q_BASE])


@compiled
def _flow(
    whole: Any, flow: Any, seconds: Any, side: int, price: int, before: int, cause: int, signed: int
) -> None:
    """Book a flow at its price, and as imbalance if it is near the best price."""
    row = whole[kept.ROW]
    place = _place_in_row(whole, seconds, price)
    if 0 <= place < kept.WIDTH:
        flow[row, place, 3 * side + cause - _ADD] += abs(signed)
        seconds[row, kept.Q_LOW] = min(seconds[row, kept.Q_LOW], place)
        seconds[row, kept.Q_HIGH] = max(seconds[row, kept.Q_HIGH], place)
    sign = 1 - 2 * side
    # A change that makes or ends the best price is one at the best price.
    distance = max(before, whole[kept.BEST_BID + side]) - sign * price
    if distance < _DEEP:
        signed *= sign
        seconds[row, kept.Q_OFI_DEEP] += signed
        if distance < _MIDDLE:
            seconds[row, kept.Q_OFI_MIDDLE] += signed
            if distance < _BEST:
                seconds[row, kept.Q_OFI] += signed


@compiled
def close_burst(whole: Any, real: Any, sweeps: Any, multiples: Any) -> None:
    """Keep the burst of prints that has ended if it is a sweep."""
    size, usual = whole[kept.BURST_SIZE], real[kept.BURST_USUAL]
    if whole[kept.BURST_PRINTS] < 2 or not size >= real[kept.SWEEP_LEAST] * usual:
        return
    place = whole[kept.SWEEPS] % kept.SWEEPS_KEPT
    sweeps[place, kept.SWEEP_SECOND] = whole[kept.BURST_NS] // kept.SECOND_NS
    sweeps[place, kept.SWEEP_SIDE] = whole[kept.BURST_SIDE]
    sweeps[place, kept.SWEEP_LOW] = whole[kept.BURST_LOW]
    sweeps[place, kept.SWEEP_HIGH] = whole[kept.BURST_HIGH]
    multiples[place] = size / usual
    whole[kept.SWEEPS] += 1


@compiled
def _burst(
    whole: Any, real: Any, sweeps: Any, multiples: Any, side: int, price: int, size: int
) -> None:
    """Continue the burst of prints of one aggressor, or begin another."""
    if (
        side == whole[kept.BURST_SIDE]
        and whole[kept.NOW] - whole[kept.BURST_NS] <= real[kept.SWEEP_GAP_NS]
    ):
        whole[kept.BURST_SIZE] += size
        whole[kept.BURST_PRINTS] += 1
        whole[kept.BURST_LOW] = min(whole[kept.BURST_LOW], price)
        whole[kept.BURST_HIGH] = max(whole[kept.BURST_HIGH], price)
    else:
        close_burst(whole, real, sweeps, multiples)
        known = whole[kept.TRADED_SECONDS] >= kept.LEAST_SECONDS
        real[kept.BURST_USUAL] = (
            real[kept.USUAL_SUM] / real[kept.USUAL_WEIGHT] if known else math.nan
        )
        whole[kept.BURST_SIDE] = side
        whole[kept.BURST_SIZE] = size
        whole[kept.BURST_PRINTS] = 1
        whole[kept.BURST_LOW] = price
        whole[kept.BURST_HIGH] = price
    whole[kept.BURST_NS] = whole[kept.NOW]


@compiled
def _trade(
    whole: Any, real: Any, tape: Any, seconds: Any, sweeps: Any, multiples: Any, sizes: Any,
    side: int, price: int, size: int,
) -> None:  # fmt: skip
    """Book a trade: sums for the slope, volume at its price, burst, sizes so far."""
    row = whole[kept.ROW]
    moment = (whole[kept.NOW] - whole[kept.SECOND_START]) // 1000
    seconds[row, kept.Q_TRADES] += 1
    seconds[row, kept.Q_T] += moment
    seconds[row, kept.Q_P] += price
    seconds[row, kept.Q_TT] += moment * moment
    seconds[row, kept.Q_TP] += moment * price
    whole[kept.LAST_PRICE] = price
    if side == 0:
        return
    place = _place_in_row(whole, seconds, price)
    bin_of_size = _size_bin(size)
    if 0 <= place < kept.WIDTH:
        tape[row, place, kept.TAPE_BUY if side > 0 else kept.TAPE_SELL] += size
        tape[row, place, kept.TAPE_PRINTS] += 1
        if whole[kept.LARGE_SINCE] != kept.FAR and bin_of_size > whole[kept.LARGE_ABOVE]:
            tape[row, place, kept.TAPE_LARGE] += size
        seconds[row, kept.Q_TAPE_LOW] = min(seconds[row, kept.Q_TAPE_LOW], place)
        seconds[row, kept.Q_TAPE_HIGH] = max(seconds[row, kept.Q_TAPE_HIGH], place)
    _burst(whole, real, sweeps, multiples, side, price, size)
    whole[kept.VOLUME] += size
    whole[kept.PRINTS] += 1
    sizes[bin_of_size] += 1


@compiled_for(_T.int64(*STATE_TYPES, *_EVENT_TYPES, *_CHANGE_TYPES, _T.int64, _T.int64, _T.int64))
def walk(
    whole: Any, real: Any, book: Any, flow: Any, tape: Any, seconds: Any, sweeps: Any,
    multiples: Any, sizes: Any, baseline: Any,
    ts_gateway: Any, ordinals: Any, actions: Any, sides: Any, prices: Any, quantities: Any,
    depths: Any, flags: Any, first_change: Any,
    change_sides: Any, change_prices: Any, change_sizes: Any, change_orders: Any, causes: Any,
    signed: Any,
    start: int, stop_ns: int, stop_ordinal: int,
) -> int:  # fmt: skip
    """Walk events from `start` on; return the first that was not walked.

    Stops before the first event after (`stop_ns`, `stop_ordinal`), and where the book needs more
    places for the prices of an event (fewer than a quarter are free). A record ``N`` of a snapshot
    tells what rests where one source takes over from another (see `tapemill.levels.feed`).
    """
    room = book.shape[0] - book.shape[0] // 4
    for i in range(start, ts_gateway.size):
        ts = ts_gateway[i]
        if ts > stop_ns or (ts == stop_ns and ordinals[i] > stop_ordinal):
            return i
        first, last = first_change[i], first_change[i + 1]
        if whole[kept.USED] + last - first > room:
            return i
        if ts - whole[kept.LAST_TS] > real[kept.GAP_NS]:
            whole[kept.SINCE] = ts
        state = actions[i] == _NONE and flags[i] & _SNAPSHOT
        if state or ordinals[i] <= whole[kept.LAST_ORDINAL]:
            # Another source speaks: how much of the book it shows is not known yet.
            whole[kept.LIMITED] = 1
            whole[kept.LEVELS] = 0
        whole[kept.LAST_ORDINAL] = ordinals[i]
        whole[kept.LAST_TS] = ts
        whole[kept.NOW] = max(ts, whole[kept.NOW])
        if whole[kept.NOW] >= whole[kept.SECOND_END]:
            _open_second(whole, real, book, flow, tape, seconds, sizes, baseline)
        for j in range(first, last):
            side = 1 if change_sides[j] == _ASK else 0
            before = whole[kept.BEST_BID + side]
            put(whole, book, side, change_prices[j], change_sizes[j], change_orders[j])
            cause = causes[j]
            if cause <= _FILL:
                _flow(
                    whole, flow, seconds, side, change_prices[j], before, cause, signed[j]
                )  # fmt: skip
            elif cause == _RESET:
                whole[kept.SINCE] = whole[kept.NOW]
        if depths[i] != NO_DEPTH:
            whole[kept.LIMITED] = 1
            whole[kept.LEVELS] = max(
                whole[kept.LEVELS], whole[kept.COUNT_BID], whole[kept.COUNT_ASK]
            )
        elif not state:
            whole[kept.LIMITED] = 0
        if actions[i] == _TRADE and prices[i] != NO_PRICE and not flags[i] & _SNAPSHOT:
            aggressor = 1 if sides[i] == _BID else -1 if sides[i] == _ASK else 0
            _trade(
                whole, real, tape, seconds, sweeps, multiples, sizes,
                aggressor, prices[i], quantities[i],
            )  # fmt: skip
    return int(ts_gateway.size)
