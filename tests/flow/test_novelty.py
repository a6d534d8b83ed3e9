"""Sudden, persistent, ordinary, and runs, against plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from tapemill.flow.novelty import NOVELTIES, novelty


def told(values: list[float]) -> tuple[str, int]:
    code, run = novelty(np.array(values)[:, None])
    return NOVELTIES[code[-1, 0]], int(run[-1, 0])


NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0, 0, 0, 0, 3.0], ("sudden", 1)),
        ([0, 0, 0, 0, 0, -3.5], ("sudden", 1)),
        ([0, 0, 0, 0, 0, 2.9], ("ordinary", 1)),
        ([2.0, 0, 0, 0, 0, 3.0], ("ordinary", 1)),
        ([9.0, 0, 0, 0, 0, 0, 3.0], ("sudden", 1)),
        ([0, 0, 0, 0, 2.0, 3.0], ("persistent", 2)),
        ([0, 0, 0, 0, -2.5, 3.0], ("ordinary", 1)),
        ([0, 0, 0, 2.1, 2.2, 2.0], ("persistent", 3)),
        ([0, 0, 2.1, NAN, 2.2, 2.0], ("persistent", 2)),
        ([0, NAN, NAN, 0, 0, 3.0], ("sudden", 1)),
        ([NAN, NAN, NAN, 0, 0, 3.0], ("ordinary", 1)),
        ([3.0], ("ordinary", 1)),
        ([0, 0, NAN], ("", 0)),
        ([0, 1.99], ("ordinary", 0)),
        ([5.0] * 90, ("persistent", 60)),
    ],
)
def test_novelty_of_an_evening(values: list[float], expected: tuple[str, int]) -> None:
    assert told(values) == expected


def test_sixty_evenings_before_are_enough() -> None:
    draw = np.random.default_rng(1)
    z = 2.0 * draw.standard_normal((200, 30)) + 1.5
    z[:, 0] = 4.0
    code, run = novelty(z)
    for t in (90, 150, 199):
        late_code, late_run = novelty(z[t - 60 : t + 1])
        assert np.array_equal(late_code[-1], code[t])
        assert np.array_equal(late_run[-1], run[t])
