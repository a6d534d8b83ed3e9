"""Zones: levels that stand so near to each other that price cannot tell them apart.

Real levels: neighbours in price whose gap is within the merging distance (ticks, or multiples of
the volatility known then) share a zone; once together they part only when the gap exceeds it by
half, so that a moving average that grazes another level does not make and unmake a zone each
minute. A zone has the number of its oldest level. Everything depends on the past alone.

Placebos never merge, neither with real levels nor with each other. A placebo's zone is as wide as
the zone of the level that it matches: that zone's edges, moved by the offset of the placebo. Real
levels crowd more than random prices do; merged by the same rule placebo zones would be narrower,
and narrower zones are touched less.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.errors import ContractError
from tapemill.levels.kinds import FloatArray, IntArray
from tapemill.levels.moving import Steps
from tapemill.levels.zones_kernel import sweep, zone_edges
from tapemill.settings.declaration import LevelsSettings

__all__ = ["Standing", "ZoneRows", "merge_distance", "standing_rows", "zone_rows"]

_HOLD = 1.5
"""Levels of one zone part when their gap exceeds the merging distance so many times."""


class ZoneRows(NamedTuple):
    """Edges of zones, sorted by (at_ns, zone): from ``at_ns`` on the zone spans [low, high] ticks.

    NaN: from then on the zone is gone.
    """

    at_ns: IntArray
    zone: npt.NDArray[np.int32]
    low: FloatArray
    high: FloatArray


class Standing(NamedTuple):
    """Times over which levels stood at one price in one zone; sorted by (level, begin_ns)."""

    level: IntArray
    begin_ns: IntArray
    end_ns: IntArray
    ticks: FloatArray
    error_ticks: FloatArray
    zone: IntArray


def merge_distance(sigma: FloatArray, settings: LevelsSettings) -> FloatArray:
    """Ticks within which levels share a zone; an unknown volatility (NaN) counts as none."""
    wanted = settings.merge_sigma * np.nan_to_num(sigma)
    merged: FloatArray = np.maximum(wanted, float(settings.merge_min_ticks))
    return merged


def standing_rows(steps: Steps, merge: FloatArray, number: IntArray, close_ns: int) -> Standing:
    """Put the steps of real levels into zones.

    Parameters
    ----------
    steps : Steps
        Sorted by time.
    merge : ndarray of float64
        Merging distance at each step, ticks.
    number : ndarray of int64, shape (levels,)
        Number of each level, from 1, older levels first.
    close_ns : int
        End of the last row of each level.

    Returns
    -------
    Standing
        A new row for each move and each change of zone.
    """
    at, level, ticks, error, zone = sweep(
        steps.level, steps.at_ns, steps.ticks, steps.error_ticks, merge, number, _HOLD
    )
    order = np.lexsort((at, level))
    at, level = at[order], level[order]
    ticks, error, zone = ticks[order], error[order], zone[order]
    end = np.full(len(at), close_ns, np.int64)
    follows = level[1:] == level[:-1]
    end[:-1][follows] = at[1:][follows]
    stands = zone > 0
    columns = (level, at, end, ticks, error, zone)
    return Standing(*(column[stands] for column in columns))


def zone_rows(levels: pl.DataFrame) -> ZoneRows:
    """Edges of all zones of a session, real and placebo.

    Parameters
    ----------
    levels : pl.DataFrame
        Rows of ``gold.levels`` of one symbol and session.

    Returns
    -------
    ZoneRows

    Raises
    ------
    ContractError
        A placebo without the row of the level that it matches.
    """
    rows = levels.with_columns(
        low=pl.col("price_ticks") - pl.col("error_ticks"),
        high=pl.col("price_ticks") + pl.col("error_ticks"),
    )
    real = rows.filter(pl.col("family") == "real").sort("zone", "valid_from_ns", "level_id")
    edges = _edges(
        real["zone"].cast(pl.Int64).to_numpy(),
        real["valid_from_ns"].to_numpy(),
        real["valid_to_ns"].to_numpy(),
        real["low"].to_numpy(),
        real["high"].to_numpy(),
    )
    matched = _matched(rows, real)
    parts = (edges, _moved(matched, edges))
    zone, at, low, high = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((zone, at))
    return ZoneRows(at[order], zone[order].astype(np.int32), low[order], high[order])


_Edges = tuple[IntArray, IntArray, FloatArray, FloatArray]


def _edges(
    zone: IntArray, begin: IntArray, end: IntArray, low: FloatArray, high: FloatArray
) -> _Edges:
    found: _Edges = zone_edges(zone, begin, end, low, high)
    return found


def _matched(rows: pl.DataFrame, real: pl.DataFrame) -> pl.DataFrame:
    """Placebo rows with the zone and price of the real row of the same time."""
    placebo = rows.filter(pl.col("family") != "real")
    matched = placebo.join(
        real.select("level_id", "valid_from_ns", real_zone="zone", real_ticks="price_ticks"),
        left_on=["placebo_of", "valid_from_ns"],
        right_on=["level_id", "valid_from_ns"],
        how="left",
    )
    lost = matched.filter(pl.col("real_zone").is_null())
    if not lost.is_empty():
        raise ContractError(
            f"placebo {lost['level_id'][0]} stands without its level {lost['placebo_of'][0]}",
            where=f"gold.levels, from {lost['valid_from_ns'][0]} ns",
            next_step="read the real levels of the session together with the placebos",
        )
    return matched.sort("zone", "valid_from_ns")


def _moved(matched: pl.DataFrame, edges: _Edges) -> _Edges:
    """Edges of the placebos' zones: those of the matched zones, moved by the offsets."""
    real_zone, real_at, real_low, real_high = edges
    zone = matched["zone"].cast(pl.Int64).to_numpy()
    begin = matched["valid_from_ns"].to_numpy()
    end = matched["valid_to_ns"].to_numpy()
    of = matched["real_zone"].cast(pl.Int64).to_numpy()
    offset = (matched["price_ticks"] - matched["real_ticks"]).to_numpy()
    if not len(zone):
        return zone, begin, offset, offset
    first = _last_at_or_before(real_zone, real_at, of, begin)
    last = _last_at_or_before(real_zone, real_at, of, end - 1)
    counts = last - first + 1
    row = np.repeat(np.arange(len(zone)), counts)
    which = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    at = np.maximum(real_at[which], begin[row])
    ends = np.append((zone[1:] != zone[:-1]) | (begin[1:] != end[:-1]), True)
    nothing = np.full(int(ends.sum()), np.nan)
    every_zone = np.concatenate((zone[row], zone[ends]))
    every_at = np.concatenate((at, end[ends]))
    low = np.concatenate((real_low[which] + offset[row], nothing))
    high = np.concatenate((real_high[which] + offset[row], nothing))
    order = np.lexsort((every_at, every_zone))
    every_zone, every_at, low, high = (
        column[order] for column in (every_zone, every_at, low, high)
    )
    new = np.append(True, every_zone[1:] != every_zone[:-1])
    new[1:] |= np.isnan(low[1:]) != np.isnan(low[:-1])
    new[1:] |= ~np.isnan(low[1:]) & ((low[1:] != low[:-1]) | (high[1:] != high[:-1]))
    return every_zone[new], every_at[new], low[new], high[new]


def _last_at_or_before(
    zones: IntArray, moments: IntArray, zone: IntArray, moment: IntArray
) -> IntArray:
    """Index of the last of (`zones`, `moments`), sorted, with that zone and not after `moment`."""
    order = np.lexsort(
        (
            np.concatenate((np.zeros(len(zones)), np.ones(len(zone)))),
            np.concatenate((moments, moment)),
            np.concatenate((zones, zone)),
        )
    )
    asked = order >= len(zones)
    before = np.cumsum(~asked) - 1
    found = np.empty(len(zone), np.int64)
    found[order[asked] - len(zones)] = before[asked]
    return found
