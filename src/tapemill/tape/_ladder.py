"""The compiled loop: one pass through prints and quotes, forwards only."""

from __future__ import annotations

from typing import Any

from numba import njit, types

__all__ = ["run_ladder", "subpenny_side"]

_T: Any = types
_I = _T.Array(types.int64, 1, "C", readonly=True)
_F = _T.Array(types.float64, 1, "C", readonly=True)
_B = _T.Array(types.boolean, 1, "C", readonly=True)
_OUT_I8 = _T.Array(types.int8, 1, "C")
_OUT_F = _T.Array(types.float64, 1, "C")

# Order of `rules.Method`.
_LADDER, _LEE_READY, _QUOTE, _TICK, _EMO, _CLNV = 0, 1, 2, 3, 4, 5
# Values of `rules.Rung`.
_BY_QUOTE, _BY_MIDPOINT, _BY_TICK, _BY_TICK_LOCKED = 1, 2, 3, 4
_BY_TICK_CROSSED, _BY_TICK_NO_QUOTE, _AUCTION, _INELIGIBLE = 5, 6, 7, 8
_BY_TICK_THROUGH = 9

# Two decimals of dollars meet here as doubles: a midpoint such as (10.00 + 10.01) / 2 and a printed
# 10.005 may differ in the last bit. Far under the tape's smallest step of 0.000001.
_TOLERANCE = 1e-12
_CENT_TOLERANCE = 1e-5
_STRIDE = 32


@njit(cache=True)
def quote_kind(bid: float, ask: float) -> int:
    """Rung a trade falls to against this quote; 0 where the quote is two-sided and open."""
    if bid <= 0.0 or ask <= 0.0:
        return _BY_TICK_NO_QUOTE
    if bid == ask:
        return _BY_TICK_LOCKED
    if bid > ask:
        return _BY_TICK_CROSSED
    return 0


@njit(cache=True)
def quote_side(
    method: int, price: float, bid: float, ask: float, through_by_tick: bool
) -> tuple[int, int]:
    """Side and rung that an open quote gives; (0, tick rung) where it cannot tell."""
    slack = _TOLERANCE * ask
    at = int(price >= ask - slack) + int(price <= bid + slack)
    if method > _QUOTE or through_by_tick:
        if price > ask + slack or price < bid - slack:
            return 0, _BY_TICK_THROUGH
        if method == _EMO:
            side = int(price >= ask - slack) - int(price <= bid + slack)
            return side, _BY_QUOTE if at else _BY_TICK
        if method == _CLNV:
            outer = 0.3 * (ask - bid)
            side = int(price >= ask - outer - slack) - int(price <= bid + outer + slack)
            return side, _BY_TICK - abs(side) - at
    # No branch here: which side a print falls on is not to be predicted. At the quote is one rung
    # above inside it, and that is one above the midpoint.
    middle = 0.5 * (bid + ask)
    side = int(price > middle + slack) - int(price < middle - slack)
    return side, _BY_TICK - abs(side) - at


@njit(cache=True)
def subpenny_side(price: float) -> int:
    """Side by the fraction of the cent: 0-0.4 a retail sale, 0.6-1 a retail buy, else 0.

    Prices under one dollar may be quoted in hundredths of a cent: nothing is said of them.
    """
    cents = price * 100.0
    fraction = cents - float(int(cents))
    sale = fraction > _CENT_TOLERANCE and fraction < 0.4 - _CENT_TOLERANCE
    purchase = fraction > 0.6 + _CENT_TOLERANCE and fraction < 1.0 - _CENT_TOLERANCE
    return (int(purchase) - int(sale)) * int(price >= 1.0)


@njit(cache=True)
def retail_side(price: float, bid: float, ask: float, by_midpoint: bool) -> int:
    """Side of a retail TRF print, 0 where it is none or cannot be told."""
    side = subpenny_side(price)
    if side == 0 or not by_midpoint:
        return side
    if quote_kind(bid, ask) != 0:
        return 0
    place = (price - bid) / (ask - bid)
    if place > 0.6:
        return 1
    if place < 0.4:
        return -1
    return 0


