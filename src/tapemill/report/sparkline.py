"""A small line of steps that stands inside a table's cell."""

from __future__ import annotations

from collections.abc import Sequence

from tapemill.report.flow_style import INK, MUTED

__all__ = ["spark_points", "sparkline"]

_WIDTH, _HEIGHT = 132.0, 20.0


def spark_points(
    values: Sequence[float | None], width: float, height: float
) -> list[list[tuple[float, float]]]:
    """Corners of the steps, one list an unbroken run; unknown days leave a gap.

    Parameters
    ----------
    values : sequence of float or None
        One a session, oldest first.
    width, height : float
        px; the least value lies at the bottom (y = `height`), the largest at the top.
    """
    known = [value for value in values if value is not None and value == value]
    if not known:
        return []
    low, high = min(known), max(known)
    reach = (high - low) or 1.0
    step = width / len(values)
    runs: list[list[tuple[float, float]]] = []
    open_run = False
    for place, value in enumerate(values):
        if value is None or value != value:
            open_run = False
            continue
        y = height / 2 if high == low else height * (1 - (value - low) / reach)
        if not open_run:
            runs.append([])
        runs[-1] += [(place * step, y), ((place + 1) * step, y)]
        open_run = True
    return runs


def sparkline(values: Sequence[float | None], colour: str = MUTED) -> str:
    """The line as inline SVG, its last day marked; empty text where nothing is known."""
    runs = spark_points(values, _WIDTH - 4, _HEIGHT - 4)
    if not runs:
        return ""
    lines = "".join(
        f'<polyline points="{" ".join(f"{x:.1f},{y + 2:.1f}" for x, y in run)}"/>' for run in runs
    )
    x, y = runs[-1][-1]
    return (
        f'<svg width="{_WIDTH:.0f}" height="{_HEIGHT:.0f}" role="img" fill="none" '
        f'stroke="{colour}" stroke-width="1.1">{lines}'
        f'<circle cx="{x:.1f}" cy="{y + 2:.1f}" r="2" fill="{INK}" stroke="none"/></svg>'
    )
