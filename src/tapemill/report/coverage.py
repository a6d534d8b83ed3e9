"""The coverage calendar: symbols × sessions, coloured by state."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tapemill.report.drawing import Drawing
from tapemill.report.grid import CoverageGrid, build_grid

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

__all__ = ["CoverageCalendar", "coverage_calendar", "coverage_figure"]


@dataclasses.dataclass
class CoverageCalendar(Drawing):
    """A coverage calendar that can be changed before it is written.

    Parameters
    ----------
    grid : CoverageGrid
    title, subtitle : str
    """

    grid: CoverageGrid
    title: str
    subtitle: str = ""

    def figure(self) -> go.Figure:
        """A new Plotly figure; hovering a cell names symbol, session, state, reasons, minutes."""
        from tapemill.report._coverage_plotly import draw

        return draw(self.grid, self.title, self.subtitle)

    def matplotlib_figure(self) -> Figure:
        """A new Matplotlib figure."""
        from tapemill.report._coverage_matplotlib import draw

        return draw(self.grid, self.title, self.subtitle)


def coverage_figure(
    cells: pl.DataFrame,
    *,
    title: str = "Coverage",
    subtitle: str = "",
    max_rows: int | None = None,
    early_closes: Collection[date] | None = None,
) -> CoverageCalendar:
    """The calendar of some rows of ``silver.coverage``.

    Parameters
    ----------
    cells : pl.DataFrame
        One row a (dataset, symbol, session).
    title, subtitle : str
    max_rows : int, optional
        Rows to draw, worst first; the rest is counted on the figure. See
        :func:`tapemill.report.grid.build_grid`.
    early_closes : collection of date, optional
        Half days; by default seen from the expected minutes.

    Raises
    ------
    UsageError
        There is no cell.
    ContractError
        A column is missing, a state is unknown, or a cell occurs twice.
    """
    grid = build_grid(cells, max_rows=max_rows, early_closes=early_closes)
    return CoverageCalendar(grid, title, subtitle)


def coverage_calendar(
    cells: pl.DataFrame,
    path_html: str | Path | None,
    path_png: str | Path | None,
    title: str = "Coverage",
    subtitle: str = "",
) -> CoverageCalendar:
    """Build the calendar and write it to the paths that are given."""
    calendar = coverage_figure(cells, title=title, subtitle=subtitle)
    if path_html is not None:
        calendar.write_html(path_html)
    if path_png is not None:
        calendar.write_png(path_png)
    return calendar
