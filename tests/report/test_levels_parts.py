"""Book grid, bins of trades, labels and steps: against plain recomputation."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.book import Changes, Events
from tapemill.errors import UnknownNameError
from tapemill.levels.trades import Trades
from tapemill.report.levels_book import book_grid, column_edges
from tapemill.report.levels_choice import choose
from tapemill.report.levels_labels import spread
from tapemill.report.levels_notes import clock_text
from tapemill.report.levels_scene import wall_ms
from tapemill.report.levels_style import HEAT, heat_stops
from tapemill.report.levels_tape import tape_bins, wider
from tapemill.report.levels_zones import ZONE_SCHEMA, zones_of

SECOND = 10**9
BID, ASK = ord("B"), ord("A")


def stream(seed, count=400, span=120):
    """A feed of random changes, one or two a record; bids below 100, asks above."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(0, span * SECOND, count))
    many = rng.integers(0, 3, count)
    total = int(many.sum())
    side = rng.choice([BID, ASK], total)
    away = rng.integers(1, 30, total)
    size = np.where(rng.random(total) < 0.4, 0, rng.integers(1, 500, total))
    changes = Changes(
        side.astype(np.int8),
        np.where(side == BID, 100 - away, 100 + away).astype(np.int32),
        size.astype(np.int32),
        (size > 0).astype(np.int32),
        np.ones(total, np.int8),
        np.zeros(total, np.int32),
    )
    return events_at(times, np.concatenate([[0], np.cumsum(many)])), changes


def events_at(times, first_change):
    nothing = np.zeros(len(times), np.int64)
    columns = [nothing] * 13
    columns[1], columns[2] = times, np.arange(len(times))
    return Events(*columns, first_change.astype(np.int64))


def cut(events, changes, places):
    for begin, end in zip([0, *places], [*places, len(events.ts_gateway)], strict=True):
        first = events.first_change[begin : end + 1]
        yield (
            Events(*[column[begin:end] for column in events[:-1]], first - first[0]),
            Changes(*[column[first[0] : first[-1]] for column in changes]),
        )


def looked_at(events, changes, moment):
    """What rests just before `moment`, by a dictionary; None before the first record."""
    book = {}
    seen = False
    for i, at in enumerate(events.ts_gateway.tolist()):
        if at >= moment:
            break
        seen = True
        for m in range(events.first_change[i], events.first_change[i + 1]):
            key = (int(changes.side[m]), int(changes.price[m]))
            book[key] = int(changes.size[m])
            if not book[key]:
                del book[key]
    return book if seen else None


@pytest.mark.parametrize("rows", [200, 15])
def test_each_column_shows_the_book_at_its_end(rows):
    events, changes = stream(3)
    edges = column_edges(0, 120 * SECOND, 30)
    grid = book_grid([(events, changes)], edges, 75, 125, 300, rows)
    assert grid.size.shape[0] <= rows
    assert grid.records == 400
    for column in range(28):
        book = looked_at(events, changes, edges[column + 1])
        expected = np.zeros(grid.size.shape[0], np.int64)
        for (_, price), size in book.items():
            if 75 <= price < 75 + len(expected) * grid.step_ticks:
                row = (price - 75) // grid.step_ticks
                expected[row] = max(expected[row], size)
        assert grid.size[:, column].tolist() == expected.tolist()
        bids = [price for side, price in book if side == BID]
        asks = [price for side, price in book if side == ASK]
        assert grid.bid[column] == max(bids)
        assert grid.ask[column] == min(asks)
    assert grid.size.any()


@given(st.integers(0, 50), st.lists(st.integers(0, 400), max_size=12))
def test_the_grid_does_not_depend_on_the_chunks(seed, places):
    events, changes = stream(seed)
    edges = column_edges(0, 120 * SECOND, 40)
    whole = book_grid([(events, changes)], edges, 80, 120, 2)
    parts = book_grid(cut(events, changes, sorted(places)), edges, 80, 120, 2)
    assert np.array_equal(whole.size, parts.size)
    assert np.array_equal(whole.bid, parts.bid, equal_nan=True)
    assert whole.gaps == parts.gaps


def test_a_silence_is_a_hole_and_not_a_book_that_stands():
    events, changes = stream(5)
    times = events.ts_gateway.copy()
    half = len(times) // 2
    times[half:] += 400 * SECOND
    moved = events._replace(ts_gateway=times)
    grid = book_grid([(moved, changes)], column_edges(0, 520 * SECOND, 520), 75, 125, 300)
    assert grid.gaps == ((int(times[half - 1]), int(times[half])),)
    silent = (grid.edges_ns[:-1] > times[half - 1]) & (grid.edges_ns[1:] <= times[half])
    assert silent.sum() > 390
    assert not grid.size[:, silent].any()
    assert np.isnan(grid.bid[silent]).all()
    before = np.flatnonzero(silent)[0] - 2
    assert grid.size[:, before].any()


def made_trades(seed, count=3000, span=5000):
    rng = np.random.default_rng(seed)
    return Trades(
        np.sort(rng.integers(0, span * SECOND, count)),
        np.arange(count),
        (100 + np.cumsum(rng.integers(-1, 2, count))).astype(np.int32),
        rng.integers(1, 20, count).astype(np.int32),
        rng.choice([-1, 0, 1], count).astype(np.int8),
    )


