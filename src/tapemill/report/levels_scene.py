"""Everything that is drawn of a page of levels, in points and New York time, for both renderers."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.clock.eastern import EASTERN
from tapemill.report.levels_facts import LevelsFacts
from tapemill.report.levels_labels import Label, edge_labels
from tapemill.report.levels_notes import clock_text
from tapemill.report.levels_style import PLACEBO, Look, group_look, outcome_look

__all__ = [
    "MAIN_HEIGHT",
    "Approach",
    "Scene",
    "Steps",
    "Strip",
    "make_scene",
    "wall_ms",
]

MAIN_HEIGHT = 600
"""px of the chart of price."""
_NS_MS = 1_000_000
_BOUNDARIES = ((18, 0, "18:00 Globex"), (4, 0, "04:00 premarket"), (9, 30, "09:30 open"))
_FINE = 1 / 1400
"""Part of the price range below which a move of a level cannot be seen."""

Values = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Steps:
    """A level or an edge over time; NaN breaks the line. Times in ms of New York wall time."""

    name: str
    group: str
    at: Values
    values: Values
    look: Look
    placebo: bool


@dataclasses.dataclass(frozen=True)
class Strip:
    """A zone's band: corners of its lower and upper edge as steps."""

    at: Values
    low: Values
    high: Values
    look: Look
    placebo: bool


@dataclasses.dataclass(frozen=True)
class Approach:
    """One episode: where it began, touched and ended, and what came of it."""

    enter: float
    touch: float | None
    end: float
    price: float
    from_below: bool
    look: Look
    placebo: bool
    hover: str


@dataclasses.dataclass(frozen=True)
class Scene:
    """What both renderers draw.

    Attributes
    ----------
    facts : LevelsFacts
    start, end : float
        Ends of the time axis, ms of New York wall time.
    low, high : float
        Ends of the price axis, points.
    levels, strips, approaches, labels
    boundaries : tuple of (ms, text)
        Where parts of the trade date begin.
    gaps : tuple of (ms, ms)
    """

    facts: LevelsFacts
    start: float
    end: float
    low: float
    high: float
    levels: tuple[Steps, ...]
    strips: tuple[Strip, ...]
    approaches: tuple[Approach, ...]
    labels: tuple[Label, ...]
    boundaries: tuple[tuple[float, str], ...]
    gaps: tuple[tuple[float, float], ...]

    def ms(self, ns: Any) -> Any:
        """Times of this trade date (ns UTC) as ms of New York wall time."""
        return wall_ms(ns, self.facts.open_ns)

    def points(self, ticks: Any) -> Any:
        """Prices in points."""
        return np.asarray(ticks, dtype=np.float64) * self.facts.tick_size


def wall_ms(ns: Any, near_ns: int) -> Any:
    """Milliseconds of New York wall time since 1970, as charts take them.

    Futures trade dates never contain a change of the clock (it falls on a closed Sunday morning),
    so the offset at `near_ns` holds for all of it.
    """
    moment = datetime.datetime.fromtimestamp(near_ns / 1e9, EASTERN)
    offset = moment.utcoffset()
    assert offset is not None
    return np.asarray(ns, dtype=np.float64) / _NS_MS + offset.total_seconds() * 1000


def make_scene(facts: LevelsFacts) -> Scene:
    """Turn what was read into what is drawn."""
    tick = facts.tick_size
    low, high = (facts.low_ticks - 0.5) * tick, (facts.high_ticks + 0.5) * tick
    start, end = (float(wall_ms(one, facts.open_ns)) for one in (facts.start_ns, facts.end_ns))
    groups = _groups()
    levels = tuple(_levels(facts, groups))
    return Scene(
        facts,
        start,
        end,
        low,
        high,
        levels,
        tuple(_strips(facts, groups)),
        tuple(_approaches(facts)),
        edge_labels(facts, groups, MAIN_HEIGHT),
        tuple(_boundaries(facts)),
        tuple(
            (float(wall_ms(max(a, facts.start_ns), facts.open_ns)),
             float(wall_ms(min(b, facts.end_ns), facts.open_ns)))
            for a, b in (facts.book.gaps if facts.book else ())
            if b > facts.start_ns and a < facts.end_ns
        ),
    )  # fmt: skip


def _groups() -> dict[str, str]:
    from tapemill.levels.registry import LEVEL_KINDS

    return {kind.name: kind.group for kind in LEVEL_KINDS}


def _inside(facts: LevelsFacts, rows: pl.DataFrame, low: str, high: str) -> pl.DataFrame:
    """Rows of the stretch and prices that are drawn."""
    begin, end = ("valid_from_ns", "valid_to_ns")
    if begin not in rows.columns:
        begin, end = "from_ns", "to_ns"
    return rows.filter(
        pl.col(begin) < facts.end_ns,
        pl.col(end) > facts.start_ns,
        pl.col(high) >= facts.low_ticks - 0.5,
        pl.col(low) <= facts.high_ticks + 0.5,
    )


def _levels(facts: LevelsFacts, groups: dict[str, str]) -> list[Steps]:
    rows = _inside(facts, facts.levels, "price_ticks", "price_ticks")
    fine = (facts.high_ticks - facts.low_ticks) * _FINE
    found = []
    for (name, kind, family), own in rows.sort("level_id", "valid_from_ns").group_by(
        "level_id", "kind", "family", maintain_order=True
    ):
        placebo = family != "real"
        # Placebos stand in the background: coarser steps keep the page light.
        thin = fine * 12 if placebo else fine
        at, values = _steps(
            own["valid_from_ns"].to_numpy(),
            own["valid_to_ns"].to_numpy(),
            own["price_ticks"].to_numpy(),
            facts,
            thin,
        )
        look = group_look(groups.get(str(kind), ""))
        found.append(
            Steps(
                str(name),
                look.key,
                wall_ms(at, facts.open_ns),
                values * facts.tick_size,
                look if not placebo else dataclasses.replace(look, colour=PLACEBO),
                placebo,
            )
        )
    return found


