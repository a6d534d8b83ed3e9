"""One of several processes that fetch under one budget, on a clock that runs fast."""

from __future__ import annotations

import asyncio
import json
import os
import time

from acceptance.journey import FIRST, LAST, NOW, die_at, settings_for
from tapemill.intake import fetch, plan_fetch
from tapemill.lake import Lake


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
    """Fetch the lanes of a job; told once it starts and how it ended."""
    clock = FastClock(job["speed"])
    settings = settings_for(job["address"], **job["settings"])
    lake = Lake.open(job["lake"], create=True, clock=clock)
    plans = [plan_fetch(lake, settings, clock, lane, None, FIRST, LAST) for lane in job["lanes"]]
    if "dies_after" in job:
        die_at({"seam": "governor.arrived", "moment": "before", "nth": job["dies_after"]})
    report = asyncio.run(fetch(lake, settings, clock, plans))
    lake.close()
    os.write(told, json.dumps(report.summary(), default=str).encode() + b"\n")
