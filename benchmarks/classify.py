"""A million trades against ten million quotes: ours beside Lee-Ready in pandas.

Ours: `tapemill.tape.classify`, lee_ready (quote, midpoint, tick with zero-tick carry): sides,
rungs and prevailing quotes, from arrays. Peer: pandas `merge_asof` (backward, exact matches off),
side of the midpoint, tick rule with forward fill, from frames. Both read the same made day; prices
are whole ticks, so that no midpoint is a matter of rounding, and all sides must be equal.

Run: python benchmarks/classify.py [rounds] [trades] [quotes]
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np
import pandas as pd

from tapemill.tape import Quotes, Trades, classify


def made_day(trades: int, quotes: int) -> tuple[Trades, Quotes]:
    """A market that wanders in ticks; a twentieth of the prints inside or outside the quote."""
    rng = np.random.default_rng(20240808)
    day = 23_400 * 10**9
    quote_ts = np.sort(rng.integers(0, day, quotes))
    bid = 20_000.0 + np.cumsum(rng.integers(-1, 2, quotes, dtype=np.int8), dtype=np.int64) // 40
    ask = bid + rng.integers(1, 4, quotes)
    trade_ts = np.sort(rng.integers(0, day, trades))
    at = np.maximum(np.searchsorted(quote_ts, trade_ts) - 1, 0)
    price = np.where(rng.random(trades) < 0.5, bid[at], ask[at])
    price += np.where(rng.random(trades) < 0.05, rng.integers(-2, 3, trades), 0)
    middle = rng.random(trades) < 0.1
    price = np.where(middle, (bid[at] + ask[at]) / 2, price)
    return (
        Trades.of(trade_ts, price, np.full(trades, 100.0)),
        Quotes.of(quote_ts, bid, ask),
    )


def peer(trades: pd.DataFrame, quotes: pd.DataFrame) -> np.ndarray:
    joined = pd.merge_asof(trades, quotes, on="ts", allow_exact_matches=False)
    middle = (joined["bid"] + joined["ask"]) / 2
    by_quote = np.sign(joined["price"] - middle)
    by_tick = np.sign(joined["price"].diff()).replace(0.0, np.nan).ffill().fillna(0.0)
    return by_quote.where(by_quote.notna() & (by_quote != 0), by_tick).to_numpy().astype(np.int8)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    m = int(sys.argv[3]) if len(sys.argv) > 3 else 10_000_000
    trades, quotes = made_day(n, m)
    started = time.perf_counter()
    classify(trades.between(0, 10), quotes.between(0, 10), method="lee_ready")
    print(
        f"first call (import, compile or load of the cache): {time.perf_counter() - started:.3f} s"
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        ours = classify(trades, quotes, method="lee_ready")
        times.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"ours: {' '.join(f'{t:.4f}' for t in times)} s; {peak - before:.0f} MB above the arrays")

    trade_frame = pd.DataFrame({"ts": trades.ts, "price": trades.price})
    quote_frame = pd.DataFrame({"ts": quotes.ts, "bid": quotes.bid, "ask": quotes.ask})
    peer_times = []
    for _ in range(min(rounds, 3)):
        started = time.perf_counter()
        theirs = peer(trade_frame, quote_frame)
        peer_times.append(time.perf_counter() - started)
    print(f"peer: {' '.join(f'{t:.4f}' for t in peer_times)} s")
    different = int((ours.side != theirs).sum())
    assert different == 0, f"{different} sides differ"
    print(f"{n:,} trades, {m:,} quotes: all sides equal; buys {(ours.side > 0).mean():.4f}")
    best, other = float(np.median(times)), float(np.median(peer_times))
    result = {
        "name": "classify",
        "ours": round(best, 4),
        "peer": round(other, 4),
        "ratio": round(other / best, 1),
        "peak_mb": round(peak),
    }
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
