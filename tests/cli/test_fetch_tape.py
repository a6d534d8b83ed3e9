"""`tapemill fetch tape`: the same command with and without prints in the plan."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from tapemill.cli.app import main
from tapemill.clock import eastern_ns
from tapemill.world import Market, Sandbox, SandboxThread

RANGE = "--start 2026-06-25 --end 2026-06-29"


@pytest.fixture(scope="module")
def market():
    return Market(3, symbols=["SPY", "KO"], start=dt.date(2026, 6, 1), end=dt.date(2026, 6, 30))


@pytest.fixture
def vendor(market, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAPEMILL_CLOCK_NOW", "2026-06-30T21:00:00-04:00")
    monkeypatch.setenv("TAPEMILL_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("MASSIVE_API_KEY", "sandbox-key")
    monkeypatch.setenv("TAPEMILL_MASSIVE_CALLS_PER_MINUTE", "6000")
    started = []

    def start(plan):
        now = eastern_ns(dt.date(2026, 6, 30), 21)
        thread = SandboxThread(Sandbox(market, now_ns=now, plan=plan))
        monkeypatch.setenv("TAPEMILL_MASSIVE_BASE_URL", thread.__enter__().base_url)
        started.append(thread)
        return thread.sandbox

    yield start
    for thread in started:
        thread.__exit__(None, None, None)


def tapemill(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words.split())
    return end.value.code or 0, capsys.readouterr()


@pytest.mark.parametrize(("plan", "used"), [("paid", "tick"), ("free", "minute")])
def test_the_best_rung_of_the_plan_is_taken_and_told(vendor, capsys, plan, used):
    sandbox = vendor(plan)
    code, said = tapemill(f"fetch tape SPY KO {RANGE} --json", capsys)
    facts = json.loads(said.out)
    assert (code, facts["used"][used], facts["remaining"]) == (0, 6, 0)
    assert [(one["symbol"], one["mode"], one["sessions"]) for one in facts["spans"]] == [
        ("KO", used, 3),
        ("SPY", used, 3),
    ]
    calls = sandbox.calls.count()
    code, said = tapemill(f"fetch tape SPY KO {RANGE}", capsys)
    assert code == 0
    assert f"{used} 6" in said.out
    assert sandbox.calls.count() == calls


def test_prints_alone_are_refused_where_the_plan_has_none(vendor, capsys):
    vendor("free")
    code, said = tapemill(f"fetch tape SPY {RANGE} --mode tick", capsys)
    assert code == 3
    assert "--mode auto" in said.err


def test_a_plan_shows_every_rung_and_calls_nothing(vendor, capsys):
    sandbox = vendor("paid")
    code, said = tapemill(f"fetch tape SPY KO {RANGE} --plan --json", capsys)
    rungs = json.loads(said.out)["rungs"]
    assert code == 0
    assert {name: facts["calls"] for name, facts in rungs.items()} == {
        "tick": 12,
        "minute": 2,
        "daily": 2,
    }
    assert sandbox.calls.count() == 0


@pytest.mark.parametrize(
    "words",
    [
        "fetch tape",
        "fetch tape SPY --mode best",
        "fetch tape SPY --via api",
        "fetch bars_1m SPY --mode tick",
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(vendor, capsys, words):
    vendor("paid")
    code, said = tapemill(words, capsys)
    assert code == 2
    assert "next:" in said.err
