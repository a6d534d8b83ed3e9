"""A Databento on loopback with three trade dates: one with trades, one without, one with."""

from __future__ import annotations

import asyncio
import datetime as dt

import msgspec

from intake.orders_made import DAY, ESH4, trades, write
from tapemill.clock import FixedClock
from tapemill.intake.futures_fetch import fetch_futures
from tapemill.intake.futures_fetch_plan import plan_futures
from tapemill.lake import Lake
from tapemill.secrets import Secret
from tapemill.settings import default_settings
from tapemill.world import SANDBOX_KEY, Market, Sandbox
from tapemill.world.dbn_writer import encode_definitions, encode_metadata

SESSIONS = [dt.date(2024, 1, day) for day in (3, 4, 5)]
FIRST, LAST = SESSIONS[0], SESSIONS[-1]
UTC_DAYS = [dt.date(2024, 1, day) for day in (2, 3, 4, 5)]
NEW_YEAR = int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp()) * 10**9
NOON = 17 * 3600 * 10**9
COUNT = 40
NOW = NEW_YEAR + 90 * DAY


def traded():
    """Trades of the first and of the last trade date."""
    return [trades(COUNT, seed=day, start_ns=NEW_YEAR + day * DAY + NOON) for day in (2, 4)]


def fill(folder):
    """Write what the vendor has: trades, and definitions at each midnight UTC."""
    span = (NEW_YEAR, NEW_YEAR + 5 * DAY)
    head = encode_metadata("trades", [ESH4], *span)
    write(folder, "trades.dbn.zst", head + b"".join(part.tobytes() for part in traded()))
    told = [encode_definitions([ESH4], NEW_YEAR + day * DAY) for day in range(5)]
    write(folder, "defs.dbn", encode_metadata("definition", [ESH4], *span) + b"".join(told))
    return folder


def vendor(folder, **more):
    """A sandbox over such a folder."""
    market = Market(1, symbols=1, start=FIRST, end=LAST)
    return Sandbox(market, now_ns=NOW, dbn_folder=folder, **more)


def settings_for(base_url, key=SANDBOX_KEY, **more):
    """Settings that meet it without long waits."""
    settings = default_settings().override(
        {
            "databento.base_url": base_url,
            "databento.timeout_seconds": 2.0,
            "databento.calls_per_minute": 0,
            "retry.first_wait_seconds": 0.01,
            "breaker.consecutive": 50,
            "breaker.error_fraction": 1.0,
            **more,
        }
    )
    secret = Secret(key, "databento.api_key")
    databento = msgspec.structs.replace(settings.databento, api_key=secret)
    return msgspec.structs.replace(settings, databento=databento)


def open_lake(folder):
    """A lake whose clock stands in the spring after."""
    return Lake.open(folder, create=True, clock=FixedClock(NOW))


def fetch(lake, settings, schemas=("trades",), symbols=("ESH4",), start=FIRST, end=LAST, **more):
    """Plan and carry out."""
    plan = plan_futures(lake, lake.clock, symbols, schemas, start, end, **more)
    return asyncio.run(fetch_futures(lake, settings, lake.clock, plan))
