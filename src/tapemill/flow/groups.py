"""Constituents of an index, sector or theme taken together, per evening.

The members of a session are those in force on it as known on its own evening, so that a list bought
today changes no past evening. They are weighed by dollars; where too few of them have a price, by
shares, and the row says so. A baseline never mixes the two.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.contracts import contract
from tapemill.flow.evening import as_of_column, sessions_before
from tapemill.flow.panel import Matrix
from tapemill.flow.robust import CONSISTENCY, mad_factor, prior_median_mad
from tapemill.flow.short_block import pressure_label

if TYPE_CHECKING:
    from tapemill.settings.declaration import FlowSettings

__all__ = ["COVERAGE_GATE", "group_rows"]

COVERAGE_GATE = 0.90
"""Least covered weight (or count) of a group; under it the row is thin and carries no label."""
SCALE_FLOOR = 0.01
"""Least scale in log odds, a quarter of a point of share: a frozen past must not divide by 0."""

_TABLE = "gold.flow_groups"
_GROUP = ("group", "kind")
_BREADTH_Z = 1.0


@dataclasses.dataclass(frozen=True)
class _Sums:
    """Sums over members, each float64 of shape (groups, sessions)."""

    members: Matrix
    weighed: Matrix
    weight: Matrix
    covered: Matrix
    covered_weight: Matrix
    priced: Matrix
    priced_weight: Matrix
    short: Matrix
    total: Matrix
    short_dollars: Matrix
    total_dollars: Matrix
    share: Matrix
    scored: Matrix
    above: Matrix
    below: Matrix


def group_rows(
    daily: pl.LazyFrame,
    memberships: pl.DataFrame,
    evenings: Sequence[date],
    flow: FlowSettings,
) -> pl.DataFrame:
    """Rows of ``gold.flow_groups`` for the evenings.

    Parameters
    ----------
    daily : pl.LazyFrame
        Rows of ``gold.flow_daily`` of the evenings and of the ``baseline_sessions`` before.
    memberships : pl.DataFrame
        Rows of ``reference.memberships``, every version. A member counts on sessions from
        ``valid_from`` to ``valid_to`` if its row was known on that session's evening.
    evenings : sequence of date
        Sessions, ascending.
    flow : FlowSettings

    Returns
    -------
    pl.DataFrame
        Contract ``gold.flow_groups``, one row a group with members in force and evening, sorted
        by session, group and kind.
    """
    declared = contract(_TABLE)
    if memberships.is_empty() or not evenings:
        return declared.empty()
    sessions = sessions_before(evenings, flow.baseline_sessions)
    facts = _members(daily, memberships, sessions)
    groups = memberships.select(_GROUP).unique().sort(_GROUP)
    sums = _sums(facts, groups, sessions)
    columns = _columns(sums, flow)
    wanted = np.isin(np.array(sessions, dtype="M8[D]"), np.array(evenings, dtype="M8[D]"))
    row, column = np.nonzero((sums.members > 0) & wanted)
    axis = pl.Series(sessions, dtype=pl.Date)
    made = pl.DataFrame(
        {
            **{name: groups[name].gather(row) for name in _GROUP},
            "session": axis.gather(column),
            **{name: values[row, column] for name, values in columns.items()},
        }
    ).with_columns(as_of=as_of_column(), known_at=as_of_column(), year=pl.col("session").dt.year())
    return (
        made.with_columns(pl.col(pl.Float64).fill_nan(None))
        .with_columns(_status(), pressure_label=_label(flow))
        .select(pl.col(name).cast(kind) for name, kind in declared.schema.items())
        .sort("session", *_GROUP)
    )


# -- members -------------------------------------------------------------------------------------


def _members(
    daily: pl.LazyFrame, memberships: pl.DataFrame, sessions: Sequence[date]
) -> pl.DataFrame:
    """One row a group, session and member in force, with the member's facts where it has any."""
    axis = pl.DataFrame({"session": pl.Series(sessions, dtype=pl.Date)})
    axis = axis.with_columns(evening=as_of_column())
    moment, day = pl.col("evening"), pl.col("session")
    listed = memberships.select(
        *_GROUP, "symbol", "weight_frac", "valid_from", "valid_to", "known_at", "superseded_at"
    )
    in_force = (
        listed.join(axis, how="cross")
        .filter(
            pl.col("valid_from") <= day,
            pl.col("valid_to").is_null() | (pl.col("valid_to") >= day),
            pl.col("known_at") <= moment,
            pl.col("superseded_at").is_null() | (pl.col("superseded_at") > moment),
        )
        # Stints that overlap by mistake are one membership: the one that began last.
        .sort("valid_from", "known_at")
        .unique([*_GROUP, "symbol", "session"], keep="last", maintain_order=True)
    )
    facts = (
        daily.filter(pl.col("session").is_in(list(sessions)), pl.col("has_short"))
        .select("symbol", "session", "short_volume", "total_volume", "short_z", "close")
        .collect()
    )
    joined = in_force.join(facts, on=["symbol", "session"], how="left")
    # Sums add up in this order on any machine and in any chunk.
    return joined.sort(*_GROUP, "session", "symbol")


