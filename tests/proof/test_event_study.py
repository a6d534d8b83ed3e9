"""Studies of worlds whose answer is known: planted drift, nulls, seasons, canaries."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

from proof.worlds import World
from tapemill.errors import UsageError
from tapemill.proof import Study, StudyParameters, event_study, judge

FAST = StudyParameters(horizons=(1, 5, 10, 20), cost_bps=5.0, draws=60)


def study_of(world: World, placed, parameters: StudyParameters = FAST, **more) -> Study:
    return event_study(world.events(*placed), world.prices(), parameters, **more)


def planted(seed: int, drift: float = 0.004, length: int = 5) -> Study:
    world = World(seed)
    placed = world.signal()
    # Thin the events: their drifts must not overlap for the truth to be simple.
    row, column, side = placed
    keep, last = [], {}
    for k in np.argsort(column, kind="stable"):
        if column[k] - last.get(row[k], -99) > 25:
            keep.append(k)
            last[row[k]] = column[k]
    placed = row[keep], column[keep], side[keep]
    world.plant(*placed, drift=drift, length=length)
    return study_of(world, placed)


def test_planted_drift_is_found_within_its_interval():
    """40 bp a day for five sessions: 200 bp at 5 sessions and after, 40 at 1."""
    within = 0
    for seed in range(10):
        study = planted(seed)
        by = {one.sessions: one for one in study.horizons}
        verdict = judge(study)
        assert verdict.outcome == "signal", verdict.words
        for horizon, truth in ((1, 0.004), (5, 0.02)):
            # Neighbours carry drift too: a fortieth of it is in the market.
            within += by[horizon].gross.low - 2e-4 <= truth <= by[horizon].gross.high + 2e-4
        assert by[5].net == pytest.approx(by[5].gross.mean - 0.001, abs=1e-15)
        assert by[5].net_low == pytest.approx(by[5].gross.low - 0.001, abs=1e-15)
    assert within >= 17


def test_a_null_is_called_a_null():
    outcomes = []
    for seed in range(60):
        world = World(1000 + seed, sessions=200)
        study = study_of(world, world.signal(), dataclasses.replace(FAST, draws=25))
        verdict = judge(study)
        outcomes.append(verdict.outcome)
        assert verdict.words.startswith("null: no horizon survives") or (
            verdict.outcome == "signal"
        )
    # 5 % split over two sides at most: two in sixty would already be many.
    assert outcomes.count("signal") <= 4
    assert outcomes.count("null") >= 56


def test_a_drift_the_wrong_way_round_is_no_signal():
    verdict = judge(planted(3, drift=-0.004))
    assert verdict.outcome == "null"
    assert "wrong way round" in verdict.words


def test_a_drift_smaller_than_its_costs_is_no_signal():
    world = World(5)
    placed = world.signal()
    world.plant(*placed, drift=0.004, length=5)
    dear = study_of(world, placed, dataclasses.replace(FAST, cost_bps=500.0))
    assert judge(dear).outcome == "null"
    assert "not beyond its costs" in judge(dear).words


def test_a_gap_overnight_is_not_earned():
    """Canary: whoever entered at the close of the event's day would earn 500 bp here."""
    world = World(6)
    row, column, side = world.signal()
    row, column, side = (x[column < 299] for x in (row, column, side))
    prices = world.prices()
    gaps = pl.DataFrame(
        {
            "symbol": [world.symbols[i] for i in row],
            "session": pl.Series([world.sessions[t + 1] for t in column], dtype=pl.Date),
            "jump": 0.05 * side,
        }
    )
    jumped = (
        prices.join(gaps, on=["symbol", "session"], how="left", maintain_order="left")
        .with_columns(level=pl.col("jump").fill_null(0.0).cum_sum().over("symbol").exp())
        .with_columns(pl.col("open", "close") * pl.col("level"))
    )
    events = world.events(row, column, side)
    study = event_study(events, jumped, dataclasses.replace(FAST, horizons=(1,)))
    plain = event_study(events, prices, dataclasses.replace(FAST, horizons=(1,)))
    assert study.horizons[0].gross.mean == pytest.approx(plain.horizons[0].gross.mean, abs=1e-12)
    assert judge(study).outcome == "null"
    # The same events, known before the open of the day after: the look ahead pays.
    close = jumped["close"].to_numpy().reshape(40, 300)
    opened = jumped["open"].to_numpy().reshape(40, 300)
    overnight = opened[row, column + 1] / close[row, column] - 1
    assert np.mean(side * overnight) > 0.045


def test_an_event_known_later_enters_later():
    world = World(7)
    row, column, side = world.signal()
    events = world.events(row, column, side)
    late = events.with_columns(pl.col("known_at") + pl.duration(hours=20))
    prices = world.prices()
    one = dataclasses.replace(FAST, horizons=(1,), draws=20)
    gross = [event_study(x, prices, one).horizons[0].gross for x in (events, late)]
    assert gross[0].mean != gross[1].mean


