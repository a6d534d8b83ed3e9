"""`tapemill fetch futures`: the command, its plan, its exit codes and its silence about the key."""

from __future__ import annotations

import json

import pytest

from intake.futures_vendor import COUNT, fill, vendor
from tapemill.cli.app import main
from tapemill.world import Fault, SandboxThread

ASK = "fetch futures ESH4 --schema trades --start 2024-01-03 --end 2024-01-05"
KEY = "db-canary0Qx7Lm2Vb9Tz4Rw8Ye1Ui6"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = fill(tmp_path_factory.mktemp("vendor"))
    with SandboxThread(vendor(folder, api_keys=(KEY,))) as thread:
        yield thread


@pytest.fixture
def sandbox(served, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAPEMILL_CLOCK_NOW", "2024-03-28T21:00:00-04:00")
    monkeypatch.setenv("TAPEMILL_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("TAPEMILL_DATABENTO_BASE_URL", served.base_url)
    monkeypatch.setenv("TAPEMILL_RETRY_ATTEMPTS", "2")
    monkeypatch.setenv("TAPEMILL_RETRY_FIRST_WAIT_SECONDS", "0.01")
    monkeypatch.setenv("TAPEMILL_BREAKER_CONSECUTIVE", "50")
    monkeypatch.setenv("DATABENTO_API_KEY", KEY)
    served.sandbox.faults.replace([])
    served.sandbox.calls.reset()
    return served.sandbox


def tapemill(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words.split())
    return end.value.code or 0, capsys.readouterr()


def test_a_plan_lists_every_request_and_calls_nothing(sandbox, capsys, tmp_path):
    code, said = tapemill(f"{ASK} --plan --json", capsys)
    facts = json.loads(said.out)
    assert (code, facts["pending"], facts["complete"]) == (0, 3, 0)
    assert facts["requests"][0] == {
        "schema": "trades",
        "symbol": "ESH4",
        "day": "2024-01-03",
        "start": "2024-01-02T23:00:00Z",
        "end": "2024-01-03T23:00:00Z",
    }
    code, said = tapemill(f"{ASK} --plan --vendor databento", capsys)
    assert code == 0
    assert "2024-01-05" in said.out
    assert sandbox.calls.count() == 0
    assert not (tmp_path / "lake").exists()


def test_a_fetch_tells_what_it_paid_and_the_next_one_pays_nothing(sandbox, capsys, tmp_path):
    code, said = tapemill(f"{ASK} --json", capsys)
    facts = json.loads(said.out)
    assert (code, facts["completed"], facts["remaining"]) == (0, 3, 0)
    assert facts["rows"]["silver.futures_trades"] == facts["records"] == 2 * COUNT
    assert facts["states"] == {"data": 2, "empty": 1}
    calls = sandbox.calls.count()
    code, again = tapemill(ASK, capsys)
    assert code == 0
    assert "3 complete, 0 to ask for" in " ".join(again.out.split())
    assert sandbox.calls.count() == calls
    code, status = tapemill("status --json", capsys)
    vendors = json.loads(status.out)["vendors"]
    assert [(one["vendor"], one["calls"]) for one in vendors] == [("databento", calls)]
    assert KEY not in said.out + said.err + again.out + again.err + status.out
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    code, checked = tapemill("verify", capsys)
    assert code == 0, checked


def test_exit_codes_say_whose_turn_it_is(sandbox, capsys, monkeypatch):
    monkeypatch.setenv("TAPEMILL_DATABENTO_MAX_COST_USD", "0.0000000001")
    code, said = tapemill(ASK, capsys)
    assert (code, "TAPEMILL_DATABENTO_MAX_COST_USD=0.01" in said.err) == (2, True)
    monkeypatch.delenv("TAPEMILL_DATABENTO_MAX_COST_USD")
    code, said = tapemill(ASK.replace("ESH4", "ESH9"), capsys)
    assert (code, "could be resolved" in said.err) == (2, True)
    sandbox.faults.replace([Fault(kind="error_5xx", path="*/timeseries.*")])
    code, said = tapemill(ASK, capsys)
    assert (code, "3 requests are still open" in said.err) == (3, True)
    sandbox.faults.replace([])
    monkeypatch.setenv("DATABENTO_API_KEY", "db-of-somebody-else")
    code, said = tapemill(ASK, capsys)
    assert (code, "401" in said.err, "somebody" in said.err) == (3, True, False)
    monkeypatch.setenv("DATABENTO_API_KEY", KEY)
    for start, words in (("2024-03-27", "nothing of this range yet"), ("2023-12-20", "before its")):
        ask = f"fetch futures ESH4 --schema trades --start {start} --end {start}"
        code, said = tapemill(ask, capsys)
        assert (code, words in said.err) == (2, True)
    monkeypatch.delenv("DATABENTO_API_KEY")
    code, said = tapemill(ASK, capsys)
    assert (code, "export DATABENTO_API_KEY" in said.err) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        "fetch futures",
        "fetch futures ESH4 --schema mbp10",
        "fetch futures ESH4 --vendor massive",
        "fetch futures ESH4 --via api",
        "fetch futures ES.c.0 --stype continuous",
        "fetch futures ESH4 --start 2030-01-02",
        "fetch futures ESH4 --start 2024-03-29",
        "fetch futures ESH4 --start 2024-04-01",
        "fetch bars_1m SPY --schema mbo",
        "fetch bars_1m SPY --dataset GLBX.MDP3",
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(sandbox, capsys, words):
    code, said = tapemill(words, capsys)
    assert code == 2
    assert "next:" in said.err
    assert sandbox.calls.count() == 0