_RESULT = _T.UniTuple(types.int64, 2)
_SIGNATURE = _RESULT(
    _I, _F, _B, _B, _B,  # trades: ts, price, trf, eligible, auction
    _I, _F, _F,  # quotes: ts, bid, ask
    _I, types.int64,  # session starts, the session in force
    types.int64, types.boolean, types.int64, types.int64,
    types.boolean, types.boolean, types.boolean,
    _OUT_F, _OUT_I8,  # the chains' last price and sign, changed in place
    _OUT_I8, _OUT_I8, _OUT_I8, _OUT_F, _OUT_F,
)  # fmt: skip


@njit(_SIGNATURE, cache=True, nogil=True)
def run_ladder(
    ts: Any,
    price: Any,
    trf: Any,
    eligible: Any,
    auction: Any,
    quote_ts: Any,
    bid: Any,
    ask: Any,
    session_starts: Any,
    session_start: int,
    method: int,
    inclusive: bool,
    lag_ns: int,
    max_age_ns: int,
    pooled: bool,
    through_by_tick: bool,
    retail_by_midpoint: bool,
    chain_price: Any,
    chain_sign: Any,
    side: Any,
    rung: Any,
    retail: Any,
    prevailing_bid: Any,
    prevailing_ask: Any,
) -> tuple[int, int]:
    """Fill the outputs; return the session in force at the end and the quotes passed."""
    quotes = quote_ts.size
    following = 0
    # The chains live in local names: a register, not a store and a load for each print.
    lit_price, trf_price = chain_price[0], chain_price[1]
    lit_sign, trf_sign = int(chain_sign[0]), int(chain_sign[1])
    next_session = 0
    while next_session < session_starts.size and session_starts[next_session] <= session_start:
        next_session += 1
    for i in range(ts.size):
        now = ts[i]
        while next_session < session_starts.size and session_starts[next_session] <= now:
            session_start = session_starts[next_session]
            next_session += 1
            lit_price = trf_price = 0.0
            lit_sign = trf_sign = 0
        limit = now - lag_ns + (1 if inclusive else 0)
        # Strides, then halves without a branch: where a print falls is not to be predicted.
        while following + _STRIDE <= quotes and quote_ts[following + _STRIDE - 1] < limit:
            following += _STRIDE
        if following + _STRIDE <= quotes:
            following += 16 * (quote_ts[following + 15] < limit)
            following += 8 * (quote_ts[following + 7] < limit)
            following += 4 * (quote_ts[following + 3] < limit)
            following += 2 * (quote_ts[following + 1] < limit)
            following += 1 * (quote_ts[following] < limit)
        else:
            while following < quotes and quote_ts[following] < limit:
                following += 1

        best_bid = 0.0
        best_ask = 0.0
        if following > 0:
            made = quote_ts[following - 1]
            if made >= session_start and (max_age_ns == 0 or now - made <= max_age_ns):
                best_bid = bid[following - 1]
                best_ask = ask[following - 1]
        prevailing_bid[i] = best_bid
        prevailing_ask[i] = best_ask
        side[i] = 0
        retail[i] = 0
        if not eligible[i]:
            rung[i] = _INELIGIBLE
            continue

        # The tick rule's chain moves with every price that stands, whatever rung tells the side.
        traded = price[i]
        apart = trf[i] and not pooled
        last = trf_price if apart else lit_price
        sign = trf_sign if apart else lit_sign
        moved = int(traded > last) - int(traded < last)
        sign = moved if last > 0.0 and moved != 0 else sign
        lit_price, trf_price = (lit_price, traded) if apart else (traded, trf_price)
        lit_sign, trf_sign = (lit_sign, sign) if apart else (sign, trf_sign)
        if auction[i]:
            rung[i] = _AUCTION
            continue

        told = 0
        by = _BY_TICK
        if method != _TICK:
            by = quote_kind(best_bid, best_ask)
            if by == 0:
                told, by = quote_side(method, traded, best_bid, best_ask, through_by_tick)
        tick = sign if method != _QUOTE else 0
        told = tick if told == 0 else told
        if through_by_tick and told == 0 and by == _BY_TICK_THROUGH:
            told, by = quote_side(method, traded, best_bid, best_ask, False)
        side[i] = told
        rung[i] = by if told != 0 else 0
        # Exchange prints bear no retail mark; a product costs less than a branch.
        retail[i] = int(trf[i]) * retail_side(traded, best_bid, best_ask, retail_by_midpoint)
    chain_price[0], chain_price[1] = lit_price, trf_price
    chain_sign[0], chain_sign[1] = lit_sign, trf_sign
    return session_start, following
