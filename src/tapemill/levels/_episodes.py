"""The compiled walk of trades past zones: states, bounds between which nothing happens, clocks.

Order of things at one moment: rows of the schedule (zones, volatility), then trades, then what
hangs on the clock alone (timed decisions, gaps, the close).
"""

from __future__ import annotations

import math
from typing import Any

from numba import from_dtype, njit, types

from tapemill.levels._episodes_layout import (
    ABSENT,
    APPROACHING,
    ARMED,
    BANDS,
    CLOSE,
    DECISION,
    EPISODE,
    FOREVER,
    GAP,
    NEVER,
    NOW,
    SLOT,
    THROUGH,
    TOUCHED,
    TURNED,
    WAITING,
)  # fmt: skip

__all__ = ["finish", "walk"]

_SECOND = 1_000_000_000
_T: Any = types
_I = _T.Array(types.int64, 1, "C", readonly=True)
_P = _T.Array(types.int32, 1, "C", readonly=True)
_F = _T.Array(types.float64, 1, "C", readonly=True)
_L = types.int64


def _records(dtype: Any) -> Any:
    return from_dtype(dtype)[::1]


@njit(cache=True, nogil=True)
def _approach(bands: Any, sigma: float) -> Any:
    return max(bands.approach_ticks, bands.approach_sigma * sigma)


@njit(cache=True, nogil=True)
def _leave(bands: Any, sigma: float) -> Any:
    """Leave band; never inside the approach band, or an approach could not end."""
    return max(bands.leave_ticks, bands.leave_sigma * sigma, _approach(bands, sigma))


@njit(cache=True, nogil=True)
def _end(slot: Any, at_ns: int, reason: int, now: Any, log: Any, ended: Any) -> None:
    """End the approach of a zone, which then waits until price has been away."""
    log[slot.episode].end_ns = at_ns
    log[slot.episode].reason = reason
    ended[now.ended] = slot.episode
    now.ended += 1
    slot.phase = WAITING
    slot.due_ns = FOREVER
    if slot.moved:
        slot.moved = 0
        slot.low, slot.high = slot.next_low, slot.next_high
        if math.isnan(slot.low):
            slot.phase = ABSENT


@njit(cache=True, nogil=True)
def _enter(slot: Any, ns: int, ordinal: int, now: Any, bands: Any, log: Any) -> None:
    """Begin an approach with bands as known now."""
    number = now.episodes
    now.episodes += 1
    slot.phase = APPROACHING
    slot.episode = number
    slot.touch = max(bands.touch_ticks, bands.touch_sigma * now.sigma)
    slot.leave = _leave(bands, now.sigma)
    slot.due_ns = FOREVER
    row = log[number]
    row.zone = slot.zone
    row.direction = slot.direction
    row.low = slot.low
    row.high = slot.high
    row.sigma = now.sigma
    row.enter_ns = ns
    row.enter_ordinal = ordinal
    row.touch_ns = NEVER
    row.touch_ordinal = FOREVER
    row.end_ns = FOREVER
    row.reason = -1
    row.attempt = 0
    row.chain = number


@njit(cache=True, nogil=True)
def _decide(slot: Any, ns: int, ordinal: int, now: Any, delays: Any, log: Any, out: Any) -> None:
    """Put down the decision that is due and the moment of the next one."""
    episode = log[slot.episode]
    row = out[now.decisions]
    now.decisions += 1
    row.decision_ns = ns
    row.ordinal = ordinal
    row.episode = slot.episode
    row.zone = slot.zone
    row.delay = delays[slot.delay]
    row.direction = slot.direction
    row.low = slot.low
    row.high = slot.high
    row.sigma = episode.sigma
    row.touch_ns = episode.touch_ns
    slot.delay += 1
    slot.due_ns = FOREVER
    if slot.delay < delays.size:
        slot.due_ns = episode.touch_ns + delays[slot.delay] * _SECOND


@njit(cache=True, nogil=True)
def _touch(slot: Any, ns: int, ordinal: int, bands: Any, log: Any) -> None:
    """Mark the touch and count it among the attempts from its side."""
    slot.phase = TOUCHED
    slot.delay = 0
    row = log[slot.episode]
    row.touch_ns = ns
    row.touch_ordinal = ordinal
    row.low = slot.low
    row.high = slot.high
    upward = slot.direction > 0
    before = slot.up_ns if upward else slot.down_ns
    row.attempt = 1
    if before != NEVER and ns - before <= bands.attempt_gap_ns:
        row.attempt = 1 + (slot.up_attempt if upward else slot.down_attempt)
        row.chain = slot.up_chain if upward else slot.down_chain
    if upward:
        slot.up_ns, slot.up_attempt, slot.up_chain = ns, row.attempt, row.chain
    else:
        slot.down_ns, slot.down_attempt, slot.down_chain = ns, row.attempt, row.chain


