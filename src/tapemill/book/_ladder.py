"""Compiled reader of ladder records: what became of each level from one record to the next."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapemill.book._compiled import compiled, inlined
from tapemill.book._credit import BAD, CREDIT, CREDITS, STARTED, UNEXPLAINED, grant, use
from tapemill.book._emit import BAD_PRICE, DONE, FULL_CHANGES, put_change, put_flow, to_ticks
from tapemill.book.events import Cause, Flag
from tapemill.book.records import UNDEFINED

__all__ = ["read_ladders"]

_UNDEFINED = UNDEFINED
_REVEALED = int(Cause.REVEALED)
_HIDDEN = int(Cause.HIDDEN)
_LAST = int(Flag.LAST)
_SNAPSHOT = int(Flag.SNAPSHOT)
_ADD_ACTION, _MODIFY, _TRADE, _CLEAR = ord("A"), ord("M"), ord("T"), ord("R")
_BID, _ASK = ord("B"), ord("A")
_LOW = 0xFFFFFFFF
# Of a level's four words (bid and ask price, sizes, orders): the prices, and those of one side.
_PRICES = sum(0b0011 << (4 * level) for level in range(10))
_SIDES = (
    sum(0b1101 << (4 * level) for level in range(10)),
    sum(0b1110 << (4 * level) for level in range(10)),
)
_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
_PLACES = np.zeros(64, np.int64)
for _bit in range(64):
    _PLACES[((int(_DE_BRUIJN) << _bit) & (2**64 - 1)) >> 58] = _bit


@inlined
def _pair(words: Any, level: int, part: int) -> tuple[int, int]:
    """Size and number of orders of a level; `part` 0 bid, 1 ask."""
    shift = 32 * part
    return (words[4 * level + 2] >> shift) & _LOW, (words[4 * level + 3] >> shift) & _LOW


@inlined
def _flow(
    changes: Any,
    m: int,
    part: int,
    ticks: int,
    old: tuple[int, int],
    new: tuple[int, int],
    credits_: Any,
    carried: Any,
    reset: bool,
) -> int:
    """Write a change of a level that is in view, fills first."""
    if old == new:
        return m
    side = _ASK if part else _BID
    filled = 0
    if carried[CREDITS] > 0 and new[0] < old[0] and not reset:
        filled = use(credits_, carried, side, ticks, old[0] - new[0])
    return put_flow(changes, m, side, ticks, old, new, filled, reset)


@inlined
def _reveal(
    changes: Any,
    m: int,
    side: int,
    ticks: int,
    new: tuple[int, int],
    own: int,
) -> int:
    """Write a level that came into view, `own` of it added by this very record."""
    size, orders = new
    if own == 0 or own > size or orders == 0:
        return put_change(changes, m, side, ticks, size, orders, _REVEALED, 0)
    before = (size - own, orders - 1)
    if before[0] > 0:
        m = put_change(changes, m, side, ticks, before[0], before[1], _REVEALED, 0)
    return put_flow(changes, m, side, ticks, before, new, 0, False)


@inlined
def _merge(
    changes: Any,
    m: int,
    part: int,
    old: Any,
    new: Any,
    first: int,
    record: tuple[int, int, int, int],
    credits_: Any,
    carried: Any,
    reset: bool,
    tick: int,
    per_nano: float,
) -> tuple[int, int]:
    """Write how one side went on from level `first`; return the next change and the flows, −1: bad.

    Prices are walked from the best. One that only one ladder has was really added or taken away if
    the other ladder could have shown it: it has room left, or shows worse prices.
    """
    levels = old.size // 4
    action, record_side, record_price, record_size = record
    side = _ASK if part else _BID
    sign = 1 if part else -1  # so that a better price is a smaller number
    worst_old = old[4 * (levels - 1) + part]
    worst_new = new[4 * (levels - 1) + part]
    flows = 0
    i = j = first
    while True:
        there = old[4 * i + part] if i < levels else _UNDEFINED
        here = new[4 * j + part] if j < levels else _UNDEFINED
        if there == _UNDEFINED and here == _UNDEFINED:
            return m, flows
        gone = here == _UNDEFINED or (there != _UNDEFINED and sign * there < sign * here)
        price = there if gone else here
        same = there == here
        before = _pair(old, i, part) if gone or same else (0, 0)
        after = _pair(new, j, part) if not gone else (0, 0)
        i += gone or same
        j += not gone
        if before == after:
            continue
        ticks, good = to_ticks(price, tick, per_nano)
        if not good:
            carried[BAD] = price
            return m, -1
        flows += 1
        if reset or same:
            m = _flow(changes, m, part, ticks, before, after, credits_, carried, reset)
        elif gone:
            if worst_new == _UNDEFINED or sign * price <= sign * worst_new:
                m = _flow(changes, m, part, ticks, before, after, credits_, carried, False)
            else:
                flows -= 1
                m = put_change(changes, m, side, ticks, 0, 0, _HIDDEN, 0)
        elif worst_old == _UNDEFINED or sign * price <= sign * worst_old:
            m = _flow(changes, m, part, ticks, before, after, credits_, carried, False)
        else:
            # Beyond the old view. An order that came here adds its own size, the rest was there.
            own = record_price == price and record_side == side
            own = own and action in (_ADD_ACTION, _MODIFY)
            flows -= not own
            m = _reveal(changes, m, side, ticks, after, record_size if own else 0)


@inlined
def _difference(old: Any, new: Any) -> int:
    """Bit k: word k differs."""
    mask = 0
    for k in range(new.size):
        mask |= int(old[k] != new[k]) << k
    return mask


@inlined
def _first(mask: int) -> int:
    """Level of the lowest bit (de Bruijn's sequence instead of a loop)."""
    low = np.uint64(mask & -mask)
    place: Any = np.int64((low * _DE_BRUIJN) >> np.uint64(58))
    return int(_PLACES[place]) >> 2


@inlined
def _resize(
    changes: Any,
    m: int,
    old: Any,
    new: Any,
    mask: int,
    ticks: int,
    price: int,
    credits_: Any,
    carried: Any,
    tick: int,
    per_nano: float,
) -> int:
    """Write levels whose price stayed, best first; −1: a price is no whole number of ticks.

    `ticks` are those of `price`, nearly always the level's.
    """
    while mask:
        level = _first(mask)
        mask &= ~(15 << (4 * level))
        moved = (old[4 * level + 2] ^ new[4 * level + 2]) | (
            old[4 * level + 3] ^ new[4 * level + 3]
        )
        # Which side it was is a coin toss: chosen by arithmetic, since a branch would miss half.
        part: Any = np.int64((moved & _LOW) == 0)
        while part < 2:
            where = ticks
            if new[4 * level + part] != price:
                where, good = to_ticks(new[4 * level + part], tick, per_nano)
                if not good:
                    carried[BAD] = new[4 * level + part]
                    return -1
            m = _flow(
                changes, m, part, where, _pair(old, level, part), _pair(new, level, part),
                credits_, carried, False,
            )  # fmt: skip
            part += 1 if part == 0 and (moved >> 32) != 0 else 2
    return m


@compiled
def _is_first_order(words: Any, record: tuple[int, int, int, int]) -> bool:
    """Whether the ladder holds exactly the order of this record."""
    part = 1 if record[1] == _ASK else 0
    for k in range(words.size):
        if k in (part, 2, 3):
            continue
        empty = _UNDEFINED if k % 4 < 2 else 0
        if words[k] != empty:
            return False
    return (
        record[0] == _ADD_ACTION
        and words[part] == record[2]
        and _pair(words, 0, part) == (record[3], 1)
        and _pair(words, 0, 1 - part) == (0, 0)
    )


@inlined
def _slide(
    changes: Any,
    m: int,
    old: Any,
    new: Any,
    mask: int,
    record: tuple[int, int, int, int],
    credits_: Any,
    carried: Any,
    reset: bool,
    tick: int,
    per_nano: float,
) -> int:
    """Write both sides of a ladder that prices entered or left; −1: a bad price."""
    flows = 0
    for part in range(2):
        if mask & (_SIDES[part]):
            first = _first(mask & _SIDES[part])
            m, found = _merge(
                changes, m, part, old, new, first, record, credits_, carried, reset, tick, per_nano
            )
            if found < 0:
                return -1
            flows += found
    if not reset and flows > (2 if record[0] == _MODIFY else 1):
        carried[UNEXPLAINED] += 1
    carried[STARTED] = 2 if new[0] == _UNDEFINED and new[1] == _UNDEFINED else 1
    return m


@compiled
def _keep(ladder: Any, words: Any) -> None:
    for k in range(ladder.size):
        ladder[k] = words[k]


@compiled
def read_ladders(
    records: Any,
    ordinals: Any,
    tick: int,
    per_nano: float,
    carried: Any,
    last: Any,
    ladder: Any,
    credits_: Any,
    start: int,
    m: int,
    events: Any,
    changes: Any,
) -> tuple[int, int, int, int]:
    """Read records from `start`; return (why it stopped, record, next change, bad price)."""
    levels = ladder.size // 4
    room = changes.side.size - 8 * levels - 8
    width = credits_.shape[0] - 2
    before = last[0].words
    for i in range(start, records.size):
        head = records[i]
        words = head.words
        if m > room or carried[CREDITS] > width:
            _keep(ladder, before)
            return FULL_CHANGES, i, m, 0
        price = head.price
        action: Any = np.int64(head.action)
        side: Any = np.int64(head.side)
        flags: Any = np.int64(head.flags)
        depth: Any = np.int64(head.depth)
        size: Any = np.int64(head.size)
        ts_event = head.ts_event
        ticks, good = to_ticks(price, tick, per_nano)
        if not good:
            return BAD_PRICE, i, m, price
        events.ts_event[i] = ts_event
        events.ts_gateway[i] = head.ts_recv
        events.ordinal[i] = ordinals[i]
        events.action[i] = action
        events.side[i] = side
        events.price[i] = ticks
        events.size[i] = size
        events.depth[i] = depth
        events.flags[i] = flags
        events.ts_in_delta[i] = head.ts_in_delta
        events.sequence[i] = head.sequence
        events.first_change[i] = m

        # Credit of trades lives until the venue's event ends.
        if carried[CREDITS] > 0 and ts_event != carried[CREDIT]:
            carried[CREDITS] = 0
        if action == _TRADE and price != _UNDEFINED:
            carried[CREDIT] = ts_event
            grant(credits_, carried, side, ticks, size)

        reset = action == _CLEAR or (flags & _SNAPSHOT) != 0 or carried[STARTED] != 1
        mask = _difference(before, words)
        if mask != 0 or reset:
            if (mask & _PRICES) == 0 and not reset:
                after = _resize(
                    changes, m, before, words, mask, ticks, price, credits_, carried, tick, per_nano
                )
            else:
                record = (action, side, price, size)
                if carried[STARTED] == 2 and not (flags & _SNAPSHOT) and action != _CLEAR:
                    # After a clear: one added order is a flow, a whole ladder is a state.
                    reset = not _is_first_order(words, record)
                after = _slide(
                    changes, m, before, words, mask, record, credits_, carried, reset, tick,
                    per_nano,
                )  # fmt: skip
            if after < 0:
                return BAD_PRICE, i, m, carried[BAD]
            m = after
        if (flags & _LAST) and action != _TRADE:
            carried[CREDITS] = 0
        before = words
    _keep(ladder, before)
    return DONE, records.size, m, 0
