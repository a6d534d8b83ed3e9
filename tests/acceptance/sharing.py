"""One of several processes that fetch under one budget, on a clock that runs fast."""

from __future__ import annotations

import asyncio
import json
import os
import time
from datetime import date

from acceptance.journey import LAST, NOW, die_at, settings_for
from tapemill.intake import fetch, plan_fetch
from tapemill.lake import Lake

SPEED = 10.0
"""Seconds of the fast clock in one of the machine's."""


class FastClock:
    """The machine's time, `speed` times as fast, the same in every process."""

    def __init__(self, speed):
        self.speed = speed

    def now_ns(self):
        return NOW

    def monotonic(self):
        return time.monotonic() * self.speed

    async def sleep(self, seconds):
        await asyncio.sleep(max(0.0, seconds / self.speed))


def share(job, told):
    """Fetch daily bars; tells how it ended, unless it is killed."""
    clock, settings = FastClock(SPEED), settings_for(job["address"], **job["settings"])
    lake = Lake.open(job["lake"], create=True, clock=clock)
    first = date.fromisoformat(job["first"])
    plan = plan_fetch(lake, settings, clock, "bars_1d", None, first, LAST)
    die_at(job.get("kill"))
    report = asyncio.run(fetch(lake, settings, clock, plan))
    lake.close()
    os.write(told, json.dumps(report.summary(), default=str).encode() + b"\n")
