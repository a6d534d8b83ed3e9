"""The classifier again, slowly: for each print, search the whole past in plain Python."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tapemill.tape import Quotes, Rules, Rung, Trades


def _exact(price: float) -> Fraction:
    return Fraction(repr(float(price)))


def _prevailing(
    i: int, trades: Trades, quotes: Quotes, rules: Rules, start: int
) -> tuple[Any, Any]:
    now = int(trades.ts[i])
    limit = now - rules.lag_ns
    seen = [
        k
        for k, made in enumerate(quotes.ts.tolist())
        if made < limit or (rules.inclusive and made == limit)
    ]
    if not seen:
        return 0, 0
    last = seen[-1]
    made = int(quotes.ts[last])
    if made < start or (rules.max_quote_age_ns and now - made > rules.max_quote_age_ns):
        return 0, 0
    return _exact(quotes.bid[last]), _exact(quotes.ask[last])


def _tick(i: int, trades: Trades, rules: Rules, start: int) -> int:
    def same_chain(k: int) -> bool:
        return rules.pooled or bool(trades.trf[k]) == bool(trades.trf[i])

    for k in range(i - 1, -1, -1):
        if int(trades.ts[k]) < start:
            return 0
        if trades.eligible[k] and same_chain(k) and trades.price[k] != trades.price[i]:
            return 1 if trades.price[i] > trades.price[k] else -1
    return 0


def _by_quote(rules: Rules, price: Any, bid: Any, ask: Any) -> tuple[int, Rung]:
    method = rules.method
    outside = price > ask or price < bid
    if method == "emo" or (method == "clnv" and outside):
        side = 1 if price == ask else -1 if price == bid else 0
        return side, Rung.QUOTE if side else Rung.TICK_THROUGH if outside else Rung.TICK
    if method == "clnv":
        outer = (ask - bid) * 3 / 10
        if price >= ask - outer:
            return 1, Rung.QUOTE if price == ask else Rung.MIDPOINT
        if price <= bid + outer:
            return -1, Rung.QUOTE if price == bid else Rung.MIDPOINT
        return 0, Rung.TICK
    if price >= ask:
        return 1, Rung.QUOTE
    if price <= bid:
        return -1, Rung.QUOTE
    middle = (bid + ask) / 2
    if price == middle:
        return 0, Rung.TICK
    return (1 if price > middle else -1), Rung.MIDPOINT


def slow_side(
    i: int, trades: Trades, quotes: Quotes, rules: Rules, session_starts: list[int]
) -> tuple[int, Rung]:
    """Side and rung of print `i` alone."""
    if not trades.eligible[i]:
        return 0, Rung.INELIGIBLE
    if trades.auction[i]:
        return 0, Rung.AUCTION
    start = max((s for s in session_starts if s <= int(trades.ts[i])), default=-(2**62))
    tick = _tick(i, trades, rules, start)
    side, rung = 0, Rung.TICK
    if rules.method != "tick":
        bid, ask = _prevailing(i, trades, quotes, rules, start)
        if not bid or not ask:
            rung = Rung.TICK_NO_QUOTE
        elif bid == ask:
            rung = Rung.TICK_LOCKED
        elif bid > ask:
            rung = Rung.TICK_CROSSED
        else:
            price = _exact(trades.price[i])
            side, rung = _by_quote(rules, price, bid, ask)
            by_tick = rules.through == "tick" and rules.method in ("ladder", "lee_ready")
            if by_tick and (price > ask or price < bid) and tick:
                return tick, Rung.TICK_THROUGH
    if not side and rules.method != "quote":
        side = tick
    return side, rung if side else Rung.UNKNOWN
