"""What the room offers to others."""

from __future__ import annotations

import subprocess
import sys

from tapemill import report


def test_public_names_are_pinned():
    assert sorted(report.__all__) == [
        "BarsFigure",
        "CoverageCalendar",
        "Drawing",
        "Fact",
        "ReportFigure",
        "ReportTable",
        "SECTIONS",
        "coverage_calendar",
        "coverage_figure",
        "daily_bars",
        "session_bars",
        "write_report",
    ]
    assert all(hasattr(report, name) for name in report.__all__)


def test_drawing_libraries_load_with_the_first_figure_only():
    code = (
        "import sys, tapemill.report; "
        "sys.exit(any(m in sys.modules for m in ('plotly', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
