"""A day from its compressed file to committed gold: import, then `gold.episodes` and all before it.

Peer: the vendor's `to_df`, then minute bars and, for every decision that ours found on the same
session, what was added, cancelled and traded at the defended prices over four windows, in
vectorised pandas: a fraction of ours, and nothing is kept. On a smaller session; what goes by the
record is scaled by records, what goes by the decision is not.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from landing import definitions
from made import TICK, inputs, peak_mb, result, timed

from tapemill.clock import SYSTEM_CLOCK
from tapemill.intake.orders import import_orders
from tapemill.lake import Lake
from tapemill.levels.file_day import file_day
from tapemill.levels.recipes import LEVEL_RECIPES
from tapemill.refine import RECIPES, build
from tapemill.settings import default_settings

WINDOWS = (5, 15, 60, 300)
BAND_TICKS = 2
SECOND = 10**9


def end_to_end(path: Path, folder: Path) -> dict[str, Any]:
    lake, settings = Lake.open(folder / "lake", create=True), default_settings()
    made = definitions(folder)
    imported, report = timed(
        lambda: import_orders(lake, settings, SYSTEM_CLOCK, [made, path]),
    )
    assert not report.unsound, report
    built, _ = timed(
        lambda: build(
            lake,
            settings,
            SYSTEM_CLOCK,
            ["gold.episodes"],
            recipes={**RECIPES, **LEVEL_RECIPES},
        )
    )
    return {
        "imported": imported,
        "built": built,
        "records": report.files[-1].records,
        "episodes": lake.tables.rows("gold.episodes"),
        "features": lake.tables.rows("gold.episode_features"),
    }


def flows_and_bars(path: Path) -> tuple[Any, Any, int]:
    """Minute bars, and quantities by second, side, price and action."""
    import databento

    frame = databento.DBNStore.from_file(path).to_df()
    trades = frame.loc[frame["action"] == "T", ["price", "size"]]
    bars = trades["price"].resample("1min").ohlc()
    bars["volume"] = trades["size"].resample("1min").sum()
    known = frame.loc[frame["action"].isin(["A", "C", "T"])]
    side = (known["side"] == "A").to_numpy() ^ (known["action"] == "T").to_numpy()
    flows = (
        known.assign(
            second=known.index.asi8 // SECOND,
            ask=side,
            ticks=np.rint(known["price"] / TICK).astype("int32"),
        )
        .groupby(["second", "ask", "ticks", "action"])["size"]
        .sum()
        .unstack(fill_value=0)
        .reset_index()
    )
    assert bars["volume"].sum() == trades["size"].sum()
    return flows, bars, len(frame)


def barrier_sums(flows: Any, decisions: Any) -> Any:
    """Added, cancelled and traded around each decision's level, for each window."""
    second, ask, ticks = (flows[name].to_numpy() for name in ("second", "ask", "ticks"))
    sizes = flows[["A", "C", "T"]].to_numpy()
    ends = np.searchsorted(second, decisions.decision_ns // SECOND)
    sums = np.zeros((len(ends), len(WINDOWS), 3))
    for w, window in enumerate(WINDOWS):
        starts = np.searchsorted(second, decisions.decision_ns // SECOND - window)
        for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            rows = slice(start, end)
            near = ask[rows] == (decisions.direction[i] > 0)
            near &= ticks[rows] >= decisions.low[i] - BAND_TICKS
            near &= ticks[rows] <= decisions.high[i] + BAND_TICKS
            sums[i, w] = sizes[rows][near].sum(axis=0)
    return sums


def main() -> None:
    claim, path, part = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    print("import and build, s:")
    with tempfile.TemporaryDirectory() as folder:
        ours = end_to_end(path, Path(folder))
    peak = peak_mb()
    print(f"{ours['records']:,} records, {ours['episodes']} episodes, {ours['features']} decisions")
    decisions = file_day(part, inputs(), default_settings().levels).decisions
    print("peer, by the record and by the decision, s:")
    by_record, (flows, _, records) = timed(lambda: flows_and_bars(part))
    by_decision, sums = timed(lambda: barrier_sums(flows, decisions))
    assert not len(decisions.decision_ns) or sums.any()
    per_decision = by_decision / max(len(decisions.decision_ns), 1)
    theirs = by_record * ours["records"] / records + per_decision * ours["features"]
    took = ours["imported"] + ours["built"]
    result(
        claim,
        records=ours["records"],
        ours=round(took, 2),
        imported=round(ours["imported"], 2),
        built=round(ours["built"], 2),
        peer=round(theirs, 1),
        ratio=round(theirs / took, 1),
        million_records_s=round(ours["records"] / took / 1e6, 2),
        peer_records=records,
        peak_mb=peak,
    )


if __name__ == "__main__":
    main()
