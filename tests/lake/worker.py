"""A writer as its own process: a seeded schedule of appends, replacements and compactions.

Usage: python worker.py LOCATION OPTIONS_JSON WORKER WORKERS SEED BATCHES [KILL_STEPS_JSON]

Batches of the shared stream are dealt out by number; some are given to two workers on purpose, as
after a lease that ran out. With a kill step the process ends by SIGKILL at that write call.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from lake.rows import BRONZE, MINUTE, bars, weekdays
from tapemill import Lake
from tapemill.errors import ConflictError

DAYS = weekdays(dt.date(2025, 1, 30), 4)


def batch(number):
    """The rows of one numbered batch; the same whoever writes it."""
    day = DAYS[number % len(DAYS)]
    return bars([f"S{number:03d}"], [day], minutes=5, seed=number, dataset=BRONZE)


def built(session, generation):
    """What a builder writes for a session: it depends on the session alone but for the tag."""
    return bars(["AAA", "BBB"], [session], minutes=5, seed=session.day * 1000 + generation)


def patient(action):
    """Do it again as long as other writers are faster."""
    while True:
        try:
            return action()
        except ConflictError:
            continue


def run(lake, worker, workers, seed, batches):
    """Every batch that is this worker's, in a seeded order, between builds and compactions."""
    rng = random.Random(f"{seed}-{worker}")
    mine = [
        number
        for number in range(batches)
        if number % workers == worker or random.Random(f"{seed}-{number}").random() < 0.3
    ]
    rng.shuffle(mine)
    for number in mine:
        # One writer name a batch: the number alone says whether it was taken.
        patient(
            lambda number=number: lake.tables.append(
                BRONZE, batch(number), writer=f"batch-{number}", sequence=1
            )
        )
        roll = rng.random()
        if roll < 0.25:
            day = rng.choice(DAYS)
            patient(lambda day=day: lake.tables.replace(MINUTE, built(day, 0), sessions=[day]))
        elif roll < 0.35:
            lake.compact(BRONZE, retention_days=7)


def kill_at(step):
    """End this process without warning at its `step`-th call that changes the disk.

    A step that is not whole is a time in seconds: the end then comes at any instruction, inside the
    table library too.
    """
    if isinstance(step, float):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, step)
        return
    left = [step]

    def counted(function):
        def call(*arguments, **named):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return call

    os.fsync = counted(os.fsync)
    os.link = counted(os.link)
    os.unlink = counted(os.unlink)
    Path.replace = counted(Path.replace)
    Path.unlink = counted(Path.unlink)
    import tapemill.lake.table as table_module

    table_module.DeltaTable.create_write_transaction = counted(
        table_module.DeltaTable.create_write_transaction
    )
    table_module.DeltaTable.create_checkpoint = counted(table_module.DeltaTable.create_checkpoint)
    table_module.DeltaTable.update_incremental = counted(table_module.DeltaTable.update_incremental)


def killed(steps, work):
    """How many children in a row were killed before one came through."""
    import tapemill.lake.table as table_module

    table_module.CHECKPOINT_EVERY = 5
    for count, step in enumerate([*steps, 10**9]):
        # Nothing has started a thread in this process yet, so that a fork is safe.
        child = os.fork()
        if child == 0:
            kill_at(step)
            work()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            return count if os.WEXITSTATUS(status) == 0 else 255
    return 255


def main():
    location, options, worker, workers, seed, batches = sys.argv[1:7]

    def work():
        lake = Lake.open(location, create=True, storage_options=json.loads(options))
        run(lake, int(worker), int(workers), int(seed), int(batches))

    if len(sys.argv) > 7:
        sys.exit(killed(json.loads(sys.argv[7]), work))
    work()


if __name__ == "__main__":
    main()
