"""Paths of levels as steps: clipped to the session, and thinned to moves that matter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tapemill.errors import ContractError
from tapemill.levels.inputs import MINUTE_NS
from tapemill.levels.kinds import FloatArray, IntArray, LevelPath

__all__ = ["LEAST_MOVE_TICKS", "Steps", "clipped", "steps_of", "thinned"]

LEAST_MOVE_TICKS = 0.5
"""A moving level takes a new step once it is so far from the one before: half a tick moves no
trade from one side of it to the other."""


class Steps(NamedTuple):
    """Steps of several levels, sorted by (at_ns, level).

    Parameters
    ----------
    level : ndarray of int64
        Index of the level.
    at_ns : ndarray of int64
        From when it stood there, ns UTC.
    ticks, error_ticks : ndarray of float64
        Price (NaN: gone) and half width of its 95 % band.
    """

    level: IntArray
    at_ns: IntArray
    ticks: FloatArray
    error_ticks: FloatArray


def clipped(
    path: LevelPath, open_ns: int, close_ns: int, as_of_ns: int | None, lag_ns: int = 0
) -> LevelPath:
    """The path inside a session, its steps at the moments when minutes have finished.

    What stood at the open begins there; nothing begins at the close. A step between two such
    moments (a settlement's publication, a time in the user's file) waits for the next: whoever
    walks the session takes in levels once a minute, live as in batch.
    """
    if not bool((np.diff(path.at_ns) >= 0).all()):
        raise ContractError(
            f"the steps of level {path.level_id} go back in time",
            next_step="give the path of the kind in ascending order",
        )
    finished = -((lag_ns - path.at_ns) // MINUTE_NS) * MINUTE_NS + lag_ns
    at = np.where(path.at_ns <= open_ns, open_ns, finished)
    end = close_ns if as_of_ns is None else min(close_ns, as_of_ns + 1)
    # Of several steps at one moment only the last one is ever seen.
    keep = (at < end) & np.append(at[1:] != at[:-1], True)
    error = path.error_ticks
    return path._replace(
        at_ns=at[keep],
        ticks=path.ticks[keep],
        error_ticks=None if error is None else error[keep],
    )


def thinned(ticks: FloatArray, error_ticks: FloatArray) -> IntArray:
    """Indices of the steps that are kept.

    The first one, each beginning and end, and each that lies `LEAST_MOVE_TICKS` or more from the
    last one kept, in price or in error.
    """
    kept: list[int] = []
    price = band = np.nan
    for index, (new, error) in enumerate(zip(ticks.tolist(), error_ticks.tolist(), strict=True)):
        gone, was_gone = new != new, price != price
        if gone and was_gone:
            continue
        moved = abs(new - price) >= LEAST_MOVE_TICKS or abs(error - band) >= LEAST_MOVE_TICKS
        if moved or gone or was_gone:
            kept.append(index)
            price, band = new, error
    return np.array(kept, np.int64)


def steps_of(
    paths: Iterable[LevelPath],
    open_ns: int,
    close_ns: int,
    as_of_ns: int | None,
    lag_ns: int = 0,
) -> tuple[Sequence[LevelPath], Steps]:
    """Paths that stand at some moment of the session, and their steps.

    Parameters
    ----------
    paths : iterable of LevelPath
        As the kinds gave them.
    open_ns, close_ns : int
        Bounds of the session, ns UTC.
    as_of_ns : int or None
        Steps after it are left out.
    lag_ns : int
        How long after its end a minute counts as finished.

    Returns
    -------
    tuple
        The paths with a step left, and :class:`Steps` whose `level` counts them.

    Raises
    ------
    ContractError
        A path goes back in time.
    """
    standing: list[LevelPath] = []
    for path in paths:
        inside = clipped(path, open_ns, close_ns, as_of_ns, lag_ns)
        error = inside.error_ticks
        error = np.zeros(len(inside.ticks)) if error is None else error
        kept = thinned(inside.ticks, error)
        if len(kept):
            standing.append(
                inside._replace(
                    at_ns=inside.at_ns[kept], ticks=inside.ticks[kept], error_ticks=error[kept]
                )
            )
    counts = [len(path.at_ns) for path in standing]
    level = np.repeat(np.arange(len(standing), dtype=np.int64), counts)
    nothing = np.empty(0)
    at = np.concatenate([nothing.astype(np.int64), *(path.at_ns for path in standing)])
    ticks = np.concatenate([nothing, *(path.ticks for path in standing)])
    errors = [path.error_ticks for path in standing if path.error_ticks is not None]
    error = np.concatenate([nothing, *errors])
    order = np.lexsort((level, at))
    return standing, Steps(level[order], at[order], ticks[order], error[order])
