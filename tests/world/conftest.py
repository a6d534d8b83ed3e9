"""One small market and the ways to ask its sandbox without a socket."""

from __future__ import annotations

from datetime import date
from urllib.parse import parse_qsl, urlsplit

import pytest

from tapemill.clock import eastern_ns
from tapemill.world import SANDBOX_KEY, Call, Fault, FaultPlan, Market, Reply, Sandbox

START, END = date(2025, 10, 1), date(2026, 3, 20)
NOW = eastern_ns(END, 21)


@pytest.fixture(scope="session")
def market() -> Market:
    """Eight companies over 117 sessions, across the first fractional volumes (2026-02-23)."""
    return Market(11, symbols=8, start=START, end=END)


class Asker:
    """A sandbox with a key in hand."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def get(self, url: str, *, key: str | None = SANDBOX_KEY, **headers: str) -> Reply:
        return self.sandbox.exchange(self.call("GET", url, key=key, headers=headers))

    def post(self, url: str, body: bytes, **headers: str) -> Reply:
        return self.sandbox.exchange(self.call("POST", url, key=None, headers=headers, body=body))

    def call(
        self, method: str, url: str, *, key: str | None, headers: dict[str, str], body: bytes = b""
    ) -> Call:
        parts = urlsplit(url)
        named = {"authorization": f"Bearer {key}", **headers} if key else headers
        query = dict(parse_qsl(parts.query))
        return Call(method, parts.path, query, named, body, "http://vendor.test")


@pytest.fixture
def ask(market: Market):
    """Make an asker of a sandbox with the given faults and settings."""

    def make(*faults: Fault | str, now_ns: int = NOW, **settings) -> Asker:
        plan = FaultPlan(*faults, seed=5)
        return Asker(Sandbox(market, now_ns=now_ns, faults=plan, **settings))

    return make
