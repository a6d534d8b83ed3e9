"""One symbol's figure: what it draws, what it says is missing, and that nothing overlaps."""

from __future__ import annotations

import datetime
import itertools
import math

import numpy as np
import polars as pl
import pytest

from report import flow_made as made
from tapemill.errors import DateError, LakeError, UnknownNameError, UsageError
from tapemill.lake import Lake
from tapemill.report.flow_facts import read_flow
from tapemill.report.flow_panels import Bars, Blocks, Candles, Points, Steps, figure_width
from tapemill.report.flow_symbol import baseline_band, symbol_figure


@pytest.fixture
def lake(tmp_path):
    return Lake.open(tmp_path / "lake", create=True)


def panel(figure, start):
    return next(one for one in figure.panels if one.title.startswith(start))


def marks(panel, kind):
    return [mark for mark in panel.marks if isinstance(mark, kind)]


def test_the_band_lies_two_scales_around_the_usual_share():
    base, scale = 0.4, 0.15
    z = np.array([1.5, -2.0, 0.0, np.nan])
    usual = np.full(4, 1 / (1 + math.exp(-base)))
    low, high = baseline_band(base + scale * z, usual, z)
    assert low[:2] == pytest.approx(1 / (1 + math.exp(-(base - 0.3))))
    assert high[:2] == pytest.approx(1 / (1 + math.exp(-(base + 0.3))))
    assert np.isnan(low[2:]).all()
    assert np.isnan(high[2:]).all()


def test_every_panel_shows_the_stored_rows(lake):
    rows = made.fill(lake, days=30).filter(pl.col("symbol") == "GME").sort("session")
    facts = read_flow(lake, ["GME"], days=30)
    figure = symbol_figure(facts, "GME")
    assert list(figure.sessions) == rows["session"].to_list()
    share = marks(panel(figure, "Short share"), Steps)[-1].values
    assert share == pytest.approx(rows["short_share"].to_numpy())
    lit = marks(panel(figure, "Lit imbalance"), Bars)[0].values
    assert lit == pytest.approx(rows["lit_imbalance"].to_numpy())
    candles = marks(panel(figure, "Price"), Candles)[0]
    assert candles.close == pytest.approx(rows["close"].to_numpy())
    score = marks(panel(figure, "Composite"), Bars)[0]
    assert score.values == pytest.approx(0.8 * rows["pressure_score"].to_numpy())
    assert list(score.opacities) == sorted(score.opacities), "confidence grows with history"
    assert len(set(score.opacities)) > 10
    labelled = marks(panel(figure, "Composite"), Points)[0]
    strong = [i for i, s in enumerate(score.values) if abs(s) > 0.35]
    assert labelled.at.tolist() == strong


def test_a_week_stands_where_it_describes_and_its_mark_where_it_was_published(lake):
    made.fill(lake, days=40)
    facts = read_flow(lake, ["GME"], days=40)
    otc = panel(symbol_figure(facts, "GME"), "OTC participation")
    blocks = marks(otc, Blocks)[0].blocks
    for block, week in zip(blocks, facts.weeks.iter_rows(named=True), strict=True):
        inside = [
            i
            for i, day in enumerate(facts.sessions)
            if week["week"] <= day <= week["week"] + datetime.timedelta(days=4)
        ]
        assert (block.first, block.last) == (inside[0], inside[-1])
        assert block.value == week["participation"]
    flags = next(one for one in marks(otc, Points) if set(one.symbols) == {"flag"})
    known = [w for w in facts.weeks["published"] if facts.sessions[0] <= w <= facts.sessions[-1]]
    assert all(facts.sessions[int(at)] >= day for at, day in zip(flags.at, known, strict=True))
    then = marks(otc, Steps)[0].values
    row = facts.daily.sort("session")["otc_participation_frac"].to_numpy()
    assert then == pytest.approx(row), "the amber line is what each evening knew"


def test_minute_mode_says_that_it_is_the_whole_tape(lake):
    made.fill(lake, tape="minute")
    titles = [one.title for one in symbol_figure(read_flow(lake, ["GME"]), "GME").panels]
    assert any("whole tape, dark prints included" in title for title in titles)
    assert not any(title.startswith("Lit") for title in titles)


def test_what_is_missing_is_said_in_its_place(lake):
    made.fill(lake, tape="none", prices=False, weeks=False, signal=False)
    figure = symbol_figure(read_flow(lake, ["GME"], days=20), "GME")
    said = {one.title.split(" ")[0]: one.absent for one in figure.panels if one.absent}
    assert "tapemill fetch bars_1d" in said["Price"]
    assert "unknown, not neutral" in said["Tape"]
    assert "no OTC week known" in said["OTC"]
    assert "gold.composite_signal is not built" in said["Composite"]
    assert "FINRA publishes no direction" in figure.footer[0]


def test_weeks_without_prices_are_shown_by_volume(lake):
    made.fill(lake, prices=False)
    otc = panel(symbol_figure(read_flow(lake, ["GME"]), "GME"), "OTC volume")
    assert otc.form == "volume"
    assert {block.value for block in marks(otc, Blocks)[0].blocks} == {5e6}


