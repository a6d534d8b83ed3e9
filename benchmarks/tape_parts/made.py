"""What the parts share: the made session, its inputs, clocks and the RESULT line."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from tapemill.levels.arrivals import ArrivalMinutes
from tapemill.levels.inputs import LevelInputs
from tapemill.vendors.databento import DbnFile
from tapemill.world.order_book import OrderBookSpec

SPEC = OrderBookSpec()
INSTRUMENT = SPEC.instrument
SESSION = SPEC.trade_dates[0]
TICK = INSTRUMENT.tick_nano / 1e9


def inputs(user: pl.DataFrame | None = None) -> LevelInputs:
    """What is known before the session: nothing but its hours and the user's levels."""
    minutes = ArrivalMinutes(INSTRUMENT.symbol, SESSION).frame()
    return LevelInputs.for_session(
        INSTRUMENT.symbol, INSTRUMENT.asset, SESSION, TICK, minutes, user=user
    )


def count(path: Path) -> int:
    with DbnFile.open(path) as file:
        return sum(len(chunk.ordinals) for chunk in file.chunks())


def peak_mb() -> int:
    """Greatest memory of this process so far, shared libraries and mapped pages included."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def timed(work: Callable[[], Any], rounds: int = 1) -> tuple[float, Any]:
    """Least seconds of some rounds, for the machine is shared, and the last answer.

    Prints them all, and behind a slash the seconds of processor time of all threads.
    """
    times = []
    for _ in range(rounds):
        answer = None
        begun, busy = time.perf_counter(), time.process_time()
        answer = work()
        times.append(time.perf_counter() - begun)
        print(f"  {times[-1]:.3f} / {time.process_time() - busy:.3f}", flush=True)
    return min(times), answer


def result(name: str, **values: float) -> None:
    print("RESULT " + json.dumps({"name": name, **values}), flush=True)
