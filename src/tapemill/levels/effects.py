"""Outcomes of approaches as rows that a proof can judge without knowing levels."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tapemill.clock.eastern import EASTERN
from tapemill.errors import UnknownNameError, UsageError, did_you_mean

if TYPE_CHECKING:
    from tapemill.lake import Lake

__all__ = [
    "ANY_KIND",
    "LEAST_DATES",
    "OUTCOME_CHOICES",
    "OUTCOME_ROWS",
    "EffectRows",
    "effect_rows",
    "read_outcomes",
]

OUTCOME_CHOICES = ("bounce", "break", "neither")
"""What may be asked about; what is censored is none of them."""
ANY_KIND = "any level"
"""All approaches together, each counted once."""
LEAST_DATES = 10
"""From so many trade dates on a date is one unit; with fewer, stretches of it are."""

OUTCOME_ROWS = pl.Schema(
    {
        "unit": pl.String,
        "stratum": pl.String,
        "kind": pl.String,
        "family": pl.String,
        "outcome": pl.String,
        "value": pl.Float64,
        "episode_id": pl.String,
    }
)
"""Columns of the rows by kind; `value` is 1 where the outcome is the one asked about."""

_READ = pl.Schema(
    {
        "episode_id": pl.String,
        "session": pl.Date,
        "family": pl.String,
        "kinds": pl.String,
        "decision_ns": pl.Int64,
        "horizon_seconds": pl.Int32,
        "outcome": pl.String,
    }
)
_SECOND = 1_000_000_000
_STRETCHES = 8
_SHORTEST_S = 1_800


def read_outcomes(
    lake: Lake,
    start: date | None = None,
    end: date | None = None,
    *,
    symbol: str | None = None,
    horizon: int = 240,
    barrier: str = "k1",
    delay: int = 0,
    as_of: datetime | None = None,
) -> pl.DataFrame:
    """One outcome of each approach, with the kinds of its levels.

    Parameters
    ----------
    lake : Lake
    start, end : date, optional
        Trade dates, both included.
    symbol : str, optional
        One contract; all without it.
    horizon, delay : int
        Seconds watched, and from the touch to the decision.
    barrier : str
        As in ``gold.episode_outcomes``: ``k1``, ``t8`` …
    as_of : datetime, optional
        Only what was known then.

    Returns
    -------
    pl.DataFrame
        ``episode_id``, ``session``, ``family``, ``kinds``, ``decision_ns``, ``horizon_seconds``,
        ``outcome``; no row where the approach had ended before its decision, and none at all in
        a lake where episodes were never built.

    Raises
    ------
    UnknownNameError
        No outcome has this horizon, barrier or delay; the message names those there are.
    """
    if not {"gold.episodes", "gold.episode_outcomes"} <= set(lake.datasets()):
        return pl.DataFrame(schema=_READ)
    labels = _scan(lake, "gold.episode_outcomes", start, end, symbol, as_of)
    episodes = _scan(lake, "gold.episodes", start, end, symbol, as_of)
    chosen = (
        labels.filter(
            pl.col("horizon_seconds") == horizon,
            pl.col("barrier") == barrier,
            pl.col("delay_seconds") == delay,
        )
        .select("episode_id", "decision_ns", "horizon_seconds", "outcome")
        .join(
            episodes.select("episode_id", "session", "family", "kinds"),
            on="episode_id",
            how="inner",
        )
        .sort("decision_ns", "episode_id")
        .select(_READ.names())
        .collect()
    )
    if chosen.is_empty():
        given = (("horizon", horizon), ("barrier", barrier), ("delay", delay))
        for name, value in given:
            _require(labels, name, value)
    return chosen


def _scan(
    lake: Lake,
    dataset: str,
    start: date | None,
    end: date | None,
    symbol: str | None,
    as_of: datetime | None,
) -> pl.LazyFrame:
    return lake.scan(dataset, symbol, start=start, end=end, as_of=as_of)


def _require(labels: pl.LazyFrame, name: str, value: int | str) -> None:
    """Refuse what no row has, unless there are no rows at all."""
    column = name if name == "barrier" else f"{name}_seconds"
    known = labels.select(pl.col(column).unique().sort()).collect()[column].to_list()
    if known and value not in known:
        names = [str(one) for one in known]
        raise UnknownNameError(
            f"no outcome has {name} {value}",
            where=f"gold.episode_outcomes has {', '.join(names)}",
            next_step=did_you_mean(str(value), names),
        )


class EffectRows(NamedTuple):
    """Rows for :func:`tapemill.proof.placebo_effects`, columns of :data:`OUTCOME_ROWS`.

    Attributes
    ----------
    by_kind : pl.DataFrame
        An approach to a zone of several kinds has a row for each of them; a placebo counts for the
        kinds of the level that it matches.
    together : pl.DataFrame
        Each approach once, kind :data:`ANY_KIND`.
    in_stretches : bool
        Whether units are stretches of trade dates, for want of dates.
    """

    by_kind: pl.DataFrame
    together: pl.DataFrame
    in_stretches: bool


def effect_rows(outcomes: pl.DataFrame, asked: str = "bounce") -> EffectRows:
    """Give each approach its unit and its value.

    All approaches of a trade date share its unit. Where there are fewer than :data:`LEAST_DATES`
    dates, the units are stretches of them of half an hour, and of at least eight times what is
    watched, so that few outcomes are watched over the end of one; they tell nothing of other dates.

    Parameters
    ----------
    outcomes : pl.DataFrame
        ``episode_id``, ``session``, ``family``, ``kinds``, ``decision_ns``, ``horizon_seconds``,
        ``outcome``, as :func:`read_outcomes` gives them.
    asked : str
        One of :data:`OUTCOME_CHOICES`; `value` is 1 where it came, 0 where another did, null where
        the outcome was censored.

    Raises
    ------
    UsageError
        `asked` is no outcome.
    """
    if asked not in OUTCOME_CHOICES:
        raise UsageError(
            f"{asked!r} is no outcome that can be asked about",
            where=f"known: {', '.join(OUTCOME_CHOICES)}",
            next_step=did_you_mean(asked, OUTCOME_CHOICES),
        )
    unit = pl.col("session").cast(pl.String)
    in_stretches = outcomes["session"].n_unique() < LEAST_DATES
    if in_stretches:
        seconds = pl.max_horizontal(pl.lit(_SHORTEST_S), _STRETCHES * pl.col("horizon_seconds"))
        stretch = pl.col("decision_ns") // (seconds.cast(pl.Int64) * _SECOND)
        unit = pl.concat_str(unit, stretch.cast(pl.String), separator="/")
    # Half hours of New York: what volatility does next depends on the time of day, and levels are
    # not met at the same times as their placebos.
    local = pl.from_epoch("decision_ns", time_unit="ns").dt.replace_time_zone("UTC")
    stratum = local.dt.convert_time_zone(str(EASTERN)).dt.truncate("30m").dt.strftime("%H:%M")
    value = pl.when(pl.col("outcome") != "censored").then(pl.col("outcome") == asked)
    rows = outcomes.with_columns(unit=unit, stratum=stratum, value=value.cast(pl.Float64))
    names = OUTCOME_ROWS.names()
    return EffectRows(
        rows.with_columns(kind=pl.col("kinds").str.split("+")).explode("kind").select(names),
        rows.with_columns(kind=pl.lit(ANY_KIND)).select(names),
        in_stretches,
    )
