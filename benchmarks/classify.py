"""A million trades against ten million quotes: ours beside pandas, for sides and for the whole job.

Sides. Ours: `tapemill.tape.classify`, lee_ready: sides, rungs, retail sides and prevailing quotes,
from arrays. Peer: pandas `merge_asof` (backward, exact matches off), side of the midpoint, tick
rule with forward fill. All sides must be equal.

Sums. Ours: the ladder (exchange and TRF prints apart in the tick rule, locked and crossed quotes
to the tick rule) and `five_minute_sums`. Peer: the same in pandas, by masks and one group-by. All
sums must be equal.

Prices are whole ticks, so that no midpoint is a matter of rounding.

Run: python benchmarks/classify.py [rounds] [trades] [quotes]
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tapemill.tape import Quotes, Trades, classify, five_minute_sums


def made_day(trades: int, quotes: int) -> tuple[Trades, Quotes]:
    """A market that wanders in ticks; a twentieth of the prints inside or outside the quote."""
    rng = np.random.default_rng(20240808)
    day = 23_400 * 10**9
    quote_ts = np.sort(rng.integers(0, day, quotes))
    bid = 20_000.0 + np.cumsum(rng.integers(-1, 2, quotes, dtype=np.int8), dtype=np.int64) // 40
    ask = bid + np.where(rng.random(quotes) < 0.02, rng.integers(-1, 1, quotes), 1)
    trade_ts = np.sort(rng.integers(0, day, trades))
    at = np.maximum(np.searchsorted(quote_ts, trade_ts) - 1, 0)
    price = np.where(rng.random(trades) < 0.5, bid[at], ask[at])
    price += np.where(rng.random(trades) < 0.05, rng.integers(-2, 3, trades), 0)
    middle = rng.random(trades) < 0.1
    price = np.where(middle, (bid[at] + ask[at]) / 2, price)
    return (
        Trades.of(
            trade_ts,
            price,
            rng.integers(1, 300, trades),
            trf=rng.random(trades) < 0.4,
        ),
        Quotes.of(quote_ts, bid, ask),
    )


def peer(trades: pd.DataFrame, quotes: pd.DataFrame) -> np.ndarray:
    joined = pd.merge_asof(trades, quotes, on="ts", allow_exact_matches=False)
    middle = (joined["bid"] + joined["ask"]) / 2
    by_quote = np.sign(joined["price"] - middle)
    by_tick = np.sign(joined["price"].diff()).replace(0.0, np.nan).ffill().fillna(0.0)
    told = (by_quote != 0) & (joined["ask"] > joined["bid"])
    return by_quote.where(told, by_tick).to_numpy().astype(np.int8)


def peer_sums(trades: pd.DataFrame, quotes: pd.DataFrame) -> pd.DataFrame:
    """Ladder and five-minute sums as a careful pandas user would write them."""
    day = pd.merge_asof(trades, quotes, on="ts", allow_exact_matches=False)
    price, bid, ask, size, trf = (day[c] for c in ("price", "bid", "ask", "size", "trf"))
    market = (bid > 0) & (ask > 0) & (ask > bid)
    middle = (bid + ask) / 2
    by_quote = np.sign(price - middle).where(market, 0.0)
    steps = np.sign(price.groupby(trf).diff()).replace(0.0, np.nan)
    by_tick = steps.groupby(trf).ffill().fillna(0.0)
    side = by_quote.where(by_quote != 0, by_tick)
    at = market & ((price >= ask) | (price <= bid))
    cents = price * 100
    fraction = cents - np.floor(cents)
    sale = trf & (fraction > 1e-5) & (fraction < 0.4 - 1e-5)
    purchase = trf & (fraction > 0.6 + 1e-5) & (fraction < 1 - 1e-5)
    dollars = price * size
    masks = {
        "lit_buy_volume": ~trf & (side > 0),
        "lit_sell_volume": ~trf & (side < 0),
        "lit_unclassified_volume": ~trf & (side == 0),
        "trf_buy_volume": trf & (side > 0),
        "trf_sell_volume": trf & (side < 0),
        "trf_unclassified_volume": trf & (side == 0),
        "quote_rule_volume": at,
        "midpoint_volume": ~at & (by_quote != 0),
        "tick_rule_volume": (by_quote == 0) & (by_tick != 0),
        "retail_buy_volume": purchase,
        "retail_sell_volume": sale,
        "odd_lot_volume": size < 100,
        "block_volume": (size >= 10_000) | (dollars >= 200_000),
    }
    columns = {name: size.where(mask, 0.0) for name, mask in masks.items()}
    columns |= {"prints": np.ones(len(day), np.int64), "dollar_volume": dollars}
    return pd.DataFrame(columns).groupby(day["ts"] // 300_000_000_000 * 300_000_000_000).sum()


def timed(work: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """Median seconds of some rounds, and the last answer."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        answer = work()
        times.append(time.perf_counter() - started)
    print("  " + " ".join(f"{t:.4f}" for t in times))
    return float(np.median(times)), answer


def report(name: str, ours: float, peer: float) -> None:
    result = {
        "name": name,
        "ours": round(ours, 4),
        "peer": round(peer, 4),
        "ratio": round(peer / ours, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print("RESULT " + json.dumps(result))


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    m = int(sys.argv[3]) if len(sys.argv) > 3 else 10_000_000
    trades, quotes = made_day(n, m)
    started = time.perf_counter()
    few = trades.between(0, 10)
    five_minute_sums(few, classify(few, quotes.between(0, 10)))
    print(f"import, compile or load of the cache: {time.perf_counter() - started:.3f} s")

    print("sides, ours and peer, s:")
    ours, made = timed(lambda: classify(trades, quotes, method="lee_ready"), rounds)
    quote_frame = pd.DataFrame({"ts": quotes.ts, "bid": quotes.bid, "ask": quotes.ask})
    prints = pd.DataFrame({"ts": trades.ts, "price": trades.price})
    theirs, sides = timed(lambda: peer(prints, quote_frame), rounds)
    different = int((made.side != sides).sum())
    assert different == 0, f"{different} sides differ"

    print("five-minute sums, ours and peer, s:")
    summed, frame = timed(lambda: five_minute_sums(trades, classify(trades, quotes)), rounds)
    prints = prints.assign(size=trades.size, trf=trades.trf)
    their_sums, table = timed(lambda: peer_sums(prints, quote_frame), rounds)
    for name in table.columns:
        np.testing.assert_allclose(frame[name], table[name], rtol=1e-9, err_msg=name)
    print(f"{n:,} trades, {m:,} quotes: all sides and all sums are equal")
    report("tape_sums", summed, their_sums)
    report("classify", ours, theirs)


if __name__ == "__main__":
    main()
