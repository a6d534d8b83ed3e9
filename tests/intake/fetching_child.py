"""Run in a process of its own: fetch from a sandbox into a lake. argv: lake, address."""

import asyncio
import sys
from datetime import date

import msgspec

from tapemill.clock import FixedClock, eastern_ns
from tapemill.intake import fetch, plan_fetch
from tapemill.lake import Lake
from tapemill.secrets import Secret
from tapemill.settings import default_settings

START, END = date(2026, 1, 5), date(2026, 2, 6)
NOW = eastern_ns(date(2026, 2, 9), 9)


def settings_for(address):
    settings = default_settings().override(
        {
            "massive.base_url": address,
            "massive.calls_per_minute": 6000,
            "massive.calls_per_day": 0,
            "massive.max_in_flight": 2,
            "finra.cdn_url": address,
            "finra.calls_per_minute": 6000,
            "landing.batch_seconds": 0.02,
        }
    )
    massive = msgspec.structs.replace(settings.massive, api_key=Secret("sandbox-key", "key"))
    return msgspec.structs.replace(settings, massive=massive)


async def main(folder, address):
    clock, settings = FixedClock(NOW), settings_for(address)
    lake = Lake.open(folder, create=True, clock=clock)
    print("ready", flush=True)
    plans = [
        plan_fetch(lake, settings, clock, "bars_1m", ["SPY", "KO"], START, END),
        plan_fetch(lake, settings, clock, "bars_1d", None, START, END),
        plan_fetch(lake, settings, clock, "short_volume", None, START, END),
    ]
    report = await fetch(lake, settings, clock, plans)
    print(msgspec.json.encode(report.summary()).decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
