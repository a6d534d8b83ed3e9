"""The report page."""

from __future__ import annotations

import re
from datetime import date, datetime
from html.parser import HTMLParser

import polars as pl
import pytest

from report.cells import make_cells, weekdays
from tapemill.errors import FaultError, UnknownNameError, UsageError
from tapemill.report import (
    SECTIONS,
    Fact,
    ReportFigure,
    ReportTable,
    coverage_figure,
    write_report,
)

DIGEST = "0123456789abcdef" * 4
VOID = {"meta", "br", "img", "link", "hr", "input"}


class Balanced(HTMLParser):
    """Fails on a tag that is not closed in order; keeps text and ids."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)


def parse(page: str) -> Balanced:
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    return parser


def fact(**changes) -> Fact:
    given = {"section": "fetched", "label": "wire calls", "value": 12_345}
    return Fact(**(given | {"source": "control.calls", "command": "tapemill status"} | changes))


@pytest.fixture
def items():
    calendar = coverage_figure(make_cells(["SPY"], weekdays(date(2026, 6, 1), 5)), title="Minutes")
    table = pl.DataFrame(
        {
            "dataset": ["silver.coverage"],
            "rows": [1_234_567],
            "digest": [DIGEST],
            "state": ["red"],
            "share": [0.98765],
            "day": [date(2026, 6, 1)],
            "at": [datetime(2026, 6, 1, 9, 30)],
            "ok": [True],
            "none": [None],
        }
    )
    return {
        "facts": [fact(), fact(section="quarantine", label="rows", value=0)],
        "tables": [ReportTable("built", "Tables", table, "lake", "tapemill verify", "A note.")],
        "figures": [ReportFigure("coverage", calendar, "silver.coverage", "tapemill check")],
    }


def test_page_holds_each_number_with_its_origin(items, tmp_path):
    page = write_report(tmp_path / "out", title="Demo", synthetic=True, **items)
    assert page == tmp_path / "out" / "index.html"
    parsed = parse(page.read_text())
    text = " ".join(parsed.text)
    for words in ("12,345", "control.calls", "tapemill status", "1,234,567", DIGEST, "0.98765"):
        assert words in text
    for words in ("2026-06-01", "2026-06-01 09:30:00", "yes", "—", "A note.", "tapemill verify"):
        assert words in text
    assert 'class="dot dot-red"' in page.read_text()


def test_sections_come_in_their_order_and_only_when_used(items, tmp_path):
    page = write_report(tmp_path, title="Demo", synthetic=False, **items)
    ids = [name for name in parse(page.read_text()).ids if name in SECTIONS]
    assert ids == ["fetched", "built", "coverage", "quarantine"]


@pytest.mark.parametrize("synthetic", [True, False])
def test_synthetic_data_is_declared(items, tmp_path, synthetic):
    page = write_report(tmp_path, title="Demo", synthetic=synthetic, **items).read_text()
    assert ("SYNTHETIC DATA" in page) is synthetic
    assert ("All data on this page is synthetic" in page) is synthetic


def test_page_needs_no_network(items, tmp_path):
    page = write_report(tmp_path, title="Demo", synthetic=True, **items).read_text()
    outside = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.S)
    assert not re.search(r"<(script|link|img|iframe)\b[^>]*\b(src|href)=", outside)
    assert "://" not in outside
    assert not re.search(r'<script[^>]*\bsrc="', page.replace("\\", ""))
    assert page.count("plotly.js v") == 1
    assert "prefers-color-scheme" in outside


def test_without_figures_the_page_is_small(items, tmp_path):
    page = write_report(tmp_path, title="T", synthetic=True, facts=items["facts"])
    assert page.stat().st_size < 20_000


def test_everything_is_escaped(tmp_path):
    evil = "<script>alert(1)</script>&\"'"
    table = ReportTable(
        "built", evil, pl.DataFrame({evil: [evil]}), source=evil, command=evil, note=evil
    )
    page = write_report(
        tmp_path,
        title=evil,
        subtitle=evil,
        synthetic=False,
        facts=[fact(label=evil, value=evil, source=evil, command=evil)],
        tables=[table],
    ).read_text()
    assert "alert(1)</script>" not in page
    assert page.count("&lt;script&gt;alert(1)") == 13
    parse(page)


def test_an_empty_table_says_that_it_has_no_rows(tmp_path):
    empty = pl.DataFrame(schema={"reason": pl.String, "rows": pl.Int64})
    table = ReportTable("quarantine", "By reason", empty, "ops.quarantine", "tapemill check")
    page = write_report(tmp_path, title="T", synthetic=False, facts=[], tables=[table])
    assert "0 rows." in page.read_text()


def test_same_input_gives_the_same_bytes(items, tmp_path):
    first = write_report(tmp_path / "a", title="T", synthetic=True, **items).read_bytes()
    assert write_report(tmp_path / "b", title="T", synthetic=True, **items).read_bytes() == first


def test_unknown_sections_and_missing_origins_are_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="fetchd") as caught:
        write_report(tmp_path, title="T", synthetic=True, facts=[fact(section="fetchd")])
    assert "fetched" in str(caught.value)
    for hole in ({"source": ""}, {"command": ""}):
        with pytest.raises(UsageError, match="where it comes from"):
            write_report(tmp_path, title="T", synthetic=True, facts=[fact(**hole)])


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FaultError, match="cannot write"):
        write_report(tmp_path / "file", title="T", synthetic=True, facts=[fact()])
