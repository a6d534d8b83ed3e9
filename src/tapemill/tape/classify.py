"""Who was the aggressor: a side and a rung for each print, from what was known before it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Self

import numpy as np

from tapemill.errors import ContractError
from tapemill.tape.prints import Floats, Int8s, Int64s, Quotes, Trades
from tapemill.tape.rules import Method, Rules, Rung

__all__ = ["Classified", "TapeState", "classify"]

_NEVER = np.iinfo(np.int64).min


@dataclasses.dataclass(frozen=True, eq=False)
class TapeState:
    """What a classifier remembers between two chunks of a tape. Never changed in place.

    Attributes
    ----------
    chain_price, chain_sign : ndarray of float64 and int8, length 2
        Last price and last direction of the tick rule: exchanges' prints, TRF prints. 0 = none.
    session_start : int
        Start of the session in force, ns UTC.
    horizon : int
        Newest time seen; the next chunk may not reach before it.
    quote_ts, bid, ask : ndarray
        The prevailing quote at the horizon and those after it.
    """

    chain_price: Floats
    chain_sign: Int8s
    session_start: int
    horizon: int
    quote_ts: Int64s
    bid: Floats
    ask: Floats

    @classmethod
    def fresh(cls) -> Self:
        """Nothing seen yet."""
        none = np.zeros(0)
        return cls(
            np.zeros(2), np.zeros(2, np.int8), _NEVER, _NEVER, np.zeros(0, np.int64), none, none
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Classified:
    """What was inferred of each print; arrays as long as the trades.

    Attributes
    ----------
    side : ndarray of int8
        +1 the buyer was the aggressor, -1 the seller, 0 unknown (or no side: auction, ineligible).
    rung : ndarray of int8
        :class:`~tapemill.tape.rules.Rung`: what told it.
    retail : ndarray of int8
        +1 / -1 for TRF prints whose fraction of a cent marks a retail buy / sale, else 0.
    bid, ask : ndarray of float64
        The prevailing quote, 0 where a side or the whole quote was missing.
    state : TapeState
        To hand to the next chunk.
    """

    side: Int8s
    rung: Int8s
    retail: Int8s
    bid: Floats
    ask: Floats
    state: TapeState

    def coverage(self, size: Floats) -> dict[Rung, tuple[int, float]]:
        """Prints and shares per rung, every rung named. `size` as in the trades."""
        counts = np.bincount(self.rung, minlength=len(Rung))
        shares = np.bincount(self.rung, weights=size, minlength=len(Rung))
        return {rung: (int(counts[rung]), float(shares[rung])) for rung in Rung}


def _refuse_overlap(state: TapeState, trades: Trades, quotes: Quotes, rules: Rules) -> None:
    firsts = [int(column[0]) for column in (trades.ts, quotes.ts) if column.size]
    early = min(firsts, default=state.horizon)
    # With its own nanosecond counted as earlier, a quote may not come after the trade it precedes.
    torn = rules.inclusive and quotes.ts.size and int(quotes.ts[0]) == state.horizon
    if state.horizon != _NEVER and (early < state.horizon or torn):
        raise ContractError(
            f"the chunk starts at {early} ns, the tape was already read to {state.horizon} ns",
            next_step="cut trades and quotes at the same moments, between two timestamps",
        )


def classify(
    trades: Trades,
    quotes: Quotes,
    *,
    method: Method | None = None,
    rules: Rules | None = None,
    session_starts: Iterable[int] = (),
    state: TapeState | None = None,
) -> Classified:
    """Infer the aggressor of each print of one symbol.

    Nothing later than a print decides its side: permuting later trades and quotes changes nothing.
    A tape may be cut in time and fed chunk by chunk with the state; the result is bit-identical.

    Parameters
    ----------
    trades, quotes : Trades, Quotes
        Of the same stretch of time. Quotes are the national best (see
        :func:`~tapemill.tape.national_best`).
    method : str, optional
        Short for ``rules=Rules(method=method)``; default is the ladder.
    rules : Rules, optional
    session_starts : iterable of int
        Moments in ns UTC, ascending, at which a new trading day begins (give the start of the
        extended hours, so that quotes of before the open count). The price chain and the
        prevailing quote of the day before end there.
    state : TapeState, optional
        Of the chunk before; None at the start.

    Returns
    -------
    Classified
        Side, rung, retail side and prevailing quote per print, and the state to go on with.

    Raises
    ------
    ContractError
        The chunk reaches before what was already read, or session starts fall.
    """
    if rules is None:
        rules = Rules() if method is None else Rules(method=method)
    elif method is not None:
        rules = dataclasses.replace(rules, method=method)
    before = TapeState.fresh() if state is None else state
    _refuse_overlap(before, trades, quotes, rules)
    starts = np.array(list(session_starts), dtype=np.int64)
    if (starts[1:] <= starts[:-1]).any():
        raise ContractError("session starts must ascend", next_step="sort them, each once")
    quote_ts, bid, ask = quotes.ts, quotes.bid, quotes.ask
    if before.quote_ts.size:
        quote_ts = np.concatenate([before.quote_ts, quote_ts])
        bid = np.concatenate([before.bid, bid])
        ask = np.concatenate([before.ask, ask])

    from tapemill.tape._ladder import run_ladder  # compiled: keep it out of start paths

    n = len(trades)
    side, rung, retail = (np.empty(n, np.int8) for _ in range(3))
    prevailing_bid, prevailing_ask = np.empty(n), np.empty(n)
    chain_price, chain_sign = before.chain_price.copy(), before.chain_sign.copy()
    session_start, _ = run_ladder(
        trades.ts,
        trades.price,
        trades.trf,
        trades.eligible,
        trades.auction,
        quote_ts,
        bid,
        ask,
        starts,
        before.session_start,
        rules.code,
        rules.inclusive,
        rules.lag_ns,
        rules.max_quote_age_ns,
        rules.pooled,
        rules.through == "tick" and rules.method in ("ladder", "lee_ready"),
        rules.retail == "midpoint",
        chain_price,
        chain_sign,
        side,
        rung,
        retail,
        prevailing_bid,
        prevailing_ask,
    )
    horizon = max(
        before.horizon,
        int(trades.ts[-1]) if n else _NEVER,
        int(quotes.ts[-1]) if len(quotes) else _NEVER,
    )
    kept = _first_needed(quote_ts, horizon, rules)
    after = TapeState(
        chain_price,
        chain_sign,
        int(session_start),
        horizon,
        quote_ts[kept:].copy(),
        bid[kept:].copy(),
        ask[kept:].copy(),
    )
    return Classified(side, rung, retail, prevailing_bid, prevailing_ask, after)


def _first_needed(quote_ts: Int64s, horizon: int, rules: Rules) -> int:
    """Place of the oldest quote that a trade at the horizon or later can still see."""
    if not quote_ts.size:
        return 0
    found = np.searchsorted(
        quote_ts, horizon - rules.lag_ns, side="right" if rules.inclusive else "left"
    )
    return max(int(found) - 1, 0)
