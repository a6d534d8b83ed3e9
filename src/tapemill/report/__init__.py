"""Figures and pages: what a person looks at.

In: frames of the trusted tables and the facts of a run. Out: figures that can be changed as objects
and written as self-contained HTML and as PNG, and the report page. Nothing is computed here that a
table does not say.
"""

from __future__ import annotations

from tapemill.report.bars import BarsFigure, daily_bars, session_bars
from tapemill.report.coverage import CoverageCalendar, coverage_calendar, coverage_figure
from tapemill.report.drawing import Drawing
from tapemill.report.page import SECTIONS, Fact, ReportFigure, ReportTable, write_report

__all__ = [
    "SECTIONS",
    "BarsFigure",
    "CoverageCalendar",
    "Drawing",
    "Fact",
    "ReportFigure",
    "ReportTable",
    "coverage_calendar",
    "coverage_figure",
    "daily_bars",
    "session_bars",
    "write_report",
]
