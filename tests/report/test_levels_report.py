"""The page of levels of a made-up day: what it shows is what the tables hold."""

from __future__ import annotations

import datetime
import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from report import levels_made as made
from tapemill.cli.app import main
from tapemill.clock import eastern_ns
from tapemill.errors import DateError, LakeError, UnknownNameError
from tapemill.lake import Lake
from tapemill.levels.feed import read_feed, read_trades
from tapemill.report.levels_book import book_grid
from tapemill.report.levels_facts import read_levels, symbols_of_session
from tapemill.report.levels_figure import levels_figure
from tapemill.report.levels_report import write_levels_report
from tapemill.report.levels_style import outcome_look
from tapemill.report.levels_tables import effects_of, episodes_table, levels_table

VOID = {"meta", "br", "img", "link", "hr", "input"}


class Balanced(HTMLParser):
    """Fails on a tag that is not closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    folder = tmp_path_factory.mktemp("levels")
    lake, settings = made.fill(folder)
    facts = read_levels(lake, settings, made.DAY, "ESH4")
    return SimpleNamespace(lake=lake, settings=settings, facts=facts, folder=folder)


def gold(day, name):
    return day.lake.tables.scan(f"gold.{name}").collect()


def test_the_made_day_holds_what_these_tests_need(day):
    assert day.facts.approaches.height > 20
    assert {"break", "bounce", "neither", "untouched"} <= set(day.facts.approaches["outcome"])
    assert any(a <= made.GAP[0] and b >= made.GAP[1] for a, b in day.facts.book.gaps)


def test_every_touched_approach_has_its_outcome_and_place(day):
    label = gold(day, "episode_outcomes").filter(
        pl.col("barrier") == "k1", pl.col("horizon_seconds") == 240, pl.col("delay_seconds") == 0
    )
    outcome = dict(label.select("episode_id", "outcome").iter_rows())
    rows = gold(day, "episodes").filter(pl.col("family") == "real").sort("enter_ns", "episode_id")
    scene = levels_figure(day.facts).scene
    shown = [one for one in scene.approaches if not one.placebo]
    assert len(shown) == rows.height
    for one, row in zip(shown, rows.iter_rows(named=True), strict=True):
        touched = row["touch_ns"] is not None
        expected = outcome.get(row["episode_id"], "unknown") if touched else "untouched"
        assert one.look is outcome_look(expected)
        assert one.from_below is (row["direction"] > 0)
        assert (one.touch is None) is (not touched)
        edge = row["low_ticks"] if row["direction"] > 0 else row["high_ticks"]
        assert one.price == pytest.approx(edge * 0.25)


def test_the_tracks_show_the_stored_features(day):
    rows = gold(day, "episode_features").filter(pl.col("family") == "real")
    rows = rows.sort("decision_ns", "episode_id", "delay_seconds")
    decided = levels_figure(day.facts).decided
    assert len(decided) == rows.height
    assert [one.net for one in decided] == rows["barrier_net_60s"].to_list()
    assert [one.imbalance for one in decided] == rows["tape_imbalance_60s"].to_list()
    states = rows["barrier_state_60s"].to_list()
    assert [one.state.key for one in decided] == ["" if s is None else str(s) for s in states]


def test_the_book_behind_is_the_replayed_one(day):
    book = day.facts.book
    feed = read_feed(day.lake, "ESH4", made.DAY, chunk=777)
    high = day.facts.high_ticks
    again = book_grid(feed, book.edges_ns, book.low_ticks, high, day.facts.gap_seconds)
    assert np.array_equal(book.size, again.size)
    known = np.isfinite(book.bid)
    assert known.sum() > 100
    assert (book.bid[known] < book.ask[known]).all()
    trades = read_trades(day.lake, "ESH4", made.DAY)
    assert day.facts.low_ticks < trades.price.min()
    assert high > trades.price.max()


def test_levels_step_as_stored_and_labels_do_not_overlap(day):
    scene = levels_figure(day.facts).scene
    shown = {one.name: one for one in scene.levels if not one.placebo}
    rows = gold(day, "levels").filter(pl.col("level_id") == "OVERNIGHT_HIGH")
    one = shown.get("SESSION_HIGH")
    assert one is not None
    rows = gold(day, "levels").filter(pl.col("level_id") == "SESSION_HIGH").sort("valid_from_ns")
    at = scene.ms(rows["valid_from_ns"].to_numpy())
    for moment, price in zip(at, rows["price"].to_list(), strict=True):
        if scene.start <= moment < scene.end:
            place = np.searchsorted(one.at, moment, side="right") - 1
            assert abs(one.values[place] - price) < (scene.high - scene.low) / 500
    places = [label.place for label in scene.labels]
    gap = 14 * (scene.high - scene.low) / 600
    assert len(places) > 3
    assert min(np.diff(places)) >= gap - 1e-9


def test_a_moment_shows_nothing_later(day):
    moment = datetime.datetime(2023, 12, 26, 16, 20, tzinfo=datetime.UTC)
    limit = int(moment.timestamp()) * 10**9
    facts = read_levels(day.lake, day.settings, made.DAY, "ESH4", as_of=moment)
    assert facts.end_ns <= limit
    assert facts.episodes["end_ns"].max() <= limit
    assert facts.levels["valid_to_ns"].max() <= limit
    assert facts.decisions["decision_ns"].max() <= limit
    assert facts.evidence.height < day.facts.evidence.height
    late = facts.decisions.filter(pl.col("decision_ns") + 240 * 10**9 > limit)
    resolved = gold(day, "episode_outcomes").filter(pl.col("resolved_ns") > limit)["episode_id"]
    unknown = late.filter(
        pl.col("episode_id").is_in(resolved.to_list()) & pl.col("outcome").is_null()
    )
    assert late.height >= unknown.height
    full = book_grid(
        read_feed(day.lake, "ESH4", made.DAY),
        facts.book.edges_ns,
        facts.low_ticks,
        facts.high_ticks,
        facts.gap_seconds,
    )
    ended = facts.book.edges_ns[1:] <= limit - 60 * 10**9
    assert np.array_equal(facts.book.size[:, ended], full.size[:, ended])
    bins = facts.tape.at_ns + facts.tape.seconds * 10**9
    assert bins.max() <= facts.end_ns


def test_the_run_holds_a_page_without_a_network_a_picture_and_the_tables(day, tmp_path):
    report = write_levels_report(day.lake, day.settings, made.DAY, "ESH4", tmp_path)
    names = {path.name for path in report.run.files}
    tables = {
        f"{n}.{e}"
        for n in ("levels", "episodes", "decisions", "effects")
        for e in ("csv", "parquet")
    }
    assert names == {"index.html", "ESH4.png", *tables}
    page = (report.run.folder / "index.html").read_text(encoding="utf-8")
    assert len(page.encode()) < 6e6
    parser = Balanced()
    parser.feed(re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))
    assert parser.open == []
    assert all(link.startswith("#") for link in parser.links)
    text = " ".join(parser.text)
    assert "ESH4 levels, trade date 2023-12-26" in text
    assert "the feed was silent for more than 300 s: " in text
    assert "the lake holds no earlier trade date of ESH4: no PRIOR_DAY_HIGH" in text
    assert report.facts.sources[0].sha256[:12] in text
    assert (report.run.folder / "ESH4.png").read_bytes()[:4] == b"\x89PNG"
    kept = pl.read_parquet(report.run.folder / "episodes.parquet")
    assert kept.height == gold(day, "episodes").height
    again = write_levels_report(day.lake, day.settings, made.DAY, "ESH4", tmp_path)
    assert again.run.reused
    assert again.run.folder == report.run.folder
    other = write_levels_report(
        day.lake, day.settings, made.DAY, "ESH4", tmp_path, wanted=["SESSION_HIGH"]
    )
    assert other.run.folder != report.run.folder
    assert set(other.facts.levels["kind"]) == {"SESSION_HIGH"}


def test_too_little_evidence_is_said_and_gives_no_number(day):
    effects = effects_of(day.facts.evidence.head(12))
    assert effects.outcome == "insufficient"
    assert effects.frame["difference"].is_null().all()
    assert effects_of(pl.DataFrame()).outcome == "insufficient"


def test_tables_count_what_the_gold_tables_hold(day):
    rows = gold(day, "episodes").filter(pl.col("family") == "real")
    shown = episodes_table(day.facts)
    assert shown.total == rows.height
    levels = levels_table(day.facts)
    touches = levels.columns.index(next(one for one in levels.columns if one[0] == "touches"))
    counted = {row[0]: int(row[touches]) for row in levels.rows}
    for name in ("SESSION_HIGH", "VWAP"):
        within = pl.col("level_ids").str.split("+").list.contains(name)
        expected = rows.filter(within, pl.col("touch_ns").is_not_null()).height
        assert counted[name] == expected
    assert sum(counted.values()) > 5


def test_a_level_that_is_never_approached_is_drawn_where_asked(day):
    ids = day.facts.levels.filter(pl.col("family") == "real")
    touched = {one for text in day.facts.approaches["level_ids"] for one in text.split("+")}
    far = next(
        i for i in ids.sort("price")["level_id"] if i.startswith("ROUND") and i not in touched
    )
    facts = read_levels(day.lake, day.settings, made.DAY, "ESH4", wanted=[far])
    figure = levels_figure(facts)
    assert facts.approaches.is_empty()
    assert [one.name for one in figure.scene.levels if not one.placebo] == [far]
    assert {track.key for track in figure.tracks if track.absent} == {
        "net", "replenishment", "imbalance",
    }  # fmt: skip
    assert "no real level was touched" in figure.tracks[1].absent
    figure.figure()
    figure.matplotlib_figure()


def test_questions_that_cannot_be_answered_say_why(day, tmp_path):
    with pytest.raises(DateError, match="Christmas"):
        symbols_of_session(day.lake, datetime.date(2023, 12, 25))
    with pytest.raises(DateError, match="no levels were made"):
        symbols_of_session(day.lake, datetime.date(2023, 12, 27))
    with pytest.raises(UnknownNameError, match="NQH4"):
        symbols_of_session(day.lake, made.DAY, "NQH4")
    with pytest.raises(LakeError, match=r"gold\.episodes is not built"):
        symbols_of_session(Lake.open(tmp_path / "empty", create=True), made.DAY)
    silent = (made.GAP[0] + 10**11, made.GAP[1] - 10**11)
    with pytest.raises(DateError, match="lies in the stretch"):
        read_levels(day.lake, day.settings, made.DAY, "ESH4", between=silent)


def run(capsys, day, *arguments):
    with pytest.raises(SystemExit) as end:
        main(["report", "levels", *map(str, arguments), "--lake", str(day.folder / "lake")])
    return end.value.code, *capsys.readouterr()


def test_as_a_person_types_it(day, tmp_path, capsys):
    options = ("--from", "10:00", "--to", "11:30", "--out", tmp_path)
    code, text, _ = run(capsys, day, made.DAY, *options)
    assert code == 0
    assert "real minus placebo" in text
    assert "index.html" in text
    code, text, _ = run(capsys, day, made.DAY, *options, "--json")
    facts = json.loads(text)["reports"][0]
    assert facts["reused"] is True
    assert facts["symbol"] == "ESH4"
    assert facts["start_ns"] == eastern_ns(made.DAY, 10)
    assert facts["end_ns"] == eastern_ns(made.DAY, 11, 30)
    assert (tmp_path / "levels" / "latest" / "index.html").is_file()
    for wrong in (("--from", "25:00"), ("--from", "12:00", "--to", "11:00"), ("--level", "VWAPP")):
        code, _, err = run(capsys, day, made.DAY, *wrong)
        assert code == 2
        assert err
