"""Continuous series: point in time, no jump where the gap was planted, raw prices kept."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from refine.futures_orders import MINUTE, at, land, trades
from tapemill.clock.injected import FixedClock
from tapemill.errors import ContractError, UsageError
from tapemill.lake import Lake
from tapemill.levels.continuous import continuous, dominant_contracts
from tapemill.refine import build
from tapemill.settings import load_settings

NOW = FixedClock(1_790_000_000 * 10**9)
DAYS = [date(2024, 3, day) for day in (11, 12, 13, 14, 15)]
SHARES = [(9, 1), (6, 4), (3, 7), (1, 9), (1, 9)]
"""Contracts a minute of ESH4 and ESM4: dominance passes on the third date, DAYS[2]."""
GAP = 212
MINUTES = 30


def path() -> np.ndarray:
    """One smooth price for all dates: steps of at most one tick from minute to minute."""
    return 19_000 + np.round(20 * np.sin(np.arange(MINUTES * len(DAYS)) / 40)).astype(int)


def contracts(day: int) -> pl.DataFrame:
    prices = path()[day * MINUTES : (day + 1) * MINUTES]
    moments = [at(DAYS[day], 10) + i * MINUTE for i in range(MINUTES)]
    return pl.concat(
        trades(symbol, moments, (prices + gap).tolist(), share)
        for symbol, gap, share in zip(("ESH4", "ESM4"), (0, GAP), SHARES[day], strict=True)
    ).sort("ts_event", maintain_order=True)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = Lake.open(tmp_path_factory.mktemp("roll") / "lake", create=True, clock=NOW)
    for day in range(len(DAYS)):
        land(made, f"day{day}", contracts(day))
    build(made, load_settings(env={}), NOW, ["reference.futures_rolls"])
    return made


def view(lake: Lake, *rest: object, last: int = 4) -> pl.DataFrame:
    return continuous(lake, "ES", DAYS[0], DAYS[last], *rest).collect()  # type: ignore[arg-type]


def test_a_date_shows_the_contract_that_led_the_date_before(lake: Lake) -> None:
    chosen = dominant_contracts(lake, "ES", DAYS[0], DAYS[4])
    assert chosen.rows() == [
        (DAYS[1], "ESH4", DAYS[0]),
        (DAYS[2], "ESH4", DAYS[1]),
        (DAYS[3], "ESM4", DAYS[2]),
        (DAYS[4], "ESM4", DAYS[3]),
    ]


def test_raw_keeps_prices_and_their_jump(lake: Lake) -> None:
    raw = view(lake)
    silver = lake.tables.scan("silver.futures_minutes").collect()
    stored = silver.join(raw.select("symbol", "session").unique(), on=["symbol", "session"])
    assert raw.select(silver.columns).equals(stored.sort("ts_event"))
    assert raw["close_ticks"].diff().abs().max() > GAP - 5


@pytest.mark.parametrize("adjust", ["difference", "ratio"])
def test_adjusted_series_have_no_jump_at_the_roll(lake: Lake, adjust: str) -> None:
    made = view(lake, adjust)
    assert made["close_ticks"].diff().abs().max() < 2
    last = made.filter(pl.col("symbol") == "ESM4")
    raw = view(lake).filter(pl.col("symbol") == "ESM4")
    assert last["close_ticks"].to_list() == raw["close_ticks"].to_list()
    before = made.filter(pl.col("symbol") == "ESH4")
    assert before.height == 2 * MINUTES
    expected = path()[MINUTES : 3 * MINUTES] + GAP
    tolerance = 0 if adjust == "difference" else 0.5
    assert np.abs(before["close_ticks"].to_numpy() - expected).max() <= tolerance
    vwap = (before["price_volume"] / before["volume"]).to_numpy()
    np.testing.assert_allclose(vwap, before["close_ticks"].to_numpy(), rtol=1e-12)


def test_nothing_is_moved_before_the_roll_was_known(lake: Lake) -> None:
    evening = datetime.fromtimestamp(at(DAYS[2], 16, 59) / 1e9, tz=UTC)
    early = view(lake, "difference", evening)
    raw = view(lake, "raw", evening)
    assert early["adjustment"].unique().to_list() == [0.0]
    assert early["close_ticks"].to_list() == raw["close_ticks"].cast(pl.Float64).to_list()
    assert set(early["symbol"]) == {"ESH4"}
    assert early["session"].max() == DAYS[2]
    later = view(lake, "difference", datetime.fromtimestamp(at(DAYS[3], 12) / 1e9, tz=UTC))
    assert later.filter(pl.col("symbol") == "ESH4")["adjustment"].unique().to_list() == [GAP]


def test_what_comes_later_changes_no_earlier_view(lake: Lake) -> None:
    moment = datetime.fromtimestamp(at(DAYS[3], 12) / 1e9, tz=UTC)
    assert view(lake, "ratio", moment, last=4).equals(view(lake, "ratio", moment, last=3))


def test_an_unknown_gap_stops_adjusting_and_not_the_raw_view(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", create=True, clock=NOW)
    for day, symbol in enumerate(("ESH4", "ESM4", "ESM4")):
        land(lake, symbol + str(day), trades(symbol, [at(DAYS[day], 10)], [19_000]))
    build(lake, load_settings(env={}), NOW, ["reference.futures_rolls"])
    raw = continuous(lake, "ES", DAYS[0], DAYS[2]).collect()
    assert raw["symbol"].to_list() == ["ESH4", "ESM4"]
    assert raw["session"].to_list() == [DAYS[0], DAYS[2]]
    with pytest.raises(ContractError, match="ESH4 to ESM4 was never measured"):
        continuous(lake, "ES", DAYS[0], DAYS[2], "difference")
    continuous(lake, "ES", DAYS[2], DAYS[2], "difference")


def test_a_choice_gets_stale_and_other_products_have_none(lake: Lake) -> None:
    assert dominant_contracts(lake, "ES", date(2024, 3, 18), date(2024, 3, 29)).height == 5
    assert dominant_contracts(lake, "NQ", DAYS[0], DAYS[4]).is_empty()
    assert continuous(lake, "NQ", DAYS[0], DAYS[4], "ratio").collect().is_empty()
    with pytest.raises(UsageError, match="no adjustment"):
        continuous(lake, "ES", DAYS[0], DAYS[4], "panama")  # type: ignore[arg-type]
