"""The way from a vendor to silver as one process walks it, and the points where it may be killed.

Import it before any thread is started: `fork_server` forks from a process that has done only that.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import random
import signal
import time
from datetime import date
from pathlib import Path

import msgspec

from tapemill.clock import FixedClock, eastern_ns
from tapemill.errors import ConflictError
from tapemill.intake import fetch, import_files, plan_fetch
from tapemill.intake.governor import Governor
from tapemill.intake.wire import AiohttpTransport
from tapemill.lake import Lake, compaction, swap
from tapemill.lake.control.answers import Answers
from tapemill.lake.control.batches import Batches
from tapemill.lake.control.builds import Builds
from tapemill.lake.control.calls import Calls
from tapemill.lake.control.claims import Claims
from tapemill.lake.control.ledger import Ledger
from tapemill.lake.places import LocalPlace
from tapemill.lake.raw import RawStore
from tapemill.lake.seals import Seals
from tapemill.lake.table import Table
from tapemill.lake.tables import TableStore
from tapemill.refine import build
from tapemill.secrets import Secret
from tapemill.settings import default_settings
from tapemill.world import SANDBOX_KEY

FIRST, LAST = date(2026, 1, 26), date(2026, 2, 6)
NOW = eastern_ns(date(2026, 2, 9), 9)
IN_FLIGHT = 2
"""Calls that a process may have on the wire, per vendor."""
LANES = {
    "bars_1m": ["SPY", "KO"],
    "bars_1d": None,
    "short_volume": None,
    "splits": None,
    "dividends": None,
    "tickers": None,
}
BAR_FILE = {"symbol": "FILED", "zone": "America/New_York", "volume": "volume"}

SEAMS = {
    "wire.read": (AiohttpTransport, "_read"),
    "governor.admit": (Governor, "try_admit"),
    "governor.arrived": (Governor, "arrived"),
    "governor.settle": (Governor, "settle"),
    "raw.put": (RawStore, "put"),
    "calls.record": (Calls, "record_attempt"),
    "answers.store": (Answers, "store"),
    "batches.begin": (Batches, "begin"),
    "batches.finish": (Batches, "finish"),
    "claims.claim": (Claims, "claim"),
    "claims.release": (Claims, "release"),
    "ledger.record": (Ledger, "record_many"),
    "builds.record": (Builds, "record_many"),
    "tables.append": (TableStore, "append"),
    "tables.replace": (TableStore, "replace"),
    "table.write": (Table, "write_files"),
    "table.commit": (Table, "commit"),
    "table.checkpoint": (Table, "checkpoint"),
    "swap.actions": (swap.Swap, "actions"),
    "compact.merge": (compaction, "_merge"),
    "compact.sweep": (compaction, "_sweep"),
    "seals.catch_up": (Seals, "catch_up"),
    "seals.tidy": (Seals, "tidy"),
    "place.put": (LocalPlace, "put"),
    "place.put_new": (LocalPlace, "put_new"),
    "place.delete": (LocalPlace, "delete"),
    "os.fsync": (os, "fsync"),
    "os.link": (os, "link"),
}
"""Named points of input and output. A kill falls right before or right after one of them."""


def settings_for(address, **more):
    """Settings that send every call to one sandbox."""
    settings = default_settings().override(
        {
            "massive.base_url": address,
            "finra.cdn_url": address,
            "finra.api_url": address,
            "massive.calls_per_minute": 10_000,
            "massive.calls_per_day": 0,
            "finra.calls_per_minute": 10_000,
            "massive.max_in_flight": IN_FLIGHT,
            "finra.max_in_flight": IN_FLIGHT,
            "landing.batch_seconds": 0.02,
            **more,
        }
    )
    massive = msgspec.structs.replace(
        settings.massive, api_key=Secret(SANDBOX_KEY, "massive.api_key")
    )
    return msgspec.structs.replace(settings, massive=massive)


class Journey:
    """A lake, and the verbs that a person would type at it."""

    def __init__(self, job):
        self.clock = FixedClock(NOW)
        self.job = job
        self.settings = settings_for(job["address"], **job.get("settings", {}))
        self.lake = Lake.open(
            job["lake"],
            create=True,
            control_url=job.get("control", ""),
            storage_options=job.get("storage"),
            clock=self.clock,
        )

    def fetch(self, lanes=None):
        plans = [
            plan_fetch(self.lake, self.settings, self.clock, lane, symbols, FIRST, LAST)
            for lane, symbols in (lanes or LANES).items()
        ]
        return asyncio.run(fetch(self.lake, self.settings, self.clock, plans)).summary()

    def take_in(self, names=None):
        files = [Path(name) for name in names or self.job["files"]]
        return import_files(self.lake, self.settings, self.clock, "bars", files, BAR_FILE).summary()

    def build(self):
        return build(self.lake, self.settings, self.clock).summary()

    def compact(self):
        # By the machine's clock and without a window of retention: files are deleted too.
        lake = Lake.open(self.job["lake"])
        return {"tables": len(lake.compact(retention_days=0))}


PHASES = {
    "fetch": Journey.fetch,
    "import": Journey.take_in,
    "build": Journey.build,
    "compact": Journey.compact,
}


def walk(job, told):
    """Do the phases of a job; with a kill, die at its point in the last of them."""
    journey = Journey(job)
    reports = {}
    for phase in job["phases"]:
        if phase == job["phases"][-1]:
            die_at(job.get("kill"))
            os.write(told, b'"last phase"\n')
        reports[phase] = PHASES[phase](journey)
    journey.lake.close()
    os.write(told, json.dumps({"reports": reports}, default=str).encode() + b"\n")


def die_at(kill):
    """Let this process end by SIGKILL at the nth passage of a seam."""
    if kill and "seam" in kill:
        _watch(kill["seam"], lambda moment, nth: (moment, nth) == (kill["moment"], kill["nth"]))


def _watch(seam, deadly, passages=None):
    holder, name = SEAMS[seam]
    real, passages = getattr(holder, name), passages if passages is not None else {seam: 0}

    @functools.wraps(real)
    def watched(*arguments, **named):
        passages[seam] += 1
        nth = passages[seam]
        if deadly("before", nth):
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **named)
        if deadly("after", nth):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(holder, name, watched)


def survey(job, told):
    """Walk undisturbed; how often each phase passed each seam, and how long it took."""
    journey, found = Journey(job), {}
    passages = dict.fromkeys(SEAMS, 0)
    for seam in SEAMS:
        _watch(seam, lambda *_: False, passages)
    for phase in job["phases"]:
        before, started = dict(passages), time.monotonic()
        PHASES[phase](journey)
        passed = {seam: count - before[seam] for seam, count in passages.items()}
        found[phase] = {"seconds": time.monotonic() - started, "passages": passed}
    journey.lake.close()
    os.write(told, json.dumps(found).encode() + b"\n")


def work(job, told):
    """One of several workers: the verbs in a seeded order, each more than once."""
    journey, dice = Journey(job), random.Random(f"{job['seed']}-{job['worker']}")
    reports = {"calls": 0, "builds": 0, "refused": 0}
    steps = [["fetch", lane] for lane in LANES] + [["import", name] for name in job["files"]]
    # Each step is somebody's for certain; half of them are also somebody else's.
    steps = [
        step
        for number, step in enumerate(steps)
        if number % job["workers"] == job["worker"] or dice.random() < 0.5
    ]
    steps += [["build"]] * 2 + [["compact"]]
    dice.shuffle(steps)
    for verb, *what in steps:
        time.sleep(dice.uniform(0.0, 0.05))
        try:
            if verb == "fetch":
                reports["calls"] += journey.fetch({what[0]: LANES[what[0]]})["calls"]
            elif verb == "import":
                journey.take_in(what)
            elif verb == "build":
                reports["builds"] += journey.build()["builds"]
            else:
                journey.lake.compact()
        except ConflictError:
            reports["refused"] += 1  # another worker builds just now: it says so, and stops
    journey.lake.close()
    os.write(told, json.dumps({"reports": reports}, default=str).encode() + b"\n")
