"""The compiled watch over decisions: running extremes, first passages, horizons.

Order of things at one moment: trades, then what hangs on the clock (horizons, gaps, the close). A
decision is opened between the trade that it knows last and the next one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import from_dtype, njit, types

__all__ = ["FOREVER", "LABEL", "NEVER", "NOW", "WAIT", "WATCH", "watch"]

FOREVER = np.iinfo(np.int64).max
NEVER = np.iinfo(np.int64).min

BREAK, BOUNCE, NEITHER, CENSORED = range(4)
NOT_CENSORED, GAP, CLOSE, END_OF_DATA = range(4)

WAIT = np.dtype(
    [
        ("decision", "i8"), ("decision_ns", "i8"), ("ordinal", "i8"), ("direction", "i8"),
        ("sigma", "f8"),
    ]
)  # fmt: skip
"""A decision that waits for its moment."""

WATCH = np.dtype(
    [
        ("decision", "i8"), ("decision_ns", "i8"), ("direction", "i8"), ("anchor", "i8"),
        ("best", "i8"), ("worst", "i8"), ("near", "i8"), ("open", "i8"),
    ]
)  # fmt: skip
"""An opened decision: extremes since the anchor, the nearest barrier ahead, labels still open."""

LABEL = np.dtype(
    [
        ("decision", "i8"), ("horizon", "i8"), ("barrier", "i8"), ("width", "f8"),
        ("anchor", "i8"), ("outcome", "i8"), ("censored_by", "i8"), ("passage_ns", "i8"),
        ("favourable", "i8"), ("adverse", "i8"), ("resolved_ns", "i8"),
    ]
)  # fmt: skip

NOW = np.dtype(
    [
        ("price", "i8"), ("priced", "i8"), ("waiting", "i8"), ("opened", "i8"), ("first", "i8"),
        ("gap_row", "i8"), ("silent_ns", "i8"), ("known_ns", "i8"), ("labels", "i8"),
        ("closed", "i8"), ("full", "i8"), ("alarm_ns", "i8"),
    ]
)  # fmt: skip
"""What the watch carries: last price, places in all arrays, the latest silence."""

_SECOND = 1_000_000_000
_T: Any = types
_L = types.int64
_I = _T.Array(_L, 1, "C", readonly=True)
_F = _T.Array(types.float64, 1, "C", readonly=True)
_P = _T.Array(types.int32, 1, "C", readonly=True)


def _records(dtype: Any) -> Any:
    return from_dtype(dtype)[::1]


@njit(cache=True, nogil=True)
def _resolve(
    w: int, label: int, outcome: int, why: int, passage_ns: int, resolved_ns: int,
    now: Any, watches: Any, need: Any, widths: Any, barriers: int, out: Any,
) -> None:  # fmt: skip
    """Put down one label and close it."""
    watch = watches[w]
    row = out[now.labels]
    now.labels += 1
    row.decision = watch.decision
    row.horizon = label // barriers
    row.barrier = label % barriers
    row.width = widths[w, label]
    row.anchor = watch.anchor
    row.outcome = outcome
    row.censored_by = why
    row.passage_ns = passage_ns
    row.favourable = watch.best
    row.adverse = watch.worst
    row.resolved_ns = resolved_ns
    need[w, label] = FOREVER
    watch.open -= 1


@njit(cache=True, nogil=True)
def _censor(
    w: int, why: int, resolved_ns: int,
    now: Any, watches: Any, need: Any, widths: Any, barriers: int, out: Any,
) -> None:  # fmt: skip
    if watches[w].open:
        for label in range(need.shape[1]):
            if need[w, label] != FOREVER:
                _resolve(
                    w, label, CENSORED, why, NEVER, resolved_ns,
                    now, watches, need, widths, barriers, out,
                )  # fmt: skip
    watches[w].near = FOREVER


@njit(cache=True, nogil=True)
def _censor_all(
    why: int, resolved_ns: int, now: Any, watches: Any, heads: Any,
    need: Any, widths: Any, barriers: int, out: Any,
) -> None:  # fmt: skip
    for w in range(now.first, now.opened):
        _censor(w, why, resolved_ns, now, watches, need, widths, barriers, out)
    heads[:] = now.opened
    now.first = now.opened


@njit(cache=True, nogil=True)
def _open(
    now: Any, waiting: Any, watches: Any, need: Any, widths: Any,
    horizons: Any, multiples: Any, fixed: Any, out: Any,
) -> None:  # fmt: skip
    """Begin to watch the decision whose moment has come, from the last price on."""
    asked = waiting[now.waiting]
    w = now.opened
    watch = watches[w]
    watch.decision = asked.decision
    watch.decision_ns = asked.decision_ns
    watch.direction = asked.direction
    watch.anchor = now.price
    watch.best = 0
    watch.worst = 0
    watch.near = FOREVER
    barriers = multiples.size + fixed.size
    watch.open = horizons.size * barriers
    for label in range(watch.open):
        seconds, barrier = horizons[label // barriers], label % barriers
        if barrier < multiples.size:
            width = multiples[barrier] * asked.sigma * math.sqrt(seconds / 60.0)
        else:
            width = fixed[barrier - multiples.size]
        widths[w, label] = width
        need[w, label] = max(1, math.ceil(width))  # whole ticks that reach it; at least a move
        watch.near = min(watch.near, need[w, label])
    now.waiting += 1
    now.opened += 1
    if now.silent_ns < asked.decision_ns <= now.known_ns:
        _censor(w, GAP, now.known_ns, now, watches, need, widths, barriers, out)


@njit(cache=True, nogil=True)
def _expire(
    h: int, now: Any, watches: Any, heads: Any, need: Any, widths: Any, horizons: Any,
    barriers: int, out: Any,
) -> None:  # fmt: skip
    """The horizon of the oldest decision is over: neither barrier was reached."""
    w = heads[h]
    resolved_ns = watches[w].decision_ns + horizons[h] * _SECOND
    for label in range(h * barriers, (h + 1) * barriers):
        if need[w, label] != FOREVER:
            _resolve(
                w, label, NEITHER, NOT_CENSORED, NEVER, resolved_ns,
                now, watches, need, widths, barriers, out,
            )  # fmt: skip
    heads[h] += 1
    now.first = heads.min()


@njit(cache=True, nogil=True)
def _due(now: Any, watches: Any, heads: Any, horizons: Any) -> tuple[int, int]:
    """Next horizon that ends, and when."""
    which, due = 0, FOREVER
    for h in range(horizons.size):
        if heads[h] < now.opened:
            ends = watches[heads[h]].decision_ns + horizons[h] * _SECOND
            if ends < due:
                which, due = h, ends
    return which, due


@njit(cache=True, nogil=True)
def _settle(
    ns: int, ordinal: int, now: Any, waiting: Any, watches: Any, heads: Any, need: Any,
    widths: Any, horizons: Any, multiples: Any, fixed: Any, gap_start: Any, gap_known: Any,
    close_ns: int, out: Any,
) -> None:  # fmt: skip
    """Do all that comes before the record ``(ns, ordinal)``, in order of time."""
    barriers = multiples.size + fixed.size
    while True:
        room = (now.opened - now.first + 1) * need.shape[1]
        if out.size - now.labels < room or now.opened == watches.size:
            now.full = 1
            return
        open_ns, known = FOREVER, NEVER
        if now.waiting < waiting.size:
            open_ns, known = waiting[now.waiting].decision_ns, waiting[now.waiting].ordinal
        h, due_ns = _due(now, watches, heads, horizons)
        gap_ns = gap_start[now.gap_row] if now.gap_row < gap_start.size else FOREVER
        clock_ns = FOREVER if now.closed else min(due_ns, gap_ns, close_ns)
        now.alarm_ns = min(open_ns, clock_ns)
        if open_ns <= clock_ns:
            if open_ns > ns or (open_ns == ns and known >= ordinal):
                return
            if not now.priced:
                now.full = -1
                return
            _open(now, waiting, watches, need, widths, horizons, multiples, fixed, out)
        elif clock_ns >= ns:
            return
        elif clock_ns == due_ns:
            _expire(h, now, watches, heads, need, widths, horizons, barriers, out)
        elif clock_ns == gap_ns:
            now.silent_ns, now.known_ns = gap_ns, gap_known[now.gap_row]
            now.gap_row += 1
            _censor_all(
                GAP, now.known_ns, now, watches, heads, need, widths, barriers, out
            )  # fmt: skip
        else:
            _censor_all(CLOSE, close_ns, now, watches, heads, need, widths, barriers, out)
            now.closed = 1


@njit(cache=True, nogil=True)
def _pass(
    price: int, ns: int, now: Any, watches: Any, need: Any, widths: Any, barriers: int, out: Any
) -> None:
    """Let every open decision see a new price."""
    for w in range(now.first, now.opened):
        watch = watches[w]
        if watch.open == 0:
            continue
        move = (price - watch.anchor) * watch.direction
        if -watch.worst <= move <= watch.best:
            continue
        reached = abs(move)
        if move > 0:
            watch.best = move
        else:
            watch.worst = reached
        if reached < watch.near:
            continue
        watch.near = FOREVER
        outcome = BREAK if move > 0 else BOUNCE
        for label in range(need.shape[1]):
            if need[w, label] <= reached:
                _resolve(
                    w, label, outcome, NOT_CENSORED, ns, ns,
                    now, watches, need, widths, barriers, out,
                )  # fmt: skip
            else:
                watch.near = min(watch.near, need[w, label])


_M = _T.Array(_L, 2, "C")
_SIGNATURE = _L(
    _I, _I, _P, _L, _L, _L, _records(NOW), _records(WAIT), _records(WATCH), _T.Array(_L, 1, "C"),
    _M, _T.Array(types.float64, 2, "C"), _I, _F, _F, _I, _I, _L, _records(LABEL),
)  # fmt: skip


@njit(_SIGNATURE, cache=True, nogil=True)
def watch(
    times: Any, ordinals: Any, prices: Any, start: int, until_ns: int, why: int,
    state: Any, waiting: Any, watches: Any, heads: Any, need: Any, widths: Any, horizons: Any,
    multiples: Any, fixed: Any, gap_start: Any, gap_known: Any, close_ns: int, out: Any,
) -> int:  # fmt: skip
    """Watch trades from `start` on, then the clock before `until_ns`; `why` ends what is open.

    Returns the trade to go on with. ``state[0].full`` is 1 when an output must grow first and -1
    when a decision knows no trade.
    """
    now = state[0]
    now.full = 0
    now.alarm_ns = NEVER  # decisions or gaps may have been added
    barriers = multiples.size + fixed.size
    i = start
    while i < times.size:
        # Before the alarm nothing falls due; at its moment trades may still come first.
        if (
            times[i] >= now.alarm_ns
            or out.size - now.labels < (now.opened - now.first) * need.shape[1]
        ):
            _settle(
                times[i], ordinals[i], now, waiting, watches, heads, need, widths, horizons,
                multiples, fixed, gap_start, gap_known, close_ns, out,
            )  # fmt: skip
            if now.full != 0:
                return i
        if now.closed:
            i = times.size
            break
        if prices[i] != now.price and now.priced:
            _pass(prices[i], times[i], now, watches, need, widths, barriers, out)
        now.price = prices[i]
        now.priced = 1
        i += 1
    last = FOREVER if why != NOT_CENSORED else NEVER
    # The close itself still belongs to the date; other data end before their end.
    _settle(
        until_ns + (why == CLOSE), last, now, waiting, watches, heads, need, widths, horizons,
        multiples, fixed, gap_start, gap_known, close_ns, out,
    )  # fmt: skip
    if now.full == 0 and why != NOT_CENSORED:
        _censor_all(why, until_ns, now, watches, heads, need, widths, barriers, out)
        now.closed = 1
    return i
