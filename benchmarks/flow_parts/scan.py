"""The whole-market scan against the same statistic in vectorised pandas.

Ours: `scan_rows` and `macro_rows` of every evening that has its 140 sessions behind it. Peer: wide
pandas and numpy as one writes them with care: rolling medians, MADs over sliding windows of numpy,
the pool of 60 evenings sorted once an evening, Benjamini-Hochberg vectorised a day, runs and
calms by rolling maxima, ranks by side, and the market's sums and percentiles by groupby. The
eligible follow from the same rules; the peer looks for no splits and writes no text but the
symbol. z, p, q, score, novelty, ranks and the market of both are compared on every row. The peer
is slow, so the ratio is taken at `peer_symbols` symbols, where both run on the same data; the time
at full size is ours alone, and `peer` there is scaled by the ratio. `tuned` is the peer's time with
the MADs by sorted windows instead of np.nanmedian. The default is 500 evenings and the 140 sessions
that they look back on.

Run: python benchmarks/flow_parts/scan.py [symbols] [sessions] [peer_symbols]
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
import warnings
from datetime import date

import numpy as np
import pandas as pd
import polars as pl

from tapemill.contracts import contract
from tapemill.flow.inputs import EveningInputs
from tapemill.flow.macro import macro_rows
from tapemill.flow.panel import Panel
from tapemill.flow.scan import scan_lookback, scan_rows
from tapemill.settings.declaration import FlowSettings
from tapemill.world.flow import FlowMarket, flow_market

FLOW = FlowSettings()


def inputs_of(market: FlowMarket) -> EveningInputs:
    none = np.full((1, 1), np.nan)
    facts = (market.short_volume, market.total_volume, market.share_factor)
    none = np.broadcast_to(none, market.total_volume.shape)
    panel = Panel(market.symbols, market.sessions, *facts, none, none, none, none)
    return EveningInputs(
        evenings=market.sessions[scan_lookback(FLOW) :],
        panel=panel,
        short=pl.DataFrame(),
        tape=pl.DataFrame(),
        otc=contract("silver.otc_weekly").empty(),
        interest=contract("silver.short_interest").empty(),
        memberships=market.sector_rows().head(0),
        symbols=market.symbol_table(),
    )


def ours(inputs: EveningInputs) -> tuple[tuple[pl.DataFrame, pl.DataFrame], float, float]:
    """Rows and market, wall seconds and seconds of processor time."""
    start, worked = time.perf_counter(), time.process_time()
    rows = scan_rows(inputs, FLOW)
    macro = macro_rows(rows.lazy(), inputs.evenings, FLOW)
    assert macro.height == len(inputs.evenings)
    return (rows, macro), time.perf_counter() - start, time.process_time() - worked


def sliding_mad(y: pd.DataFrame, *, tuned: bool) -> np.ndarray:
    """MAD of the 60 rows before each row, wide; NaN under 15."""
    values = y.to_numpy()
    made = np.full(values.shape, np.nan)
    for first in range(0, values.shape[1], 64):
        block = np.ascontiguousarray(values[:, first : first + 64].T)
        windows = np.lib.stride_tricks.sliding_window_view(block[:, :-1], 60, axis=1)
        known = np.isfinite(windows).sum(axis=2)
        if tuned:
            middle = sorted_median(windows, known)
            mad = sorted_median(np.abs(windows - middle[..., None]), known)
        else:
            middle = np.nanmedian(windows, axis=2)
            mad = np.nanmedian(np.abs(windows - middle[..., None]), axis=2)
        made[60:, first : first + 64] = np.where(known >= 15, mad, np.nan).T
    return made


def sorted_median(windows: np.ndarray, known: np.ndarray) -> np.ndarray:
    ordered = np.sort(windows, axis=2)
    low = np.maximum((known - 1) // 2, 0)[..., None]
    high = np.minimum(known // 2, windows.shape[2] - 1)[..., None]
    both = np.take_along_axis(ordered, low, 2) + np.take_along_axis(ordered, high, 2)
    return both[..., 0] / 2


def surprise(y: pd.DataFrame, members: np.ndarray, tuned: bool) -> dict[str, np.ndarray]:
    """z of each day with the market's move removed, and what it is made of, wide."""
    rolling = y.rolling(60, min_periods=15)
    baseline = rolling.median().shift(1).to_numpy()
    n = rolling.count().shift(1).to_numpy()
    scale = 1.4826 * sliding_mad(y, tuned=tuned) * n / (n - 0.8)
    among = np.where(members & (scale > 0), scale, np.nan)
    floor = np.nanquantile(among, 0.1, axis=1)
    scale = np.fmax(scale, floor[:, None]) * np.sqrt(1 + np.pi / (2 * n))
    deviation = y.to_numpy() - baseline
    common = np.nanmedian(np.where(members & (scale > 0), deviation, np.nan), axis=1)
    return {
        "z": (deviation - common[:, None]) / scale,
        "baseline_share": 1 / (1 + np.exp(-baseline)),
        "baseline_days": n,
        "share_move": deviation,
        "peer_shift": np.broadcast_to(common[:, None], deviation.shape),
    }


