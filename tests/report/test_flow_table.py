"""The grouped table and the merged view against sums done by hand."""

from __future__ import annotations

import math
import statistics

import numpy as np
import polars as pl
import pytest

from report import flow_made as made
from tapemill.contracts.flow_metrics import COMPOSITE_METRICS, DAILY_METRICS
from tapemill.errors import UsageError
from tapemill.lake import Lake
from tapemill.report.flow_cells import Cell, Heading, TableView, table_html, table_png
from tapemill.report.flow_facts import read_flow
from tapemill.report.flow_merged import breadth_of, merged_figure, sorted_symbols, weighted_share
from tapemill.report.flow_panels import Heat
from tapemill.report.flow_report import write_flow_report
from tapemill.report.flow_style import write_value
from tapemill.report.flow_table import TABLE_METRICS, dictionary_html, flow_table


@pytest.fixture
def lake(tmp_path):
    return Lake.open(tmp_path / "lake", create=True)


@pytest.fixture
def facts(lake):
    made.fill(lake, days=20)
    return read_flow(lake, list(made.SYMBOLS), days=20)


def place(name):
    return 1 + [metric.name for metric in TABLE_METRICS].index(name)


def test_columns_are_those_of_the_registry(facts):
    expected = [m.name for m in (*DAILY_METRICS, *COMPOSITE_METRICS) if m.table]
    assert [m.name for m in TABLE_METRICS if not m.name.startswith("has_")] == expected
    page = dictionary_html(TABLE_METRICS)
    for metric in TABLE_METRICS:
        assert f"<code>{metric.name}</code>" in page
    heading = flow_table(facts.daily, "GME").headings[place("short_z")]
    assert "the session itself is not in its baseline" in heading.help
    assert "robust standard deviations" in heading.help


def test_rows_come_newest_first_and_unknown_values_are_blank(facts):
    table = flow_table(facts.daily, "GME")
    days = [row[0].text[4:] for row in table.rows]
    assert days == sorted(days, reverse=True)
    assert {row[place("trf_imbalance")].text for row in table.rows} == {""}
    assert {row[place("has_short")].text for row in table.rows} == {"●"}


def test_the_bold_row_sums_days_and_never_weeks(facts):
    rows = facts.daily.filter(pl.col("symbol") == "GME").to_dicts()
    table = flow_table(facts.daily, "GME", limit=3)
    assert len(table.rows) == 3
    bold = table.summary
    short, total = (sum(r[name] for r in rows) for name in ("short_volume", "total_volume"))
    assert bold[place("total_volume")].text == write_value(total, "volume")
    assert bold[place("short_share")].text == write_value(short / total, "frac")
    assert bold[place("short_to_rest_ratio")].text == write_value(short / (total - short), "ratio")
    weeks = {r["otc_week"]: r["otc_participation_frac"] for r in rows}
    mean = statistics.fmean(weeks.values())
    assert bold[place("otc_participation_frac")].text == write_value(mean, "frac")
    assert bold[place("otc_week")].text == f"{len(weeks)} weeks"
    assert bold[place("otc_age_sessions")].text == ""
    z = statistics.fmean(r["short_z"] for r in rows)
    assert bold[place("short_z")].text == write_value(z, "z")


def test_colour_follows_z_and_not_the_ratio(facts):
    daily = facts.daily.with_columns(short_to_rest_ratio=pl.lit(1.9), short_z=pl.lit(-3.0))
    cell = flow_table(daily, "GME").rows[0][place("short_to_rest_ratio")]
    assert cell.colour == "#FF7A59"


