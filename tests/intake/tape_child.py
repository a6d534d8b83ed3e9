"""Run in a process of its own: fetch a day of prints, page by page. argv: lake, address."""

import asyncio
import sys
from datetime import date

from intake.fetching_child import NOW, settings_for
from tapemill.clock import FixedClock
from tapemill.intake import fetch, plan_fetch, tape_lane
from tapemill.intake.tape_day import DayReading
from tapemill.lake import Lake

DAY = date(2026, 1, 7)


async def main(folder, address):
    tape_lane.READING = DayReading(limit=400)
    clock, settings = FixedClock(NOW), settings_for(address)
    lake = Lake.open(folder, create=True, clock=clock)
    plan = plan_fetch(lake, settings, clock, "tape", ["KO"], DAY, DAY)

    def told(progress):
        print(f"page {progress.calls}", flush=True)

    report = await fetch(lake, settings, clock, plan, progress=told)
    assert report.remaining == 0
    lake.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
