"""The tape: read to its last page, told apart, summed, and forgotten."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
from datetime import date

import msgspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from intake.bench import NOW
from tapemill.clock import FixedClock, calendar, eastern_ns
from tapemill.intake import (
    fetch_tape,
    plan_fetch,
    plan_tape,
    recover,
    tape_lane,
    tape_modes,
)
from tapemill.intake.attempt import Asked
from tapemill.intake.pages import PageChain, UnitMemory
from tapemill.intake.tape_day import DayReading
from tapemill.intake.tape_evidence import TapeDocument, keep_day
from tapemill.intake.tape_streams import TickStream
from tapemill.lake import Lake
from tapemill.lake.control import CellState
from tapemill.vendors import WireAnswer, interpret
from tapemill.world import Fault, Sandbox, SandboxThread
from tapemill.world.ticks import draw_tape

TAPE = "bronze.massive_tape_5m"
DAY = date(2026, 1, 7)
FIVE_MINUTES_NS = 300_000_000_000
SIDES = ("lit_buy_volume", "lit_sell_volume", "trf_buy_volume", "trf_sell_volume")


@pytest.fixture
def reading(monkeypatch):
    def choose(*, limit=50_000, window_minutes=0):
        monkeypatch.setattr(tape_lane, "READING", DayReading(window_minutes, limit))

    return choose


def rows(bench):
    return bench.lake.tables.scan(TAPE).collect().sort("symbol", "ts_event")


def values(frame):
    return frame.drop("raw_sha256", "ts_recv", "request_id")


def documents(bench):
    shas = rows(bench)["raw_sha256"].unique().to_list()
    return [msgspec.json.decode(bench.lake.raw.get(sha), type=TapeDocument) for sha in shas]


def run_tape(bench, symbols, start=DAY, end=DAY, *, mode="auto", again=False):
    plan = plan_tape(
        bench.lake, bench.settings, bench.clock, symbols, start, end, mode=mode, again=again
    )
    return asyncio.run(
        fetch_tape(bench.lake, bench.settings, bench.clock, plan, again=again, transport=bench.wire)
    )


# -- what the sums are -----------------------------------------------------------------------


def truth(market, symbol, session):
    """Sums by the market's own truth, without any classifier."""
    prints = draw_tape(market, symbol, session).trades
    counted = pl.col("kind").is_in(["quote", "midpoint", "retail"])
    off = pl.col("exchange") == 4

    def shares(rule):
        return pl.col("size").filter(rule).sum()

    return (
        prints.with_columns(ts_event=pl.col("sip_timestamp") // FIVE_MINUTES_NS * FIVE_MINUTES_NS)
        .group_by("ts_event")
        .agg(
            lit_buy_volume=shares(counted & ~off & (pl.col("side") == 1)),
            lit_sell_volume=shares(counted & ~off & (pl.col("side") == -1)),
            trf_buy_volume=shares(counted & off & (pl.col("side") == 1)),
            trf_sell_volume=shares(counted & off & (pl.col("side") == -1)),
            lit=shares(counted & ~off),
            trf=shares(counted & off),
            auction_volume=shares(pl.col("kind") == "auction"),
            ineligible_volume=shares(pl.col("kind").is_in(["off_market", "cancelled"])),
            prints=pl.len().cast(pl.Int64),
        )
        .sort("ts_event")
    )


def test_sums_agree_with_the_truth_of_the_market(bench, market):
    one = bench()
    one.run("tape", ["SPY"], DAY, DAY)
    got, want = rows(one), truth(market, "SPY", DAY)
    for venue in ("lit", "trf"):
        names = [f"{venue}_{side}_volume" for side in ("buy", "sell", "unclassified")]
        total = got.select("ts_event", pl.sum_horizontal(names).alias(venue))
        assert_frame_equal(total, want.select("ts_event", venue), rel_tol=1e-12)
    exact = ["ts_event", "auction_volume", "ineligible_volume", "prints"]
    assert_frame_equal(got.select(exact), want.select(exact), rel_tol=1e-12)
    wrong = sum((got[name] - want[name]).abs().sum() for name in SIDES) / 2
    assert 1 - wrong / sum(want[name].sum() for name in SIDES) >= 0.95
    lit = ["lit_buy_volume", "lit_sell_volume"]
    net, true_net = (f[lit[0]] - f[lit[1]] for f in (got, want))
    assert pl.DataFrame({"a": net, "b": true_net}).select(pl.corr("a", "b")).item() > 0.95


@pytest.mark.parametrize(
    ("limit", "window_minutes"), [(997, 0), (50_000, 45), (313, 200), (50_000, 1)]
)
def test_neither_pages_nor_windows_change_a_bit(bench, reading, limit, window_minutes):
    whole, cut = bench(), bench()
    whole.run("tape", ["KO"], DAY, DAY)
    reading(limit=limit, window_minutes=window_minutes)
    report = cut.run("tape", ["KO"], DAY, DAY)
    assert len(whole.wire.calls) == 2 < report.calls
    assert values(rows(cut)).equals(values(rows(whole)))


def test_every_page_is_followed_and_little_is_held(bench, market, reading, monkeypatch):
    held = []
    take = TickStream.take

    def watched(stream, before):
        held.append(sum(frame.height for frame in stream._held))
        return take(stream, before)

    monkeypatch.setattr(TickStream, "take", watched)
    reading(limit=100)
    one = bench()
    one.run("tape", ["KO"], DAY, DAY)
    tape = draw_tape(market, "KO", DAY)
    assert len(one.wire.calls) == -(-tape.trades.height // 100) + -(-tape.quotes.height // 100)
    (document,) = documents(one)
    assert (document.prints, document.quotes) == (tape.trades.height, tape.quotes.height)
    assert len(document.pages) == len(one.wire.calls)
    assert max(held) <= 2 * 100 + 2


def test_no_tick_is_stored(bench):
    one = bench()
    one.run("tape", ["SPY", "KO"], DAY, DAY)
    objects = [one.lake.raw.get(ref.sha256) for ref in one.lake.raw]
    assert len(objects) == 2
    assert not any(b"sip_timestamp" in content for content in objects)
    assert sum(map(len, objects)) < 0.02 * one.sandbox.calls.count() * 1_000_000
    assert not list(one.lake.verify())


# -- what can go wrong -----------------------------------------------------------------------


def test_a_failure_in_the_middle_leaves_nothing_and_the_next_run_begins_anew(bench, reading):
    reading(limit=500)
    whole, broken = bench(), bench(settings={"retry.attempts": 2})
    whole.run("tape", ["KO"], DAY, DAY)
    broken.sandbox.faults.replace([Fault(kind="error_5xx", path="/v3/quotes/*", after_seconds=0.5)])
    report = broken.run("tape", ["KO"], DAY, DAY)
    assert report.remaining == 1
    assert report.states["transient"] == 1
    assert not broken.lake.tables.exists(TAPE) or rows(broken).is_empty()
    assert not list(broken.lake.raw)
    broken.sandbox.faults.replace([])
    broken.clock.advance(3_600)
    assert broken.run("tape", ["KO"], DAY, DAY).remaining == 0
    assert values(rows(broken)).equals(values(rows(whole)))


@pytest.mark.parametrize("kind", ["duplicated_page", "cursor_loop"])
def test_spoilt_paging_closes_nothing(bench, reading, kind):
    reading(limit=500)
    one = bench(faults=[Fault(kind=kind, path="/v3/trades/*")])
    report = one.run("tape", ["KO"], DAY, DAY)
    assert report.states["bad_answer"] == 1
    assert not list(one.lake.raw)


@pytest.mark.parametrize("column", ["price", "sip_timestamp"])
def test_a_field_that_disappears_stops_the_lane(bench, column):
    fault = Fault(kind="schema_missing_column", path="/v3/trades/*", options={"column": column})
    one = bench(faults=[fault])
    report = one.run("tape", ["KO"], DAY, DAY)
    assert report.states["bad_answer"] == 1
    assert one.lake.control.incidents.lane_blocked(TAPE)


class Rewritten:
    """The wire with answers changed on their way."""

    def __init__(self, wire, change):
        self._wire, self._change = wire, change

    async def send(self, call, arrived):
        answer = await self._wire.send(call, arrived)
        document = json.loads(answer.body)
        self._change(call, document)
        return dataclasses.replace(answer, body=json.dumps(document).encode())

    async def close(self):
        pass


def test_a_full_page_that_names_no_next_one_is_not_taken_for_the_end(bench, reading):
    reading(limit=500)
    one = bench()
    one.wire = Rewritten(one.wire, lambda _, document: document.pop("next_url", None))
    report = one.run("tape", ["KO"], DAY, DAY)
    assert report.states["bad_answer"] == 1
    cell = one.lake.control.ledger.cell(TAPE, "KO", DAY)
    assert "cut" in cell.reason


def test_broken_prints_are_set_aside_with_their_reason(bench):
    def change(call, document):
        if "trades" in call.path:
            document["results"][10]["price"] = -1.0
            document["results"][20]["size"] = "many"

    one = bench()
    one.wire = Rewritten(one.wire, change)
    report = one.run("tape", ["KO"], DAY, DAY)
    assert (report.remaining, report.quarantined) == (0, 2)
    bad = one.lake.tables.scan("ops.quarantine").collect().sort("ordinal")
    assert set(bad["reasons"]) == {"price_not_positive", "size_not_number"}
    assert set(bad["dataset"]) == {TAPE}
    (document,) = documents(one)
    assert len(document.rejected) == 2


def test_prints_delivered_twice_count_once(bench):
    def change(call, document):
        if "trades" in call.path:
            document["results"].insert(5, document["results"][5])

    whole, one = bench(), bench()
    whole.run("tape", ["KO"], DAY, DAY)
    one.wire = Rewritten(one.wire, change)
    one.run("tape", ["KO"], DAY, DAY)
    (document,) = documents(one)
    assert document.repeated == 1
    assert values(rows(one)).equals(values(rows(whole)))


def test_a_kill_between_keeping_and_landing_loses_nothing(bench, monkeypatch):
    whole, one = bench(), bench()
    whole.run("tape", ["KO"], DAY, DAY)

    class Killed(BaseException):
        pass

    def keep_and_die(*arguments, **more):
        keep_day(*arguments, **more)
        raise Killed

    monkeypatch.setattr(tape_lane, "keep_day", keep_and_die)
    with pytest.raises(Killed):
        one.run("tape", ["KO"], DAY, DAY)
    monkeypatch.undo()
    calls = one.sandbox.calls.count()
    recover(one.lake, one.settings, calendar("XNYS"))
    assert values(rows(one)).equals(values(rows(whole)))
    assert one.run("tape", ["KO"], DAY, DAY).calls == 0
    assert one.sandbox.calls.count() == calls


@pytest.mark.crash
def test_a_kill_in_the_middle_of_a_day_repeats_it_to_the_same_sums(tmp_path, market, repo_root):
    def start(folder, address):
        return subprocess.Popen(
            [sys.executable, str(repo_root / "tests/intake/tape_child.py"), str(folder), address],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(repo_root / "tests"), "POLARS_MAX_THREADS": "1"},
        )

    with SandboxThread(Sandbox(market, now_ns=NOW, plan="paid")) as thread:
        for name in ("whole", "killed"):
            if name == "killed":
                child = start(tmp_path / name, thread.base_url)
                while not child.stdout.readline().startswith("page 12"):
                    assert child.poll() is None
                child.kill()
                child.communicate()
            child = start(tmp_path / name, thread.base_url)
            assert child.communicate(timeout=120) and child.returncode == 0
    found = []
    for name in ("whole", "killed"):
        lake = Lake.open(tmp_path / name)
        found.append(values(lake.tables.scan(TAPE).collect().sort("symbol", "ts_event")))
        assert len(list(lake.raw)) == 1
        lake.close()
    assert found[0].height > 100
    assert found[0].equals(found[1])


def test_an_unfinished_session_is_not_asked_for(bench):
    one = bench(settings={"massive.same_day": True})
    friday = date(2026, 2, 6)
    for hour, sessions in ((15, 1), (18, 1), (21, 2)):
        clock = FixedClock(eastern_ns(friday, hour))
        plan = plan_fetch(one.lake, one.settings, clock, "tape", ["KO"], date(2026, 2, 5), friday)
        assert (len(plan.tasks), plan.not_yet) == (sessions, 2 - sessions)


# -- the rungs -------------------------------------------------------------------------------


def test_a_plan_without_prints_takes_minutes_and_does_not_ask_again(bench):
    one = bench(faults=["ticks_not_entitled"])
    start, end = date(2026, 1, 5), date(2026, 1, 9)
    report = run_tape(one, ["SPY", "KO"], start, end)
    asked = [path for path in one.wire.paths() if path.startswith("/v3/")]
    assert len(asked) == 1
    assert report.summary()["used"] == {"tick": 0, "minute": 10, "daily": 0, "none": 0}
    states = one.states(TAPE, ["KO", "SPY"], calendar("XNYS").session_dates(start, end))
    assert (states == CellState.NOT_ENTITLED).all()
    before = len(one.wire.calls)
    again = run_tape(one, ["SPY", "KO"], start, end)
    assert len(one.wire.calls) == before
    assert again.summary()["used"]["minute"] == 10


def test_once_the_plan_has_prints_they_are_asked_for_on_demand(bench):
    one = bench(faults=["ticks_not_entitled"])
    run_tape(one, ["KO"])
    one.sandbox.faults.replace([])
    report = run_tape(one, ["KO"], again=True)
    assert report.summary()["used"]["tick"] == 1


def test_prints_without_quotes_are_told_by_prices_alone(bench):
    fault = Fault(kind="ticks_not_entitled", options={"what": "quotes"})
    one = bench(faults=[fault], settings={"massive.max_in_flight": 1})
    report = run_tape(one, ["KO", "SPY"])
    assert report.summary()["used"]["tick"] == 2
    assert sum(path.startswith("/v3/quotes/") for path in one.wire.paths()) <= 2
    sums = rows(one)
    assert sums["quote_rule_volume"].sum() == sums["midpoint_volume"].sum() == 0
    assert sums["tick_rule_volume"].sum() > 0
    assert all("no quotes" in " ".join(document.notes) for document in documents(one))


def test_a_failure_is_no_reason_to_take_a_lower_rung(bench):
    one = bench(
        faults=[Fault(kind="error_5xx", path="/v3/*")],
        settings={"retry.attempts": 2, "breaker.consecutive": 50},
    )
    report = run_tape(one, ["KO"])
    assert report.remaining == 1
    assert not any("/v2/" in path for path in one.wire.paths())


@pytest.mark.parametrize(("mode", "path"), [("minute", "/minute/"), ("daily", "/grouped/")])
def test_a_mode_that_is_named_is_the_only_one(bench, mode, path):
    one = bench()
    report = run_tape(one, ["KO"], mode=mode)
    assert all(path in called for called in one.wire.paths())
    assert report.summary()["used"][mode] == 1
    used = tape_modes(one.lake, ["KO"], [DAY])
    assert used["mode"].to_list() == [mode]


def test_a_second_answer_is_kept_beside_the_first(bench):
    one = bench()
    run_tape(one, ["KO"])
    run_tape(one, ["KO"], mode="tick", again=True)
    doubled = rows(one)
    assert doubled["raw_sha256"].n_unique() == 2
    halves = [values(part) for part in doubled.partition_by("raw_sha256")]
    assert halves[0].equals(halves[1])


def paged(*pages):
    """A stream over pages of (nanoseconds, sequence number) after 1,000, with a wire of lists."""
    begin = calendar("XNYS").session(DAY).pre_open_ns
    bodies = []
    for page in pages:
        results = [
            {
                "sip_timestamp": begin + at,
                "participant_timestamp": begin,
                "sequence_number": number,
                "price": 10.0,
                "size": 1,
                "exchange": 11,
                "id": str(number),
            }
            for at, number in page
        ]
        bodies.append({"results": results, "status": "OK", "request_id": "r"})
    for number, body in enumerate(bodies[:-1]):
        body["next_url"] = f"https://api.massive.com/v3/trades/KO?cursor={number}"

    async def ask(request, judge):
        wire = WireAnswer(200, {}, json.dumps(bodies[request.page - 1]).encode())
        return Asked(judge(request, interpret(request, wire, now_ns=NOW)), wire, NOW)

    return begin, ask


def test_ticks_of_one_nanosecond_on_two_pages_stay_together_and_in_sequence(bench):
    begin, ask = paged([(1_000, 1), (2_000, 9)], [(2_000, 4), (3_000, 10)])
    one = bench()
    chain = PageChain(UnitMemory(one.lake, one.settings))
    (first,), _ = DayReading().requests("KO", calendar("XNYS").session(DAY))
    stream = TickStream([first], ask, chain, limit=50_000)
    asyncio.run(stream.read_page())
    assert stream.frontier == begin + 2_000
    assert stream.take(stream.frontier)["sequence_number"].to_list() == [1]
    assert stream.take(stream.frontier) is None
    asyncio.run(stream.read_page())
    assert stream.done
    assert stream.take(stream.frontier)["sequence_number"].to_list() == [4, 9, 10]
