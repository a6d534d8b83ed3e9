"""Levels of the volume profile: of the prior session, of several, and not yet traded again."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from tapemill.clock.sessions import Session
from tapemill.levels.inputs import MINUTE_NS, LevelInputs
from tapemill.levels.kinds import LevelKind, LevelPath, standing
from tapemill.levels.profile import ValueArea, value_area
from tapemill.settings.declaration import LevelsSettings

__all__ = ["PROFILE_KINDS"]

_COMPOSITE_SESSIONS = 5
_NAKED_SESSIONS = 20
_HALF_HOUR_NS = 30 * MINUTE_NS
_PART = {
    "POC": ("point_of_control", "Price of most volume"),
    "VAH": ("high", "Upper edge of the value area (70 % of volume)"),
    "VAL": ("low", "Lower edge of the value area (70 % of volume)"),
}
_FORMULA = "Volume a price in regular hours; value area by the one-row rule"


def _profile(inputs: LevelInputs, sessions: tuple[Session, ...]) -> ValueArea | None:
    """Profile of whole regular sessions together; None unless all of them are there."""
    if not sessions or inputs.profile.is_empty():
        return None
    parts = []
    for session in sessions:
        rows = inputs.profile.filter(
            (pl.col("ts_event") >= session.open_ns)
            & (pl.col("ts_event") < session.close_ns)
            & (pl.col("volume") > 0)
        )
        last = session.close_ns - _HALF_HOUR_NS
        if rows.is_empty() or rows["ts_event"].min() != session.open_ns:
            return None
        if rows["ts_event"].max() != last:
            return None
        parts.append(rows.select("price_ticks", "volume"))
    total = pl.concat(parts).group_by("price_ticks").agg(pl.col("volume").sum())
    total = total.sort("price_ticks").cast(pl.Float64)
    return value_area(total["price_ticks"].to_numpy(), total["volume"].to_numpy())


def _level(name: str, part: str, sessions: int, weight: float) -> LevelKind:
    field, text = _PART[part]
    label = f"{name}_{part}"
    period = "the prior session" if sessions == 1 else f"the last {sessions} sessions together"

    def build(inputs: LevelInputs, _settings: LevelsSettings) -> Iterator[LevelPath]:
        days = inputs.prior_regular[-sessions:]
        area = _profile(inputs, days) if len(days) == sessions else None
        if area is None:
            return
        dates = str(days[0].session)
        if sessions > 1:
            dates += f" to {days[-1].session}"
        provenance = f"volume profile of the regular hours of {dates}"
        yield standing(label, inputs.globex_open_ns, getattr(area, field), provenance)

    return LevelKind(
        name=label,
        group="profile",
        description=f"{text} of {period}.",
        formula=_FORMULA + "; absent unless every half hour at the edges is there",
        known="When the trade date begins",
        weight=weight,
        build=build,
    )


def _naked(inputs: LevelInputs, _settings: LevelsSettings) -> Iterator[LevelPath]:
    # The prior session's own is PRIOR_POC.
    for session in inputs.prior_regular[-_NAKED_SESSIONS - 1 : -1]:
        since = inputs.earlier.between(session.close_ns, inputs.globex_open_ns)
        covered = len(inputs.earlier.start) and inputs.earlier.start[0] <= session.close_ns
        if not covered or not len(since.start):
            continue
        area = _profile(inputs, (session,))
        if area is None:
            continue
        price = area.point_of_control
        if since.low.min() > price or since.high.max() < price:
            yield standing(
                f"NAKED_POC_{session.session}",
                inputs.globex_open_ns,
                price,
                f"point of control of {session.session}, not traded since its close",
            )


PROFILE_KINDS = (
    _level("PRIOR", "POC", 1, 0.8),
    _level("PRIOR", "VAH", 1, 0.8),
    _level("PRIOR", "VAL", 1, 0.8),
    _level("COMPOSITE", "POC", _COMPOSITE_SESSIONS, 0.9),
    _level("COMPOSITE", "VAH", _COMPOSITE_SESSIONS, 0.8),
    _level("COMPOSITE", "VAL", _COMPOSITE_SESSIONS, 0.8),
    LevelKind(
        name="NAKED_POC",
        group="profile",
        description="Point of control of an older session that price has not come back to.",
        formula="PRIOR_POC of each of the 20 sessions before the prior one, where every minute"
        " since its close lies above it, or every one below",
        known="When the trade date begins; it stays for the day, though the day may trade it",
        weight=0.9,
        build=_naked,
    ),
)
