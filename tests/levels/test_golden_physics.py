"""Golden values of the tape that still apply, and the defect of the sweep of two contracts."""

from __future__ import annotations

import numpy as np
import pytest

from levels.book_streams import SECOND, START, Stream
from tapemill.book.events import NO_DEPTH, Changes, Events
from tapemill.levels.episodes import NO_ORDINAL, Decisions
from tapemill.levels.physics import PHYSICS_FEATURES, Physics
from tapemill.settings.declaration import LevelsSettings

TICK = 0.25
NO_CHANGES = Changes(*[np.empty(0, t) for t in (np.int8, *[np.int32] * 3, np.int8, np.int32)])


def trades(rows: list[tuple[float, float, int, str]]) -> Stream:
    """Trades of (seconds from the start, price in points, size, aggressor)."""
    n = len(rows)
    clock = np.array([START + round(at * SECOND) for at, *_ in rows])
    zero = {kind: np.zeros(n, kind) for kind in (np.int16, np.int32, np.int64)}
    events = Events(
        clock, clock, np.arange(n), np.full(n, ord("T"), np.int8),
        np.array([ord(side) for *_, side in rows], np.int8),
        np.array([round(price / TICK) for _, price, *_ in rows], np.int32),
        np.array([size for _, _, size, _ in rows], np.int32),
        zero[np.int16] + NO_DEPTH, zero[np.int64], zero[np.int16], zero[np.int16],
        zero[np.int32], zero[np.int64], np.zeros(n + 1, np.int64),
    )  # fmt: skip
    return Stream(events, NO_CHANGES)


def measured(rows: list[tuple[float, float, int, str]], price: float, at: float) -> dict:
    """Features at `at` seconds of a resistance at `price`, tape of all prices near it."""
    ticks = price / TICK
    ask = Decisions(
        np.array([START + round(at * SECOND)]), np.array([NO_ORDINAL]), np.array([0]),
        np.array([0]), np.array([0]), np.array([1]), np.array([ticks]), np.array([ticks]),
        np.array([0.0]), np.array([START]),
    )  # fmt: skip
    physics = Physics(LevelsSettings())
    early = physics.advance(*trades(rows), ask, 0)
    values = np.concatenate([early.values, physics.finish().values])[0]
    names = (feature.name for feature in PHYSICS_FEATURES)
    return dict(zip(names, values.tolist(), strict=True))


def test_a1_imbalance_of_600_bought_and_250_sold() -> None:
    found = measured([(0, 6850.0, 600, "B"), (1, 6850.25, 250, "A"), (2, 6850, 9, "N")], 6850, 9)
    assert found["tape_imbalance_5s"] != found["tape_imbalance_5s"]
    found = measured(
        [(0, 6850.0, 1, "B"), (6, 6850.0, 600, "B"), (7, 6850.25, 250, "A"), (8, 6850, 9, "N")],
        6850.0,
        10,
    )
    assert found["tape_imbalance_5s"] == pytest.approx(0.41176, abs=5e-6)
    assert found["tape_pressure_5s"] == found["tape_imbalance_5s"]
    assert found["tape_buy_volume_5s"] == 600
    assert found["tape_trade_size_5s"] == 425


def test_a3_velocity_of_a_quarter_point_a_second() -> None:
    rows = [(0, 6850.0, 1, "N")]
    rows += [(10 + step, 6850.0 + 0.25 * step, 1, "B") for step in range(5)]
    found = measured(rows, 6851.0, 15)
    assert found["tape_velocity_5s"] * TICK == pytest.approx(0.25, rel=1e-12)
    assert found["tape_acceleration_5s"] == pytest.approx(0.0, abs=1e-12)


def test_trades_of_one_moment_have_no_velocity() -> None:
    rows = [(0, 6850.0, 1, "N"), (10, 6850.0, 1, "B"), (10, 6851.0, 1, "B")]
    assert np.isnan(measured(rows, 6851.0, 12)["tape_velocity_5s"])


def burst(size: int, usual: int) -> dict:
    """A minute of trades of `usual` contracts a second, then `size` in two prints."""
    rows = [(second + 0.5, 6850.0, usual, "BA"[second % 2]) for second in range(60)]
    rows += [(65.0, 6850.0, size - size // 2, "B"), (65.05, 6850.25, size // 2, "B")]
    return measured(rows, 6850.0, 66.0)


@pytest.mark.parametrize("usual", [1, 2, 50])
def test_a21_two_contracts_are_no_sweep_whatever_they_are_worth(usual: int) -> None:
    """By worth in dollars they were one: 2 · 6850 · 50 = 685,000 ≥ 500,000."""
    assert burst(2, usual)["tape_sweeps_5s"] == 0


@pytest.mark.parametrize("usual", [1, 7, 50])
def test_a_sweep_is_measured_by_what_usually_trades(usual: int) -> None:
    assert burst(10 * usual - 1, usual)["tape_sweeps_5s"] == 0
    found = burst(10 * usual + 1, usual)
    assert found["tape_sweeps_5s"] == 1
    assert found["tape_sweep_multiple_5s"] == pytest.approx(10 + 1 / usual)
    assert found["tape_sweep_pressure_5s"] == pytest.approx(10 + 1 / usual)


def test_one_print_is_no_sweep_however_large() -> None:
    rows = [(second + 0.5, 6850.0, 2, "BA"[second % 2]) for second in range(60)]
    rows.append((65.0, 6850.0, 900, "B"))
    assert measured(rows, 6850.0, 66.0)["tape_sweeps_5s"] == 0
    assert measured([*rows, (65.2, 6850.0, 1, "A")], 6850.0, 66.0)["tape_sweeps_5s"] == 0


def test_what_is_not_known_yet_is_null_and_not_zero() -> None:
    rows = [(second + 0.5, 6850.0, 3, "B") for second in range(20)]
    found = measured(rows, 6850.0, 20)
    assert np.isnan(found["tape_sweeps_5s"])
    assert np.isnan(found["tape_large_share_5s"])
    assert np.isnan(found["tape_buy_volume_60s"])
    assert found["tape_buy_volume_15s"] == 45
    assert np.isnan(found["spread_ticks"]) and np.isnan(found["ofi_1_15s"])


def test_a_silent_feed_says_nothing_about_now() -> None:
    rows = [(second + 0.5, 6850.0, 3, "B") for second in range(20)]
    quiet = LevelsSettings().gap_seconds
    known = measured(rows, 6850.0, 19.5 + quiet)
    assert known["tape_buy_volume_240s"] == 0
    assert all(np.isnan(value) for value in measured(rows, 6850.0, 19.6 + quiet).values())
