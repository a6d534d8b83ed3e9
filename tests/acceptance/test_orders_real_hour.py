"""Must show 2 on the real hour: batch is incremental, and no feature knows what comes after it."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl
import pytest
import zstandard

from acceptance.shell import Shell
from tapemill.book import OrderBook
from tapemill.book.records import MBO
from tapemill.lake import Lake
from tapemill.levels.day import LiveDay, whole_day
from tapemill.levels.feed import read_feed
from tapemill.levels.inputs import LevelInputs
from tapemill.levels.labels import label_day
from tapemill.levels.subject import level_inputs, subjects_of
from tapemill.levels.trades import Trades, trades_of
from tapemill.refine.futures_sources import order_sources
from tapemill.settings import default_settings

pytestmark = [pytest.mark.acceptance, pytest.mark.real]

DAY = dt.date(2023, 12, 26)
TICK = 250_000_000
DEFAULT = default_settings().levels
SETTINGS = msgspec.structs.replace(DEFAULT, placebos=16, sigma_minutes=5)
"""More placebos, so that the hour has more than a handful of approaches."""
TABLES = ("levels", "episodes", "features")
GOLD = {"levels": "levels", "episodes": "episodes", "features": "episode_features"}


class Made(NamedTuple):
    """A trade date as it came out."""

    tables: dict[str, pl.DataFrame]
    outcomes: pl.DataFrame


@pytest.fixture(scope="module")
def records(real_data):
    packed = real_data / "databento" / "es-real" / "esh4-20231225-a.mbo.dbn.zst"
    with packed.open("rb") as file:
        raw = zstandard.ZstdDecompressor().stream_reader(file).read()
    return np.frombuffer(raw, MBO, offset=int.from_bytes(raw[4:8], "little") + 8)


@pytest.fixture(scope="module")
def inputs():
    columns = ("ts_event", "high_ticks", "low_ticks", "close_ticks", "volume", "price_volume")
    none = pl.DataFrame(schema=dict.fromkeys(columns, pl.Int64))
    return LevelInputs.for_session("ESH4", "ES", DAY, TICK / 1e9, none)


def book(records, sizes):
    """Events and changes of records taken in pieces of the given sizes, the last one repeated."""
    reader, start = OrderBook(TICK), 0
    sizes = iter(sizes)
    size = next(sizes)
    while start < len(records):
        stop = min(start + size, len(records))
        yield reader.apply(records[start:stop], np.arange(start, stop))
        start, size = stop, next(sizes, size)


def traded(feed) -> Trades:
    return Trades(*(np.concatenate(c) for c in zip(*(trades_of(e) for e, _ in feed), strict=True)))


def finished(day, trades, inputs, settings) -> Made:
    outcomes = label_day(day, trades, settings, close_ns=inputs.globex_close_ns, tick_value=12.5)
    return Made({name: getattr(day, name) for name in TABLES}, outcomes)


def batch(records, inputs, settings=SETTINGS) -> Made:
    feed = list(book(records, [8_192]))
    trades = traded(feed)
    return finished(whole_day(inputs, settings, trades, feed), trades, inputs, settings)


@pytest.fixture(scope="module")
def hour(records, inputs):
    made = batch(records, inputs)
    assert made.tables["features"].height > 40
    return made


def live(feed, inputs, settings) -> Any:
    day = LiveDay(inputs, settings)
    for events, changes in feed:
        day.advance(events, changes)
    return day.finish()


def same(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    """Bit for bit: nulls where nulls are, and no rounding."""
    return one.schema == other.schema and one.equals(other, null_equal=True)


@pytest.mark.parametrize("sizes", ["odd", "one after another", "all"])
def test_live_gives_what_the_batch_gives_in_any_chunks(records, inputs, hour, sizes):
    rng = np.random.default_rng(5)
    pieces = {
        "odd": [997],
        # Single records where most approaches are, and anything else around them.
        "one after another": [*rng.geometric(0.003, 60), *([1] * 800), *rng.geometric(0.02, 400)],
        "all": [len(records)],
    }[sizes]
    day = live(book(records, map(int, pieces)), inputs, SETTINGS)
    made = finished(day, traded(book(records, [50_000])), inputs, SETTINGS)
    for name in TABLES:
        assert same(made.tables[name], hour.tables[name]), name
    assert same(made.outcomes, hour.outcomes)


def permuted(rest, rng):
    """Every field but the time of receipt comes from another record."""
    mixed = rest[rng.permutation(len(rest))]
    mixed["ts_recv"] = rest["ts_recv"]
    return mixed


def moved(rest, rng):
    """The market jumps and trades other sizes."""
    other = rest.copy()
    other["price"] += 60 * TICK * int(rng.choice([-1, 1]))
    other["size"] = rng.integers(1, 500, len(rest))
    return other


SCRAMBLES = {"deleted": lambda rest, _: rest[:0], "permuted": permuted, "moved": moved}


@pytest.mark.parametrize("scramble", SCRAMBLES)
def test_no_feature_depends_on_what_comes_after_its_decision(records, inputs, hour, scramble):
    rng = np.random.default_rng(17)
    features = hour.tables["features"]
    moments = features["decision_ns"].unique().sort().to_list()
    cuts = [moments[0], *sorted(rng.choice(moments[1:-1], 6, replace=False)), moments[-1]]
    differed = 0
    for cut in map(int, cuts):
        kept = int(np.searchsorted(records["ts_recv"], cut, side="right"))
        rest = SCRAMBLES[scramble](records[kept:], rng)
        made = batch(np.concatenate([records[:kept], rest]), inputs)
        # Where all is deleted nobody knows of the clock beyond the last record.
        known = min(cut, int(records["ts_recv"][kept - 1])) if scramble == "deleted" else cut
        answered = pl.col("decision_ns") <= known
        assert same(made.tables["features"].filter(answered), features.filter(answered))
        for name, moment, open_ones in (
            ("levels", "valid_from_ns", ["valid_to_ns"]),
            ("episodes", "enter_ns", ["end_ns", "end_reason", "known_at", "touch_ns", "attempt"]),
        ):
            before = [
                frame.filter(pl.col(moment) <= known).drop(open_ones)
                for frame in (made.tables[name], hour.tables[name])
            ]
            if name == "episodes":  # edges and chain are those of a touch that may come later
                before = [rows.drop("low_ticks", "high_ticks", "chain") for rows in before]
            assert same(*before), name
        resolved = (pl.col("resolved_ns") <= known) & (pl.col("outcome") != "censored")
        assert same(made.outcomes.filter(resolved), hour.outcomes.filter(resolved))
        differed += not same(made.tables["features"], features)
    assert differed >= len(cuts) - 1


def test_the_hour_in_a_lake_is_the_hour_as_it_happens(real_data, tmp_path):
    """What `build` wrote from silver is what a live feed of any chunks would have said."""
    folder = real_data / "databento" / "es-real"
    shell = Shell(tmp_path / "lake")
    files = sorted(folder.glob("esh4-*.mbo.dbn.zst"))
    shell.ok("import", "dbn", *files, folder / "futures_definition.dbn.zst")
    shell.ok("build", "gold.episodes")
    report = shell.ok("check")
    assert report["red"] == 0
    kinds = {one["kind"] for one in report["findings"]}
    assert "hour_missing" in kinds  # one hour of the evening is no trade date
    assert "gold_stale" not in kinds  # so every label was made again from trades
    lake = Lake.open(shell.lake)
    (subject,) = subjects_of(lake, order_sources(lake))[DAY]
    day = live(
        read_feed(lake, subject.symbol, DAY, chunk=1_013),
        level_inputs(lake, subject, DEFAULT),
        DEFAULT,
    )
    lake.close()
    for name, table in GOLD.items():
        stored = shell.scan(f"gold.{table}", start=DAY, end=DAY)
        assert stored.height
        assert same(getattr(day, name), stored.select(getattr(day, name).columns)), name
