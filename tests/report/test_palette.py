"""Colours that colour-blind readers can tell apart."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tapemill.report.palette import STATES, rgba

# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear sRGB.
VISION = {
    "normal": np.eye(3),
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = np.array([0.95047, 1.0, 1.08883])


def seen(colour: str, vision: str) -> np.ndarray:
    """CIELAB of `colour` on white paper."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in range(1, len(colour), 2)]
    alpha = channels[3] if len(channels) == 4 else 1.0
    srgb = np.array(channels[:3]) * alpha + (1 - alpha)
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(np.asarray(VISION[vision]) @ linear, 0, 1) / WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
def test_states_stay_apart(vision):
    for one, other in itertools.combinations(STATES, 2):
        distance = np.linalg.norm(seen(one.colour, vision) - seen(other.colour, vision))
        least = 25 if {one.severity, other.severity} & {40, 60} else 10
        assert distance > least, (one.name, other.name, distance)


def test_colour_is_never_the_only_cue():
    marks = [state.mark for state in STATES if state.name not in ("green", "not_listed")]
    assert all(marks)
    assert len(set(marks)) == len(marks)


def test_rgba_keeps_transparency():
    assert rgba("#0A141E") == "rgba(10,20,30,1.000)"
    assert rgba("#0A141E80") == "rgba(10,20,30,0.502)"