def _sums(facts: pl.DataFrame, groups: pl.DataFrame, sessions: Sequence[date]) -> _Sums:
    down = groups.with_columns(_row=pl.int_range(pl.len(), dtype=pl.Int64))
    across = pl.DataFrame({"session": pl.Series(sessions, dtype=pl.Date)})
    across = across.with_columns(_column=pl.int_range(pl.len(), dtype=pl.Int64))
    placed = facts.join(down, on=_GROUP, how="left", maintain_order="left").join(
        across, on="session", how="left", maintain_order="left"
    )
    shape = (groups.height, len(sessions))
    cell = (placed["_row"] * shape[1] + placed["_column"]).to_numpy()

    def numbers(name: str) -> npt.NDArray[np.float64]:
        return placed[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()

    def add(values: npt.NDArray[np.float64] | npt.NDArray[np.bool_]) -> Matrix:
        # bincount adds one by one in row order: no threads, the same bits always.
        added = np.bincount(cell, weights=values.astype(np.float64), minlength=shape[0] * shape[1])
        return added.astype(np.float64).reshape(shape)

    b, d, close = numbers("short_volume"), numbers("total_volume"), numbers("close")
    z, weight = numbers("short_z"), numbers("weight_frac")
    covered = np.isfinite(b) & np.isfinite(d) & (np.nan_to_num(d) > 0)
    priced = covered & np.isfinite(close)
    # Summands that do not count are zero, also where they are unknown.
    b, d = np.where(covered, b, 0.0), np.where(covered, d, 0.0)
    dollars = np.where(priced, close, 0.0)
    scored, known = covered & np.isfinite(z), np.isfinite(weight)
    share = np.divide(b, d, out=np.zeros_like(b), where=covered)
    weight = np.nan_to_num(weight)
    return _Sums(
        members=add(np.ones(len(cell))),
        weighed=add(known),
        weight=add(weight),
        covered=add(covered),
        covered_weight=add(weight * covered),
        priced=add(priced),
        priced_weight=add(weight * priced),
        short=add(b),
        total=add(d),
        short_dollars=add(b * dollars),
        total_dollars=add(d * dollars),
        share=add(share),
        scored=add(scored),
        above=add(scored & (z > _BREADTH_Z)),
        below=add(scored & (z < -_BREADTH_Z)),
    )


# -- statistics ----------------------------------------------------------------------------------


def _columns(sums: _Sums, flow: FlowSettings) -> dict[str, npt.NDArray[Any]]:
    """Columns of the table as matrices; NaN where unknown."""
    by_weight = (sums.weighed == sums.members) & (sums.weight > 0)
    coverage = _coverage(sums, by_weight, sums.covered, sums.covered_weight)
    priced = _coverage(sums, by_weight, sums.priced, sums.priced_weight)
    # Dollars where enough members have a price, or all have one that are there at all.
    dollar = (priced >= COVERAGE_GATE) | ((sums.priced > 0) & (sums.priced == sums.covered))
    used = np.where(dollar, priced, coverage)
    dollar_share = _ratio(sums.short_dollars, sums.total_dollars)
    share = _ratio(sums.short, sums.total)
    equal = _ratio(sums.share, sums.covered)
    dollar_z, days = _surprise(np.where(priced >= COVERAGE_GATE, dollar_share, np.nan), flow)
    share_z, share_days = _surprise(np.where(coverage >= COVERAGE_GATE, share, np.nan), flow)
    equal_z, _ = _surprise(np.where(coverage >= COVERAGE_GATE, equal, np.nan), flow)
    return {
        "members": sums.members,
        "covered": sums.covered,
        "weight_coverage_frac": used,
        "weighting": np.where(sums.covered > 0, np.where(dollar, "dollar", "share"), ""),
        "short_volume": np.where(sums.covered > 0, sums.short, np.nan),
        "total_volume": np.where(sums.covered > 0, sums.total, np.nan),
        "short_share": np.where(dollar, dollar_share, share),
        "equal_weight_share": equal,
        "short_z": np.where(dollar, dollar_z, share_z),
        "equal_weight_z": equal_z,
        "breadth": _ratio(sums.above - sums.below, sums.scored),
        "baseline_days": np.where(dollar, days, share_days),
    }


def _coverage(
    sums: _Sums, by_weight: npt.NDArray[np.bool_], count: Matrix, weight: Matrix
) -> Matrix:
    return np.where(by_weight, _ratio(weight, sums.weight), _ratio(count, sums.members))


def _ratio(top: Matrix, bottom: Matrix) -> Matrix:
    ratio = np.full(top.shape, np.nan)
    np.divide(top, bottom, out=ratio, where=bottom > 0)
    return ratio


def _surprise(share: Matrix, flow: FlowSettings) -> tuple[Matrix, npt.NDArray[np.int32]]:
    """Surprise of the logit of a share against its own prior sessions, and their number."""
    inner = (share > 0) & (share < 1)
    safe = np.where(inner, share, 0.5)
    y = np.where(inner, np.log(safe / (1.0 - safe)), np.nan)
    median, mad, days = prior_median_mad(y, flow.baseline_sessions, flow.baseline_min_days)
    scale = np.maximum(CONSISTENCY * mad_factor(days) * mad, SCALE_FLOOR)
    return (y - median) / scale, days


def _status() -> pl.Expr:
    thin = ~(pl.col("weight_coverage_frac") >= COVERAGE_GATE).fill_null(value=False)
    return (
        pl.when(thin)
        .then(pl.lit("thin"))
        .when(pl.col("short_z").is_null())
        .then(pl.lit("warming"))
        .otherwise(pl.lit("ready"))
        .alias("status")
    )


def _label(flow: FlowSettings) -> pl.Expr:
    """As a symbol's; insufficient when thin or warming."""
    thin = ~(pl.col("weight_coverage_frac") >= COVERAGE_GATE).fill_null(value=False)
    return pl.when(thin).then(pl.lit("insufficient")).otherwise(pressure_label(flow))
