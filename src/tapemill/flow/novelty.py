"""Whether a surprise is new: sudden, persistent or ordinary, and how many evenings it has lasted.

A list that shows the same names evening after evening teaches its reader to ignore it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from tapemill.flow.panel import Matrix
from tapemill.flow.robust import IntMatrix, in_blocks

__all__ = ["BEYOND", "NOVELTIES", "RUN_CAP", "SUDDEN", "novelty"]

NOVELTIES = ("", "ordinary", "persistent", "sudden")
"""Names of the codes; the first stands for no z."""
SUDDEN = 3.0
"""|z| of a sudden surprise …"""
BEYOND = 2.0
"""… after a calm in which |z| stayed below this; runs count evenings at or beyond it."""
RUN_CAP = 60
"""Longer runs are not told apart: a row depends on this many evenings before it at most."""

_CALM = 5
_CALM_KNOWN = 3


def novelty(z: Matrix) -> tuple[npt.NDArray[np.int8], IntMatrix]:
    """Novelty and run length of each evening.

    sudden: |z| ≥ 3 and |z| < 2 on the 5 evenings before, of which at least 3 must be known.
    persistent: |z| ≥ 2 for 2 evenings or more in a row on the same side. ordinary: else.

    Parameters
    ----------
    z : ndarray
        float64, shape (evenings, symbols), consecutive sessions; NaN = none, and ends a run.

    Returns
    -------
    code : ndarray
        int8 places in :data:`NOVELTIES`.
    run_length : ndarray
        int32 evenings in a row, this one included, at |z| ≥ 2 on its side; 0 below, at most 60.
    """
    z = np.ascontiguousarray(z, dtype=np.float64)
    code = np.zeros(z.shape, dtype=np.int8)
    run = np.zeros(z.shape, dtype=np.int32)

    def work(start: int, stop: int) -> None:
        _walk(z, start, stop, code, run)

    in_blocks(z.shape[1], work, block=1024)
    return code, run


@njit(cache=True, nogil=True)
def _walk(z, start, stop, code, run):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for t in range(z.shape[0]):
        for i in range(start, stop):
            value = z[t, i]
            if value != value:
                continue
            if abs(value) >= BEYOND:
                run[t, i] = 1
                if t > 0 and abs(z[t - 1, i]) >= BEYOND and (z[t - 1, i] > 0) == (value > 0):
                    run[t, i] = min(run[t - 1, i] + 1, RUN_CAP)
            known, loudest = 0, 0.0
            for s in range(max(t - _CALM, 0), t):
                if z[s, i] == z[s, i]:
                    known += 1
                    loudest = max(loudest, abs(z[s, i]))
            if abs(value) >= SUDDEN and known >= _CALM_KNOWN and loudest < BEYOND:
                code[t, i] = 3
            elif run[t, i] >= 2:
                code[t, i] = 2
            else:
                code[t, i] = 1
