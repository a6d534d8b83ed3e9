"""The demo's report: what was fetched and built, and how it compares with the planted truth."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tapemill.report import (
    Fact,
    ReportFigure,
    ReportTable,
    coverage_figure,
    daily_bars,
    session_bars,
    write_report,
)

if TYPE_CHECKING:
    from tapemill.lake import Lake
    from tapemill.refine import CheckReport
    from tapemill.world import Market

__all__ = ["compare_with_truth", "write_demo_report"]

MINUTES = "silver.equity_bars_1m"
DAILIES = "silver.equity_bars_1d"
SHORT_VOLUME = "silver.short_volume"
ADJUSTMENTS = "reference.adjustments"


def write_demo_report(
    folder: Path, lake: Lake, market: Market, checked: CheckReport, facts: dict[str, Any]
) -> Path:
    """Write the page and the coverage picture; the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = checked.cells.filter(pl.col("dataset") == MINUTES)
    figures = []
    if not cells.is_empty():
        days = cells.get_column("session")
        coverage = coverage_figure(
            cells, title="Coverage of minutes", subtitle=f"{_iso(days.min())} to {_iso(days.max())}"
        )
        coverage.write_png(folder / "coverage.png")
        figures = [
            ReportFigure(
                "coverage", coverage, "silver.coverage", "tapemill check --figure coverage"
            ),
            *_price_figures(lake, market),
        ]
    return write_report(
        folder,
        title="Tapemill demo",
        synthetic=True,
        subtitle="A made-up market with known truth, through real HTTP, into trusted tables",
        facts=_facts(lake, facts),
        tables=_tables(checked, facts, compare_with_truth(lake, market)),
        figures=figures,
    )


def _facts(lake: Lake, facts: dict[str, Any]) -> list[Fact]:
    check, build = facts["check"], facts["build"]
    calls = sum(line.calls for line in lake.control.calls.totals())
    landed = sum(r["rows"] for r in facts["fetched"])
    status, quarantine = "tapemill status", 'tapemill sql "select * from ops.quarantine"'
    return [
        Fact("fetched", "Calls on the wire in this run", facts["wire_calls"], "sandbox", status),
        Fact("fetched", "Calls ever made for this lake", calls, "ops.calls", status),
        Fact("fetched", "Rows landed in this run", landed, "ops.batches", status),
        Fact("built", "Builds in this run", build["builds"], "ops.builds", "tapemill build"),
        Fact("coverage", "Red", check["red"], "silver.coverage", "tapemill check"),
        Fact("quarantine", "Rows", check["quarantined"], "ops.quarantine", quarantine),
    ]


def _tables(checked: CheckReport, facts: dict[str, Any], truth: pl.DataFrame) -> list[ReportTable]:
    calls = pl.DataFrame(
        [
            {
                "dataset": r["dataset"],
                "calls": r["calls"],
                "answers": ", ".join(f"{k} {v}" for k, v in r["outcomes"].items()),
                "rows": r["rows"],
                "cells completed": r["completed"],
                "cells remaining": r["remaining"],
            }
            for r in facts["fetched"]
        ]
    )
    digests = pl.DataFrame(
        sorted(facts["digests"].items()), schema=["dataset", "sha256"], orient="row"
    )
    findings = pl.DataFrame(
        checked.summary()["findings"],
        schema=dict.fromkeys(("severity", "kind", "dataset", "subject", "detail"), pl.String),
    )
    return [
        ReportTable("fetched", "Calls of this run", calls, "ops.calls", "tapemill status"),
        ReportTable(
            "built", "Content of the tables", digests, "every table", "tapemill lake digest"
        ),
        ReportTable("findings", "Findings", findings, "silver.coverage", "tapemill check"),
        ReportTable(
            "truth",
            "Planted and found",
            truth,
            "the synthetic market beside silver and reference",
            "tapemill demo",
            note="`equal` counts rows whose every value is the planted one.",
        ),
    ]


