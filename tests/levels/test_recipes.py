"""What gold of levels is made from: its contract, in its ticks, and again when that changes."""

from __future__ import annotations

import datetime as dt
from datetime import UTC, date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from levels.test_feed import booked, change_rows, event_rows, land_orders, orders
from refine.futures_orders import IMPORTED, QUARTER, at, definition, land, records, trades
from tapemill.clock.injected import FixedClock
from tapemill.contracts import contract
from tapemill.lake import Lake
from tapemill.levels.checks_labels import check_labels
from tapemill.levels.feed import read_feed, read_trades
from tapemill.levels.recipes import LEVEL_RECIPES
from tapemill.levels.subject import Subject, level_inputs, subjects_of
from tapemill.levels.trades import trades_of
from tapemill.refine import build
from tapemill.refine.futures_sources import order_sources
from tapemill.refine.recipe import Kitchen
from tapemill.settings import Settings, load_settings

NOW = FixedClock(1_790_000_000 * 10**9)
DAY = date(2024, 3, 7)
BEFORE = date(2024, 3, 6)
OPEN = at(DAY, 9, 30)
HALF = 2 * QUARTER


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake", create=True, clock=NOW)


@pytest.fixture(scope="module")
def chosen() -> Settings:
    return load_settings(env={})


def refined(lake: Lake, settings: Settings) -> dict[date, tuple[Subject, ...]]:
    build(lake, settings, NOW, ["reference.futures_rolls", "silver.futures_profile"])
    return subjects_of(lake, order_sources(lake))


def prints(lake: Lake, settings: Settings, target: str = "gold.levels") -> dict[str, str]:
    refined(lake, settings)
    recipe = LEVEL_RECIPES[target]
    return dict(recipe.plan(Kitchen(lake, settings), recipe.version).fingerprints)


def settle(lake: Lake, day: date, price: float, *, known: int, sha: str) -> None:
    declared = contract("bronze.databento_statistics")
    row = {
        "symbol": "ESH4", "instrument_id": 17, "dataset": "GLBX.MDP3", "ts_event": known,
        "ts_gateway": known, "stat_type": 3, "update_action": 1, "price": price,
        "ts_ref": int(dt.datetime.combine(day, dt.time(), UTC).timestamp()) * 10**9,
        "raw_sha256": sha, "ordinal": 0, "source": "databento.file",
        "stat_flags": 0, "ts_recv": IMPORTED, "known_at": IMPORTED,
    }  # fmt: skip
    known_columns = {name: kind for name, kind in declared.schema.items() if name in row}
    frame = pl.DataFrame([{name: row[name] for name in known_columns}], schema=known_columns)
    lake.tables.append(
        "bronze.databento_statistics", declared.conform(frame), writer=f"s:{sha}", sequence=1
    )


def minutes_of(day: date, price: int, count: int = 8, symbol: str = "ESH4", size: int = 1):
    moments = [at(day, 9, 30 + i) for i in range(count)]
    return trades(symbol, moments, [price + i for i in range(count)], size)


def earlier(rows: pl.DataFrame) -> pl.DataFrame:
    """The same in the night before, where no book is."""
    return rows.with_columns(pl.col("ts_event", "ts_gateway") - 10**13)