def test_bins_hold_every_trade_of_the_stretch_once():
    trades = made_trades(1)
    start, end = 600 * SECOND, 4200 * SECOND
    tape = tape_bins(trades, start, end, 300)
    inside = (trades.ts_gateway >= start) & (trades.ts_gateway < end)
    frame = pl.DataFrame(
        {
            "at": start + (trades.ts_gateway[inside] - start) // (tape.seconds * SECOND)
            * tape.seconds * SECOND,
            "price": trades.price[inside], "size": trades.size[inside],
            "side": trades.aggressor[inside],
        }
    )  # fmt: skip
    expected = frame.group_by("at", maintain_order=True).agg(
        low=pl.col("price").min(), high=pl.col("price").max(), last=pl.col("price").last(),
        buy=pl.col("size").filter(pl.col("side") == 1).sum(),
        sell=pl.col("size").filter(pl.col("side") == -1).sum(),
        unsided=pl.col("size").filter(pl.col("side") == 0).sum(),
    )  # fmt: skip
    assert tape.at_ns.tolist() == expected["at"].to_list()
    for name in ("low", "high", "last", "buy", "sell", "unsided"):
        assert getattr(tape, name).tolist() == expected[name].to_list()
    assert len(tape.at_ns) <= 1200
    seconds, _, buy, sell = wider(tape, start, end)
    assert seconds > tape.seconds
    assert (buy.sum(), sell.sum()) == (tape.buy.sum(), tape.sell.sum())


def test_the_line_breaks_where_nothing_traded_for_longer_than_a_gap():
    trades = made_trades(2)
    later = trades.ts_gateway + np.where(np.arange(3000) >= 1500, 900 * SECOND, 0)
    tape = tape_bins(trades._replace(ts_gateway=later), 0, 5900 * SECOND, 300)
    broken = np.flatnonzero(tape.breaks)
    assert len(broken) == 1
    assert tape.at_ns[broken[0]] <= later[1500] < tape.at_ns[broken[0]] + tape.seconds * SECOND


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.floats(0.1, 5))
def test_labels_stay_in_order_apart_and_inside(wanted, gap):
    wanted.sort()
    places = spread(wanted, gap, 0.0, 100.0)
    assert all(b - a >= gap - 1e-9 for a, b in itertools.pairwise(places))
    assert places[0] >= -1e-9
    assert places[-1] <= 100 + 1e-9
    if all(b - a >= gap for a, b in itertools.pairwise(wanted)):
        assert places == pytest.approx(wanted)


def test_wall_time_is_new_yorks_in_winter_and_summer():
    winter, summer = 1_703_545_200 * SECOND, 1_719_878_400 * SECOND
    assert clock_text(winter, day=True) == "Mon 2023-12-25 18:00"
    assert clock_text(summer, seconds=True, day=True) == "Mon 2024-07-01 20:00:00"
    assert float(wall_ms(winter, winter)) == (1_703_545_200 - 5 * 3600) * 1000
    assert float(wall_ms(summer, summer)) == (1_719_878_400 - 4 * 3600) * 1000


def test_colours_of_sizes_rise_in_order_and_end_at_the_ends():
    stops = heat_stops(7.0, 400.0)
    assert [colour for _, colour in stops] == [HEAT[0], *HEAT]
    places = [place for place, _ in stops]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0.0, 1.0)
    assert places[1] == pytest.approx(7 / 400)


def test_a_zone_is_shown_only_while_a_chosen_level_stands_in_it():
    stretches = pl.DataFrame(
        [
            (1, "real", 0, 100, 5.0, 6.0),
            (1, "real", 100, 200, 5.0, 7.0),
            (2, "real", 0, 9, 1.0, 1.0),
        ],
        schema=ZONE_SCHEMA, orient="row",
    )  # fmt: skip
    levels = pl.DataFrame(
        [(1, 10, 30), (1, 30, 50), (1, 40, 45), (1, 90, 120)],
        schema={"zone": pl.Int32, "valid_from_ns": pl.Int64, "valid_to_ns": pl.Int64}, orient="row",
    )  # fmt: skip
    shown = zones_of(stretches, levels)
    assert shown.select("zone", "from_ns", "to_ns").rows() == [
        (1, 10, 50),
        (1, 90, 100),
        (1, 100, 120),
    ]


def test_a_chosen_level_brings_its_placebos_and_approaches():
    levels = pl.DataFrame(
        [
            ("VWAP", "VWAP", "real", None),
            ("ROUND_4800", "ROUND", "real", None),
            ("PLACEBO:VWAP", "VWAP", "placebo_random", "VWAP"),
            ("PLACEBO:ROUND_4800", "ROUND", "placebo_random", "ROUND_4800"),
        ],
        schema=["level_id", "kind", "family", "placebo_of"], orient="row",
    )  # fmt: skip
    episodes = pl.DataFrame(
        {
            "episode_id": ["a", "b", "c"],
            "level_ids": ["ROUND_4800+VWAP", "ROUND_4800", "PLACEBO:VWAP"],
        }
    )
    decisions = episodes.select("episode_id")
    chosen, near, after = choose(levels, episodes, decisions, ["VWAP"])
    assert chosen["level_id"].to_list() == ["VWAP", "PLACEBO:VWAP"]
    assert near["episode_id"].to_list() == after["episode_id"].to_list() == ["a", "c"]
    _, near, _ = choose(levels, episodes, decisions, ["ROUND_4800"])
    assert near["episode_id"].to_list() == ["a", "b"]
    with pytest.raises(UnknownNameError, match="no level"):
        choose(levels, episodes, decisions, ["VWAPP"])
