"""A trade date straight from a file is what a lake makes of the same file."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tapemill.clock.injected import FixedClock
from tapemill.errors import ContractError, FileFormatError
from tapemill.intake.orders import import_orders
from tapemill.lake import Lake
from tapemill.levels import file_day as module
from tapemill.levels.day import LiveDay, cut, whole_day
from tapemill.levels.feed import open_feed, read_trades
from tapemill.levels.file_day import file_day, file_trades
from tapemill.levels.inputs import LevelInputs
from tapemill.levels.rows import DayTables
from tapemill.levels.trades import trades_of
from tapemill.settings import default_settings
from tapemill.world.dbn_writer import DbnWriter
from tapemill.world.order_book import OrderBookWorld
from tapemill.world.order_book_records import merge
from tapemill.world.order_book_spec import FuturesInstrument, OrderBookSpec
from tapemill.world.order_book_stream import midnight_ns

NOW = FixedClock(1_790_000_000 * 10**9)
DAYS = (date(2023, 12, 27), date(2023, 12, 28))
OTHER = FuturesInstrument(symbol="ESM4", instrument_id=5602, expiration=date(2024, 6, 21))
SETTINGS = default_settings()


def inputs(day: date, minutes: pl.DataFrame) -> LevelInputs:
    return LevelInputs.for_session("ESH4", "ES", day, 0.25, minutes)


@pytest.fixture(scope="module")
def no_minutes() -> pl.DataFrame:
    from tapemill.levels.arrivals import ArrivalMinutes

    return ArrivalMinutes("ESH4", DAYS[0]).frame()


@pytest.fixture(scope="module", params=["mbo", "mbp-10"])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two contracts and two trade dates in one file, as a file of a UTC day has them."""
    specs = [
        OrderBookSpec(instrument=one, trade_dates=DAYS, trades=trades, sigma_minute=sigma)
        for one, trades, sigma in ((FuturesInstrument(), 4_000, 1.0), (OTHER, 200, 0.1))
    ]
    world = OrderBookWorld(11, *specs)
    path = tmp_path_factory.mktemp("files") / f"two.{request.param}.dbn"
    blocks = [world.records(request.param, day) for day in DAYS]
    start = midnight_ns(int(blocks[0]["ts_recv"][0]))
    with DbnWriter(
        path,
        schema=request.param,
        instruments=world.instruments,
        start_ns=start,
        end_ns=start + 4 * int(timedelta(days=1).total_seconds()) * 10**9,
    ) as out:
        out.write(merge(blocks))
    return path


@pytest.fixture(scope="module")
def lake(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake.open(tmp_path_factory.mktemp("lake"), create=True, clock=NOW)
    report = import_orders(lake, SETTINGS, NOW, [file])
    assert not report.unsound
    return lake


def same(ours: DayTables, theirs: DayTables) -> None:
    for name in ("levels", "episodes", "features", "names"):
        assert_frame_equal(getattr(ours, name), getattr(theirs, name), check_exact=True)
    assert ours.end.until_ns == theirs.end.until_ns


@pytest.mark.parametrize("day", DAYS)
def test_file_gives_what_the_lake_gives(
    file: Path, lake: Lake, day: date, no_minutes: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the date begins in the middle of the file, whatever the chunks."""
    given = inputs(day, no_minutes)
    trades = read_trades(lake, "ESH4", day)
    theirs = whole_day(given, SETTINGS.levels, trades, open_feed(lake, "ESH4", day).chunks())
    assert theirs.features.height > 20
    monkeypatch.setattr(module, "_CHUNK", 4_999)
    same(file_day(file, given, SETTINGS.levels), theirs)
    for ours, other in zip(file_trades(file, given), trades, strict=True):
        assert (ours == other).all()


def test_moment_by_moment_gives_what_the_whole_gives(file: Path, no_minutes: pl.DataFrame) -> None:
    """A live date, minutes learnt on the way, against the same records known at once."""
    given = inputs(DAYS[0], no_minutes)
    two = itertools.islice(module.file_feed(file, given), 2)
    found = max(two, key=lambda part: len(part[0].ordinal))
    bounds = found[0].ts_gateway[0] + np.array([6 * 3600 * 10**9])
    first, *_ = cut(*found, bounds)
    theirs = whole_day(given, SETTINGS.levels, trades_of(first[0]), [first])
    assert theirs.features.height > 10
    live = LiveDay(given, SETTINGS.levels)
    for one in cut(*first, np.unique(first[0].ts_gateway)):
        live.advance(*one)
    same(live.finish(), theirs)


def test_what_cannot_be_right_is_refused(
    file: Path, tmp_path: Path, no_minutes: pl.DataFrame
) -> None:
    torn = tmp_path / "torn.dbn"
    torn.write_bytes(file.read_bytes()[:-100])
    given = inputs(DAYS[0], no_minutes)
    with pytest.raises(FileFormatError, match="torn"):
        file_trades(torn, given)
    with pytest.raises(ContractError, match="no multiple"):
        file_trades(file, dataclasses.replace(given, tick_size=0.4))
    with pytest.raises(ContractError, match="no multiple"):
        list(module.file_feed(file, dataclasses.replace(given, tick_size=0.4)))
