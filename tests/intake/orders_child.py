"""Run in a process of its own: imports that are killed at seeded seams, then one that is not.

argv: folder, seed, kills. Every import is a fork of this process, which has imported everything.
"""

import functools
import json
import math
import os
import random
import signal
import sys
from pathlib import Path

import numpy as np

from intake.orders_made import orders
from tapemill.book import OrderBook
from tapemill.clock import FixedClock
from tapemill.intake import order_landing, order_reading
from tapemill.intake.orders import import_orders
from tapemill.lake import Lake
from tapemill.lake.control.imports import Imports
from tapemill.lake.places import LocalPlace
from tapemill.lake.raw import RawStore
from tapemill.lake.table import Table
from tapemill.settings import default_settings

NOW = 1_704_500_000_000_000_000
SEAMS = [
    (LocalPlace, "put"),
    (LocalPlace, "_write_aside"),
    (Table, "commit"),
    (RawStore, "put_file"),
    (Imports, "record"),
]


def kill_at(nth):
    """Count what passes a seam, before and after; die at the nth, if there is one."""
    passed = 0

    def count():
        nonlocal passed
        passed += 1
        if passed == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    for owner, name in SEAMS:
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def watched(*arguments, inner=inner, **options):
            count()
            found = inner(*arguments, **options)
            count()
            return found

        setattr(owner, name, watched)
    return lambda: passed


def bring(lake_folder, files, nth=0):
    """Import in a fork; the seams it passed, or None if it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        passed = kill_at(nth)
        order_reading.STRETCH_RECORDS = 300
        order_landing.STRETCHES_A_BATCH = 2
        lake = Lake.open(lake_folder, create=True, clock=FixedClock(NOW))
        report = import_orders(lake, default_settings(), lake.clock, files)
        assert not report.unsound, report
        lake.close()
        os.write(writing, str(passed()).encode())
        os._exit(0)
    os.close(writing)
    told = os.read(reading, 100)
    os.close(reading)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or status == 0, status
    return int(told) if told else None


def main(folder, seed, kills):
    dice = random.Random(seed)
    OrderBook(250_000_000).apply(
        orders(9), np.arange(9)
    )  # compiled code is loaded before the forks
    files = sorted(folder.glob("*.dbn*"))
    seams = bring(folder / "whole", files)
    killed, lakes = 0, 0
    while killed < kills:
        lakes += 1
        while killed < kills and dice.random() < 0.8:
            # As often early as late: most seams lie behind the first batches.
            nth = round(math.exp(dice.uniform(0, math.log(seams))))
            killed += bring(folder / f"torn-{lakes}", files, nth) is None
        assert bring(folder / f"torn-{lakes}", files) is not None
        assert bring(folder / f"torn-{lakes}", files) is not None
    print(json.dumps({"seams": seams, "killed": killed, "lakes": lakes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
