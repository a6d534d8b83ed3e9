"""The sandbox: one loopback host that answers as each vendor, and counts its calls."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType

import msgspec
import polars as pl
from aiohttp import web

from tapemill.clock.injected import SYSTEM_CLOCK, Clock
from tapemill.errors import FaultError, TapemillError, UsageError
from tapemill.world.market import Market
from tapemill.world.sandbox.databento import DatabentoApi
from tapemill.world.sandbox.faults import FAULTS, Fault, FaultPlan
from tapemill.world.sandbox.feed import VendorFeed
from tapemill.world.sandbox.finra import FinraApi, FinraCdn
from tapemill.world.sandbox.massive import HISTORY_DAYS, MassiveApi, PlanName, request_digest
from tapemill.world.sandbox.spoil import interrupted, spoiled, throttled
from tapemill.world.sandbox.wire import Call, CallLog, Reply, http_date, json_reply, vendor_of

__all__ = ["SANDBOX_CLIENT", "SANDBOX_KEY", "Sandbox"]

SANDBOX_KEY = "sandbox-key"
"""API key that a sandbox knows unless it is given others."""

SANDBOX_CLIENT = ("sandbox-client", "sandbox-secret")
"""FINRA client id and secret that a sandbox knows unless it is given others."""

_PAGE_FAULTS = ("duplicated_page", "cursor_loop")


SYNTHETIC_HEADER = "x-tapemill-synthetic"
"""On every answer: rows made of it stay marked as made up."""


class Sandbox:
    """All vendors on one address.

    Use it as an asynchronous context manager (`base_url` is then set), or without any socket by
    :meth:`exchange`.

    Parameters
    ----------
    market : Market
        The truth that is served.
    now_ns : int
        The vendors' wall time, nanoseconds UTC; assign `now_ns` to let time pass.
    plan : {"free", "paid"}
        What the key may see at Massive: free is limited in time, paid sees all but the last
        15 minutes.
    history_days : int
        How far back the free plan reaches.
    rate_per_minute : int or mapping of str to int, optional
        Calls in any sliding 60 seconds, at Massive or per vendor (``massive``, ``finra_cdn``,
        ``finra_api``, ``databento``); more are answered 429.
    faults : FaultPlan, optional
        What is switched on from the start.
    api_keys, clients : optional
        Known keys of Massive and Databento, and FINRA client ids with their secrets.
    require_oauth : bool
        Refuse anonymous calls to the Query API.
    dbn_folder : Path, optional
        DBN files that Databento serves; without it there is no Databento.
    licensed : collection of str, optional
        Databento datasets that the keys may read; default: all.
    host, port : str, int
        Where to listen; port 0 takes a free one.
    clock : Clock
        Measures the rate, the windows of faults and slow answers.

    Raises
    ------
    UsageError
        If a rate limit names an unknown vendor or is below one.
    """

    def __init__(
        self,
        market: Market,
        *,
        now_ns: int,
        plan: PlanName = "free",
        history_days: int = HISTORY_DAYS,
        rate_per_minute: int | Mapping[str, int] | None = None,
        faults: FaultPlan | None = None,
        api_keys: Collection[str] = (SANDBOX_KEY,),
        clients: Mapping[str, str] | None = None,
        require_oauth: bool = False,
        dbn_folder: Path | None = None,
        licensed: Collection[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.market = market
        self.now_ns = now_ns
        self.plan = plan
        self.faults = faults if faults is not None else FaultPlan()
        self.calls = CallLog()
        self.base_url = ""
        self._rates = _rates(rate_per_minute)
        self._host, self._port = host, port
        self._clock = clock
        self._began = clock.monotonic()
        self._feed = VendorFeed(market, self.faults, lambda: self.now_ns, self._elapsed)
        self._massive = MassiveApi(
            self._feed,
            plan=plan,
            history_days=history_days,
            api_keys=api_keys,
            request_id=self._request_id,
        )
        self._cdn = FinraCdn(self._feed)
        self._query_api = FinraApi(
            self._feed,
            clients=dict([SANDBOX_CLIENT]) if clients is None else clients,
            require_oauth=require_oauth,
        )
        self._databento = (
            None
            if dbn_folder is None
            else DatabentoApi(dbn_folder, api_keys=api_keys, licensed=licensed)
        )
        self._runner: web.AppRunner | None = None

    # -- answering ---------------------------------------------------------------------------

    def exchange(self, call: Call) -> Reply:
        """Answer one call without a socket; a reply with `wire` set is none (time-out, reset)."""
        entry = self.calls.record(self._clock.monotonic(), call)
        reply = self._reply(call, entry.vendor)
        entry.status, entry.fault = reply.status, reply.wire
        return reply.with_header(SYNTHETIC_HEADER, "1")

    def truth_of(self, kind: str) -> pl.DataFrame:
        """What a switched-on data fault alters: columns fault, symbol, session.

        Raises
        ------
        UnknownNameError
            If the fault does not exist or alters no facts.
        """
        return self._feed.truth_of(kind)

    def reset(self) -> None:
        """Forget all calls and fetches; faults stay on and count anew."""
        self.calls.reset()
        self._feed.reset()
        self.faults.replace(self.faults.faults)
        self._began = self._clock.monotonic()

    def _reply(self, call: Call, vendor: str) -> Reply:
        elapsed = self._elapsed()
        for fault in self.faults.firing("wire", vendor, call.path, elapsed):
            return interrupted(fault, self._request_id(call), self.now_ns)
        most = self._rates.get(vendor)
        if most and not self.calls.admit(vendor, self._clock.monotonic(), most):
            return throttled(self._request_id(call))
        firing = self.faults.firing("answer", vendor, call.path, elapsed)
        page_fault = next((f.kind for f in firing if f.kind in _PAGE_FAULTS), "")
        if vendor == "finra_cdn":
            reply = self._cdn.answer(call)
        elif vendor == "finra_api":
            reply = self._query_api.answer(call, page_fault)
        elif vendor == "databento" and self._databento is not None:
            reply = self._databento.answer(call)
        else:
            reply = self._massive.answer(call, page_fault)
        reply = reply.with_header("date", http_date(self.now_ns))
        for fault in firing:
            reply = spoiled(fault, call, reply, self.now_ns)
        return reply

    def _elapsed(self) -> float:
        return self._clock.monotonic() - self._began

    def _request_id(self, call: Call) -> str:
        """Unique per call, and the same for the nth time of an address whatever came between."""
        query = "&".join(f"{k}={v}" for k, v in sorted(call.query.items()) if k != "apiKey")
        address = f"{call.path}?{query}"
        return request_digest(self.market.seed, address, self.calls.nth(address))

    # -- serving -----------------------------------------------------------------------------

    async def __aenter__(self) -> Sandbox:
        app = web.Application(client_max_size=2**22)
        app.router.add_route("*", "/_sandbox/{name}", self._control)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError as refused:
            await self._runner.cleanup()
            raise FaultError(
                f"the sandbox cannot listen on {self._host}:{self._port}: {refused.strerror}",
                next_step="choose another port, or 0 for a free one",
            ) from refused
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        call = Call(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            base_url=f"http://{request.host}",
        )
        reply = self.exchange(call)
        if reply.wire == "reset":
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        if reply.wire == "timeout":
            return await self._dribble(request, reply.seconds)
        if reply.wire == "cut":
            return await self._cut(request, reply)
        return web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))

    async def _cut(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        """Send a part of what is declared, and hang up."""
        response = web.StreamResponse(status=reply.status, headers=dict(reply.headers))
        response.content_length = reply.declared
        await response.prepare(request)
        await response.write(reply.body)
        if request.transport is not None:
            request.transport.close()
        return response

    async def _dribble(self, request: web.Request, seconds: float) -> web.StreamResponse:
        """Send headers at once, then a byte a second, never a whole answer."""
        response = web.StreamResponse(headers={"content-type": "application/json"})
        await response.prepare(request)
        begun = self._clock.monotonic()
        while self._clock.monotonic() - begun < seconds:
            try:
                await response.write(b" ")
            except ConnectionResetError:
                return response
            await self._clock.sleep(min(1.0, seconds))
        if request.transport is not None:
            request.transport.abort()
        return response

    async def _control(self, request: web.Request) -> web.Response:
        """``/_sandbox/``: calls and faults can be read, faults replaced, the counters reset."""
        reply = self.control(request.method, request.match_info["name"], await request.read())
        return web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))

    def control(self, method: str, name: str, body: bytes = b"") -> Reply:
        """Answer ``/_sandbox/{name}``: calls, faults (GET, PUT), truth, reset (POST)."""
        try:
            match method, name:
                case "GET", "calls":
                    return json_reply(200, self.calls.summary())
                case "GET", "faults":
                    known = {kind.name: kind.doc for kind in FAULTS.values()}
                    return json_reply(200, {"faults": self.faults.faults, "known": known})
                case "PUT", "faults":
                    self.faults.replace(msgspec.json.decode(body, type=_FaultList).faults)
                    return json_reply(200, {"faults": self.faults.faults})
                case "GET", "truth":
                    kinds = {f.kind for f in self.faults.faults if FAULTS[f.kind].stage == "data"}
                    return json_reply(
                        200, {kind: self.truth_of(kind).rows() for kind in sorted(kinds)}
                    )
                case "POST", "reset":
                    self.reset()
                    return json_reply(200, {"status": "OK"})
        except (msgspec.DecodeError, TapemillError) as wrong:
            return json_reply(400, {"status": "ERROR", "error": str(wrong)})
        return json_reply(404, {"status": "ERROR", "error": f"no {method} /_sandbox/{name}"})


class _FaultList(msgspec.Struct, forbid_unknown_fields=True):
    faults: list[Fault]


def _rates(given: int | Mapping[str, int] | None) -> dict[str, int]:
    rates = {"massive": given} if isinstance(given, int) else dict(given or {})
    vendors = {vendor_of(path) for path in ("/", "/equity/regsho/", "/data/group/", "/v0/")}
    if rates.keys() - vendors or any(rate < 1 for rate in rates.values()):
        raise UsageError(f"rate_per_minute must be at least 1 for {sorted(vendors)}, got {rates}")
    return rates
