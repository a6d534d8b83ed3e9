"""Many answers, one history: which values a fact had, from when to when, and from which lane.

Answers overlap, repeat and restate. For each key the rows are put in the order in which they
reached us; a row that changes a value starts a version. The first version counts as known when the
availability rule says so (a backfill years later does not make a bar unknown in its own time); a
restatement is known from the moment its answer arrived, and so is a fact that only a second answer
about the same thing brought: the first one had not held it.

Lanes (vendors, files) are not mixed inside a group, normally a symbol's session: the best lane
reigns from its arrival on. What a weaker lane said before stays as a superseded version; what it
says beside the reigning lane is only compared with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

__all__ = ["LANE_RANKS", "lane_rank", "resolve_versions"]

LANE_RANKS = {
    "massive.rest": 0,
    "massive.flatfile": 1,
    "finra.cdn": 0,
    "finra.api": 1,
}
"""Lower is better; lanes not named here (imports) rank last."""

_IMPORT_RANK = 9
_ARRIVAL = ("ts_recv", "raw_sha256", "ordinal")


def lane_rank(source: str = "source") -> pl.Expr:
    """Rank of the lane that delivered a row, `Int8`; 0 is trusted most."""
    lane = pl.col(source).str.strip_suffix(".synthetic")
    ranks = lane.replace_strict(LANE_RANKS, default=_IMPORT_RANK, return_dtype=pl.Int8)
    return ranks.alias("lane_rank")


def resolve_versions(
    rows: pl.DataFrame,
    *,
    key: Sequence[str],
    group: Sequence[str],
    values: Sequence[str],
    compared: Sequence[str] = (),
    tolerance: float = 0.0,
    delivered: Sequence[str] = (),
) -> pl.DataFrame:
    """Turn delivered rows into versions.

    Parameters
    ----------
    rows : pl.DataFrame
        `key`, `group` and `values` columns, ``source``, ``raw_sha256``, ``ordinal``, ``ts_recv``
        and ``rule_known_at`` (when the availability rule lets the fact be known).
    key : sequence of str
        What makes a fact.
    group : sequence of str
        Inside of which lanes are not mixed; a subset of `key` or determined by it.
    values : sequence of str
        A change in any of them is a restatement. Nulls are values.
    compared : sequence of str
        Numeric columns on which lanes are compared; a difference above `tolerance` is a conflict.
    tolerance : float
        In the unit of the compared columns.
    delivered : sequence of str
        What one answer is about, normally `group`, the default: an answer that repeats rows which
        the lane gave before is a second one, and whatever else it holds came late.

    Returns
    -------
    pl.DataFrame
        The columns of `rows` plus ``version`` (Int16 from 1), ``known_at``, ``superseded_at``
        (null = current) and ``conflict`` (Boolean), sorted by `key` and version.
    """
    rows = _in_order(rows, key)
    contested = rows.select(_contested(rows, key, group)).to_series()
    if not contested.any():
        return _first_versions(rows)
    rows = _known_late(rows, rows.filter(contested), key, delivered or group)
    settled = _first_versions(rows.filter(~contested))
    resolved = _resolve(rows.filter(contested), key, group, values, compared, tolerance)
    both = pl.concat([settled, resolved.select(settled.columns)])
    return both.sort([*key, "version"], maintain_order=True)


def _in_order(rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Sort by key, unless the rows are in order already (compacted files are)."""
    later = pl.lit(value=False)
    for name in reversed(key):
        now, before = pl.col(name), pl.col(name).shift(1)
        later = (now < before) | ((now == before) & later)
    if rows.select(later.any()).item():
        return rows.sort(*key)
    return rows


def _contested(rows: pl.DataFrame, key: Sequence[str], group: Sequence[str]) -> pl.Expr:
    """Rows whose key occurs more than once, or whose group was delivered by several lanes."""
    same = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in key)
    same = same.fill_null(value=False)
    repeated = same | same.shift(-1, fill_value=False)
    if rows["source"].n_unique() < 2:
        return repeated.alias("contested")
    return (repeated | (pl.col("source").n_unique().over(*group) > 1)).alias("contested")


