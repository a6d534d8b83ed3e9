"""The walk of price, trade by trade, with effects planted at levels.

Price is the best bid `b` (the ask stands at b + 1). A trade lifts the ask or hits the bid; one that
takes the whole level moves `b` by a tick. While an approach with a planted outcome runs, moves
follow the walk conditioned on it (Doob's transform of the symmetric walk: with h the distance to
the forbidden edge, P(step) = h(after) / 2h(before)), so the outcome is certain and the path stays
as random as it can be.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tapemill.world._order_flow_random import exponential, trade_size, uniform

__all__ = ["PLANT_FIELDS", "walk"]

PLANT_FIELDS = ("level", "kind", "travel", "touch", "guard", "size", "nanoseconds", "refills")
"""Columns of the kernels' int64 table of plants."""

_LEVEL, _KIND, _TRAVEL, _TOUCH, _GUARD, _SIZE, _TIME = range(7)
_NULL, _WALL, _VACUUM, _ICEBERG, _PINNING = range(5)
_OPEN, _HOLD, _BREAK, _PINNED, _FREE = range(5)
_PULLED = 5
"""Phase of a break that begins with the wall cancelled rather than eaten."""

_PERSISTENCE = 0.3
_NEARNESS = 3
_ABSORBED = 0.3
_LARGEST = 400
_PINNED_HOME = 0.8


@njit(cache=True, nogil=True)
def _stands(plant: Any) -> Any:
    """Whether the level is orders in the way, which price cannot pass while they hold."""
    return plant[_KIND] == _WALL or plant[_KIND] == _ICEBERG


@njit(cache=True, nogil=True)
def _up(bid: Any, plant: Any, direction: Any, phase: Any) -> Any:
    """Probability that the next move is up, given the approach that runs."""
    level = plant[_LEVEL]
    if phase == _PINNED:
        centre = bid + 0.5 - level
        if abs(centre) > plant[_GUARD] - 1:
            return 0.0 if centre > 0 else 1.0
        return 1.0 - _PINNED_HOME if centre > 0 else _PINNED_HOME
    if phase in (_OPEN, _FREE):
        return 0.5
    # Positions that may not be reached, seen as an approach from below (mirrored otherwise).
    at = bid - level if direction > 0 else level - bid - 1
    if phase == _HOLD:
        if _stands(plant):
            # It stands in the way; before it, price is less shy, so that it is really traded.
            room = _NEARNESS - at
            onward = 0.0 if at == -1 else (room - 1) / (2.0 * room)
        else:
            room = plant[_GUARD] - 1 - at
            onward = (room - 1) / (2.0 * room)
    else:
        room = at + plant[_GUARD]
        onward = (room + 1) / (2.0 * room)
    return onward if direction > 0 else 1.0 - onward


@njit(cache=True, nogil=True)
def _decide(luck: Any, plant: Any, probability: Any) -> Any:
    """Phase of a new approach."""
    kind = plant[_KIND]
    if kind == _NULL:
        return _OPEN
    lucky = uniform(luck) < probability
    pulled = uniform(luck) < 0.5
    if kind == _PINNING:
        return _PINNED if lucky else _FREE
    if lucky == (kind == _VACUUM):
        return _PULLED if pulled else _BREAK
    return _HOLD


@njit(cache=True, nogil=True)
def _ended(plant: Any, phase: Any, direction: Any, price: Any, elapsed: Any) -> Any:
    """Outcome once the approach is over, else 0."""
    if phase == _PINNED:
        return _PINNED if elapsed >= plant[_TIME] else 0
    gone = (price - plant[_LEVEL]) * direction
    if abs(gone) >= plant[_TRAVEL]:
        if phase == _FREE:
            return _FREE
        return _BREAK if gone > 0 else _HOLD
    return 0


