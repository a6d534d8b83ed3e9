"""A million trades against ten million quotes: ours beside pandas, for sides and for the whole job.

Both sides start from the same columns in memory, and all sides and sums must be equal.

One symbol (`classify`). Ours: `tapemill.tape.classify`, lee_ready: sides, rungs, retail sides and
prevailing quotes. Peer: pandas `merge_asof` (backward, exact matches off), side of the midpoint,
tick rule with forward fill.

A day of 100 symbols, few of them busy (`classify_symbols`). Ours: one call per symbol, each with
its own columns, as the tape is fetched and kept. Peer: the faster of two, pandas in the same loop
and one `merge_asof(by="symbol")` over the day in the order of time, integer codes as symbols.
`classify_mixed_feed`: both start from the day in the order of time; ours has to part the symbols
and to put the sides back.

Sums (`tape_sums`). Ours: the ladder (exchange and TRF prints apart in the tick rule, locked and
crossed quotes to the tick rule) and `five_minute_sums`. Peer: the same in pandas, by masks and one
group-by.

`floor_ratio`: time to read quotes and prints once on one thread (the largest value of each column
that the merge needs), by our time. Prices are whole ticks, so that no midpoint is a matter of
rounding.

Run: python benchmarks/flow_parts/classify.py [rounds] [trades] [quotes]
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
import polars as pl

from tapemill.tape import Quotes, Trades, classify, five_minute_sums


def made_day(trades: int, quotes: int, seed: int = 20240808) -> tuple[Trades, Quotes]:
    """A market that wanders in ticks; a twentieth of the prints inside or outside the quote."""
    rng = np.random.default_rng(seed)
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


def made_market(trades: int, quotes: int, symbols: int = 100) -> list[tuple[Trades, Quotes]]:
    """One day per symbol; the k-th has a share of all as 1 / k."""
    share = 1 / np.arange(1, symbols + 1)
    share /= share.sum()
    return [
        made_day(max(int(trades * part), 1), max(int(quotes * part), 1), seed)
        for seed, part in enumerate(share)
    ]


def peer(trades: pd.DataFrame, quotes: pd.DataFrame) -> np.ndarray:
    """Lee-Ready; with a column `symbol`, of each symbol."""
    by = "symbol" if "symbol" in trades else None
    joined = pd.merge_asof(trades, quotes, on="ts", by=by, allow_exact_matches=False)
    middle = (joined["bid"] + joined["ask"]) / 2
    by_quote = np.sign(joined["price"] - middle)
    price = joined["price"] if by is None else joined.groupby("symbol")["price"]
    steps = np.sign(price.diff()).replace(0.0, np.nan)
    by_tick = (steps if by is None else steps.groupby(joined["symbol"])).ffill().fillna(0.0)
    told = (by_quote != 0) & (joined["ask"] > joined["bid"])
    return by_quote.where(told, by_tick).to_numpy().astype(np.int8)


def frames(trades: Trades, quotes: Quotes) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The columns that the peer needs, not copied."""
    return (
        pd.DataFrame({"ts": trades.ts, "price": trades.price}, copy=False),
        pd.DataFrame({"ts": quotes.ts, "bid": quotes.bid, "ask": quotes.ask}, copy=False),
    )


