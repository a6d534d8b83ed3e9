"""Reading what a page of levels shows from the tables of the lake."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from tapemill.lake import Lake

__all__ = [
    "BARRIER",
    "HORIZON",
    "WINDOW",
    "Source",
    "contract_row",
    "has_history",
    "known_rows",
    "read_episodes",
    "read_evidence",
    "read_sources",
]

BARRIER, HORIZON = "k1", 240
"""The label by which episodes are coloured: one standard deviation of the horizon, 240 s."""
WINDOW = "60s"
"""Window before a decision whose barrier and tape are drawn."""

_EPISODES = "gold.episodes"
_FEATURES, _OUTCOMES = "gold.episode_features", "gold.episode_outcomes"
_CONTRACTS = "reference.futures_contracts"
_DECISION_COLUMNS = (
    "barrier_net",
    "barrier_state",
    "barrier_replenishment",
    "barrier_added",
    "barrier_canceled",
    "barrier_filled",
    "tape_imbalance",
)


@dataclasses.dataclass(frozen=True)
class Source:
    """A raw file that speaks for a stretch of the trade date (ns UTC)."""

    name: str
    sha256: str
    feed: str
    start_ns: int
    end_ns: int
    fault: str


def known_rows(
    lake: Lake, dataset: str, symbol: str, session: date, moment: datetime | None
) -> pl.DataFrame:
    """Rows of a gold table of one contract and trade date, as known."""
    rows = lake.scan(dataset, [symbol], session, session, moment, strict_symbols=False)
    return rows.filter(pl.col("session") == session).collect()


def read_sources(lake: Lake, symbol: str, session: date) -> tuple[Source, ...]:
    """Raw files that speak for the trade date, in order of time."""
    from tapemill.refine.futures_sources import order_sources, plan_trades

    return tuple(
        Source(
            part.source.name,
            part.source.raw_sha256,
            {0: "every order (mbo)", -1: "trades only"}.get(
                part.source.book_levels, f"{part.source.book_levels} levels a side"
            ),
            part.start_ns,
            min(part.end_ns, part.source.last_ns + 1),
            part.source.fault,
        )
        for part in plan_trades(order_sources(lake), symbol, session).segments
    )


def read_episodes(
    lake: Lake, symbol: str, session: date, moment: datetime | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Episodes with the outcome at the touch, and decisions with what stood before them."""
    episodes = known_rows(lake, _EPISODES, symbol, session, moment).sort("enter_ns", "episode_id")
    features = known_rows(lake, _FEATURES, symbol, session, moment)
    label = known_rows(lake, _OUTCOMES, symbol, session, moment).filter(
        pl.col("barrier") == BARRIER, pl.col("horizon_seconds") == HORIZON
    )
    result = label.select(
        "episode_id",
        "delay_seconds",
        "outcome",
        "seconds",
        "favourable_ticks",
        "adverse_ticks",
        "barrier_ticks",
        "net_ticks",
    )
    named = episodes.select("episode_id", "kinds", "touch_ns")
    decisions = (
        features.select(
            "episode_id",
            "family",
            "delay_seconds",
            "decision_ns",
            "direction",
            *(pl.col(f"{name}_{WINDOW}").alias(name) for name in _DECISION_COLUMNS),
        )
        .join(result, on=["episode_id", "delay_seconds"], how="left")
        .join(named, on="episode_id", how="left")
        .sort("decision_ns", "episode_id", "delay_seconds")
    )
    at_touch = result.filter(pl.col("delay_seconds") == 0).drop("delay_seconds")
    touched = pl.col("touch_ns").is_not_null()
    episodes = episodes.join(at_touch, on="episode_id", how="left").with_columns(
        outcome=pl.when(touched)
        .then(pl.col("outcome").fill_null("unknown"))
        .otherwise(pl.lit("untouched"))
    )
    return episodes.sort("enter_ns", "episode_id"), decisions


def read_evidence(
    lake: Lake, symbol: str, root: str, session: date, moment: datetime | None
) -> pl.DataFrame:
    """Outcomes at the touch up to this trade date, all contracts of the product."""
    from tapemill.levels.effects import read_outcomes

    names = {symbol}
    if root:
        rows = lake.tables.scan(_CONTRACTS).filter(pl.col("root") == root)
        names |= set(rows.select("symbol").collect()["symbol"])
    there = lake.tables.scan(_OUTCOMES).select(pl.col("symbol").unique()).collect()["symbol"]
    parts = [
        read_outcomes(
            lake, None, session, symbol=one, horizon=HORIZON, barrier=BARRIER, as_of=moment
        )
        for one in sorted(names & set(there))
    ]
    if not parts:
        return pl.DataFrame()
    return pl.concat(parts).sort("decision_ns", "episode_id")


def contract_row(lake: Lake, symbol: str) -> dict[str, Any]:
    """What is known of a contract; empty if nothing is."""
    if not lake.tables.exists(_CONTRACTS):
        return {}
    rows = lake.tables.scan(_CONTRACTS).filter(pl.col("symbol") == symbol)
    return next(rows.collect().iter_rows(named=True), {})


def has_history(lake: Lake, symbol: str, session: date) -> bool:
    """Whether the lake holds minutes of a contract before a trade date."""
    name = "silver.futures_minutes"
    if not lake.tables.exists(name):
        return False
    rows = lake.tables.scan(name).filter(pl.col("symbol") == symbol, pl.col("session") < session)
    return bool(rows.head(1).collect().height)
