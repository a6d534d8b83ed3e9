"""Rolls: who is dominant on a date, by which hours, and what a roll does to the price."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from refine.futures_orders import at, land, trades
from tapemill.clock.injected import FixedClock
from tapemill.contracts import contract
from tapemill.lake import Lake
from tapemill.refine import build
from tapemill.refine.futures_rolls import futures_rolls
from tapemill.settings import load_settings

NOW = FixedClock(int(datetime(2026, 7, 2, tzinfo=UTC).timestamp()) * 10**9)
DAYS = [date(2024, 3, day) for day in (11, 12, 13, 14, 15)]


def contracts(*symbols: str, kind: str = "outright") -> pl.DataFrame:
    declared = contract("reference.futures_contracts")
    rows = [
        {
            "symbol": symbol,
            "root": "ES",
            "kind": kind,
            "tick_nano": 250_000_000,
            "tick_size": 0.25,
            "evidence": "definition: its own",
            "known_at": datetime(2024, 1, 1, tzinfo=UTC),
        }
        for symbol in symbols
    ]
    return declared.conform(
        pl.DataFrame(rows, schema_overrides={k: declared.schema[k] for k in rows[0]})
    )


def minute(
    symbol: str, start: int, close: int, volume: int, *, regular: bool = True, tick: float = 0.25
) -> dict[str, object]:
    return {
        "symbol": symbol,
        "session": datetime.fromtimestamp(start / 1e9, tz=UTC).date(),
        "ts_event": start,
        "close_ticks": close,
        "volume": volume,
        "regular": regular,
        "tick_size": tick,
    }


def day_of(
    day: date, volumes: dict[str, int], *, gap: int = 200, regular: bool = True, count: int = 10
) -> list[dict[str, object]]:
    """Ten minutes in which each contract trades; a later contract lies `gap` ticks higher."""
    start = at(day, 10)
    return [
        minute(symbol, start + i * 60 * 10**9, 19_000 + 3 * i + gap * n, volume, regular=regular)
        for n, (symbol, volume) in enumerate(volumes.items())
        for i in range(count)
    ]


def rolls(*days: list[dict[str, object]], symbols: tuple[str, ...] = ("ESH4", "ESM4", "ESU4")):
    rows = pl.LazyFrame([row for day in days for row in day])
    return futures_rolls(rows, contracts(*symbols))


def test_the_roll_follows_contracts_traded_and_carries_its_gap() -> None:
    made = rolls(
        day_of(DAYS[0], {"ESH4": 80, "ESM4": 20}),
        day_of(DAYS[1], {"ESH4": 45, "ESM4": 55}, gap=212),
        day_of(DAYS[2], {"ESH4": 10, "ESM4": 90}, gap=215),
    )
    assert made.select("symbol", "volume", "share_frac", "runner_up", "rolled_from").rows() == [
        ("ESH4", 800, 0.8, "ESM4", None),
        ("ESM4", 550, 0.55, "ESH4", "ESH4"),
        ("ESM4", 900, 0.9, "ESH4", None),
    ]
    rolled = made.row(1, named=True)
    assert rolled["gap_ticks"] == 212
    ratios = sorted((19_212 + 3 * i) / (19_000 + 3 * i) for i in range(10))
    assert rolled["price_ratio"] == (ratios[4] + ratios[5]) / 2
    evidence = "10 minutes of regular hours of 2024-03-12 in which both traded"
    assert rolled["gap_evidence"] == evidence
    assert rolled["known_at"] == datetime.fromtimestamp(at(DAYS[1], 17) / 1e9, tz=UTC)


def test_many_small_rows_do_not_outvote_contracts() -> None:
    many = [minute("ESH4", at(DAYS[0], 10, i), 19_000, 1) for i in range(50)]
    few = [minute("ESM4", at(DAYS[0], 10), 19_200, 51)]
    assert rolls(many, few)["symbol"].to_list() == ["ESM4"]


def test_regular_hours_decide_where_they_have_trades() -> None:
    night = day_of(DAYS[0], {"ESM4": 900}, regular=False)
    made = rolls(
        [*night, *day_of(DAYS[0], {"ESH4": 5})], day_of(DAYS[1], {"ESM4": 7}, regular=False)
    )
    assert made.select("symbol", "hours", "volume").rows() == [
        ("ESH4", "regular", 50),
        ("ESM4", "all", 70),
    ]
    assert made["runner_up"].to_list() == [None, None]


def test_a_product_never_rolls_back() -> None:
    made = rolls(
        day_of(DAYS[0], {"ESM4": 60, "ESH4": 40}),
        day_of(DAYS[1], {"ESH4": 90, "ESM4": 10}),
        day_of(DAYS[2], {"ESH4": 90}),
        day_of(DAYS[3], {"ESM4": 1, "ESU4": 2}),
    )
    assert made.select("session", "symbol", "runner_up").rows() == [
        (DAYS[0], "ESM4", "ESH4"),
        (DAYS[1], "ESM4", "ESH4"),
        (DAYS[3], "ESU4", "ESM4"),
    ]
    assert made["share_frac"][1] == 0.1


def test_the_turn_of_a_decade_is_later() -> None:
    days = [date(2019, 12, 12), date(2019, 12, 13)]
    made = rolls(
        day_of(days[0], {"ESZ9": 60, "ESH0": 40}),
        day_of(days[1], {"ESZ9": 40, "ESH0": 60}),
        symbols=("ESZ9", "ESH0"),
    )
    assert made["symbol"].to_list() == ["ESZ9", "ESH0"]


def test_a_gap_without_common_minutes_is_unknown_and_says_why() -> None:
    only = [day_of(DAYS[0], {"ESH4": 9}), day_of(DAYS[1], {"ESM4": 9})]
    row = rolls(*only).row(1, named=True)
    assert (row["gap_ticks"], row["price_ratio"]) == (None, None)
    assert row["gap_evidence"] == (
        "no minute of 2024-03-12 or 2024-03-11 in which both ESH4 and ESM4 traded"
    )
    before = day_of(DAYS[0], {"ESH4": 9, "ESM4": 1}, gap=77)
    row = rolls(before, only[1]).row(1, named=True)
    assert row["gap_ticks"] == 77
    steps = [minute("ESM4", at(DAYS[1], 10, i), 190, 9, tick=0.5) for i in range(9)]
    row = rolls(only[0], [*steps, *day_of(DAYS[1], {"ESH4": 1})]).row(1, named=True)
    assert row["gap_ticks"] is None
    assert "different steps" in row["gap_evidence"]


def test_prices_below_zero_have_a_difference_and_no_ratio() -> None:
    first = day_of(DAYS[0], {"ESH4": 9})
    rows = [minute("ESM4", at(DAYS[1], 10, i), 5, 9) for i in range(9)]
    rows += [minute("ESH4", at(DAYS[1], 10, i), -37, 1) for i in range(9)]
    row = rolls(first, rows).row(1, named=True)
    assert (row["gap_ticks"], row["price_ratio"]) == (42, None)


def test_spreads_and_options_never_dominate() -> None:
    rows = pl.LazyFrame(day_of(DAYS[0], {"ESH4": 1, "ESH4-ESM4": 99}))
    table = pl.concat([contracts("ESH4"), contracts("ESH4-ESM4", kind="spread")])
    made = futures_rolls(rows, table)
    assert made.select("symbol", "share_frac").rows() == [("ESH4", 1.0)]


def test_the_recipe_reads_minutes_and_replaces_a_root_whole(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", create=True, clock=NOW)

    def run() -> int:
        targets = ["reference.futures_rolls"]
        report = build(lake, load_settings(env={}), NOW, targets)
        return next(line.built for line in report.targets if line.target == targets[0])

    land(lake, "a", trades("ESH4", [at(DAYS[0], 10)], [19_000], 5))
    assert run() == 1
    later = [trades("ESM4", [at(DAYS[1], 10)], [19_200], 5), trades("NQM4", [at(DAYS[1], 10)], [1])]
    land(lake, "b", pl.concat(later))
    assert run() == 2
    made = lake.tables.scan("reference.futures_rolls").sort("root", "session").collect()
    assert made.select("root", "symbol").rows() == [("ES", "ESH4"), ("ES", "ESM4"), ("NQ", "NQM4")]
    assert run() == 0
    assert lake.tables.rows("silver.futures_minutes") == 3
