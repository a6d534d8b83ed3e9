"""From silver in a lake to committed gold: 12,000 symbols × 500 evenings, then one evening's lists.

There is no peer. The floor is to write the same rows of gold once more with Polars alone, as one
file: the least that any program must do to keep them.

Run: python benchmarks/flow_parts/build.py [symbols] [sessions]
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import polars as pl

from tapemill.clock import SYSTEM_CLOCK, known_at_expr
from tapemill.contracts import contract
from tapemill.flow import GOLD_RECIPES, LISTS, scan_evening
from tapemill.lake import Lake
from tapemill.refine import RECIPES, build
from tapemill.settings import default_settings
from tapemill.world.flow import flow_market

SILVER = "silver.short_volume"


def fill(lake: Lake, symbols: int, sessions: int) -> list[date]:
    """Silver short volume of a made market, as an import and a build would leave it."""
    market = flow_market(symbols, date(2023, 1, 3), sessions, seed=3)
    for year in sorted({day.year for day in market.sessions}):
        days = [day for day in market.sessions if day.year == year]
        rows = market.rows().filter(pl.col("session").dt.year() == year)
        rows = rows.with_columns(
            symbol=pl.col("symbol").str.replace(".", "/", literal=True),
            facility=pl.lit("CNMS"),
            short_exempt_volume=pl.lit(0),
            market=pl.lit("B,N,Q"),
            reconciled=pl.lit(None, dtype=pl.Boolean),
            year=pl.lit(year),
            source=pl.lit("finra.file.synthetic"),
            raw_sha256=pl.col("session").cast(pl.String).str.pad_end(64, "0"),
            ordinal=pl.int_range(pl.len()),
            version=pl.lit(1),
            known_at=known_at_expr("finra_evening"),
            superseded_at=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
        )
        lake.tables.replace(SILVER, contract(SILVER).conform(rows), sessions=days)
        made = [(day.isoformat(), f"made-{day}", 0) for day in days]
        lake.control.builds.record_many(SILVER, made)
    return list(market.sessions)


def main() -> None:
    symbols = int(sys.argv[1]) if len(sys.argv) > 1 else 12_000
    sessions = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    settings, recipes = default_settings(), {**RECIPES, **GOLD_RECIPES}
    with tempfile.TemporaryDirectory() as folder:
        warm = Lake.open(f"{folder}/warm", create=True)
        fill(warm, 200, 60)
        build(warm, settings, SYSTEM_CLOCK, ["gold.flow_macro"], recipes=recipes)
        lake = Lake.open(f"{folder}/lake", create=True)
        days = fill(lake, symbols, sessions)
        begun = time.perf_counter()
        report = build(lake, settings, SYSTEM_CLOCK, ["gold.flow_macro"], recipes=recipes)
        built = time.perf_counter() - begun
        view = scan_evening(lake, settings, days[-1])
        lists = {name: view.listed(name, 50) for name in LISTS}
        took = time.perf_counter() - begun
        rows = lake.tables.scan("gold.flow_scan").collect()
        begun = time.perf_counter()
        rows.write_parquet(Path(folder) / "floor.parquet", compression="zstd", compression_level=1)
        floor = time.perf_counter() - begun
    for target in report.targets:
        if target.built:
            print(f"{target.target}: {target.built} evenings, {target.rows:,} rows")
    print(f"build {built:.2f} s, one evening's lists {took - built:.2f} s, {len(lists)} lists")
    result = {
        "name": "scan_build",
        "ours": round(took, 2),
        "floor": round(floor, 2),
        "floor_ratio": round(floor / took, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
    }
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
