"""The sandbox on a real socket: the wire's own faults, its counter, the control desk."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import aiohttp
import pytest

from tapemill.clock import VirtualClock
from tapemill.errors import FaultError, UsageError
from tapemill.world import SANDBOX_KEY, Call, Fault, FaultPlan, Sandbox, SandboxThread
from world.conftest import NOW

URL = "/v3/reference/splits"
HEADERS = {"Authorization": f"Bearer {SANDBOX_KEY}"}


def run(market, visit, *faults, **settings):
    """Serve on a free port and let `visit(session, sandbox)` call it."""

    async def main():
        sandbox = Sandbox(market, now_ns=NOW, faults=FaultPlan(*faults), **settings)
        async with sandbox, aiohttp.ClientSession(sandbox.base_url, headers=HEADERS) as session:
            # aiohttp repeats a dropped GET once on its own; the counter must see single calls.
            session._retry_connection = False
            return await visit(session, sandbox)

    return asyncio.run(main())


def test_slow_loris_sends_headers_and_no_answer(market):
    async def visit(session, sandbox):
        begun = time.monotonic()
        with pytest.raises((asyncio.TimeoutError, aiohttp.ClientError)):
            async with session.get(URL, timeout=aiohttp.ClientTimeout(total=0.3)) as reply:
                assert reply.status == 200
                await reply.read()
        assert 0.25 < time.monotonic() - begun < 20

    run(market, visit, Fault(kind="timeout", options={"seconds": 1.0}))


def test_reset_drops_the_connection(market):
    async def visit(session, sandbox):
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(URL)
        assert sandbox.calls.count("massive") == 1
        assert sandbox.calls.records[0].fault == "reset"

    run(market, visit, "reset")


def test_date_header_is_the_vendors_time(market):
    async def visit(session, sandbox):
        async with session.get(URL) as reply:
            assert reply.headers["date"] == "Sat, 21 Mar 2026 01:00:00 GMT"

    run(market, visit)


def test_control_desk(market):
    async def visit(session, sandbox):
        async with session.put("/_sandbox/faults", json={"faults": [{"kind": "html_body"}]}) as r:
            assert r.status == 200
        async with session.get(URL) as reply:
            assert "text/html" in reply.headers["content-type"]
        async with session.get("/_sandbox/faults") as reply:
            listed = await reply.json()
            assert [f["kind"] for f in listed["faults"]] == ["html_body"]
            assert "storm_429" in listed["known"]
        for wrong in (b"{", b'{"faults":[{"kind":"nope"}]}', b'{"faults":[{"kinds":1}]}'):
            async with session.put("/_sandbox/faults", data=wrong) as reply:
                assert reply.status == 400
        body = {
            "faults": [{"kind": "bars_end_at_noon", "sessions": ["2026-03-04"], "symbols": ["KO"]}]
        }
        async with session.put("/_sandbox/faults", json=body) as reply:
            assert reply.status == 200
        async with session.get("/_sandbox/truth") as reply:
            assert await reply.json() == {
                "bars_end_at_noon": [["bars_end_at_noon", "KO", "2026-03-04"]]
            }
        async with session.get("/_sandbox/calls") as reply:
            calls = await reply.json()
            assert calls["total"] == 1 and calls["by_vendor"] == {"massive": 1}
            assert calls["calls"][0]["path"] == URL and calls["busiest_minute"] == {"massive": 1}
        async with session.post("/_sandbox/reset") as reply:
            assert reply.status == 200
        assert sandbox.calls.count() == 0
        async with session.get("/_sandbox/other") as reply:
            assert reply.status == 404

    run(market, visit)


def test_the_counter_keeps_no_key(market):
    async def visit(session, sandbox):
        await session.get(f"{URL}?apiKey=CANARY-1")
        await session.get(URL, headers={"Authorization": "Bearer CANARY-2"})
        async with session.get("/_sandbox/calls") as reply:
            assert "CANARY" not in await reply.text()

    run(market, visit)


def test_rate_is_enforced_in_every_sliding_minute(market):
    clock = VirtualClock()
    sandbox = Sandbox(
        market, now_ns=NOW, rate_per_minute={"massive": 5, "finra_cdn": 2}, clock=clock
    )
    call = Call("GET", URL, {}, {"authorization": f"Bearer {SANDBOX_KEY}"})
    accepted = []
    for _ in range(400):
        if sandbox.exchange(call).status == 200:
            accepted.append(clock.monotonic())
        clock.advance(1.7)
    for start in accepted:
        assert sum(start <= at < start + 60 for at in accepted) <= 5
    assert len(accepted) >= 5 * (400 * 1.7 // 62)
    assert sandbox.calls.busiest("massive") == 36 and sandbox.calls.busiest("finra_cdn") == 0
    cdn = Call("GET", "/equity/regsho/daily/CNMSshvol20260304.txt", {}, {})
    assert [sandbox.exchange(cdn).status for _ in range(3)] == [200, 200, 429]


def test_busiest_counts_any_window(market):
    clock = VirtualClock()
    sandbox = Sandbox(market, now_ns=NOW, clock=clock)
    call = Call("GET", URL, {}, {})
    for wait in (0, 30, 29.5, 0.4, 0.2, 100):
        clock.advance(wait)
        sandbox.exchange(call)
    assert sandbox.calls.busiest("massive", 60) == 4
    assert sandbox.calls.busiest("*", 1) == 3


def test_wrong_rate_is_refused(market):
    with pytest.raises(UsageError, match="rate_per_minute"):
        Sandbox(market, now_ns=NOW, rate_per_minute={"polygon": 5})
    with pytest.raises(UsageError, match="rate_per_minute"):
        Sandbox(market, now_ns=NOW, rate_per_minute=0)


def test_thread_serves_blocking_callers_and_says_when_the_port_is_taken(market):
    with SandboxThread(Sandbox(market, now_ns=NOW)) as first:
        request = urllib.request.Request(first.base_url + URL, headers=HEADERS)
        with urllib.request.urlopen(request) as reply:
            assert json.load(reply)["status"] == "OK"
        port = int(first.base_url.rpartition(":")[2])
        second = SandboxThread(Sandbox(market, now_ns=NOW, port=port))
        with pytest.raises(FaultError, match="cannot listen"), second:
            pass
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(request)


def test_two_runs_answer_the_same_bytes(market):
    def bodies():
        sandbox = Sandbox(market, now_ns=NOW)
        urls = [URL, "/v2/aggs/ticker/SPY/range/1/minute/2026-03-02/2026-03-06", URL]
        key = {"authorization": f"Bearer {SANDBOX_KEY}"}
        return [sandbox.exchange(Call("GET", url, {}, key, b"", "http://v")).body for url in urls]

    first = bodies()
    assert first == bodies() and first[0] != first[2]


def test_blocking_run_serves_until_interrupted():
    program = (
        "import datetime as dt\n"
        "from tapemill.world import Market, Sandbox, run_sandbox\n"
        "market = Market(1, symbols=1, start=dt.date(2026, 3, 2), end=dt.date(2026, 3, 6))\n"
        "run_sandbox(Sandbox(market, now_ns=1773190800 * 10**9),"
        " on_ready=lambda url: print(url, flush=True))\n"
        "print('ended', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as run:
        base_url = run.stdout.readline().strip()
        request = urllib.request.Request(base_url + URL, headers=HEADERS)
        with urllib.request.urlopen(request) as reply:
            assert reply.status == 200
        run.send_signal(signal.SIGINT)
        assert run.stdout.readline().strip() == "ended"
        assert run.wait(timeout=20) == 0
