"""Levels of other instruments: where the basis puts them, when that was known, how sure it is."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levels.minutes_made import SESSION, TICK, minutes_frame, rolling_sigma, walk_inputs
from tapemill.clock.sessions import calendar
from tapemill.errors import ContractError
from tapemill.levels.basis import BasisModel
from tapemill.levels.inputs import MINUTE_NS, LevelInputs
from tapemill.levels.projected import known_pairs, unprojected_levels
from tapemill.levels.registry import LEVEL_KINDS, build_levels
from tapemill.levels.user_levels import USER_SCHEMA
from tapemill.settings.declaration import LevelsSettings

DEFAULTS = LevelsSettings(placebos=0)
KINDS = tuple(kind for kind in LEVEL_KINDS if kind.name == "PROJECTED_USER")
GLOBEX = calendar("CMES").session(SESSION)
PRIOR = calendar("CMES").session(calendar("CMES").previous(SESSION))
DELAY = 15 * MINUTE_NS
STRIKE = 480.12
SCALE = 10.05
STEP, NOISE = 3e-6, 3e-5
"""Wandering of the planted basis a minute, and how far apart the two closes are struck."""


def user(*rows) -> pl.DataFrame:
    """Rows of symbol, price, name and optionally valid_from_ns, valid_to_ns."""
    padded = [(*row, *(0, None)[len(row) - 3 :]) for row in rows]
    return pl.DataFrame(padded, schema=USER_SCHEMA, orient="row")


def planted(seed: int, *, delay_ns: int = DELAY, priors: bool = True):
    """Inputs with a fund whose basis wanders, and the true logarithm of the ratio by minute end."""
    rng = np.random.default_rng(seed)
    spans = [PRIOR, GLOBEX] if priors else [GLOBEX]
    start = np.concatenate([np.arange(s.open_ns, s.close_ns, MINUTE_NS) for s in spans])
    gaps = np.diff(start, prepend=start[0] - MINUTE_NS) / MINUTE_NS
    truth = math.log(SCALE) + np.cumsum(rng.normal(0, STEP, len(start)) * np.sqrt(gaps))
    fund = STRIKE * np.exp(np.cumsum(rng.normal(0, 2e-4, len(start))))
    future = fund * np.exp(truth + rng.normal(0, NOISE, len(start)))
    close = np.round(future / TICK).astype(np.int64)
    own = minutes_frame(start, close + 1, close - 1, close, np.full(len(start), 9), close * 9)
    # The fund trades from 04:00 to 20:00 New York.
    traded = (start - PRIOR.open_ns) // MINUTE_NS % 1440
    traded = (traded < 120) | (traded >= 600)
    others = pl.DataFrame(
        {
            "symbol": ["SPY"] * int(traded.sum()),
            "ts_event": start[traded],
            "price": np.round(fund[traded], 2),
            "known_ns": start[traded] + MINUTE_NS + delay_ns,
        }
    )
    today = pl.col("ts_event") >= GLOBEX.open_ns
    inputs = LevelInputs.for_session(
        "ESH4",
        "ES",
        SESSION,
        TICK,
        own.filter(today),
        own.filter(~today),
        user=user(("SPY", STRIKE, "pin")),
        volatility=rolling_sigma(own),
    )
    inputs = dataclasses.replace(inputs, others=others)
    return inputs, dict(zip((start + MINUTE_NS).tolist(), truth.tolist(), strict=True))


def levels_of(inputs: LevelInputs) -> pl.DataFrame:
    """Rows of the levels themselves, without their placebos."""
    return build_levels(inputs, DEFAULTS, KINDS).filter(pl.col("family") == "real")


def test_the_band_holds_where_the_fund_drifts_and_a_fixed_multiple_misses() -> None:
    inside = total = 0
    misses = []
    for seed in range(40):
        inputs, truth = planted(seed)
        (path,) = KINDS[0].build(inputs, DEFAULTS)
        assert path.native_symbol == "SPY" and path.error_ticks is not None
        for index in range(60, len(path.at_ns) - 1, 130):
            wanted = STRIKE * math.exp(truth[int(path.at_ns[index])]) / TICK
            inside += abs(path.ticks[index] - wanted) <= path.error_ticks[index]
            total += 1
            misses.append(abs(10 * STRIKE / TICK - wanted) / path.error_ticks[index])
    assert 0.92 <= inside / total <= 0.995
    assert min(misses) > 20


def test_a_row_of_gold_says_where_it_comes_from_and_how_sure_it_is() -> None:
    inputs, truth = planted(1)
    levels = levels_of(inputs)
    assert levels["level_id"].unique().to_list() == ["PROJECTED_USER_SPY_pin"]
    assert levels["native_symbol"].unique().to_list() == ["SPY"]
    assert levels["provenance"].n_unique() == 1 and "SPY at 480.12" in levels["provenance"][0]
    assert (levels["error_ticks"] > 0).all()
    moved = pl.max_horizontal(
        pl.col("price_ticks").diff().abs(), pl.col("error_ticks").diff().abs()
    )
    assert 5 < len(levels) < 1380 and levels.select(moved.min()).item() >= 0.5
    assert (levels["valid_from_ns"] % MINUTE_NS == 0).all()
    assert (levels["valid_from_ns"][1:] == levels["valid_to_ns"][:-1]).all()
    assert levels["valid_from_ns"][0] == GLOBEX.open_ns
    assert levels["valid_to_ns"][-1] == GLOBEX.close_ns
    # While the fund is closed the band grows; its return narrows it.
    (path,) = KINDS[0].build(inputs, DEFAULTS)
    minute = (path.at_ns - GLOBEX.open_ns) // MINUTE_NS
    errors = [float(path.error_ticks[minute == one][0]) for one in (140, 600, 640)]
    assert errors[1] > 1.5 * errors[0] and errors[2] < 0.8 * errors[1]
    assert truth


def test_a_delayed_close_counts_only_when_it_was_known() -> None:
    timely, _ = planted(2, delay_ns=0, priors=False)
    late, _ = planted(2, delay_ns=DELAY, priors=False)
    # Thirty minutes in which both traded, and then the delay of the feed.
    first = {
        name: levels_of(one)["valid_from_ns"][0] for name, one in (("0", timely), ("15", late))
    }
    assert first == {
        "0": GLOBEX.open_ns + 30 * MINUTE_NS,
        "15": GLOBEX.open_ns + 45 * MINUTE_NS,
    }
    early, delayed = (next(iter(KINDS[0].build(one, DEFAULTS))) for one in (timely, late))
    # The same pairs a quarter of an hour later: the same price, less sure by then.
    assert np.array_equal(early.ticks[:60], delayed.ticks[:60])
    assert (delayed.error_ticks[:60] > 1.02 * early.error_ticks[:60]).all()


@pytest.mark.property
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 3), st.floats(0, 1), st.integers(0, 10**6))
def test_levels_known_at_a_moment_do_not_depend_on_what_comes_after(seed, part, salt) -> None:
    inputs, _ = planted(seed)
    rng = np.random.default_rng(salt)
    others = inputs.others.sample(fraction=0.9, seed=salt).sort("ts_event")
    # Late ones, and bars that are restated after a while.
    waits = rng.choice([0, 0, 0, 1, 40], len(others)) * MINUTE_NS
    others = others.with_columns(known_ns=pl.col("known_ns") + pl.Series(waits))
    again = others.sample(fraction=0.1, seed=salt).with_columns(
        pl.col("price") * 1.01, pl.col("known_ns") + 7 * MINUTE_NS
    )
    inputs = dataclasses.replace(inputs, others=pl.concat([others, again]))
    moment = GLOBEX.open_ns + int(part * (GLOBEX.close_ns - GLOBEX.open_ns))
    unknown = pl.col("known_ns") > moment
    scrambled = pl.concat(
        [
            inputs.others.filter(~unknown),
            inputs.others.filter(unknown).with_columns(pl.col("price") * 3),
        ]
    )
    later = pl.col("ts_event") + MINUTE_NS > moment
    minutes = inputs.minutes.with_columns(
        pl.when(later).then(pl.col("close_ticks") // 2).otherwise(pl.col("close_ticks"))
    )
    with_placebos = LevelsSettings(placebos=1)
    whole, cut, other = (
        build_levels(one, with_placebos, KINDS)
        for one in (
            inputs,
            inputs.known_by(moment),
            dataclasses.replace(inputs, others=scrambled, minutes=minutes),
        )
    )
    assert _known(cut, moment).equals(_known(whole, moment))
    assert _known(other, moment).equals(_known(whole, moment))
    assert cut["valid_from_ns"].max() is None or cut["valid_from_ns"].max() <= moment
    assert len(_known(whole, moment)) > 0


def _known(levels: pl.DataFrame, moment_ns: int) -> pl.DataFrame:
    end = pl.col("valid_to_ns")
    return levels.filter(pl.col("valid_from_ns") <= moment_ns).with_columns(
        valid_to_ns=pl.when(end <= moment_ns).then(end)
    )


def test_no_multiple_is_fixed_anywhere() -> None:
    """A fund of a seventh of the price, levels and all, stands at the same ticks."""
    inputs, _ = planted(3)
    split = dataclasses.replace(
        inputs,
        others=inputs.others.with_columns(pl.col("price") / 7),
        user=user(("SPY", STRIKE / 7, "pin")),
    )
    first, second = levels_of(inputs), levels_of(split)
    assert np.allclose(first["price_ticks"], second["price_ticks"], rtol=1e-9)
    assert first["valid_from_ns"].equals(second["valid_from_ns"])


def test_pairs_come_in_the_order_in_which_they_were_known() -> None:
    inputs, _ = planted(4, priors=False)
    start = GLOBEX.open_ns + MINUTE_NS * np.arange(6)
    known = start + MINUTE_NS * np.array([2, 9, 2, 2, 2, 3])
    rows = {"symbol": "SPY", "ts_event": start, "price": 480.0, "known_ns": known}
    frame = pl.DataFrame(rows).with_columns(
        price=pl.when(pl.col("ts_event") == start[3]).then(0.0).otherwise("price")
    )
    restated = frame[2:3].with_columns(price=470.0, known_ns=start[2] + 5 * MINUTE_NS)
    foreign = frame.with_columns(symbol=pl.lit("QQQ"))
    pairs = known_pairs(
        dataclasses.replace(inputs, others=pl.concat([restated, foreign, frame])), "SPY"
    )
    # The second came after the third was known, the fourth has no price above zero, and of the
    # third the first word counts.
    assert pairs["ts_event"].to_list() == start[[0, 2, 4, 5]].tolist()
    assert pairs["known_ns"].to_list() == known[[0, 2, 4, 5]].tolist()
    assert pairs["from_price"].unique().to_list() == [480.0]
    with pytest.raises(ContractError, match="order"):
        BasisModel("SPY", "ESH4").fit(pairs.with_columns(known_ns=pl.col("ts_event")))
    with pytest.raises(ContractError, match="order"):
        BasisModel("SPY", "ESH4").fit(pairs.with_columns(known_ns=pl.col("known_ns").reverse()))


def test_what_lies_more_than_ten_trade_dates_back_is_no_longer_paired() -> None:
    inputs, _ = planted(7, priors=False)
    opens = [inputs.prior_globex[-count].open_ns for count in (11, 10)]
    minute = minutes_frame(opens, [19_200] * 2, [19_200] * 2, [19_200] * 2, [1] * 2, [1] * 2)
    known = pl.col("ts_event") + MINUTE_NS
    fund = minute.select("ts_event", symbol=pl.lit("SPY"), price=pl.lit(480.0), known_ns=known)
    inputs = dataclasses.replace(inputs, history=minute, others=fund.select(inputs.others.columns))
    assert known_pairs(inputs, "SPY").rows() == [(opens[1], 480.0, 4800.0, opens[1] + MINUTE_NS)]


def test_what_cannot_be_projected_is_told_with_its_reason() -> None:
    inputs, _ = planted(5, priors=False)
    noon = GLOBEX.open_ns + 20 * MINUTE_NS
    few = inputs.others[:12].with_columns(symbol=pl.lit("IWM"))
    inputs = dataclasses.replace(
        inputs,
        others=pl.concat([inputs.others, few]),
        user=user(
            ("SPY", STRIKE, "pin"),
            ("ES", 4825.0, "own"),
            ("SPY", None, "news"),
            ("SPX", 4800.0, "wall"),
            ("IWM", 200.0, "small"),
            ("SPY", 470.0, "early", 0, noon),
            ("SPX", 4700.0, "past", 0, GLOBEX.open_ns),
            ("SPX", 4900.0, "coming", GLOBEX.close_ns),
        ),
    )
    assert [tuple(one) for one in unprojected_levels(inputs)] == [
        ("SPY", "news", "an anchor has no price to bring from SPY to ESH4"),
        ("SPX", "wall", "there are no minutes of SPX around this trade date"),
        ("IWM", "small", "IWM and ESH4 traded in 12 common minutes, the basis needs 30"),
        ("SPY", "early", "the basis of SPY and ESH4 was known only after the level's end"),
    ]
    assert levels_of(inputs)["level_id"].unique().to_list() == ["PROJECTED_USER_SPY_pin"]
    assert unprojected_levels(walk_inputs(1))[0].symbol == "NQ"
    bare = dataclasses.replace(inputs, user=pl.DataFrame())
    assert unprojected_levels(bare) == () and levels_of(bare).is_empty()


def test_a_level_stands_only_between_its_moments() -> None:
    inputs, _ = planted(6)
    begin, end = (GLOBEX.open_ns + minute * MINUTE_NS for minute in (300, 720))
    rows = levels_of(dataclasses.replace(inputs, user=user(("SPY", STRIKE, "pin", begin, end))))
    assert (rows["valid_from_ns"].min(), rows["valid_to_ns"].max()) == (begin, end)