def test_html_is_escaped_and_an_empty_table_says_so(tmp_path):
    cells = (Cell("<b>&", title='"x"'), Cell("", spark=(1.0, 2.0)))
    headings = (Heading("<A>", "help <i>", "text", "block"), Heading("S", "", "spark"))
    page = table_html(TableView("<T>", headings, (cells,)))
    assert "&lt;b&gt;&amp;" in page
    assert "&lt;A&gt;" in page
    assert 'title="help &lt;i&gt;"' in page
    assert "<b>&" not in page
    empty = TableView("T", headings, (), empty="nothing here")
    assert "nothing here" in table_html(empty)
    path = table_png([empty, TableView("T", headings, (cells,), summary=cells)], tmp_path / "t.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_breadth_counts_names_beyond_one():
    generator = np.random.default_rng(1)
    z = generator.normal(0, 2, (7, 30))
    z[generator.random(z.shape) < 0.2] = np.nan
    z[:, 4] = np.nan
    found = breadth_of(z)
    for at in range(z.shape[1]):
        known = [v for v in z[:, at].tolist() if not math.isnan(v)]
        if not known:
            assert math.isnan(found[at])
            continue
        by_hand = (sum(v > 1 for v in known) - sum(v < -1 for v in known)) / len(known)
        assert found[at] == pytest.approx(by_hand)


def test_the_mean_share_weighs_by_dollars_or_for_all_sessions_by_shares(facts):
    share, weighting = weighted_share(facts, list(facts.symbols))
    assert weighting == "dollar"
    for at, session in enumerate(facts.sessions):
        rows = facts.daily.filter(pl.col("session") == session).to_dicts()
        above = sum(r["short_volume"] * r["close"] for r in rows)
        assert share[at] == pytest.approx(above / sum(r["total_volume"] * r["close"] for r in rows))
    import dataclasses

    first = facts.daily["close"].to_list()[0]
    holed = facts.daily.with_columns(
        close=pl.when(pl.col("close") == first).then(None).otherwise("close")
    )
    other, weighting = weighted_share(dataclasses.replace(facts, daily=holed), list(facts.symbols))
    assert weighting == "share"
    rows = facts.daily.filter(pl.col("session") == facts.sessions[3])
    assert other[3] == pytest.approx(rows["short_volume"].sum() / rows["total_volume"].sum())


def test_the_map_is_sorted_by_the_last_score(facts):
    order, scores = sorted_symbols(facts)
    assert scores == sorted(scores, reverse=True)
    last = facts.daily.filter(pl.col("session") == facts.sessions[-1])
    assert scores[0] == last["composite_score"].max()
    figure = merged_figure(facts)
    heat = figure.panels[0].marks[0]
    assert isinstance(heat, Heat)
    assert heat.labels == tuple(order)
    top = facts.daily.filter(pl.col("symbol") == order[0]).sort("session")["short_z"]
    assert heat.values[0] == pytest.approx(top.to_numpy())


def test_a_run_holds_every_file_and_is_the_same_next_time(lake, tmp_path):
    made.fill(lake, days=12)
    report = write_flow_report(lake, ["GME", "BRK.B"], tmp_path / "out", days=10)
    assert {path.name for path in report.run.files} == {
        "BRK.B-table.png", "BRK.B.png", "GME-table.png", "GME.png", "index.html", "merged.png",
        "table.csv", "table.parquet",
    }  # fmt: skip
    stored = pl.read_parquet(report.run.folder / "table.parquet")
    assert stored.height == 20
    assert {"short_z", "composite_score", "otc_week"} <= set(stored.columns)
    page = (report.run.folder / "index.html").read_text()
    assert "FINRA publishes no direction" in page
    assert "as the lake knows it, newest evening 2021-01-29 23:00 UTC" in page
    assert "tapemill report flow GME BRK.B --end 2021-01-29 --days 10" in page
    again = write_flow_report(lake, ["GME", "BRK.B"], tmp_path / "out", days=10)
    assert again.run.reused
    other = write_flow_report(lake, ["GME", "BRK.B"], tmp_path / "out", days=9, each=False)
    assert other.run.folder != report.run.folder
    assert not (other.run.folder / "GME.png").exists()
    assert report.run.folder.exists()


def test_more_than_a_page_can_hold_is_refused(lake, tmp_path):
    for symbols, days in ((["A"] * 61, 5), ([], 5), (["GME"], 505)):
        with pytest.raises(UsageError, match="cannot be shown"):
            write_flow_report(lake, symbols, tmp_path, days=days)
