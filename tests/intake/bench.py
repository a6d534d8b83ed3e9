"""A lake and its settings, and the sandbox behind an in-process wire."""

from __future__ import annotations

import asyncio
from datetime import date
from urllib.parse import unquote

import msgspec

from tapemill.clock import VirtualClock, eastern_ns
from tapemill.intake import fetch, plan_fetch
from tapemill.lake import Lake
from tapemill.secrets import Secret
from tapemill.settings import default_settings
from tapemill.vendors import WireAnswer
from tapemill.world import SANDBOX_KEY, Call, FaultPlan, Sandbox

START, END = date(2026, 1, 5), date(2026, 2, 6)
NOW = eastern_ns(date(2026, 2, 9), 9)


class InProcessWire:
    """The sandbox without sockets; keeps what went over the wire."""

    def __init__(self, sandbox, clock, latency=0.05):
        self.sandbox = sandbox
        self.clock = clock
        self.latency = latency
        self.calls = []
        self.in_flight = 0
        self.most_in_flight = 0

    async def send(self, call, arrived):
        self.calls.append(call)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self.clock.sleep(self.latency / 2)
            path = "/fip/rest/ews/oauth2/access_token" if call.base == "finra_token" else call.path
            reply = self.sandbox.exchange(
                Call(
                    call.method,
                    unquote(path),
                    dict(call.params),
                    {name.lower(): value for name, value in call.headers.items()},
                    call.body,
                    "https://api.massive.com",
                )
            )
            if reply.wire:
                await self.clock.sleep(reply.seconds)
                return WireAnswer(0, {}, b"", fault=f"{reply.wire} of the connection")
            arrived()
            await self.clock.sleep(self.latency / 2)
            return WireAnswer(
                reply.status, {k.lower(): v for k, v in reply.headers.items()}, reply.body
            )
        finally:
            self.in_flight -= 1

    async def close(self):
        pass

    def paths(self):
        return [call.path for call in self.calls]


class Bench:
    """A lake, its settings and clock, and a sandbox to fetch from."""

    def __init__(self, folder, market, *, faults=(), settings=None, plan="paid", **sandbox):
        self.clock = VirtualClock(NOW)
        self.settings = default_settings().override(
            {
                "massive.calls_per_minute": 1000,
                "massive.calls_per_day": 0,
                "finra.calls_per_minute": 1000,
                "lease.seconds": 600,
                **(settings or {}),
            }
        )
        massive = self.settings.massive
        self.settings = msgspec.structs.replace(
            self.settings,
            massive=msgspec.structs.replace(
                massive, api_key=Secret(SANDBOX_KEY, "massive.api_key")
            ),
        )
        self.lake = Lake.open(folder / "lake", create=True, clock=self.clock)
        self.sandbox = Sandbox(
            market, now_ns=NOW, plan=plan, faults=FaultPlan(*faults), clock=self.clock, **sandbox
        )
        self.wire = InProcessWire(self.sandbox, self.clock)

    def plan(self, dataset, symbols=None, start=START, end=END, **more):
        return plan_fetch(
            self.lake, self.settings, self.clock, dataset, symbols, start, end, **more
        )

    def fetch(self, *plans, **more):
        async def go():
            return await fetch(
                self.lake, self.settings, self.clock, list(plans), transport=self.wire, **more
            )

        return asyncio.run(go())

    def run(self, dataset, symbols=None, start=START, end=END, **more):
        return self.fetch(self.plan(dataset, symbols, start, end, **more))

    def states(self, dataset, symbols, sessions):
        return self.lake.control.ledger.matrix(dataset, symbols, sessions).states