@njit(cache=True, nogil=True)
def walk(
    random: Any,
    luck: Any,
    ts: Any,
    first_bid: int,
    p_move: float,
    auction: int,
    low: int,
    high: int,
    depth: int,
    plants: Any,
    probabilities: Any,
    price: Any,
    aggressor: Any,
    size: Any,
    move: Any,
    active: Any,
    phases: Any,
    truth: Any,
) -> tuple[int, int]:
    """Fill the trades; return the last best bid and the number of approaches.

    Parameters
    ----------
    random, luck : uint64, length 1
        States of the generators of the walk and of the planted outcomes.
    ts : int64, length n
        When the trades happen.
    plants, probabilities : int64 (m, 8), float64 (m,)
        As `PLANT_FIELDS`, prices in ticks.
    price, aggressor, size, move, active, phases : length n, out
        Ticks, -1/0/1, contracts, tick of the best bid moved, plant that acts after the trade (-1
        none) and its phase.
    truth : int64 (k, 6), out
        Plant, direction, touching trade, planted phase, outcome, ending trade (-1: none).
    """
    m = plants.shape[0]
    side = np.zeros(m, np.int64)  # where price was when it was last far away; 0: too near
    row = np.full(m, -1, np.int64)  # the approach that runs
    bid, acting, found, last = first_bid, -1, 0, 1
    for i in range(m):
        away = first_bid - plants[i, _LEVEL]
        if abs(away) >= plants[i, _TRAVEL]:
            side[i] = 1 if away > 0 else -1
    for k in range(ts.size):
        step = 0
        if auction and k == 0:
            aggressor[k], size[k], price[k] = 0, 20 + trade_size(random, _LARGEST), bid + 1
        else:
            moving = p_move
            if acting >= 0 and _stands(plants[acting]) and truth[row[acting], 3] == _HOLD:
                # At the wall itself trades are absorbed before price turns.
                wall = bid + 1 if truth[row[acting], 1] > 0 else bid
                moving *= _ABSORBED if wall == plants[acting, _LEVEL] else 1.0
            if uniform(random) < moving:
                chance = 0.5
                if acting >= 0:
                    r = row[acting]
                    chance = _up(bid, plants[acting], truth[r, 1], truth[r, 3])
                elif bid <= low:
                    chance = 1.0
                elif bid >= high:
                    chance = 0.0
                step = 1 if uniform(random) < chance else -1
                last = step
                size[k] = 1 + np.int64(exponential(random, depth / 3.0))
            else:
                if uniform(random) >= _PERSISTENCE:
                    last = 1 if uniform(random) < 0.5 else -1
                size[k] = trade_size(random, _LARGEST)
            aggressor[k] = last
            price[k] = bid + 1 if last > 0 else bid
            if acting >= 0 and price[k] == plants[acting, _LEVEL]:
                # What stands there draws aggressors.
                if plants[acting, _KIND] == _WALL:
                    size[k] += np.int64(exponential(random, plants[acting, _SIZE] / 25.0))
                elif plants[acting, _KIND] == _ICEBERG:
                    size[k] += np.int64(exponential(random, plants[acting, _SIZE] * 1.0))
            size[k] = min(size[k], _LARGEST)
        move[k] = step
        bid += step
        for i in range(m):
            away = price[k] - plants[i, _LEVEL]
            r = row[i]
            if r >= 0:
                outcome = _ended(
                    plants[i], truth[r, 3], truth[r, 1], price[k], ts[k] - ts[truth[r, 2]]
                )
                if outcome:
                    truth[r, 4], truth[r, 5], row[i] = outcome, k, -1
                    if acting == i:
                        acting = -1
            if row[i] < 0 and abs(away) >= plants[i, _TRAVEL]:
                side[i] = 1 if away > 0 else -1
        for i in range(m):
            near = abs(price[k] - plants[i, _LEVEL]) <= plants[i, _TOUCH]
            if near and side[i] != 0 and row[i] < 0 and (acting < 0 or plants[i, _KIND] == _NULL):
                truth[found, 0], truth[found, 1], truth[found, 2] = i, -side[i], k
                truth[found, 3] = _decide(luck, plants[i], probabilities[i])
                truth[found, 4], truth[found, 5] = _OPEN, -1
                row[i], side[i] = found, 0
                found += 1
                if plants[i, _KIND] != _NULL:
                    acting = i
        active[k] = acting
        phases[k] = truth[row[acting], 3] if acting >= 0 else 0
    return bid, found