def _price_figures(lake: Lake, market: Market) -> list[ReportFigure]:
    """A split in the daily bars, and the newest session of the most liquid name."""
    figures = []
    splits = market.splits().sort("execution_date", descending=True)
    if not splits.is_empty():
        row = splits.row(0, named=True)
        symbol = row["ticker"]
        raw = lake.scan(DAILIES, symbol).collect()
        adjusted = lake.scan(DAILIES, symbol, adjust="split").collect()
        label = f"{row['split_to']:g}:{row['split_from']:g} split"
        drawing = daily_bars(
            raw,
            adjusted,
            title=f"{symbol} daily, as traded and adjusted",
            splits=[(_date(row["execution_date"]), label)],
        )
        figures.append(
            ReportFigure("prices", drawing, DAILIES, f"lake.scan(…, '{symbol}', adjust='split')")
        )
    symbol = market.symbols[0]
    session = lake.scan(MINUTES, symbol).select(pl.col("session").max()).collect().item()
    minutes = lake.scan(MINUTES, symbol, session, session).collect()
    drawing = session_bars(minutes, title=f"{symbol} on {session}")
    figures.append(
        ReportFigure("prices", drawing, MINUTES, f"lake.scan(…, '{symbol}', '{session}')")
    )
    return figures


def compare_with_truth(lake: Lake, market: Market) -> pl.DataFrame:
    """What was planted beside what the tables say: ``what, planted, found, equal``."""
    rows = [_minute_truth(lake, market), _daily_truth(lake, market), _short_truth(lake, market)]
    actions = lake.scan(ADJUSTMENTS).select("symbol", "ex_date", "kind").collect()
    for kind, planted, column in (
        ("split", market.splits(), "execution_date"),
        ("dividend", market.dividends(), "ex_dividend_date"),
    ):
        found = actions.filter(pl.col("kind") == kind)
        truth = planted.select(
            symbol="ticker", ex_date=pl.col(column).cast(pl.String).str.to_date()
        ).unique()
        equal = truth.join(found, on=["symbol", "ex_date"], how="semi").height
        rows.append((f"{kind}s", truth.height, found.height, equal))
    changes = market.symbol_changes().height
    seen = lake.scan("reference.symbol_changes").collect().height
    rows.append(("symbol changes", changes, seen, min(changes, seen)))
    return pl.DataFrame(rows, schema=["what", "planted", "found", "equal"], orient="row")


def _equal(truth: pl.DataFrame, found: pl.DataFrame, key: list[str]) -> int:
    """Rows of the truth that are found with every value the same."""
    return truth.join(
        found, on=[*key, *[c for c in truth.columns if c not in key]], how="semi"
    ).height


def _minute_truth(lake: Lake, market: Market) -> tuple[str, int, int, int]:
    found = lake.scan(MINUTES).collect()
    names = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
    pairs = found.select("symbol", "session").unique().sort("symbol", "session").rows()
    planted = pl.concat(
        market.minute_bars(symbol, session).select(
            pl.lit(symbol).alias("symbol"),
            (pl.col("t") * 1_000_000).alias("ts_event"),
            *[pl.col(old).alias(new) for new, old in names.items()],
        )
        for symbol, session in pairs
    )
    equal = _equal(planted, found, ["symbol", "ts_event"])
    return ("minute bars", planted.height, found.height, equal)


def _daily_truth(lake: Lake, market: Market) -> tuple[str, int, int, int]:
    found = lake.scan(DAILIES).collect()
    sessions = found.get_column("session").unique().sort().to_list()
    names = {"symbol": "T", "open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
    planted = pl.concat(
        market.grouped(day).select(
            pl.lit(day).alias("session"), *[pl.col(old).alias(new) for new, old in names.items()]
        )
        for day in sessions
    )
    equal = _equal(planted, found, ["symbol", "session"])
    return ("daily bars", planted.height, found.height, equal)


def _short_truth(lake: Lake, market: Market) -> tuple[str, int, int, int]:
    micro = pl.col("short_volume", "short_exempt_volume", "total_volume") * 1_000_000
    found = (
        lake.scan(SHORT_VOLUME)
        .filter(pl.col("facility") == "CNMS")
        .select("symbol", "session", micro.cast(pl.Int64))
        .collect()
    )
    columns = {"short": "short_volume", "exempt": "short_exempt_volume", "total": "total_volume"}
    sessions = found.get_column("session").unique().sort().to_list()
    planted = pl.concat(
        market.consolidated_short_volume(day).rename(columns).select(found.columns)
        for day in sessions
    )
    return ("short volume rows", planted.height, found.height, _equal(planted, found, ["symbol"]))


def _iso(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.date) else ""


def _date(value: dt.date | str) -> dt.date:
    return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)