def test_the_future_of_prices_changes_nothing_that_is_complete():
    world = World(8)
    placed = world.signal()
    row, column, side = (x[placed[1] < 150] for x in placed)
    prices = world.prices()
    cut = prices.filter(pl.col("session") <= world.sessions[175])
    events = world.events(row, column, side)
    whole, part = (event_study(events, x, FAST) for x in (prices, cut))
    for a, b in zip(whole.horizons, part.horizons, strict=True):
        assert a.gross == b.gross and a.hit_frac == b.hit_frac


def test_names_that_rise_anyway_are_caught_by_other_dates():
    """Events choose names that always drift: the same names do as well on other dates."""
    world = World(9)
    world.moves[:5] += 0.003
    rng = np.random.default_rng(1)
    column = np.sort(rng.choice(np.arange(5, 270), 160, replace=False))
    placed = rng.integers(0, 5, 160), column, np.ones(160, dtype=int)
    study = study_of(world, placed)
    ten = study.horizons[2]
    assert ten.adjusted_p < 0.05 and ten.net_low > 0
    assert judge(study).outcome == "null"
    assert "other dates do as well" in judge(study).words


def test_a_pool_that_does_as_well_is_caught_by_other_names():
    """Every eligible name drifts after the event, not only the chosen one."""
    world = World(10, names=80)
    rng = np.random.default_rng(1)
    dates = np.arange(5, 280, 13)
    pool = np.repeat(np.arange(12), len(dates)), np.tile(dates, 12)
    world.plant(*pool, side=np.ones(len(pool[0]), dtype=int), drift=0.008, length=5)
    column = np.repeat(dates, 2)
    row = np.concatenate([rng.choice(12, 2, replace=False) for _ in dates])
    placed = row, column, np.ones(len(row), dtype=int)
    eligible = world.events(*pool, np.ones(len(pool[0]), dtype=int)).select("symbol", "session")
    five = dataclasses.replace(FAST, horizons=(5,))
    study = study_of(world, placed, five, eligible=eligible)
    assert "other names do as well" in judge(study).words
    # Against any name of the market it would have passed.
    assert judge(study_of(world, placed, five)).outcome == "signal"


def test_too_little_is_insufficient_with_counts():
    world = World(11)
    row, column, side = (x[:12] for x in world.signal())
    verdict = judge(study_of(world, (row, column, side)))
    assert verdict.outcome == "insufficient"
    assert "12 events" in verdict.words
    # Horizons that lack the same say it once.
    assert verdict.words.count("are needed") == 1
    nothing = event_study(world.events([], [], []), world.prices().clear(), FAST)
    assert judge(nothing).outcome == "insufficient"


def test_everything_is_counted():
    world = World(12)
    row, column, side = world.signal()
    events = world.events(row, column, side)
    strange = events.head(3).with_columns(symbol=pl.lit("NOPE-") + pl.col("symbol"))
    study = event_study(pl.concat([events, strange.unique("symbol")]), world.prices(), FAST)
    assert study.unknown_names == strange["symbol"].n_unique()
    twenty = study.horizons[-1]
    assert twenty.gross.events + twenty.open_events + twenty.unpriced == len(row) - study.outside
    assert twenty.open_events == int(((column + 1 > 280) & (column + 1 < 300)).sum())
    assert study.outside == int((column == 299).sum())


def test_slices_are_by_regime_side_and_tier():
    world = World(13)
    row, column, side = world.signal()
    tiers = pl.Series("tier", ["T1" if i % 2 else None for i in row], dtype=pl.String)
    study = event_study(world.events(row, column, side).with_columns(tiers), world.prices(), FAST)
    kinds = {(part.kind, part.value) for part in study.slices}
    assert {("tier", "T1"), ("tier", "unknown"), ("side", "long"), ("regime", "unknown")} <= kinds
    for kind in ("tier", "side", "regime"):
        parts = [p for p in study.slices if p.kind == kind and p.sessions == 5]
        assert sum(p.gross.events for p in parts) == study.horizons[1].gross.events


def test_a_study_is_the_same_twice_and_in_any_order():
    world = World(14)
    events, prices = world.events(*world.signal()), world.prices()
    first = event_study(events, prices, FAST)
    assert repr(event_study(events, prices.reverse(), FAST)) == repr(first)


def test_what_cannot_be_meant_is_refused():
    world = World(15)
    events, prices = world.events(*world.signal()), world.prices()
    with pytest.raises(UsageError, match="twice"):
        event_study(pl.concat([events, events.head(1)]), prices)
    with pytest.raises(UsageError, match="no side"):
        event_study(events.with_columns(side=pl.lit(0)), prices)
    with pytest.raises(UsageError, match="horizons"):
        event_study(events, prices, StudyParameters(horizons=(0, 5)))
