"""The coverage calendar as HTML and PNG."""

from __future__ import annotations

import io
import re
from datetime import date

import matplotlib
import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from report.cells import make_cells, weekdays
from tapemill.errors import FaultError
from tapemill.report import coverage_calendar, coverage_figure
from tapemill.report.layout import calendar_layout
from tapemill.report.palette import STATES

SESSIONS = weekdays(date(2024, 6, 24), 12)
ALL = {
    ("ONE", 0): "absent",
    ("ONE", 1): "empty",
    ("ONE", 2): "halt",
    ("ONE", 3): "amber",
    ("ONE", 4): "red",
    ("ONE", 5): "missing",
}


@pytest.fixture
def calendar():
    cells = make_cells(["ONE", "TWO"], SESSIONS, ALL, expected={7: 210})
    return coverage_figure(cells, title="Coverage of <b>bars</b>", subtitle="a & b")


def heatmaps(figure):
    return [trace for trace in figure.data if trace.type == "heatmap"]


def test_plotly_figure_holds_every_state_and_number(calendar):
    (trace,) = heatmaps(calendar.figure())
    assert list(trace.y) == ["ONE", "TWO"]
    assert trace.x[0] == "Mon 2024-06-24"
    assert trace.x[7] == "Wed 2024-07-03 (early close)"
    assert list(trace.z[0][:7]) == [0, 2, 3, 4, 5, 6, 1]
    assert trace.hovertext[0][4] == "red (broken): first_reason, second_reason"
    assert list(trace.customdata[0][4]) == [390, 345, 45, 0]
    for words in ("%{y}", "%{x}", "%{hovertext}", "expected", "present", "longest", "halted"):
        assert words in trace.hovertemplate


def test_each_code_is_painted_in_its_state_colour(calendar):
    (trace,) = heatmaps(calendar.figure())
    edges = [edge for edge, _ in trace.colorscale]
    for code, state in enumerate(STATES):
        at = (code - trace.zmin) / (trace.zmax - trace.zmin)
        position = np.searchsorted(edges, at)
        red, green, blue = (int(state.colour[i : i + 2], 16) for i in (1, 3, 5))
        assert trace.colorscale[position][1].startswith(f"rgba({red},{green},{blue},")


def test_legend_names_and_counts_every_state(calendar):
    names = [trace.name for trace in calendar.figure().data if trace.type == "scatter"]
    assert len(names) == len(STATES)
    for state in STATES:
        assert any(state.label in name for name in names)
    assert any("red (broken)<b> 1</b>" in name for name in names)


def test_html_is_one_offline_page_with_escaped_words(calendar, tmp_path):
    page = calendar.write_html(tmp_path / "deep" / "coverage.html").read_text()
    head = page[: page.index("<script>")]
    assert "<title>Coverage of &lt;b&gt;bars&lt;/b&gt;</title>" in head
    assert "<b>bars</b>" not in page
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page.split("</script>")[-1])
    assert not re.search(r'<script[^>]*src="', page[:2000])
    assert 'id="figure"' in page


def test_symbols_cannot_inject_markup(tmp_path):
    cells = make_cells(["</script><img src=x>"], SESSIONS)
    page = coverage_figure(cells).write_html(tmp_path / "x.html").read_text()
    assert "<img src=x>" not in page


def test_same_input_gives_the_same_bytes(calendar, tmp_path):
    cells = make_cells(["ONE", "TWO"], SESSIONS, ALL, expected={7: 210})
    again = coverage_figure(
        cells.sample(fraction=1.0, shuffle=True, seed=1), title=calendar.title, subtitle="a & b"
    )
    for write in ("write_html", "write_png"):
        first = getattr(calendar, write)(tmp_path / "first").read_bytes()
        second = getattr(again, write)(tmp_path / "second").read_bytes()
        assert first == second


def test_png_shows_every_state_colour_and_no_metadata(calendar, tmp_path):
    content = calendar.write_png(tmp_path / "c.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert b"Software" not in content
    assert b"tIME" not in content
    image = matplotlib.image.imread(io.BytesIO(content))[..., :3]
    layout = calendar_layout(calendar.grid)
    (_, _, rect) = layout.blocks[0]
    scale = image.shape[1] / layout.width
    top = int((rect.top + layout.cell_height * 0.2) * scale)
    for column, name in enumerate(["empty", "halt", "amber", "red", "missing", "green"], start=1):
        left = int((rect.left + layout.cell_width * (column + 0.2)) * scale)
        state = next(state for state in STATES if state.name == name)
        np.testing.assert_allclose(image[top, left], to_rgb(state.colour), atol=0.01)


def test_a_users_matplotlib_settings_do_not_change_the_picture(calendar, tmp_path):
    plain = calendar.write_png(tmp_path / "a.png").read_bytes()
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "font.family": "serif"}):
        assert calendar.write_png(tmp_path / "b.png").read_bytes() == plain
        assert matplotlib.rcParams["font.size"] == 30


def test_a_figure_can_be_changed(calendar, tmp_path):
    calendar.title = "My title"
    assert "My title" in calendar.write_html(tmp_path / "c.html").read_text()
    figure = calendar.figure()
    figure.update_layout(paper_bgcolor="black")
    assert calendar.figure().layout.paper_bgcolor != "black"
    assert calendar.matplotlib_figure().axes


def test_odd_titles_are_text_not_mathematics(tmp_path):
    cells = make_cells(["A$B_1$", "C"], SESSIONS)
    calendar = coverage_figure(cells, title="$\\broken", subtitle="$x$ and $y$")
    assert calendar.write_png(tmp_path / "c.png").stat().st_size > 1000


@pytest.mark.parametrize(("symbols", "sessions"), [(530, 7), (8, 500), (12_000, 20)])
def test_large_calendars_are_drawn(symbols, sessions, tmp_path):
    names = [f"S{i:05d}" for i in range(symbols)]
    cells = make_cells(names, weekdays(date(2024, 6, 10), sessions), {("S00007", 3): "red"})
    calendar = coverage_calendar(cells, tmp_path / "c.html", tmp_path / "c.png", "Large")
    drawn = [label for trace in heatmaps(calendar.figure()) for label in trace.y]
    assert drawn[0] == "S00007"
    assert len(drawn) == min(symbols, 600)
    words = [note.text for note in calendar.figure().layout.annotations]
    assert any(f"{symbols:,}" in text and "rows" in text for text in words)
    assert (tmp_path / "c.html").stat().st_size < 7_000_000
    assert (tmp_path / "c.png").stat().st_size < 2_000_000


def test_a_path_that_cannot_be_written_says_so(calendar, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FaultError, match="cannot write") as caught:
        calendar.write_png(tmp_path / "file" / "c.png")
    assert caught.value.next_step