def _steps(begin: Any, end: Any, values: Any, facts: LevelsFacts, fine: float) -> tuple[Any, Any]:
    """Corners of a step line: values hold until the next; NaN where nothing stands."""
    at: list[int] = []
    out: list[float] = []
    shown, last_end = float("nan"), None
    for first, last, value in zip(begin.tolist(), end.tolist(), values.tolist(), strict=True):
        first, last = max(first, facts.start_ns), min(last, facts.end_ns)
        if last_end is not None and first > last_end:
            at.append(last_end)
            out.append(float("nan"))
            shown = float("nan")
        if not abs(value - shown) < fine:
            at.append(first)
            out.append(value)
            shown = value
        last_end = last
    if last_end is not None:
        at.append(last_end)
        out.append(shown)
    return np.array(at, dtype=np.int64), np.array(out)


def _strips(facts: LevelsFacts, groups: dict[str, str]) -> list[Strip]:
    rows = _inside(facts, facts.zones, "low_ticks", "high_ticks")
    fine = (facts.high_ticks - facts.low_ticks) * _FINE * 5
    kinds = dict(
        facts.levels.sort("valid_from_ns").group_by("zone").agg(pl.col("kind").first()).iter_rows()
    )
    found = []
    for (zone, family), own in rows.group_by("zone", "family", maintain_order=True):
        look = group_look(groups.get(kinds.get(zone, ""), ""))
        if look.key == "average" and (own["low_ticks"] == own["high_ticks"]).all():
            continue  # a moving level alone is a line; its band would only blur it
        columns = [own[name].to_numpy() for name in ("from_ns", "to_ns", "low_ticks", "high_ticks")]
        middle = (columns[2] + columns[3]) / 2
        at, _ = _steps(columns[0], columns[1], middle, facts, fine)
        # Edges as they stood at each corner that was kept.
        place = np.clip(np.searchsorted(columns[0], at, side="right") - 1, 0, len(middle) - 1)
        gone = (at >= columns[1][place]) & (at < at[-1]) if len(at) else at
        low = np.where(gone, np.nan, columns[2][place] - 0.5) * facts.tick_size
        high = np.where(gone, np.nan, columns[3][place] + 0.5) * facts.tick_size
        found.append(Strip(wall_ms(at, facts.open_ns), low, high, look, family != "real"))
    return found


def _approaches(facts: LevelsFacts) -> list[Approach]:
    found = []
    for row in facts.episodes.iter_rows(named=True):
        if row["end_ns"] <= facts.start_ns or row["enter_ns"] >= facts.end_ns:
            continue
        below = row["direction"] > 0
        edge = row["low_ticks"] if below else row["high_ticks"]
        moments = [
            None if row[name] is None else float(wall_ms(row[name], facts.open_ns))
            for name in ("enter_ns", "touch_ns", "end_ns")
        ]
        assert moments[0] is not None and moments[2] is not None
        found.append(
            Approach(
                moments[0],
                moments[1],
                moments[2],
                edge * facts.tick_size,
                below,
                outcome_look(row["outcome"]),
                row["family"] != "real",
                "" if row["family"] != "real" else approach_hover(row, facts),
            )
        )
    return found


def approach_hover(row: dict[str, Any], facts: LevelsFacts) -> str:
    """What the pointer shows of an episode."""
    side = "from below (resistance)" if row["direction"] > 0 else "from above (support)"
    tick = facts.tick_size
    price = f"{row['low_ticks'] * tick:,.2f}"
    if row["high_ticks"] > row["low_ticks"]:
        price += f" to {row['high_ticks'] * tick:,.2f}"
    lines = [
        f"<b>{row['kinds'].replace('+', ' + ')}</b> {price} points",
        f"approached {side}, attempt {row['attempt']}",
        f"enter {clock_text(row['enter_ns'], seconds=True)} · touch "
        f"{clock_text(row['touch_ns'], seconds=True) or 'none'} · end "
        f"{clock_text(row['end_ns'], seconds=True)} ET ({row['end_reason']})",
        f"sigma {row['sigma_ticks']:.2f} ticks a minute",
    ]
    if row["touch_ns"] is not None:
        known = row["barrier_ticks"] is not None
        lines.append(
            f"after the touch, k1 over 240 s: <b>{outcome_look(row['outcome']).label}</b>"
            + (
                f" · barrier ±{row['barrier_ticks']:.1f} ticks · best "
                f"{row['favourable_ticks']:.1f}, worst {row['adverse_ticks']:.1f} ticks"
                if known
                else ""
            )
        )
    return "<br>".join(lines)


def _boundaries(facts: LevelsFacts) -> list[tuple[float, str]]:
    from tapemill.clock import eastern_ns

    days: Sequence[datetime.date] = (
        datetime.datetime.fromtimestamp(facts.open_ns / 1e9, EASTERN).date(),
        facts.session,
    )
    marks = [(eastern_ns(days[0], 18), "18:00 Globex")]
    marks += [(eastern_ns(facts.session, h, m), text) for h, m, text in _BOUNDARIES[1:]]
    if facts.regular is not None:
        close = facts.regular[1]
        marks.append((close, f"{clock_text(close)} close"))
    return [
        (float(wall_ms(ns, facts.open_ns)), text)
        for ns, text in marks
        if facts.start_ns <= ns <= facts.end_ns
    ]
