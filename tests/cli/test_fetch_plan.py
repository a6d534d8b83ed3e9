"""A plan costs nothing: no call, no key, no lake."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from tapemill.cli.app import main
from tapemill.clock import eastern_ns
from tapemill.world import Market, Sandbox, SandboxThread


@pytest.fixture(autouse=True)
def evening(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAPEMILL_CLOCK_NOW", "2026-06-30T21:00:00-04:00")
    monkeypatch.setenv("TAPEMILL_LAKE", str(tmp_path / "lake"))
    for name in ("MASSIVE_API_KEY", "POLYGON_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def plan(arguments: str, capsys) -> dict:
    with pytest.raises(SystemExit) as end:
        main(["fetch", *arguments.split(), "--plan", "--json"])
    assert end.value.code in (0, None)
    return json.loads(capsys.readouterr().out)


def test_a_plan_needs_no_lake_and_makes_none(tmp_path, capsys):
    facts = plan("bars_1m SPY QQQ --start 2026-06-01 --end 2026-06-26", capsys)
    # 2026-06-19 is a holiday: 19 sessions of two symbols, one page each, at five calls a minute.
    assert (facts["pending"], facts["complete"], facts["calls"]) == (38, 0, 2)
    assert facts["bytes"] > 0
    assert not (tmp_path / "lake").exists()


def test_a_plan_prefers_the_whole_market_where_it_is_cheaper(capsys):
    few = plan("bars_1d SPY --start 2025-07-01 --end 2026-06-26", capsys)
    many = plan("bars_1d --start 2026-06-01 --end 2026-06-26", capsys)
    assert few["calls"] == 1
    assert many["calls"] == 19
    assert many["hours"] == pytest.approx(19 / 5 / 60, rel=0.5)


def test_what_the_plan_does_not_reach_is_counted_and_not_called(capsys):
    facts = plan("bars_1d SPY --start 2023-01-03 --end 2026-06-26", capsys)
    assert facts["out_of_window"] > 300
    assert facts["calls"] <= 2


def test_a_refused_refetch_of_complete_cells_is_not_passed_over(tmp_path, monkeypatch, capsys):
    market = Market(3, symbols=["SPY"], start=dt.date(2026, 6, 22), end=dt.date(2026, 6, 30))
    now = eastern_ns(dt.date(2026, 6, 30), 21)
    words = ["fetch", "bars_1m", "SPY", "--start", "2026-06-22", "--end", "2026-06-26"]

    def fetch(*more: str, keys: list[str]) -> int:
        with SandboxThread(Sandbox(market, now_ns=now, api_keys=keys)) as vendor:
            monkeypatch.setenv("TAPEMILL_MASSIVE_BASE_URL", vendor.base_url)
            with pytest.raises(SystemExit) as end:
                main([*words, *more])
        return end.value.code or 0

    monkeypatch.setenv("MASSIVE_API_KEY", "right-key-0001")
    assert fetch(keys=["right-key-0001"]) == 0
    capsys.readouterr()
    assert fetch("--again", keys=["another-key-0002"]) == 3
    assert "does not accept the key" in capsys.readouterr().err


def test_weeks_are_planned_by_what_is_out(capsys):
    # Tuesday 2026-06-30: the week of 06-08 came out yesterday, that of 06-15 comes on 07-06.
    facts = plan("otc_weekly --start 2026-06-10 --end 2026-06-18", capsys)
    assert (facts["pending"], facts["not_yet"], facts["calls"]) == (1, 1, 7)
    assert facts["dataset"] == "bronze.finra_otc_weekly"
    named = plan("otc_weekly KO --start 2025-06-10 --end 2026-06-10", capsys)
    assert (named["pending"], named["calls"]) == (53, 1)


def test_weeks_and_positions_are_fetched_from_the_sandbox(tmp_path, monkeypatch, capsys):
    market = Market(3, symbols=6, start=dt.date(2026, 4, 1), end=dt.date(2026, 6, 30))
    with SandboxThread(Sandbox(market, now_ns=eastern_ns(dt.date(2026, 6, 30), 21))) as sandbox:
        monkeypatch.setenv("TAPEMILL_FINRA_API_URL", sandbox.base_url)
        for line in (
            "otc_weekly --start 2026-05-04 --end 2026-06-12",
            "otc_firms --start 2026-05-04 --end 2026-05-08",
            "short_interest --start 2026-05-10 --end 2026-05-31",
        ):
            with pytest.raises(SystemExit) as end:
                main(["fetch", *line.split(), "--json"])
            told = capsys.readouterr()
            assert end.value.code in (0, None), told.err
            facts = json.loads(told.out)
            assert facts["rows"] > 0 and facts["remaining"] == 0
    # Three weeks are closed; that of 05-25 is looked at until 07-02, as Tier 2 came out yesterday;
    # Tier 2 of the two youngest is not due before 07-06, so they cost nothing.
    rest = plan("otc_weekly --start 2026-05-04 --end 2026-06-12", capsys)
    assert (rest["complete"], rest["pending"], rest["waiting"]) == (3, 1, 2)