def empirical(
    measure: np.ndarray, members: np.ndarray, first: int
) -> tuple[np.ndarray, np.ndarray]:
    """p against the 60 evenings before and Benjamini-Hochberg q, wide."""
    q, kept = np.full(measure.shape, np.nan), np.full(measure.shape, np.nan)
    for t in range(first, len(measure)):
        pool = measure[t - 60 : t][members[t - 60 : t]]
        pool = np.sort(pool[np.isfinite(pool)])
        where = np.flatnonzero(members[t] & np.isfinite(measure[t]))
        reached = len(pool) - np.searchsorted(pool, measure[t, where])
        p = (1 + reached) / (1 + len(pool))
        kept[t, where] = p
        order = np.argsort(p)
        steps = p[order] * len(p) / np.arange(1, len(p) + 1)
        q[t, where[order]] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1)
    return kept, q


def newness(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 ordinary, 2 persistent, 3 sudden, 0 without z; and the length of the run, wide."""
    side = np.where(np.abs(z) >= 2, np.sign(z), 0)
    run = np.zeros(z.shape, np.int32)
    for t in range(len(z)):
        run[t] = side[t] != 0
        if t:
            again = (side[t] != 0) & (side[t] == side[t - 1])
            run[t] = np.where(again, np.minimum(run[t - 1] + 1, 60), run[t])
    before = pd.DataFrame(np.abs(z)).rolling(5, min_periods=3).max().shift(1).to_numpy()
    sudden = (np.abs(z) >= 3) & (before < 2)
    code = np.where(sudden, 3, np.where(run >= 2, 2, 1))
    return np.where(np.isfinite(z), code, 0).astype(np.int8), run


def market_of(frame: pd.DataFrame) -> pd.DataFrame:
    """What ``gold.flow_macro`` says of the whole market, unpriced: weights are shares."""
    among = frame[frame["eligible"]]
    days = among.groupby("session")
    made = days[["short_volume", "total_volume"]].sum()
    made["short_share"] = made["short_volume"] / made["total_volume"]
    made["equal_weight_share"] = days["short_share"].mean()
    made["peer_shift"] = days["share_move"].median()
    made["names"] = days.size()
    up, down = (among["z"] > 1), (among["z"] < -1)
    made["breadth"] = up.groupby(among["session"]).mean() - down.groupby(among["session"]).mean()
    off = (among["z"] - days["z"].transform("median")).abs()
    made["dispersion"] = 1.4826 * off.groupby(among["session"]).median()
    for name in ("short_share", "breadth", "dispersion"):
        values = made[name].to_numpy()
        percentile = np.full(len(values), np.nan)
        for k in range(20, len(values)):
            past = values[max(k - 252, 0) : k]
            percentile[k] = (past < values[k]).mean() + 0.5 * (past == values[k]).mean()
        made[f"{name}_percentile"] = percentile
    return made


def peer(inputs: EveningInputs, *, tuned: bool) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Rows and market of the scan, wide arrays until the end, then one long frame."""
    panel = inputs.panel
    codes = pd.Index(panel.symbols)
    first = scan_lookback(FLOW)
    start = time.perf_counter()
    short, total = pd.DataFrame(panel.short_volume.T), pd.DataFrame(panel.total_volume.T)
    usual = total.rolling(20, min_periods=5).median().shift(1)
    files = total.notna().rolling(60, min_periods=1).mean().shift(1).to_numpy()
    classes = inputs.symbols["security_class"].is_in(["common", "class_share"]).to_numpy()
    members = classes & (files >= 0.95) & (usual.to_numpy() >= FLOW.min_off_exchange_volume)
    members &= total.notna().to_numpy()
    kappa = np.maximum(0.005 * usual, 100.0)
    y = np.log((short + kappa) / (total - short + kappa))
    share = surprise(y, members, tuned)
    z, volume_z = share["z"], surprise(np.log(total), members, tuned)["z"]
    members &= np.isfinite(z)
    p, q = empirical(np.abs(z), members, first)
    _, volume_q = empirical(volume_z, members, first)
    new, run = newness(z)
    score = np.where(members, z * np.fmin(1, np.sqrt(total / usual)).to_numpy(), np.nan)
    wide = share | {
        "short_volume": short.to_numpy(),
        "total_volume": total.to_numpy(),
        "short_share": (short / total).to_numpy(),
        "volume_ratio": (total / usual).to_numpy(),
        "volume_z": volume_z,
        "p_value": p,
        "q_value": q,
        "volume_q_value": volume_q,
        "score": score,
        "novelty": new,
        "volume_novelty": newness(volume_z)[0],
        "run_length": run,
        "eligible": members,
    }
    frame = pd.DataFrame({name: matrix[first:].ravel() for name, matrix in wide.items()})
    frame["symbol"] = np.tile(codes.to_numpy(), len(panel.sessions) - first)
    frame["session"] = np.repeat(np.array(panel.sessions[first:]), len(codes))
    frame = frame[frame["total_volume"].notna()]
    for name, key in (("buying", frame["score"]), ("selling", -frame["score"])):
        frame[name] = (
            key.where(key > 0).groupby(frame["session"]).rank(ascending=False, method="first")
        )
    listed = frame["volume_z"].where(frame["eligible"])
    frame["volume_rank"] = listed.groupby(frame["session"]).rank(ascending=False, method="first")
    macro = market_of(frame)
    return frame, macro, time.perf_counter() - start


def agree(
    made: tuple[pl.DataFrame, pl.DataFrame], frame: pd.DataFrame, macro: pd.DataFrame
) -> float:
    """Largest difference of figures; the eligible, the novelty and the ranks must be the same."""
    rows, market = made
    figures = ("z", "volume_z", "p_value", "q_value", "volume_q_value", "score", "share_move")
    exact = ("novelty", "volume_novelty", "run_length", "eligible", "volume_rank")
    other = pl.from_pandas(
        frame[["symbol", "session", *figures, *exact, "buying", "selling"]]
    ).with_columns(pl.col("session").cast(pl.Date))
    both = rows.join(other, on=["symbol", "session"], how="left", suffix="_peer")
    assert both["eligible"].equals(both["eligible_peer"].rename("eligible"))
    among = both.filter("eligible")
    codes = {"ordinary": 1, "persistent": 2, "sudden": 3}
    for name in ("novelty", "volume_novelty"):
        own = among[name].replace_strict(codes, return_dtype=pl.Int8)
        assert (own == among[f"{name}_peer"]).all(), name
    assert (among["run_length"] == among["run_length_peer"]).all()
    same = among.filter(pl.col("volume_rank") != pl.col("volume_rank_peer")).height
    place = pl.coalesce(pl.col("buying").fill_nan(None), pl.col("selling").fill_nan(None))
    same += among.filter(pl.col("rank") != place).height
    assert same <= len(among) // 10_000, same  # last bits may turn neighbours round
    gaps = [
        among.select((pl.col(name) - pl.col(f"{name}_peer")).abs().max()).item() for name in figures
    ]
    for name in ("short_share", "equal_weight_share", "breadth", "dispersion", "peer_shift"):
        own = market.filter(pl.col("scope") == "market")[name].to_numpy()
        gaps.append(np.abs(own - macro[name].to_numpy()).max())
    return float(max(gaps))


def without_splits(market: FlowMarket) -> FlowMarket:
    """The peer knows no splits; drop the names that had one, and young ones."""
    kept = (market.share_factor == 1).all(axis=1)
    import dataclasses

    def rows(value: object) -> object:
        if isinstance(value, np.ndarray):
            return np.ascontiguousarray(value[kept])
        return tuple(v for v, k in zip(value, kept, strict=True) if k)  # type: ignore[arg-type]

    fields = {f.name: getattr(market, f.name) for f in dataclasses.fields(market)}
    made = {name: v if name == "sessions" else rows(v) for name, v in fields.items()}
    return FlowMarket(**made)


def main() -> None:
    symbols, sessions, few = (
        int(sys.argv[k]) if len(sys.argv) > k else default
        for k, default in ((1, 12_000), (2, 640), (3, 1_500))
    )
    warnings.filterwarnings("ignore", message="All-NaN slice", category=RuntimeWarning)
    ours(inputs_of(flow_market(60, date(2018, 1, 2), 160, seed=2)))  # compile
    inputs = inputs_of(flow_market(symbols, date(2018, 1, 2), sessions, seed=1))
    gc.collect()
    (rows, _), full, worked = ours(inputs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    listed = rows["eligible"].mean()
    print(
        f"{symbols:,} symbols × {sessions} sessions: {rows.height:,} rows of"
        f" {len(inputs.evenings)} evenings, {listed:.0%} eligible, {full:.2f} s,"
        f" {worked:.2f} s of processor, {peak:,.0f} MB"
    )
    del rows, inputs
    small = inputs_of(without_splits(flow_market(few, date(2018, 1, 2), sessions, seed=3)))
    made, fast, _ = ours(small)
    fast = min(fast, ours(small)[1])
    frame, macro, slow = peer(small, tuned=False)
    gap = agree(made, frame, macro)
    assert gap < 1e-9, gap
    tuned = peer(small, tuned=True)[2]
    print(f"{few:,} symbols: ours {fast:.2f} s, pandas {slow:.1f} s, tuned {tuned:.1f} s")
    print(f"largest difference of all figures: {gap:.1e}")
    result = {
        "name": "scan",
        "ours": round(full, 3),
        "cpu_seconds": round(worked, 3),
        "peer": round(slow / fast * full, 1),
        "ratio": round(slow / fast, 1),
        "tuned_ratio": round(tuned / fast, 1),
        "peak_mb": round(peak),
    }
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
