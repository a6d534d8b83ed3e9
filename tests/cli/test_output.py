"""How verbs speak: whole names in pipes, records on narrow terminals, one JSON document."""

from __future__ import annotations

import datetime as dt
import decimal
import json

import pytest
from rich.console import Console

from tapemill.cli import output

LONG = "reference.symbol_changes_of_everything"


def test_names_and_numbers_are_whole_where_no_terminal_says_a_width(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    columns = [f"column number {number}" for number in range(12)]
    output.print_table("Wide", columns, [[LONG] * 12], right=columns[1:])
    out = capsys.readouterr().out
    assert out.count(LONG) == 12
    assert all(name in out for name in columns)


def test_prose_is_folded_and_names_are_not(capsys):
    output.print_table("Findings", ["dataset", "detail"], [[LONG, "word " * 100]])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= output.PAGE_WIDTH
    assert sum(LONG in line for line in lines) == 1
    assert sum(line.count("word") for line in lines) == 100


def test_a_terminal_too_narrow_shows_records(monkeypatch, capsys):
    def narrow(**options: object) -> Console:
        return Console(force_terminal=True, width=40, no_color=True, **options)

    monkeypatch.setattr("rich.console.Console", narrow)
    output.print_table("Wide", ["symbol", "sha256", "rows"], [["SPY", "f" * 64, 3], ["KO", "e", 4]])
    lines = capsys.readouterr().out.splitlines()
    assert any("sha256" in line and "f" * 64 in line for line in lines)
    assert sum("symbol" in line for line in lines) == 2


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("nan"), None),
        (float("inf"), None),
        (dt.date(2026, 1, 5), "2026-01-05"),
        (dt.timedelta(seconds=90), "0:01:30"),
        (dt.time(9, 30), "09:30:00"),
        (decimal.Decimal("1.500000"), "1.500000"),
        (b"\x00\xff", "00ff"),
        ([1.5, float("-inf")], [1.5, None]),
    ],
)
def test_every_value_has_a_json_form(value, written, capsys):
    output.print_json([{"x": value}])
    assert json.loads(capsys.readouterr().out) == [{"x": written}]


def test_text_that_looks_like_markup_is_text(capsys):
    output.print_table("T", ["subject"], [["[red]BRK[/red]"]])
    output.print_line("[bold]x[/bold]")
    out = capsys.readouterr().out
    assert "[red]BRK[/red]" in out
    assert "[bold]x[/bold]" in out
