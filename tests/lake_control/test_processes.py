"""Several processes at once, and processes killed at any instant."""

import os
import subprocess
import sys
from datetime import date, timedelta

import pytest

from tapemill.lake.control import CellState, open_control

DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(40)]

WRITER = """
import sys
from datetime import date, timedelta
from tapemill.lake.control import CellState, open_control
location, name = sys.argv[1:3]
days = [date(2024, 1, 1) + timedelta(days=n) for n in range(40)]
mine = days[int(name) % 4 :: 4]
with open_control(location) as control:
    for day in mine:
        # Every process changes the same blob; each cell is one process's own.
        control.ledger.record(
            "d", "AAPL", [day], CellState.DATA, rows=int(name) + 1, raw_sha256=name
        )
        token = control.claims.claim("shared", control.owner, 60)
        if token is not None:
            control.claims.release("shared", token)
        print(token, flush=True)
"""

LANDER = """
import os, random, signal, sys, time
from datetime import date
from tapemill.lake.control import CellRecord, CellState, Effects, open_control
location, kills = sys.argv[1], int(sys.argv[2])
day = date(2024, 1, 2)

def data(batch):
    return [
        CellRecord("d", f"S{a}", [day], CellState.DATA, rows=a, answer_id=a)
        for a in batch.answer_ids
    ]

def land_forever(progress):
    control = open_control(location)
    while True:
        for left in control.batches.unfinished():
            batch = control.batches.adopt(left)
            control.batches.finish(batch, Effects(cells=data(batch)))
        page = len(control.answers.of_task("t"))
        control.answers.store("t", page, "v", "d", str(page), 1, None, "data", "", "*", day, day)
        free = [answer.answer_id for answer in control.answers.unlanded()]
        batch = control.batches.begin("d", free)
        control.batches.finish(batch, Effects(cells=data(batch)))
        os.write(progress, b".")

dice = random.Random(11)
for _ in range(kills):
    progress, told = os.pipe()
    child = os.fork()
    if child == 0:
        land_forever(told)
    os.close(told)
    for _ in range(dice.randrange(4)):
        assert os.read(progress, 1)
    time.sleep(dice.uniform(0.0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(progress)
    print("killed", flush=True)
    sys.stdin.readline()
"""

KILLS = int(os.environ.get("TAPEMILL_CRASH_POINTS", "25"))


def test_four_processes_lose_no_cell_of_a_shared_blob(location):
    children = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WRITER, str(location), str(name)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in range(4)
    ]
    printed = [child.communicate(timeout=60)[0].split() for child in children]
    assert [child.returncode for child in children] == [0, 0, 0, 0]
    tokens = [int(token) for lines in printed for token in lines if token != "None"]
    assert len(tokens) == len(set(tokens))
    with open_control(location) as control:
        found = control.ledger.matrix("d", ["AAPL"], DAYS)
        assert found.rows[0].tolist() == [n % 4 + 1 for n in range(40)]
        assert (found.versions == 1).all()
        assert control.verify() == []


@pytest.mark.crash
def test_killed_at_any_instant_nothing_is_half_done(location):
    """Batch, answers, cells and contents always tell the same story."""
    command = [sys.executable, "-c", LANDER, str(location), str(KILLS)]
    killer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    landed = 0
    try:
        for _ in range(KILLS):
            assert killer.stdout.readline() == "killed\n"
            landed_now = check_story(location)
            assert landed_now >= landed
            landed = landed_now
            killer.stdin.write("go on\n")
            killer.stdin.flush()
    finally:
        killer.communicate(timeout=30)
    assert landed > KILLS


def check_story(location):
    """Every table agrees with every other; returns how many answers have landed."""
    day = date(2024, 1, 2)
    with open_control(location) as control:
        assert control.verify() == []
        stored = control.answers.of_task("t")
        landed = [answer for answer in stored if answer.landed]
        names = [f"S{answer.answer_id}" for answer in stored]
        states = control.ledger.matrix("d", names, [day]).states[:, 0]
        assert [bool(s == CellState.DATA) for s in states] == [a.landed for a in stored]
        members = control.contents.members("d", day)
        assert sorted(members) == sorted((a.raw_sha256, f"S{a.answer_id}") for a in landed)
        left = control.batches.unfinished()
        assert len(left) <= 1
        assert [a.answer_id for a in stored if a.stage == "landing"] == [
            answer_id for batch in left for answer_id in batch.answer_ids
        ]
    return len(landed)
