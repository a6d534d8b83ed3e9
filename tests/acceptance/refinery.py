"""The whole path on loopback: sandbox, HTTP, intake, lake, refine, verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import date

import msgspec
import polars as pl

from tapemill.clock import FixedClock, eastern_ns
from tapemill.intake import fetch, plan_fetch
from tapemill.lake import Lake
from tapemill.refine import build, check
from tapemill.secrets import Secret
from tapemill.settings import default_settings
from tapemill.world import SANDBOX_KEY, Fault, FaultPlan, Sandbox, SandboxThread

FIRST, LAST = date(2026, 1, 26), date(2026, 2, 6)
"""Ten sessions of minutes; daily bars and FINRA over the same days."""
NOW = eastern_ns(date(2026, 2, 9), 9)
MINUTES, DAYS, SHORTS = "silver.equity_bars_1m", "silver.equity_bars_1d", "silver.short_volume"


class Refinery:
    """A lake that is fed by a faulty sandbox over HTTP.

    The vendors' clock and ours stand at one moment; waiting is real, and short.
    """

    def __init__(self, folder, market, *faults: Fault | str, plan="paid", settings=None, **sandbox):
        self.market = market
        self.clock = FixedClock(NOW)
        self.lake = Lake.open(folder / "lake", create=True, clock=self.clock)
        self._more = settings or {}
        self._thread: SandboxThread | None = None
        self.serve(*faults, plan=plan, **sandbox)

    def serve(self, *faults: Fault | str, plan="paid", **sandbox) -> None:
        """Put another sandbox in the place of the one before."""
        self.leave()
        self.sandbox = Sandbox(
            self.market,
            now_ns=self.clock.now_ns(),
            plan=plan,
            faults=FaultPlan(*faults, seed=3),
            **sandbox,
        )
        self._thread = SandboxThread(self.sandbox).__enter__()
        self.settings = self._settings(self._thread.base_url)

    def leave(self) -> None:
        """Stop the sandbox."""
        if self._thread is not None:
            self._thread.__exit__(None, None, None)

    def __enter__(self) -> Refinery:
        return self

    def __exit__(self, *error: object) -> None:
        self.leave()
        self.lake.close()

    def _settings(self, base_url: str):
        settings = default_settings().override(
            {
                "massive.base_url": base_url,
                "finra.cdn_url": base_url,
                "finra.api_url": base_url,
                "finra.token_url": f"{base_url}/fip/rest/ews/oauth2/access_token",
                "massive.calls_per_minute": 10_000,
                "massive.calls_per_day": 0,
                "finra.calls_per_minute": 10_000,
                "massive.rate_margin_seconds": 0,
                "finra.rate_margin_seconds": 0,
                "retry.first_wait_seconds": 0.01,
                "retry.longest_wait_seconds": 0.02,
                "landing.batch_seconds": 0.05,
                "breaker.first_probe_seconds": 0.02,
                "breaker.longest_probe_seconds": 0.05,
                **self._more,
            }
        )
        key = Secret(SANDBOX_KEY, "massive.api_key")
        return msgspec.structs.replace(
            settings, massive=msgspec.structs.replace(settings.massive, api_key=key)
        )

    def at(self, now_ns: int) -> None:
        """Let the vendors' time and ours pass."""
        self.clock = FixedClock(now_ns)
        self.sandbox.now_ns = now_ns
        self.lake.clock = self.clock

    def fetch(self, *lanes: str, symbols=None, start=FIRST, end=LAST, **more):
        """Plan and fetch lanes together; `symbols` concerns minute bars alone."""
        everyone = list(self.market.listings)
        plans = []
        for lane in lanes:
            wanted = (symbols or everyone) if lane == "bars_1m" else None
            plans.append(
                plan_fetch(self.lake, self.settings, self.clock, lane, wanted, start, end, **more)
            )
        return asyncio.run(fetch(self.lake, self.settings, self.clock, plans))

    def build(self):
        return build(self.lake, self.settings, self.clock)

    def check(self, **more):
        return check(self.lake, self.settings, self.clock, **more)

    def judge(self):
        """Build and check."""
        self.build()
        return self.check()


def truth(refinery: Refinery, kind: str) -> set[tuple[str, date]]:
    """What the sandbox altered."""
    return set(refinery.sandbox.truth_of(kind).select("symbol", "session").iter_rows())


def accused(findings: Iterable, kind: str) -> set[tuple[str, date]]:
    """Symbols and sessions that findings of a kind name in their evidence."""
    cells: set[tuple[str, date]] = set()
    for finding in findings:
        if finding.kind == kind:
            rows = finding.evidence
            cells |= set(rows.select("symbol", pl.col("session")).iter_rows())
    return cells


def kinds(findings: Iterable, *severities: str) -> set[str]:
    """Kinds among findings of the severities."""
    return {finding.kind for finding in findings if finding.severity in severities}
