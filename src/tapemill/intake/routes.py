"""Which calls would fill which cells: pure arithmetic over the ledger's holes.

A page of minute bars holds 50,000 base minutes, so at 960 extended minutes a session one call fills
52 sessions of one symbol. A daily range fills any number of sessions of one symbol; a grouped call
fills one session of all symbols. The cheaper mix of these wins, by number of calls.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt

__all__ = ["BARS_PER_PAGE", "MINUTES_PER_SESSION", "SESSIONS_PER_PAGE", "Block", "cover", "spans"]

BARS_PER_PAGE = 50_000
MINUTES_PER_SESSION = 960
SESSIONS_PER_PAGE = BARS_PER_PAGE // MINUTES_PER_SESSION

BoolMatrix = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """Cells that one task fills.

    Parameters
    ----------
    symbol : str
        ``"*"`` for the whole market.
    sessions : tuple of date
        Pending sessions, ascending; the request spans from the first to the last.
    """

    symbol: str
    sessions: tuple[date, ...]


def spans(
    pending: npt.NDArray[np.bool_], sessions: Sequence[date], longest: int
) -> list[tuple[date, ...]]:
    """Fewest ranges of at most `longest` sessions that hold every pending one.

    Parameters
    ----------
    pending : ndarray of bool, shape (sessions,)
    sessions : sequence of date
        Consecutive sessions, ascending.
    longest : int
        Sessions that one range may span, complete ones in between included.
    """
    found: list[tuple[date, ...]] = []
    open_places = np.flatnonzero(pending)
    while open_places.size:
        inside = open_places < open_places[0] + longest
        found.append(tuple(sessions[place] for place in open_places[inside]))
        open_places = open_places[~inside]
    return found


def cover(
    pending: BoolMatrix, symbols: Sequence[str], sessions: Sequence[date]
) -> tuple[list[date], list[Block]]:
    """The cheapest mix of grouped sessions and per-symbol ranges.

    Parameters
    ----------
    pending : ndarray of bool, shape (symbols, sessions)
    symbols, sessions : sequence

    Returns
    -------
    grouped : list of date
        Sessions to ask for the whole market.
    ranges : list of Block
        Symbols to ask for over a range.

    Notes
    -----
    Sessions are taken over by grouped calls in the order of their open cells; of all such cuts the
    one with the fewest calls wins, grouped calls first on equal terms. Both pure routes are among
    the cuts, so the result is never dearer than either.
    """
    open_cells = pending.sum(axis=0)
    order = [int(place) for place in np.argsort(-open_cells, kind="stable") if open_cells[place]]
    rest = pending.sum(axis=1)
    best_cost, best_cut = int((rest > 0).sum()), 0
    for cut, place in enumerate(order, start=1):
        rest = rest - pending[:, place]
        cost = cut + int((rest > 0).sum())
        if cost <= best_cost:
            best_cost, best_cut = cost, cut
    grouped = sorted(order[:best_cut])
    left = pending.copy()
    left[:, grouped] = False
    ranges = [
        Block(symbols[row], tuple(sessions[place] for place in np.flatnonzero(left[row]).tolist()))
        for row in np.flatnonzero(left.any(axis=1)).tolist()
    ]
    return [sessions[place] for place in grouped], ranges
