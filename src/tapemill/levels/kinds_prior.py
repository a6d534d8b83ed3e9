"""Prices of sessions before: high, low and close of the prior day and week, settlement.

A day without data is not a day without trading: a level whose session is missing or cut short is
absent; an older day never takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import numpy as np
import polars as pl

from tapemill.clock.sessions import Session
from tapemill.levels.inputs import LevelInputs, MinuteArrays
from tapemill.levels.kinds import LevelKind, LevelPath, standing
from tapemill.settings.declaration import LevelsSettings

__all__ = ["PRIOR_KINDS"]

_PRICES: dict[str, tuple[str, Callable[[MinuteArrays], float]]] = {
    "HIGH": ("Highest", lambda minutes: float(minutes.high.max())),
    "LOW": ("Lowest", lambda minutes: float(minutes.low.min())),
    "CLOSE": ("Last", lambda minutes: float(minutes.close[-1])),
}


def _day(inputs: LevelInputs) -> tuple[Session, ...]:
    return inputs.prior_regular[-1:]


def _week(inputs: LevelInputs) -> tuple[Session, ...]:
    week = (inputs.session - timedelta(days=7)).isocalendar()[:2]
    found = tuple(
        prior for prior in inputs.prior_regular if prior.session.isocalendar()[:2] == week
    )
    # Reaching further back than the week shows that no session of it was cut off.
    return found if found and found[0] != inputs.prior_regular[0] else ()


def _prior(
    name: str, price: str, sessions: Callable[[LevelInputs], tuple[Session, ...]], weight: float
) -> LevelKind:
    word, value = _PRICES[price]
    period = "day" if sessions is _day else "week"

    def build(inputs: LevelInputs, _settings: LevelsSettings) -> Iterator[LevelPath]:
        days = sessions(inputs)
        found = [inputs.regular_minutes(day) for day in days]
        whole = [minutes for minutes in found if minutes is not None]
        if not whole or len(whole) < len(days):
            return
        together = whole[0]
        for later in whole[1:]:
            together = together.joined(later)
        dates = str(days[0].session)
        if len(days) > 1:
            dates += f" to {days[-1].session}"
        provenance = f"{word.lower()} regular-hours trade of {dates}"
        yield standing(f"{name}_{price}", inputs.globex_open_ns, value(together), provenance)

    return LevelKind(
        name=f"{name}_{price}",
        group="prior",
        description=f"{word} price in the regular hours of the {period} before.",
        formula={"HIGH": "max(high)", "LOW": "min(low)", "CLOSE": "last close"}[price]
        + f" over the regular minutes of the prior {period}; absent unless all of it is there",
        known="When the trade date begins",
        weight=weight,
        build=build,
    )


def _settlement(inputs: LevelInputs, _settings: LevelsSettings) -> Iterator[LevelPath]:
    table = inputs.settlements
    if table.is_empty() or not inputs.prior_regular:
        return
    oldest = inputs.prior_regular[-1].session
    rows = table.filter(
        (pl.col("session") >= oldest)
        & (pl.col("session") < inputs.session)
        & pl.col("price").is_not_null()
    )
    if rows.is_empty():
        return
    if "known_ns" not in rows.columns:
        rows = rows.with_columns(known_ns=pl.lit(inputs.globex_open_ns))
    rows = rows.sort("known_ns", "session", maintain_order=True)
    # At each moment the newest of those that were out: an older one stands until then.
    rows = rows.filter(pl.col("session") == pl.col("session").cum_max())
    days = rows["session"].unique(maintain_order=True)
    yield LevelPath(
        "PRIOR_DAY_SETTLEMENT",
        rows["known_ns"].cast(pl.Int64).to_numpy(),
        np.round(rows["price"].cast(pl.Float64).to_numpy() / inputs.tick_size, 6),
        f"settlement of {', then '.join(map(str, days))}",
    )


PRIOR_KINDS = (
    _prior("PRIOR_DAY", "HIGH", _day, 1.0),
    _prior("PRIOR_DAY", "LOW", _day, 1.0),
    _prior("PRIOR_DAY", "CLOSE", _day, 0.7),
    LevelKind(
        name="PRIOR_DAY_SETTLEMENT",
        group="prior",
        description="Settlement of the trade date before, as the venue published it.",
        formula="Newest settlement since the prior regular session; absent if none, never a close",
        known="When it was published; when the trade date begins if that is not recorded",
        weight=0.8,
        build=_settlement,
    ),
    _prior("PRIOR_WEEK", "HIGH", _week, 1.0),
    _prior("PRIOR_WEEK", "LOW", _week, 1.0),
    _prior("PRIOR_WEEK", "CLOSE", _week, 0.7),
)