@njit(cache=True, nogil=True)
def _meet(
    slot: Any, price: float, ns: int, ordinal: int,
    now: Any, bands: Any, delays: Any, log: Any, out: Any, ended: Any,
) -> None:  # fmt: skip
    """Let one zone see a trade: enter, touch and leave may all happen at it."""
    upward = slot.direction > 0
    if slot.phase == ARMED:
        band = _approach(bands, now.sigma)
        if price >= slot.low - band if upward else price <= slot.high + band:
            _enter(slot, ns, ordinal, now, bands, log)
    # At or past the near edge of the touch band: who jumps over a zone has touched it.
    if slot.phase == APPROACHING and (
        price >= slot.low - slot.touch if upward else price <= slot.high + slot.touch
    ):
        _touch(slot, ns, ordinal, bands, log)
        _decide(slot, ns, ordinal, now, delays, log, out)
    if slot.phase >= APPROACHING:
        if price > slot.high + slot.leave:
            _end(slot, ns, THROUGH if upward else TURNED, now, log, ended)
        elif price < slot.low - slot.leave:
            _end(slot, ns, TURNED if upward else THROUGH, now, log, ended)


@njit(cache=True, nogil=True)
def _survey(now: Any, slots: Any, bands: Any) -> None:
    """Arm zones that price is away from; find the prices between which no zone changes."""
    floor, ceiling, due = NEVER, FOREVER, FOREVER
    known = not math.isnan(now.sigma)
    approach = _approach(bands, now.sigma)
    leave = _leave(bands, now.sigma)
    price = float(now.price)
    for z in range(now.slots):
        slot = slots[z]
        if slot.phase == ABSENT:
            continue
        if slot.phase == WAITING and known and now.priced:
            if price < slot.low - leave:
                slot.phase, slot.direction = ARMED, 1
            elif price > slot.high + leave:
                slot.phase, slot.direction = ARMED, -1
        if slot.phase == ARMED:
            if slot.direction > 0:
                ceiling = min(ceiling, math.ceil(slot.low - approach) - 1)
            else:
                floor = max(floor, math.floor(slot.high + approach) + 1)
        elif slot.phase >= APPROACHING:
            floor = max(floor, math.ceil(slot.low - slot.leave))
            ceiling = min(ceiling, math.floor(slot.high + slot.leave))
            if slot.phase == APPROACHING and slot.direction > 0:
                ceiling = min(ceiling, math.ceil(slot.low - slot.touch) - 1)
            elif slot.phase == APPROACHING:
                floor = max(floor, math.floor(slot.high + slot.touch) + 1)
        elif known:
            floor = max(floor, math.ceil(slot.low - leave))
            ceiling = min(ceiling, math.floor(slot.high + leave))
        due = min(due, slot.due_ns)
    if not now.priced:  # the first price must be looked at, whatever it is
        floor, ceiling = FOREVER, NEVER
    now.floor, now.ceiling, now.due_ns = floor, ceiling, due


@njit(cache=True, nogil=True)
def _place(slot: Any, low: float, high: float, now: Any) -> None:
    """Put a zone where the schedule has it now, or take it away.

    An approach keeps the edges that it began at: a running extreme moves because price goes
    through it, and a zone that another level joins is still the one that was approached.
    """
    if slot.phase >= APPROACHING:
        slot.moved, slot.next_low, slot.next_high = 1, low, high
        return
    if math.isnan(low):
        slot.phase = ABSENT
        return
    slot.low, slot.high = low, high
    if slot.phase == ABSENT:
        slot.phase = WAITING
    elif slot.phase == ARMED:
        # A zone that was moved past the price was not approached by it.
        away = now.price < low if slot.direction > 0 else now.price > high
        if not away:
            slot.phase = WAITING


@njit(cache=True, nogil=True)
def _end_all(ns: int, reason: int, now: Any, slots: Any, log: Any, ended: Any) -> None:
    """End every approach; all zones wait until price has been away again."""
    for z in range(now.slots):
        if slots[z].phase >= APPROACHING:
            _end(slots[z], ns, reason, now, log, ended)
        elif slots[z].phase == ARMED:
            slots[z].phase = WAITING
    now.priced = 0


@njit(cache=True, nogil=True)
def _next_row(now: Any, zone_at: Any, sigma_at: Any) -> Any:
    """Moment of the next row of a schedule."""
    return min(
        zone_at[now.zone_row] if now.zone_row < zone_at.size else FOREVER,
        sigma_at[now.sigma_row] if now.sigma_row < sigma_at.size else FOREVER,
    )


@njit(cache=True, nogil=True)
def _next_clock(now: Any, bands: Any, gap_at: Any) -> Any:
    """Next moment at which something happens without a record."""
    gap_ns = gap_at[now.gap_row] if now.gap_row < gap_at.size else FOREVER
    return min(now.due_ns, gap_ns, bands.close_ns)