def test_trades_and_book_of_a_date_are_counted_alike(lake: Lake, chosen: Settings) -> None:
    land_orders(lake, "book", orders(3, 200, OPEN))
    finer = {"ESH4": (QUARTER // 5, "prices: divisor")}
    land(lake, "tape", earlier(minutes_of(DAY, 95_000, 3)), ticks=finer)
    (subject,) = refined(lake, chosen)[DAY]
    own = np.concatenate([trades_of(e).price for e, _ in read_feed(lake, "ESH4", DAY)])
    told = read_trades(lake, "ESH4", DAY).price
    assert told[:3].tolist() == [95_000, 95_001, 95_002]
    assert len(own) > 10
    np.testing.assert_array_equal(told[3:], own)
    assert subject.tick_size == 0.05
    assert (np.abs(own * subject.tick_size - 4750) < 20).all()


def test_history_in_other_steps_is_counted_in_those_of_the_date(
    lake: Lake, chosen: Settings
) -> None:
    land(lake, "a", minutes_of(BEFORE, 9_500), ticks={"ESH4": (HALF, "prices: divisor")})
    land_orders(lake, "book", orders(3, 60, OPEN))
    (subject,) = refined(lake, chosen)[DAY]
    inputs = level_inputs(lake, subject, chosen.levels)
    assert subject.tick_size == 0.25
    assert inputs.history["close_ticks"].to_list() == [19_000 + 2 * i for i in range(8)]
    assert inputs.history["price_volume"].to_list() == [19_000 + 2 * i for i in range(8)]
    assert inputs.profile["price_ticks"].min() == 19_000


def test_the_date_after_a_roll_looks_back_on_the_contract_that_traded(
    lake: Lake, chosen: Settings
) -> None:
    days = [date(2024, 3, 5), BEFORE]
    thick, thin = minutes_of(days[0], 19_000, size=50), minutes_of(days[0], 19_200, symbol="ESM4")
    land(lake, "a", pl.concat([thick, thin]))
    thick = minutes_of(days[1], 19_214, symbol="ESM4", size=60)
    land(lake, "b", pl.concat([minutes_of(days[1], 19_010, size=5), thick]))
    land(lake, "c", minutes_of(date(2024, 3, 4), 18_990, size=70))
    events, changes = booked(orders(3, 60, OPEN))
    land(lake, "book", event_rows(events, "ESM4"), schema="mbo", depth=change_rows(events, changes))
    (subject,) = refined(lake, chosen)[DAY]
    assert subject.symbol == "ESM4"
    history = level_inputs(lake, subject, chosen.levels).history
    found = history.group_by("session").agg(pl.col("volume").sum(), pl.col("low_ticks").min())
    # 400 contracts of ESH4 on the 5th and the 6th's 40: who will be dominant is known that night.
    assert found.sort("session").rows() == [
        (date(2024, 3, 4), 560, 18_990 + 204),
        (days[0], 400, 19_000 + 204),
        (days[1], 40, 19_010 + 204),
    ]


def test_whatever_its_levels_are_made_of_makes_a_date_stale(lake: Lake, chosen: Settings) -> None:
    land(lake, "a", minutes_of(BEFORE, 19_000))
    land_orders(lake, "book", orders(3, 60, OPEN))
    settle(lake, DAY, 4_800.0, known=at(DAY, 17), sha="0" * 64)
    first = prints(lake, chosen)
    assert set(first) == {DAY.isoformat()}
    assert prints(lake, chosen) == first
    # Of its own evening, and so of tomorrow.
    settle(lake, DAY, 4_801.0, known=at(DAY, 17) + 1, sha="1" * 64)
    land(lake, "later", minutes_of(date(2024, 3, 8), 19_000))
    assert prints(lake, chosen) == first
    settle(lake, BEFORE, 4_751.0, known=at(BEFORE, 17), sha="2" * 64)
    settled = prints(lake, chosen)
    assert settled != first
    land(lake, "early", earlier(minutes_of(DAY, 19_000, 3)))
    assert prints(lake, chosen) != settled


def test_minutes_and_profiles_each_look_back_on_as_many_dates() -> None:
    from tapemill.levels.fingerprints import past_prints

    days = [date(2024, 1, 1) + dt.timedelta(days=i) for i in range(100)]
    made = [{f"{day}": f"{what}{day}" for day in days} for what in ("minutes", "profile")]
    found = past_prints(made, days[80], 30)
    assert [one for _, one in found] == [
        f"{what}{day}" for what in ("minutes", "profile") for day in days[50:80]
    ]


def test_a_date_that_has_lost_its_contract_is_made_again_without_it(
    lake: Lake, chosen: Settings
) -> None:
    land_orders(lake, "book", orders(3, 60, OPEN))
    build(lake, chosen, NOW, ["gold.levels"], recipes={**_recipes()})
    assert lake.tables.rows("gold.levels") > 0
    # Now an earlier date tells that another contract was dominant, which has no book.
    land(lake, "a", minutes_of(BEFORE, 19_000, symbol="ESM4", size=9))
    build(lake, chosen, NOW, ["gold.levels"], recipes={**_recipes()})
    assert lake.tables.scan("gold.levels").collect().is_empty()
    again = build(lake, chosen, NOW, ["gold.levels"], recipes={**_recipes()})
    assert again.builds == 0


def test_a_date_whose_book_says_nothing_has_no_rows(lake: Lake, chosen: Settings) -> None:
    land(lake, "a", minutes_of(BEFORE, 19_000))
    other = records(trades("NQH4", [OPEN, OPEN + 10**12], [1, 2]))
    quiet = records(trades("ESH4", [at(date(2024, 3, 8), 10)], [19_000]))
    land(lake, "b", pl.concat([other, quiet]).with_columns(ordinal=pl.int_range(3)), schema="mbp-1")
    subjects = refined(lake, chosen)[DAY]
    assert "ESH4" in [subject.symbol for subject in subjects]
    build(lake, chosen, NOW, ["gold.episodes"], recipes={**_recipes()})
    rows = lake.tables.scan("gold.levels").collect()
    assert rows.filter(pl.col("symbol") == "ESH4", pl.col("session") == DAY).height
    for name in ("gold.episodes", "gold.episode_features", "gold.episode_outcomes"):
        found = lake.tables.scan(name).filter(pl.col("session") == DAY).collect()
        assert found.filter(pl.col("symbol") == "ESH4").is_empty()


def _recipes():
    from tapemill.refine.recipes import RECIPES

    return {**RECIPES, **LEVEL_RECIPES}


def test_trades_after_the_end_of_the_book_decide_no_label(lake: Lake, chosen: Settings) -> None:
    land_orders(lake, "book", orders(5, 2_400, OPEN))
    after = [OPEN + (2_401 + i) * 10**9 for i in range(1_200)]
    land(lake, "tape", trades("ESH4", after, [19_000 + i % 7 for i in range(1_200)]))
    (subject,) = refined(lake, chosen)[DAY]
    build(lake, chosen, NOW, ["gold.episodes"], recipes=_recipes())
    names = ("episodes", "episode_features", "episode_outcomes", "levels")
    gold = [lake.tables.scan(f"gold.{name}").collect() for name in names]
    assert gold[2].filter(pl.col("censored_by") == "end_of_data").height
    assert check_labels(lake, subject, *gold, chosen.levels) == []


def test_an_expired_contract_gives_way(lake: Lake, chosen: Settings) -> None:
    terms = definition("ESH4", at(BEFORE, 1), expiration_ns=at(BEFORE, 9, 45))
    lake.tables.append("bronze.databento_definitions", terms, writer="d", sequence=1)
    land(lake, "a", minutes_of(BEFORE, 19_000))
    events, changes = booked(orders(3, 60, OPEN))
    land(lake, "book", event_rows(events, "ESM4"), schema="mbo", depth=change_rows(events, changes))
    assert [one.symbol for one in refined(lake, chosen)[DAY]] == ["ESM4"]


def test_every_module_of_the_room_behind_a_trade_date_stamps_it():
    """A change of any of them must make gold stale."""
    import ast
    import importlib.util
    from pathlib import Path

    from tapemill.levels.recipes import LEVEL_RECIPES

    def imported(module):
        tree = ast.parse(Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8"))
        named = [
            node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module
        ]
        for node in named:
            if node.module == "tapemill.levels":
                yield from (f"tapemill.levels.{alias.name}" for alias in node.names)
            elif node.module.startswith("tapemill.levels."):
                yield node.module

    behind, waiting = set(), [f"tapemill.levels.{name}" for name in ("day", "labels", "subject")]
    while waiting:
        module = waiting.pop()
        if module not in behind:
            behind.add(module)
            waiting += imported(module)
    assert behind <= set(LEVEL_RECIPES["gold.episodes"].modules)
