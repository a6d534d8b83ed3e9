"""Real HTTP: faults get names, bodies get bounds, keys stay in headers."""

import asyncio
import gzip
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from intake.bench import END, NOW, START
from intake.fetching_child import settings_for
from tapemill.clock import FixedClock
from tapemill.intake import fetch, plan_fetch
from tapemill.intake.wire import AiohttpTransport, WireCall
from tapemill.lake import Lake
from tapemill.secrets import Secret
from tapemill.world import Fault, FaultPlan, Sandbox, SandboxThread

CANARY = "canary-5b1f6e0d9c3a"


class Server:
    """A small server with one bad habit per path."""

    def __init__(self):
        self.seen = []

    async def handle(self, request):
        self.seen.append((request.path_qs, dict(request.headers)))
        if request.path == "/redirect":
            raise web.HTTPFound("http://127.0.0.1:9/elsewhere")
        if request.path == "/long":
            return web.Response(body=b"x" * 5000)
        if request.path == "/bomb":
            packed = gzip.compress(b"0" * 3_000_000)
            return web.Response(body=packed, headers={"Content-Encoding": "gzip"})
        if request.path == "/drop":
            request.transport.close()
            return web.Response()
        if request.path == "/slow":
            await asyncio.sleep(5)
        if request.path == "/cut":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b"only this")
            request.transport.close()
            return response
        if request.path == "/gzip":
            packed = gzip.compress(b'{"status":"OK"}')
            return web.Response(body=packed, headers={"Content-Encoding": "gzip"})
        return web.Response(body=b"{}", headers={"X-Thing": "Yes"})


def ask(*paths, limit=2_000_000, **settings):
    """Answers to GETs, and what the server saw."""

    async def go():
        server = Server()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        base = settings_for(f"http://127.0.0.1:{port}").override({"massive.timeout_seconds": 0.5})
        transport = AiohttpTransport(base, max_body_bytes=limit)
        answers, arrivals = [], []
        for path in paths:
            call = WireCall(
                "massive",
                "massive",
                "GET",
                path,
                (("ticker", "BRK.B"), ("x", "a b&c")),
                headers={"authorization": f"Bearer {CANARY}"},
            )
            answers.append(await transport.send(call, lambda: arrivals.append(1)))
        await transport.close()
        await runner.cleanup()
        return answers, server.seen, len(arrivals)

    return asyncio.run(go())


def test_a_dropped_connection_is_one_call_on_the_wire():
    # The second call uses the connection kept from the first: there aiohttp would try again.
    (kept, dropped), seen, _ = ask("/", "/drop")
    assert kept.status == 200
    assert dropped.status == 0
    assert dropped.fault
    assert [path.split("?")[0] for path, _ in seen] == ["/", "/drop"]


def test_an_answer_comes_with_lower_case_headers_and_the_query_is_encoded():
    (answer,), seen, arrived = ask("/v3/thing%2Fwith-slash")
    assert (answer.status, answer.body, answer.fault) == (200, b"{}", "")
    assert answer.headers["x-thing"] == "Yes"
    assert seen[0][0] == "/v3/thing%2Fwith-slash?ticker=BRK.B&x=a+b%26c"
    assert arrived == 1


def test_redirects_are_not_followed():
    (answer,), seen, _ = ask("/redirect")
    assert answer.status == 302
    assert len(seen) == 1


def test_compressed_bodies_are_unpacked():
    (answer,), _, _ = ask("/gzip")
    assert answer.body == b'{"status":"OK"}'


@pytest.mark.parametrize("path", ["/long", "/bomb"])
def test_a_body_beyond_the_bound_is_a_fault_not_a_full_memory(path):
    (answer,), _, _ = ask(path, limit=1000)
    assert answer.status == 0
    assert "longer than 1,000 bytes" in answer.fault


@pytest.mark.parametrize(("path", "said"), [("/slow", "time-out"), ("/cut", "cut off")])
def test_faults_have_names(path, said):
    (answer,), _, _ = ask(path)
    assert answer.status == 0
    assert said in answer.fault
    assert CANARY not in answer.fault


def test_nobody_listening_is_a_fault():
    async def go():
        transport = AiohttpTransport(settings_for("http://127.0.0.1:9"))
        call = WireCall("massive", "massive", "GET", "/")
        answer = await transport.send(call, lambda: None)
        await transport.close()
        return answer

    assert "no connection" in asyncio.run(go()).fault


def test_the_key_appears_nowhere_but_in_the_header(tmp_path, market, caplog):
    """Must show 6: a canary key in no log, error, file or URL, whatever goes wrong."""
    faults = FaultPlan(
        Fault(kind="html_body", every=5),
        Fault(kind="error_5xx", every=7),
        Fault(kind="reset", every=11),
        Fault(kind="ok_with_error_body", every=6),
    )
    sandbox = Sandbox(market, now_ns=NOW, plan="paid", faults=faults, api_keys=[CANARY])
    clock = FixedClock(NOW)
    with SandboxThread(sandbox) as thread:
        settings = settings_for(thread.base_url)
        settings = msgspec.structs.replace(
            settings,
            massive=msgspec.structs.replace(settings.massive, api_key=Secret(CANARY, "key")),
            retry=msgspec.structs.replace(
                settings.retry, first_wait_seconds=0.01, longest_wait_seconds=0.02
            ),
            breaker=msgspec.structs.replace(settings.breaker, error_fraction=1.0, consecutive=50),
        )
        lake = Lake.open(tmp_path / "lake", create=True, clock=clock)
        plans = [
            plan_fetch(lake, settings, clock, "bars_1d", None, START, END),
            plan_fetch(lake, settings, clock, "dividends", None, START, END),
        ]
        report = asyncio.run(fetch(lake, settings, clock, plans))
    assert report.outcomes["data"] > 10
    assert all(CANARY not in record.path for record in sandbox.calls.records)
    lake.control.close()
    files = [file for file in Path(tmp_path).rglob("*") if file.is_file()]
    assert len(files) > 20
    assert not [file for file in files if CANARY.encode() in file.read_bytes()]
    assert CANARY not in repr(settings) + caplog.text + repr(report)


def test_calls_show_no_headers():
    call = WireCall("massive", "massive", "GET", "/", headers={"authorization": CANARY})
    assert CANARY not in repr(call)