@njit(cache=True, nogil=True)
def _settle(
    before_ns: int, rows_to_ns: int, now: Any, slots: Any, bands: Any, delays: Any,
    zone_at: Any, zone_slot: Any, zone_low: Any, zone_high: Any, sigma_at: Any, sigma: Any,
    gap_at: Any, log: Any, out: Any, ended: Any,
) -> None:  # fmt: skip
    """Take rows at or before `rows_to_ns` and do what the clock asks for before `before_ns`."""
    while not now.closed:
        if min(log.size - now.episodes, out.size - now.decisions, ended.size - now.ended) <= (
            2 * now.slots
        ):
            now.full = 1
            break
        row_ns = _next_row(now, zone_at, sigma_at)
        clock_ns = _next_clock(now, bands, gap_at)
        if row_ns <= clock_ns:
            if row_ns > rows_to_ns:
                break
            if now.sigma_row < sigma_at.size and sigma_at[now.sigma_row] == row_ns:
                now.sigma = sigma[now.sigma_row]
                now.sigma_row += 1
            else:
                slot = slots[zone_slot[now.zone_row]]
                low, high = zone_low[now.zone_row], zone_high[now.zone_row]
                _place(slot, low, high, now)
                now.zone_row += 1
            # Rows of one moment belong together: look around once after the last of them.
            if _next_row(now, zone_at, sigma_at) == row_ns:
                continue
        elif clock_ns >= before_ns:
            break
        elif clock_ns == now.due_ns:
            for z in range(now.slots):
                if slots[z].due_ns == clock_ns:
                    _decide(slots[z], clock_ns, FOREVER, now, delays, log, out)
        elif now.gap_row < gap_at.size and clock_ns == gap_at[now.gap_row]:
            _end_all(clock_ns, GAP, now, slots, log, ended)
            now.gap_row += 1
        else:
            _end_all(clock_ns, CLOSE, now, slots, log, ended)
            now.closed = 1
        _survey(now, slots, bands)


@njit(
    types.void(_L, _L, _records(NOW), _records(SLOT), _records(EPISODE), _T.Array(_L, 1, "C")),
    cache=True,
    nogil=True,
)
def finish(ns: int, reason: int, state: Any, slots: Any, log: Any, ended: Any) -> None:
    """End every approach because nothing follows."""
    _end_all(ns, reason, state[0], slots, log, ended)
    state[0].closed = 1


_SIGNATURE = _L(
    _I, _I, _P, _L, _L, _records(NOW), _records(SLOT), _records(BANDS), _I,
    _I, _I, _F, _F, _I, _F, _I, _records(EPISODE), _records(DECISION), _T.Array(_L, 1, "C"),
)  # fmt: skip


@njit(_SIGNATURE, cache=True, nogil=True)
def walk(
    times: Any, ordinals: Any, prices: Any, start: int, until_ns: int,
    state: Any, slots: Any, settings: Any, delays: Any,
    zone_at: Any, zone_slot: Any, zone_low: Any, zone_high: Any, sigma_at: Any, sigma: Any,
    gap_at: Any, log: Any, out: Any, ended: Any,
) -> int:  # fmt: skip
    """Walk trades from `start` on, then the clock up to `until_ns`.

    Returns the trade to go on with; ``state[0].full`` says that an output must grow first.
    """
    now, bands = state[0], settings[0]
    now.full = 0
    i = start
    while i < times.size and not now.closed:
        ns = times[i]
        row_ns = _next_row(now, zone_at, sigma_at)
        clock_ns = _next_clock(now, bands, gap_at)
        floor, ceiling = now.floor, now.ceiling
        while ns < row_ns and ns <= clock_ns and floor <= prices[i] <= ceiling:
            now.price = prices[i]
            i += 1
            if i == times.size:
                break
            ns = times[i]
        if i == times.size:
            break
        _settle(
            ns, ns, now, slots, bands, delays, zone_at, zone_slot, zone_low, zone_high,
            sigma_at, sigma, gap_at, log, out, ended,
        )  # fmt: skip
        if now.full or now.closed:
            break
        now.price = prices[i]
        if not now.floor <= now.price <= now.ceiling:
            now.priced = 1
            for z in range(now.slots):
                if slots[z].phase >= ARMED:
                    _meet(
                        slots[z], float(now.price), ns, ordinals[i], now, bands, delays,
                        log, out, ended,
                    )  # fmt: skip
            _survey(now, slots, bands)
        i += 1
    if not (now.closed or now.full):
        _settle(
            until_ns, until_ns - 1, now, slots, bands, delays, zone_at, zone_slot, zone_low,
            zone_high, sigma_at, sigma, gap_at, log, out, ended,
        )  # fmt: skip
    now.alarm_ns = min(_next_row(now, zone_at, sigma_at), _next_clock(now, bands, gap_at))
    return i
