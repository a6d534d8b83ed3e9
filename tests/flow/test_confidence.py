"""Confidence: bounded, monotone in evidence, nothing counted twice, reachable with FINRA alone."""

from __future__ import annotations

import itertools

import polars as pl
import pytest

from tapemill.flow.confidence import confidence

SCHEMA = {
    "pressure_score": pl.Float64,
    "baseline_days": pl.Int32,
    "directional_score": pl.Float64,
    "tape_mode": pl.String,
    "otc_status": pl.String,
    "participation_score": pl.Float64,
    "has_price": pl.Boolean,
}


def of(p=0.5, days=60, d=None, mode="none", otc="none", part=None, price=False) -> float:
    row = pl.DataFrame([(p, days, d, mode, otc, part, price)], schema=SCHEMA, orient="row")
    return row.select(confidence()).item()


def test_finra_alone_reaches_a_label_with_history_and_not_without():
    assert 0.5 <= of(days=60) < 0.52
    assert of(days=15) < 0.5


def test_a_live_row_with_everything_is_sure():
    assert of(d=0.2, mode="tick", otc="latest_known", part=0.4, price=True) > 0.95


def test_without_a_pressure_score_there_is_none():
    assert of(p=None, d=0.9, mode="tick", otc="latest_known", part=0.9, price=True) == 0.0
    assert of(days=None) == 0.0


def test_a_missing_tape_costs_its_factor_once():
    whole = of(d=0.2, mode="tick", otc="latest_known", part=0.4, price=True)
    assert of(otc="latest_known", part=0.4, price=True) == pytest.approx(0.7 * whole)


def test_missing_prices_do_not_count_against_the_week_too():
    whole = of(otc="latest_known", part=0.4, price=True)
    assert of(otc="latest_known", price=False) == pytest.approx(0.9 * whole)


def test_more_evidence_never_lowers_it():
    tape = [(None, "none"), (None, "minute"), (0.1, "minute"), (0.1, "tick")]
    week = [("none", None), ("expired", None), ("latest_known", None), ("latest_known", 0.5)]
    axes = [range(4), range(4), range(4), range(2)]
    days = [1, 15, 40, 60]
    found = {
        (i, j, k, m): of(
            days=days[i],
            d=tape[j][0],
            mode=tape[j][1],
            otc=week[k][0],
            part=week[k][1],
            price=bool(m),
        )
        for i, j, k, m in itertools.product(*axes)
    }
    for place, value in found.items():
        assert 0.0 <= value <= 1.0
        for axis in range(4):
            more = tuple(x + (n == axis) for n, x in enumerate(place))
            assert found.get(more, 1.0) >= value, (place, more)
