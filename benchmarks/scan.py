"""The whole-market scan against the same statistic in vectorised pandas.

Ours: `scan_rows` and `macro_rows` of every evening that has its 140 sessions behind it. Peer: wide
pandas and numpy as one writes them with care: rolling medians, MADs over sliding windows of numpy,
the pool of 60 evenings sorted once an evening, Benjamini-Hochberg vectorised a day. The z of both
are compared on every row. The peer is slow, so the ratio is taken at `peer_symbols` symbols, where
both run on the same data; the time at full size is ours alone. `tuned` is the peer's time with the
MADs by sorted windows instead of np.nanmedian.

Run: python benchmarks/scan.py [symbols] [sessions] [peer_symbols]
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
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


def ours(inputs: EveningInputs) -> tuple[pl.DataFrame, float, float]:
    """Rows, wall seconds and seconds of processor time."""
    start, worked = time.perf_counter(), time.process_time()
    rows = scan_rows(inputs, FLOW)
    macro = macro_rows(rows.lazy(), inputs.evenings, FLOW)
    assert macro.height == len(inputs.evenings)
    return rows, time.perf_counter() - start, time.process_time() - worked


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


def surprise(y: pd.DataFrame, members: np.ndarray, tuned: bool) -> np.ndarray:
    """z of each day with the market's move removed, wide."""
    rolling = y.rolling(60, min_periods=15)
    baseline = rolling.median().shift(1).to_numpy()
    n = rolling.count().shift(1).to_numpy()
    scale = 1.4826 * sliding_mad(y, tuned=tuned) * n / (n - 0.8)
    among = np.where(members & (scale > 0), scale, np.nan)
    floor = np.nanquantile(among, 0.1, axis=1)
    scale = np.fmax(scale, floor[:, None]) * np.sqrt(1 + np.pi / (2 * n))
    deviation = y.to_numpy() - baseline
    common = np.nanmedian(np.where(members & (scale > 0), deviation, np.nan), axis=1)
    return (deviation - common[:, None]) / scale


def empirical(measure: np.ndarray, members: np.ndarray, first: int) -> np.ndarray:
    """Benjamini-Hochberg q against the 60 evenings before, wide."""
    q = np.full(measure.shape, np.nan)
    for t in range(first, len(measure)):
        pool = measure[t - 60 : t][members[t - 60 : t]]
        pool = np.sort(pool[np.isfinite(pool)])
        where = np.flatnonzero(members[t] & np.isfinite(measure[t]))
        reached = len(pool) - np.searchsorted(pool, measure[t, where])
        p = (1 + reached) / (1 + len(pool))
        order = np.argsort(p)
        steps = p[order] * len(p) / np.arange(1, len(p) + 1)
        q[t, where[order]] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1)
    return q


def peer(inputs: EveningInputs, rows: pl.DataFrame, *, tuned: bool) -> tuple[pd.DataFrame, float]:
    """The scan's share and volume z and q; who is eligible is given, splits are absent."""
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
    z = surprise(y, members, tuned)
    volume_z = surprise(np.log(total), members, tuned)
    q = empirical(np.abs(z), members, first)
    volume_q = empirical(volume_z, members, first)
    frame = pd.DataFrame(
        {
            "z": z[first:].ravel(),
            "volume_z": volume_z[first:].ravel(),
            "q_value": q[first:].ravel(),
            "volume_q_value": volume_q[first:].ravel(),
        }
    )
    calm = np.fmin(1, np.sqrt(total / usual)).to_numpy()[first:].ravel()
    frame["score"] = frame["z"] * calm
    frame["symbol"] = np.tile(codes.to_numpy(), len(panel.sessions) - first)
    frame["session"] = np.repeat(np.array(panel.sessions[first:]), len(codes))
    frame["rank"] = frame["score"].abs().groupby(frame["session"]).rank(ascending=False)
    return frame, time.perf_counter() - start


def agree(rows: pl.DataFrame, frame: pd.DataFrame) -> float:
    """Largest difference of z and q where both say something; the eligible must be the same."""
    other = pl.from_pandas(frame[["symbol", "session", "z", "volume_z", "q_value"]])
    other = other.with_columns(pl.col("session").cast(pl.Date))
    both = rows.join(other, on=["symbol", "session"], how="left", suffix="_peer")
    gaps = []
    for name in ("z", "volume_z", "q_value"):
        gap = (pl.col(name) - pl.col(f"{name}_peer").fill_nan(None)).abs()
        gaps.append(both.filter("eligible").select(gap.max()).item())
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
        for k, default in ((1, 12_000), (2, 500), (3, 1_500))
    )
    ours(inputs_of(flow_market(60, date(2018, 1, 2), 160, seed=2)))  # compile
    inputs = inputs_of(flow_market(symbols, date(2018, 1, 2), sessions, seed=1))
    gc.collect()
    rows, full, worked = ours(inputs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    listed = rows["eligible"].mean()
    print(
        f"{symbols:,} symbols × {sessions} sessions: {rows.height:,} rows of"
        f" {len(inputs.evenings)} evenings, {listed:.0%} eligible, {full:.2f} s,"
        f" {worked:.2f} s of processor, {peak:,.0f} MB"
    )
    del rows, inputs
    small = inputs_of(without_splits(flow_market(few, date(2018, 1, 2), sessions, seed=3)))
    rows, fast, _ = ours(small)
    fast = min(fast, ours(small)[1])
    frame, slow = peer(small, rows, tuned=False)
    gap = agree(rows, frame)
    assert gap < 1e-9, gap
    tuned = peer(small, rows, tuned=True)[1]
    print(f"{few:,} symbols: ours {fast:.2f} s, pandas {slow:.1f} s, tuned {tuned:.1f} s")
    print(f"largest difference of z, volume z and q: {gap:.1e}")
    result = {
        "name": "scan",
        "ours": round(full, 3),
        "ours_cpu": round(worked, 3),
        "peer": round(slow / fast * full, 1),
        "ratio": round(slow / fast, 1),
        "tuned_ratio": round(tuned / fast, 1),
        "peak_mb": round(peak),
    }
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
