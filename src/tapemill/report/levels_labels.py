"""Names of zones at the right edge of the chart, moved apart so that each can be read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tapemill.report.levels_style import group_look

if TYPE_CHECKING:
    from tapemill.report.levels_facts import LevelsFacts

__all__ = ["LINE", "Label", "edge_labels", "spread"]

LINE = 14.0
"""px that one line of text needs."""
_LONGEST = 28


@dataclasses.dataclass(frozen=True)
class Label:
    """One line of text beside the chart.

    Attributes
    ----------
    text : str
    price : float
        Where it belongs, points.
    place : float
        Where it stands, points.
    colour : str
    hover : str
        The full names.
    """

    text: str
    price: float
    place: float
    colour: str
    hover: str


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near as possible to those wanted, at least `gap` apart, inside [low, high].

    Parameters
    ----------
    wanted : sequence of float
        Ascending.
    gap, low, high : float
        In the same unit; there must be room: ``(len(wanted) - 1) * gap <= high - low``.

    Returns
    -------
    list of float
        Ascending. Neighbours that are too near share their offset (pool of adjacent violators), so
        that a stack stands around the middle of where its members belong.
    """
    blocks: list[tuple[float, int]] = []
    for index, value in enumerate(wanted):
        mean, count = value - index * gap, 1
        while blocks and blocks[-1][0] > mean:
            before, many = blocks.pop()
            mean, count = (mean * count + before * many) / (count + many), count + many
        blocks.append((mean, count))
    flat = [mean for mean, count in blocks for _ in range(count)]
    room = high - (len(wanted) - 1) * gap
    return [float(np.clip(mean, low, room)) + i * gap for i, mean in enumerate(flat)]


def edge_labels(facts: LevelsFacts, groups: Mapping[str, str], height: float) -> tuple[Label, ...]:
    """Labels of the real zones that stand at the end of the stretch, one a zone.

    Parameters
    ----------
    facts : LevelsFacts
    groups : mapping
        Kind → group.
    height : float
        px of the chart.
    """
    last = facts.levels.filter(
        pl.col("family") == "real",
        pl.col("valid_from_ns") < facts.end_ns,
        pl.col("valid_to_ns") >= facts.end_ns - _last_stretch(facts),
        pl.col("price_ticks").is_between(facts.low_ticks - 0.5, facts.high_ticks + 0.5),
    ).sort("valid_from_ns")
    last = last.unique("level_id", keep="last", maintain_order=True)
    weights = _weights()
    found: list[Label] = []
    for _, own in last.group_by("zone", maintain_order=True):
        rows = sorted(
            own.iter_rows(named=True),
            key=lambda row: (-weights.get(row["kind"], 0), row["level_id"]),
        )
        price = float(np.mean([row["price_ticks"] for row in rows])) * facts.tick_size
        text = _text([row["level_id"] for row in rows])
        hover = "<br>".join(
            f"{row['level_id']} {row['price']:,.2f}: {row['provenance']}" for row in rows
        )
        colour = group_look(groups.get(rows[0]["kind"], "")).colour
        found.append(Label(f"{price:,.2f}  {text}", price, price, colour, hover))
    return _placed(facts, found, height)


def _placed(facts: LevelsFacts, labels: list[Label], height: float) -> tuple[Label, ...]:
    tick = facts.tick_size
    low, high = (facts.low_ticks - 0.5) * tick, (facts.high_ticks + 0.5) * tick
    gap = LINE * (high - low) / height
    most = int((high - low) / gap)
    middle = facts.tape.last[-1] * tick if len(facts.tape.last) else (low + high) / 2
    # Where there are too many, those nearest to the last price stay.
    kept = sorted(labels, key=lambda one: abs(one.price - middle))[:most]
    kept.sort(key=lambda one: one.price)
    places = spread([one.price for one in kept], gap, low + gap / 2, high - gap / 2)
    return tuple(
        dataclasses.replace(one, place=place) for one, place in zip(kept, places, strict=True)
    )


def _text(names: Sequence[str]) -> str:
    text = names[0]
    used = 1
    for name in names[1:]:
        if len(text) + len(name) + 3 > _LONGEST:
            break
        text += f" + {name}"
        used += 1
    return text + (f" +{len(names) - used}" if used < len(names) else "")


def _last_stretch(facts: LevelsFacts) -> int:
    """A level that ended this shortly before the end is still named (1 % of the stretch)."""
    return (facts.end_ns - facts.start_ns) // 100


def _weights() -> dict[str, float]:
    from tapemill.levels.registry import KIND_WEIGHTS

    return KIND_WEIGHTS
