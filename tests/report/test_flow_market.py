"""The scan page and the macro page."""

from __future__ import annotations

import datetime
import re

import numpy as np
import polars as pl
import pytest

from report import flow_made as made
from tapemill.errors import DateError, LakeError, UnknownNameError
from tapemill.flow.explain import explain
from tapemill.lake import Lake
from tapemill.report.flow_macro import macro_figure, read_macro, write_macro_report
from tapemill.report.flow_panels import Bars, Region, Steps
from tapemill.report.flow_scan import write_scan_report
from tapemill.settings import Settings


@pytest.fixture
def lake(tmp_path):
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.tables.replace("gold.flow_scan", made.scan())
    lake.tables.replace("gold.flow_macro", made.macro())
    return lake


def test_the_scan_page_lists_ranked_names_with_their_past_and_the_whole_universe(lake, tmp_path):
    report = write_scan_report(lake, Settings(), tmp_path / "out", top=5)
    assert report.run.folder.parent.name == "flow-scan"
    assert report.lists["buying"][0]["symbol"] == "GME"
    assert report.lists["selling"][0]["symbol"] == "N01"
    page = (report.run.folder / "index.html").read_text()
    last = made.scan().filter(pl.col("session") == made.LAST)
    for name in ("buying", "selling"):
        rows = last.filter(pl.col("direction") == name).sort("rank").head(5)
        assert [row["symbol"] for row in report.lists[name]] == rows["symbol"].to_list()
        for row in rows.to_dicts():
            assert f">{row['symbol']}</td>" in page
            # The evening's history is short for all: said once, on top; OTC has a column.
            said = explain(row | {"otc_next_publication": None}, usual_days=45)
            assert said.replace("'", "&#x27;") in page
    assert "baseline of 45 days only" not in page
    assert "OTC unknown until" not in page
    assert "median history of the eligible" in page and "<dd>45 sessions<" in page
    # Columns without anything in them leave their room to the words.
    assert ">Name</th>" not in page and ">Sector</th>" in page
    assert page.count("<svg") >= 3 * 5
    assert "ACIC.WS" not in page
    assert "no prices" in page
    assert "only 45 of 60 sessions of history" in page
    assert "&lt;0.001" in page
    universe = pl.read_parquet(report.run.folder / "universe.parquet")
    assert universe.height == 41
    assert {path.name for path in report.run.files} == {
        "index.html", "lists.png", "universe.csv", "universe.parquet",
    }  # fmt: skip


def test_a_name_is_shown_where_finra_gives_one(lake, tmp_path):
    week = {
        "symbol": "GME", "week_start": datetime.date(2021, 1, 4), "venue_class": "ats",
        "issue_name": "GameStop <Class A>", "tier": "T1", "shares": 1, "year": 2021, "version": 1,
        "known_at": datetime.datetime(2021, 1, 25, 23, tzinfo=datetime.UTC),
    }  # fmt: skip
    lake.tables.replace("silver.otc_weekly", made.conform("silver.otc_weekly", [week]))
    report = write_scan_report(lake, Settings(), tmp_path / "out", top=3)
    assert "GameStop &lt;Class A&gt;" in (report.run.folder / "index.html").read_text()