def _known_late(
    rows: pl.DataFrame, repeated: pl.DataFrame, key: Sequence[str], delivered: Sequence[str]
) -> pl.DataFrame:
    """Facts of second answers are not known before these arrived; pages of one answer go on."""
    answer = [*delivered, "source", "raw_sha256", "ts_recv"]
    before = pl.col("ts_recv").min().over(*key, "source")
    second = repeated.filter(pl.col("ts_recv") > before).select(answer).unique()
    if second.is_empty():
        return rows
    marked = rows.join(
        second.with_columns(_late=pl.lit(value=True)),
        on=answer,
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    late = pl.max_horizontal("rule_known_at", "ts_recv")
    return marked.with_columns(
        rule_known_at=pl.when(pl.col("_late")).then(late).otherwise("rule_known_at")
    ).drop("_late")


def _first_versions(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(
        version=pl.lit(1, dtype=pl.Int16),
        known_at=pl.col("rule_known_at"),
        superseded_at=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
        conflict=pl.lit(value=False),
    )


def _resolve(
    rows: pl.DataFrame,
    key: Sequence[str],
    group: Sequence[str],
    values: Sequence[str],
    compared: Sequence[str],
    tolerance: float,
) -> pl.DataFrame:
    rows = rows.with_columns(lane_rank())
    rows = rows.join(_reigns(rows, group), on=[*group, "lane_rank"], how="left")
    reigning = pl.col("reign").is_not_null() & (
        pl.col("reign_end").is_null() | (pl.col("ts_recv") < pl.col("reign_end"))
    )
    ordered = rows.filter(reigning).sort(*key, "reign", *_ARRIVAL)
    versions = _change_points(ordered, key, values)
    others = rows.filter(~reigning)
    if compared and not others.is_empty():
        versions = _mark_conflicts(versions, others, key, compared, tolerance)
    return versions.drop("lane_rank", "reign", "reign_start", "reign_end", "next_reign")


def _reigns(rows: pl.DataFrame, group: Sequence[str]) -> pl.DataFrame:
    """Per group and lane: the number of its reign, its start and end; null if it never reigns."""
    lanes = rows.group_by(*group, "lane_rank").agg(arrival=pl.col("ts_recv").min())
    lanes = lanes.sort(*group, "arrival", "lane_rank")
    best_before = pl.col("lane_rank").cum_min().shift(1).over(*group)
    lanes = lanes.filter((pl.col("lane_rank") < best_before).fill_null(value=True))
    return lanes.select(
        *group,
        "lane_rank",
        reign=pl.int_range(pl.len()).over(*group),
        reign_start="arrival",
        reign_end=pl.col("arrival").shift(-1).over(*group),
        next_reign=pl.col("arrival").shift(-1).over(*group),
    )


def _change_points(
    ordered: pl.DataFrame, key: Sequence[str], values: Sequence[str]
) -> pl.DataFrame:
    """Rows that start a version, with the span in which each was the truth."""
    same_key = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in key)
    changed = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in values)
    last_of_key = pl.col("reign").max().over(*key)
    # A key that the next lane does not deliver ends when that lane takes over.
    end_of_key = pl.col("next_reign").filter(pl.col("reign") == last_of_key).first().over(*key)
    marked = ordered.with_columns(key_end=end_of_key)
    kept = marked.filter(~same_key.fill_null(value=False) | changed)
    restated = pl.max_horizontal("rule_known_at", "ts_recv")
    kept = kept.with_columns(version=pl.int_range(1, pl.len() + 1, dtype=pl.Int16).over(*key))
    kept = kept.with_columns(
        known_at=pl.when((pl.col("version") == 1) & (pl.col("reign") == 0))
        .then(pl.col("rule_known_at"))
        .otherwise(restated),
    )
    return kept.with_columns(
        superseded_at=pl.coalesce(
            pl.col("known_at").shift(-1).over(*key),
            pl.when(pl.col("key_end").is_not_null()).then(
                pl.max_horizontal("rule_known_at", "key_end")
            ),
        ),
        conflict=pl.lit(value=False),
    ).drop("key_end")


def _mark_conflicts(
    versions: pl.DataFrame,
    others: pl.DataFrame,
    key: Sequence[str],
    compared: Sequence[str],
    tolerance: float,
) -> pl.DataFrame:
    """Flag versions that another lane contradicts.

    Where the contradiction arrived after the version was known, a new version with the same values
    carries the flag from then on: an earlier as-of read must not see it.
    """
    beside = others.select(*key, *compared, objected_at="ts_recv")
    differs = pl.any_horizontal(
        (pl.col(name) - pl.col(f"{name}_beside")).abs() > tolerance for name in compared
    )
    objections = (
        versions.join(beside, on=list(key), how="inner", suffix="_beside")
        .filter(differs)
        .group_by(*key, "version")
        .agg(pl.col("objected_at").min())
    )
    if objections.is_empty():
        return versions
    marked = versions.join(objections, on=[*key, "version"], how="left")
    objected = pl.max_horizontal("rule_known_at", "objected_at")
    contested = pl.col("objected_at").is_not_null()
    at_once = contested & (objected <= pl.col("known_at"))
    ended = (pl.col("superseded_at") <= objected).fill_null(value=False)
    later = contested & (objected > pl.col("known_at")) & ~ended
    repeated = marked.filter(later).with_columns(known_at=objected, conflict=pl.lit(value=True))
    marked = marked.with_columns(
        conflict=at_once, superseded_at=pl.when(later).then(objected).otherwise("superseded_at")
    )
    both = pl.concat([marked, repeated]).sort(*key, "version", "conflict")
    return both.with_columns(version=pl.int_range(1, pl.len() + 1, dtype=pl.Int16).over(*key)).drop(
        "objected_at"
    )
