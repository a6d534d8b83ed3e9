"""How often each rule tells the true aggressor, on every real tape whose aggressor is known.

Count- and volume-weighted, per method and per rung of the ladder; with time stamps made coarser and
trade reports made later, as slower feeds would have them; bulk-volume classification by minute.

Run: python benchmarks/tape_accuracy.py
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from tape import truth  # noqa: E402
from tapemill.tape import (  # noqa: E402
    BulkRules,
    Method,
    Quotes,
    Rules,
    Rung,
    Trades,
    alignment,
    best_lag_ns,
    bulk_buy_share,
    classify,
    national_best,
    tape_flags,
)

DATA = Path(os.environ.get("TAPEMILL_TEST_DATA", ROOT / "../shared/data"))
HEAD = f"{'tape':24} {'rule':18} {'prints':>7} {'right':>7} {'by volume':>9} {'unknown':>8}"


def score(
    tape: truth.Tape, side: np.ndarray, chosen: np.ndarray
) -> tuple[int, float, float, float]:
    """Prints, share right by count, by volume, and share without a side."""
    chosen = chosen & (tape.truth != 0)
    size, right = tape.trades.size[chosen], (side == tape.truth)[chosen]
    if not size.size:
        return 0, float("nan"), float("nan"), float("nan")
    weighted = float(size[right].sum() / size.sum())
    return size.size, float(right.mean()), weighted, float((side[chosen] == 0).mean())


def line(name: str, rule: str, scored: tuple[int, float, float, float]) -> None:
    prints, right, volume, unknown = scored
    print(f"{name:24} {rule:18} {prints:7d} {right:7.4f} {volume:9.4f} {unknown:8.4f}")


def methods(tape: truth.Tape, name: str, chosen: np.ndarray, **options: object) -> dict[str, float]:
    found = {}
    for method in get_args(Method):
        side = classify(tape.trades, tape.quotes, rules=Rules(method=method, **options)).side
        scored = score(tape, side, chosen)
        line(name, method, scored)
        found[method] = round(scored[1], 4)
    side = classify(tape.trades, tape.quotes, rules=Rules(through="tick", **options)).side
    scored = score(tape, side, chosen)
    line(name, "ladder, through=tick", scored)
    found["ladder_through_tick"] = round(scored[1], 4)
    return found


def rungs(tape: truth.Tape, name: str) -> None:
    made = classify(tape.trades, tape.quotes)
    for rung in Rung:
        chosen = made.rung == rung
        if (chosen & (tape.truth != 0)).any():
            line(name, f"rung {rung.name.lower()}", score(tape, made.side, chosen))


def coarser(tape: truth.Tape, step_ns: int, late_ns: int = 0) -> truth.Tape:
    def cut(ts: np.ndarray, later: int) -> np.ndarray:
        return (ts + later) // step_ns * step_ns

    trades = dataclasses.replace(tape.trades, ts=cut(tape.trades.ts, late_ns))
    return dataclasses.replace(
        tape, trades=trades, quotes=dataclasses.replace(tape.quotes, ts=cut(tape.quotes.ts, 0))
    )


def bulk(tape: truth.Tape, name: str, seconds: int, degrees: float) -> float:
    """Accuracy of bulk shares: Σ min(bought, told) + min(sold, told) over the volume."""
    ticks = classify(tape.trades, tape.quotes, method="tick").side
    bars = (
        pl.DataFrame(
            {
                "bar": tape.trades.ts // (seconds * 10**9),
                "price": tape.trades.price,
                "size": tape.trades.size,
                "bought": np.where(tape.truth > 0, tape.trades.size, 0),
                "by_tick": np.where(ticks > 0, tape.trades.size, 0),
            }
        )
        .group_by("bar", maintain_order=True)
        .agg(
            open=pl.col("price").first(),
            close=pl.col("price").last(),
            volume=pl.col("size").sum(),
            bought=pl.col("bought").sum(),
            by_tick=pl.col("by_tick").sum(),
        )
    )
    share, _ = bulk_buy_share(
        bars["open"].to_numpy(),
        bars["close"].to_numpy(),
        bars["volume"].to_numpy(),
        rules=BulkRules(degrees=degrees, half_life_bars=390, minimum_bars=10),
    )
    known = np.isfinite(share)
    volume, bought = bars["volume"].to_numpy()[known], bars["bought"].to_numpy()[known]
    told = share[known] * volume
    right = np.minimum(told, bought) + np.minimum(volume - told, volume - bought)
    accuracy = float(right.sum() / volume.sum())
    blind = float((np.minimum(volume / 2, bought) + np.minimum(volume / 2, volume - bought)).sum())
    tick = bars["by_tick"].to_numpy()[known]
    netted = np.minimum(tick, bought) + np.minimum(volume - tick, volume - bought)
    imbalance = np.corrcoef(2 * told / volume - 1, 2 * bought / volume - 1)[0, 1]
    kind = "normal" if not degrees else f"t({degrees})"
    print(
        f"{name:24} bulk {seconds:4d} s {kind:8} {known.sum():5d} bars, volume split right"
        f" {accuracy:.4f} (always half {blind / volume.sum():.4f}, tick rule netted"
        f" {netted.sum() / volume.sum():.4f}), imbalance correlation"
        f" {imbalance:.3f}"
    )
    return round(accuracy, 4)


def etr() -> tuple[Trades, Quotes]:
    trades, quotes = truth.taq(DATA)
    best, _ = national_best(
        [ord(letter) & 63 for letter in quotes["EX"]],
        Quotes.of(quotes["ns"].to_numpy(), quotes["BID"].to_numpy(), quotes["ASK"].to_numpy()),
    )
    eligible, auction = tape_flags(trades["TR_SCOND"], "CTA")
    return (
        Trades.of(
            trades["ns"].to_numpy(), trades["PRICE"].to_numpy(), trades["SIZE"].to_numpy(),
            trf=(trades["EX"] == "D").to_numpy(), eligible=eligible, auction=auction,
        ),
        best,
    )  # fmt: skip


def aig(day: str) -> tuple[Trades, Quotes]:
    """LEAN's AIG: each row moves one side of the national best, a zero keeps the other one's."""

    def read(name: str, names: list[str]) -> pl.DataFrame:
        with zipfile.ZipFile(DATA / f"lean/equity/usa/tick/aig/{day}_{name}.zip") as box:
            content = io.BytesIO(box.read(box.namelist()[0]))
        return pl.read_csv(content, has_header=False, new_columns=names, infer_schema_length=None)

    rows = read("quote", ["ms", "bid", "bid_size", "ask", "ask_size", "exchange", "code", "bad"])
    bid, ask = (
        rows.select(pl.when(pl.col(side) > 0).then(side).forward_fill().fill_null(0) / 1e4)[side]
        for side in ("bid", "ask")
    )
    prints = read("trade", ["ms", "price", "size", "exchange", "code", "bad"])
    prints = prints.filter(pl.col("price") > 0)
    return (
        Trades.of(
            prints["ms"].to_numpy() * 10**6,
            prints["price"].to_numpy() / 1e4,
            prints["size"].to_numpy(),
            trf=(prints["exchange"] == "D").to_numpy(),
        ),
        Quotes.of(rows["ms"].to_numpy() * 10**6, bid.to_numpy(), ask.to_numpy()),
    )


def without_truth(name: str, trades: Trades, quotes: Quotes) -> None:
    made = classify(trades, quotes)
    total = trades.size.sum()
    for rung, (count, shares) in made.coverage(trades.size).items():
        if count:
            print(
                f"{name:24} {rung.name.lower():18} {count:7d} {shares / total:9.4f} of the volume"
            )
    print(alignment(trades, quotes, [0, 100_000, 500_000, 1_000_000, 10_000_000]))
    sided = made.side != 0
    agree = {
        m: round(float((classify(trades, quotes, method=m).side == made.side)[sided].mean()), 4)
        for m in get_args(Method)
    }
    print(f"{name:24} agreement with the ladder: {agree}")
    if trades.trf.any():
        retail = made.retail[trades.trf] != 0
        both = retail & (made.side[trades.trf] != 0)
        told = "none of them has a side"
        if both.any():
            same = (made.retail[trades.trf] == made.side[trades.trf])[both].mean()
            told = f"of those the ladder gives the same side to {same:.4f}"
        print(
            f"{name:24} TRF prints {trades.trf.sum()}, {retail.mean():.4f} with a retail fraction;"
            f" {told}"
        )


def main() -> None:
    print(HEAD)
    amzn, btc, xbt, es = (
        read(DATA) for read in (truth.lobster, truth.binance, truth.kraken, truth.es_future)
    )
    result: dict[str, object] = {"name": "tape_accuracy"}
    result["amzn_visible"] = methods(amzn, "AMZN visible", amzn.label == 0)
    result["amzn_hidden"] = methods(amzn, "AMZN hidden", amzn.label == 1)
    result["amzn_all"] = methods(amzn, "AMZN all", amzn.label >= 0)
    rungs(amzn, "AMZN all")
    for step, word in ((10**6, "1 ms"), (10**9, "1 s")):
        made = methods(coarser(amzn, step), f"AMZN stamped to {word}", amzn.label >= 0)
        result[f"amzn_{word.replace(' ', '')}"] = made
    late = coarser(amzn, 1, 1_000_000)
    result["amzn_late_1ms"] = methods(late, "AMZN, prints 1 ms late", amzn.label >= 0)
    lag = best_lag_ns(late.trades, late.quotes, [0, 500_000, 1_000_000, 2_000_000, 10_000_000])
    mended = methods(late, f"AMZN, lag found {lag}", amzn.label >= 0, lag_ns=lag)
    result["amzn_late_lag_found"] = mended
    everything = np.ones(len(es.trades), bool)
    result["es"] = methods(es, "ES", everything)
    result["xbt"] = methods(xbt, "XBTUSDT, no quotes", np.ones(len(xbt.trades), bool))
    everything = np.ones(len(btc.trades), bool)
    for lag, word in ((0, "no lag"), (10_000_000, "lag 10 ms"), (100_000_000, "lag 100 ms")):
        made = methods(btc, f"BTCUSDT {word}", everything, lag_ns=lag)
        result[f"btc_{word.replace(' ', '')}"] = made
    print(alignment(btc.trades, btc.quotes, [0, 10**6, 10**7, 10**8]))
    for degrees in (0.0, 0.25):
        for seconds in (60, 300):
            result[f"bulk_amzn_{seconds}_{degrees:g}"] = bulk(amzn, "AMZN", seconds, degrees)
        bulk(es, "ES", 60, degrees)
        bulk(btc, "BTCUSDT", 5, degrees)
    without_truth("ETR", *etr())
    for day in ("20131007", "20131008"):
        without_truth(f"AIG {day}", *aig(day))
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
