"""What is missing, or not out yet, makes no level: in the middle of a date as at its begin."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import polars as pl

from levels.minutes_made import SESSION, TICK, flat_minutes, walk_inputs
from levels.test_kinds import DEFAULTS, GLOBEX, at, paths_of
from tapemill.clock.eastern import eastern_ns
from tapemill.clock.sessions import calendar
from tapemill.levels.inputs import MINUTE_NS, LevelInputs
from tapemill.levels.registry import build_levels


def test_a_settlement_stands_until_a_newer_one_is_published():
    """Monday's, out at noon on Tuesday, does not take Friday's away in the night before."""
    tuesday, noon = date(2024, 1, 16), eastern_ns(date(2024, 1, 16), 12)
    published = eastern_ns(date(2024, 1, 12), 17)
    settled = pl.DataFrame(
        {
            "session": [date(2024, 1, 12), date(2024, 1, 15), date(2024, 1, 12)],
            "price": [4_800.0, 4_810.0, 4_801.0],
            "known_ns": [published, noon, noon + MINUTE_NS],
        }
    )
    opened = calendar("CMES").session(tuesday).open_ns
    made = LevelInputs.for_session(
        "ESH4", "ES", tuesday, TICK, flat_minutes(opened, [19_200]), settlements=settled
    )
    path = paths_of(made, "PRIOR_DAY_SETTLEMENT")["PRIOR_DAY_SETTLEMENT"]
    assert at(path, opened) == 19_200
    assert at(path, noon - 1) == 19_200
    assert at(path, noon) == at(path, noon + 10 * MINUTE_NS) == 19_240


def test_nothing_is_said_of_minutes_that_are_missing_in_the_middle():
    """The night's file and the day's are there, the one of the early morning is not."""
    opened, close = GLOBEX, calendar("CMES").session(SESSION).close_ns
    hole = (eastern_ns(SESSION, 2), eastern_ns(SESSION, 9, 35))
    every = walk_inputs(3)
    start = pl.col("ts_event")
    torn = dataclasses.replace(
        every,
        minutes=every.minutes.filter((start < hole[0]) | (start >= hole[1])),
        feed_start_ns=opened,
        holes=(hole,),
    )
    known = hole[0] + 5 * MINUTE_NS
    for kind in ("OVERNIGHT_HIGH", "OVERNIGHT_LOW", "GLOBEX_VWAP"):
        (path,), (whole,) = paths_of(torn, kind).values(), paths_of(every, kind).values()
        for moment in range(opened + MINUTE_NS, hole[0], 10 * MINUTE_NS):
            assert at(path, moment) == at(whole, moment)
        assert np.isnan(at(path, known))
        assert np.isnan(at(path, close))
    for kind in ("PREMARKET_HIGH", "OPENING_RANGE_15_HIGH", "INITIAL_BALANCE_LOW", "VWAP",
                 "SESSION_HIGH"):  # fmt: skip
        assert not paths_of(torn, kind)
    # Cut before the hole is known of, the levels are the same.
    parts = [build_levels(one.known_by(known - 1), DEFAULTS) for one in (torn, every)]
    early = [part.filter(pl.col("kind").is_in(["OVERNIGHT_HIGH", "GLOBEX_VWAP"])) for part in parts]
    names = ["level_id", "price_ticks", "valid_from_ns"]
    before = pl.col("valid_from_ns") <= hole[0]
    assert early[0].select(names).equals(early[1].filter(before).select(names))


def test_a_prior_day_with_a_hole_has_no_high():
    inputs = walk_inputs(3)
    (path,) = paths_of(inputs, "PRIOR_DAY_HIGH").values()
    assert np.isfinite(path.ticks[0])
    noon = eastern_ns(inputs.prior_regular[-1].session, 12)
    start = pl.col("ts_event")
    torn = inputs.history.filter((start < noon) | (start >= noon + 40 * MINUTE_NS))
    assert not paths_of(dataclasses.replace(inputs, history=torn), "PRIOR_DAY_HIGH")