def feed(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """All symbols in the order of time, integer codes beside them."""
    coded = [part.assign(symbol=np.int64(code)) for code, part in enumerate(parts)]
    return pd.concat(coded).sort_values("ts", kind="stable", ignore_index=True)


def from_feed(trades: pl.DataFrame, quotes: pl.DataFrame) -> np.ndarray:
    """Sides of a mixed feed: part the symbols, classify each, put the sides back."""
    prints = trades.with_row_index("row").partition_by("symbol", as_dict=True)
    best = quotes.partition_by("symbol", as_dict=True)
    sides = np.empty(trades.height, np.int8)
    for symbol, mine in prints.items():
        told = classify(
            Trades.of(mine["ts"], mine["price"], np.ones(mine.height)),
            Quotes.of(*(best[symbol][name] for name in ("ts", "bid", "ask"))),
            method="lee_ready",
        )
        sides[mine["row"].to_numpy()] = told.side
    return sides


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


def floor(columns: list[np.ndarray], rounds: int) -> float:
    """Median seconds to read the columns once."""
    print("reading the columns once, s:")
    return timed(lambda: [column.max() for column in columns if column.size], rounds)[0]


def report(name: str, ours: float, peer: float, least: float | None = None) -> None:
    result = {
        "name": name,
        "ours": round(ours, 4),
        "peer": round(peer, 4),
        "ratio": round(peer / ours, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    if least is not None:
        result["floor_ratio"] = round(least / ours, 2)
    print("RESULT " + json.dumps(result))


def same(ours: np.ndarray, theirs: np.ndarray) -> None:
    different = int((ours != theirs).sum())
    assert different == 0, f"{different} sides differ"


def one_symbol(n: int, m: int, rounds: int) -> list[tuple[str, float, float, float | None]]:
    trades, quotes = made_day(n, m)
    least = floor([quotes.ts, quotes.bid, quotes.ask, trades.ts, trades.price], rounds)
    print("one symbol, sides, ours and peer, s:")
    ours, made = timed(lambda: classify(trades, quotes, method="lee_ready"), rounds)
    prints, quote_frame = frames(trades, quotes)
    theirs, sides = timed(lambda: peer(prints, quote_frame), rounds)
    same(made.side, sides)

    print("one symbol, five-minute sums, ours and peer, s:")
    summed, frame = timed(lambda: five_minute_sums(trades, classify(trades, quotes)), rounds)
    prints = prints.assign(size=trades.size, trf=trades.trf)
    their_sums, table = timed(lambda: peer_sums(prints, quote_frame), rounds)
    for name in table.columns:
        np.testing.assert_allclose(frame[name], table[name], rtol=1e-9, err_msg=name)
    return [
        ("tape_sums", summed, their_sums, None),
        ("classify", ours, theirs, least),
    ]


def many_symbols(n: int, m: int, rounds: int) -> list[tuple[str, float, float, float | None]]:
    market = made_market(n, m)
    tables = [frames(*day) for day in market]
    prints, quotes = (feed([pair[k] for pair in tables]) for k in (0, 1))
    print("100 symbols apart, sides, ours and peer in the same loop, s:")
    ours, made = timed(lambda: [classify(*day, method="lee_ready").side for day in market], rounds)
    looped, sides = timed(lambda: [peer(*pair) for pair in tables], rounds)
    for mine, theirs in zip(made, sides, strict=True):
        same(mine, theirs)

    print("100 symbols in the order of time, peer and ours, s:")
    merged, told = timed(lambda: peer(prints, quotes), rounds)
    feeds = [
        pl.DataFrame({name: table[name].to_numpy() for name in table}) for table in (prints, quotes)
    ]
    mixed, parted = timed(lambda: from_feed(*feeds), rounds)
    same(parted, told)
    order = np.argsort(prints["symbol"].to_numpy(), kind="stable")
    same(np.concatenate(made), told[order])
    return [
        ("classify_mixed_feed", mixed, merged, None),
        ("classify_symbols", ours, min(looped, merged), None),
    ]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    m = int(sys.argv[3]) if len(sys.argv) > 3 else 10_000_000
    trades, quotes = made_day(1_000, 1_000)
    started = time.perf_counter()
    five_minute_sums(trades, classify(trades, quotes))
    print(f"import, compile or load of the cache: {time.perf_counter() - started:.3f} s")
    lines = [*many_symbols(n, m, rounds), *one_symbol(n, m, rounds)]
    print(f"{n:,} trades, {m:,} quotes: all sides and all sums are equal")
    for line in lines:
        report(*line)


if __name__ == "__main__":
    main()