def test_a_session_without_a_row_is_a_gap_and_is_counted(lake):
    rows = made.daily(days=20)
    lost = rows["session"].unique().sort()[10]
    lake.tables.replace("gold.flow_daily", rows.filter(pl.col("session") != lost))
    figure = symbol_figure(read_flow(lake, ["GME"], days=20), "GME")
    share = marks(panel(figure, "Short share"), Steps)[-1].values
    assert np.flatnonzero(np.isnan(share)).tolist() == [10]
    assert "1 of 20 sessions have no row" in " ".join(figure.footer)


@pytest.mark.parametrize("days", [1, 2, 5, 26, 60, 130, 250])
def test_labels_never_touch_and_the_width_grows_within_bounds(lake, days):
    made.fill(lake, ["GME"], days=days)
    figure = symbol_figure(read_flow(lake, ["GME"], days=days), "GME")
    positions, labels = figure.ticks()
    assert len(positions) == len(labels) >= 1
    cell = figure.plot_width / (days + 0.6)
    assert all((b - a) * cell >= 50 for a, b in itertools.pairwise(positions))
    assert 1200 <= figure.width <= 2400
    assert figure_width(250) > figure_width(60)
    assert figure.figure().layout.width == figure.width


def test_both_renderers_draw_the_same_bytes_twice(lake, tmp_path):
    made.fill(lake, ["GME"], days=25)
    for name in ("a", "b"):
        figure = symbol_figure(read_flow(lake, ["GME"], days=25), "GME")
        figure.write_png(tmp_path / f"{name}.png")
        figure.write_html(tmp_path / f"{name}.html")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    page = (tmp_path / "a.html").read_text()
    assert page == (tmp_path / "b.html").read_text()
    assert "cdn." not in page.split("<body")[1]


# -- reading -------------------------------------------------------------------------------------


def test_nothing_later_than_as_of_is_shown(lake, tmp_path):
    """Future scramble: whatever comes later, the report as of a moment does not move."""
    made.fill(lake, days=30)
    moment = "2021-01-15T23:30:00+00:00"
    day = datetime.date(2021, 1, 15)
    facts = read_flow(lake, ["GME", "AMC"], days=20, as_of=moment)
    assert facts.sessions[-1] == day
    assert facts.bars["session"].max() == datetime.date(2021, 1, 14), "its close comes at 20:00"

    other = Lake.open(tmp_path / "other", create=True)
    noise = made.daily(days=30, seed=99)
    later = pl.col("session") > day
    rows = pl.concat([made.daily(days=30).filter(~later), noise.filter(later)])
    other.tables.replace("gold.flow_daily", rows)
    other.tables.append("ops.signal_versions", made.versions(), writer="made", sequence=1)
    other.tables.append("gold.composite_signal", made.composite(rows), writer="made", sequence=1)
    prices = made.bars(made.daily(days=30))
    after = pl.col("known_at") > pl.lit(moment).str.to_datetime(time_zone="UTC")
    other.tables.replace(
        "silver.equity_bars_1d",
        prices.with_columns(close=pl.when(after).then(999.0).otherwise("close")),
    )
    scrambled = read_flow(other, ["GME", "AMC"], days=20, as_of=moment)
    for name, frame in facts.frames().items():
        assert frame.equals(scrambled.frames()[name]), name


def test_the_newest_revision_of_a_signal_counts(lake):
    rows = made.fill(lake, ["GME"], days=5)
    again = made.composite(rows).with_columns(
        pl.lit(2).cast(pl.Int16).alias("revision"), composite_score=pl.lit(0.123)
    )
    lake.tables.append("gold.composite_signal", again, writer="made", sequence=2)
    facts = read_flow(lake, ["GME"], days=5)
    assert facts.daily.height == 5
    assert facts.daily["composite_score"].unique().to_list() == [0.123]


def test_a_signal_computed_for_a_later_moment_counts_from_then_on(lake):
    rows = made.fill(lake, ["GME"], days=5)
    later = pl.col("as_of") + pl.duration(days=30)
    again = made.composite(rows).with_columns(
        as_of=later, known_at=later, composite_score=pl.lit(0.123)
    )
    lake.tables.append("gold.composite_signal", again, writer="made", sequence=2)
    now = read_flow(lake, ["GME"], days=5).daily["composite_score"]
    then = read_flow(lake, ["GME"], days=5, as_of="2021-01-29").daily["composite_score"]
    assert now.unique().to_list() == [0.123]
    assert then.to_list() == pytest.approx((0.8 * rows["pressure_score"]).to_list())


def test_errors_say_what_to_do_next(lake):
    with pytest.raises(LakeError, match=r"gold\.flow_daily is not built") as error:
        read_flow(lake, ["GME"])
    assert "tapemill build gold.flow_daily" in error.value.next_step
    made.fill(lake, days=10)
    with pytest.raises(UnknownNameError) as unknown:
        read_flow(lake, ["GMR"])
    assert "'GME'" in unknown.value.next_step
    with pytest.raises(DateError, match="no session"):
        read_flow(lake, ["GME"], end=datetime.date(2021, 1, 18))
    with pytest.raises(DateError, match="no evening of GME") as early:
        read_flow(lake, ["GME"], end=datetime.date(2020, 6, 1), days=5)
    assert early.value.next_step == "--end 2021-01-29"
    with pytest.raises(LakeError, match="no evening known by"):
        read_flow(lake, ["GME"], as_of="2019-01-01")
    with pytest.raises(UsageError):
        read_flow(lake, ["GME"], days=0)