def test_the_strip_leaves_out_evenings_of_another_size(lake, tmp_path):
    def strip(folder):
        report = write_scan_report(lake, Settings(), tmp_path / folder, top=3)
        page = (report.run.folder / "index.html").read_text()
        found = re.search(r"Short share, (\d+) evenings", page)
        return report.view.market["names"], found and int(found[1])

    evenings = made.macro().filter(pl.col("scope") == "market")["session"].unique().sort()
    names, _ = strip("as made")
    kind = made.macro()["names"].dtype
    for few, many in ((names // 2 - 1, names), (2 * names + 1, (names + 1) // 2)):
        other = pl.col("session").is_in(evenings.tail(12).implode()).not_()
        size = pl.when(other).then(pl.lit(few)).otherwise(pl.lit(many)).cast(kind)
        lake.tables.replace("gold.flow_macro", made.macro().with_columns(names=size))
        assert strip(f"{few}") == (names, 12)


def test_the_scan_of_another_evening_is_another_run(lake, tmp_path):
    day = made.sessions_until()[-2]
    one = write_scan_report(lake, Settings(), tmp_path / "out", session=day, top=3)
    two = write_scan_report(lake, Settings(), tmp_path / "out", top=3)
    assert one.run.folder != two.run.folder
    assert one.view.session == day
    with pytest.raises(DateError):
        write_scan_report(lake, Settings(), tmp_path, session=datetime.date(2021, 1, 18))


def test_a_scan_that_was_never_built_says_how(tmp_path):
    lake = Lake.open(tmp_path / "lake", create=True)
    with pytest.raises(LakeError, match=r"gold\.flow_scan is not built"):
        write_scan_report(lake, Settings(), tmp_path / "out")
    with pytest.raises(LakeError, match=r"gold\.flow_macro is not built"):
        write_macro_report(lake, tmp_path / "out")


def test_the_macro_figure_shows_the_stored_rows_and_shades_by_percentile(lake):
    facts = read_macro(lake, days=30)
    figure = macro_figure(facts)
    rows = made.macro().filter(pl.col("scope") == "market").sort("session")
    share = next(p for p in figure.panels if p.title.startswith("Short share"))
    values = next(m for m in share.marks if isinstance(m, Steps)).values
    assert values == pytest.approx(rows["short_share"].to_numpy())
    breadth = next(p for p in figure.panels if p.title.startswith("Breadth")).marks[0]
    assert isinstance(breadth, Bars)
    assert breadth.values == pytest.approx(rows["breadth"].to_numpy())
    shaded = {
        at
        for region in share.marks
        if isinstance(region, Region)
        for at in range(int(region.first), int(region.last) + 1)
    }
    ranks = rows["share_percentile"].to_list()
    outer = {i for i, rank in enumerate(ranks) if rank is not None and not 0.2 < rank < 0.8}
    assert shaded == outer
    assert "SPY or SPX" in figure.panels[0].absent
    assert "every session has an evening" in figure.panels[-1].remark


def test_the_index_is_drawn_as_it_was_known(lake):
    rows = made.daily(["SPY"], days=30)
    lake.tables.replace("silver.equity_bars_1d", made.bars(rows))
    moment = "2021-01-20T23:30:00+00:00"
    facts = read_macro(lake, days=10, as_of=moment)
    assert facts.sessions[-1] == datetime.date(2021, 1, 20)
    line = next(m for m in macro_figure(facts).panels[0].marks if isinstance(m, Steps)).values
    assert np.isnan(line[-1])
    assert np.isfinite(line[:-1]).all()


def test_a_missing_evening_is_counted(lake):
    lost = made.sessions_until()[-5]
    rows = made.macro().filter(pl.col("session") != lost)
    lake.tables.replace("gold.flow_macro", rows)
    figure = macro_figure(read_macro(lake, days=20))
    assert figure.panels[-1].remark == "1 sessions without an evening"


def test_the_macro_run_holds_its_files_and_other_scopes(lake, tmp_path):
    report = write_macro_report(lake, tmp_path / "out", scope="sector:Tech")
    assert {path.name for path in report.run.files} == {
        "index.html", "macro.csv", "macro.parquet", "macro.png",
    }  # fmt: skip
    assert "sector:Tech" in (report.run.folder / "index.html").read_text()
    with pytest.raises(UnknownNameError) as error:
        read_macro(lake, scope="sector:Tec")
    assert "sector:Tech" in error.value.next_step
    with pytest.raises(DateError, match="no evening"):
        read_macro(lake, end=datetime.date(2020, 3, 2), days=5)
