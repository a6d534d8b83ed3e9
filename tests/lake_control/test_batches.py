"""Answers land exactly once, whatever dies in between."""

import contextlib
import random
from datetime import date

import pytest

from tapemill.clock.injected import VirtualClock
from tapemill.errors import ConflictError, LakeError
from tapemill.lake.control import (
    CellRecord,
    CellState,
    ContentRecord,
    Effects,
    open_control,
    this_process,
)
from tapemill.lake.control.answers import FORGOTTEN_SECONDS

BARS = "bronze.massive_bars_1m"
DAY = date(2024, 3, 1)


def store(control, number=1, **changes):
    given = {
        "task_key": f"task-{number}",
        "page": 1,
        "vendor": "massive",
        "dataset": BARS,
        "raw_sha256": f"{number:064d}",
        "ts_recv_ns": 5,
        "request_id": None,
        "outcome": "data",
        "symbol": "AAPL",
        "start": DAY,
        "end": DAY,
    }
    return control.answers.store(**{**given, **changes})


def test_an_answer_lands_with_cells_contents_and_batch_in_one_commit(control):
    answer = store(control)
    batch = control.batches.begin(BARS, [answer])
    assert control.answers.get(answer).stage == "landing"
    assert control.answers.unlanded() == []
    cells = [CellRecord(BARS, "AAPL", [DAY], CellState.DATA, rows=390, answer_id=answer)]
    control.batches.finish(batch, Effects(cells=cells), table_version=4, rows=390)
    assert control.answers.get(answer).landed
    assert control.batches.unfinished() == []
    found = control.ledger.cell(BARS, "AAPL", DAY)
    assert (found.state, found.rows, found.versions) == (CellState.DATA, 390, 1)
    assert control.contents.members(BARS, DAY) == {(f"{1:064d}", "AAPL"): 390}


def test_a_failed_finish_leaves_the_batch_as_it_was(control):
    answer = store(control)
    batch = control.batches.begin(BARS, [answer])
    effects = Effects(
        cells=[CellRecord(BARS, "AAPL", [DAY], CellState.DATA, answer_id=answer)],
        claims=[("task-1", 7)],
    )
    with pytest.raises(ConflictError, match="stale"):
        control.batches.finish(batch, effects)
    assert control.ledger.cell(BARS, "AAPL", DAY).state == CellState.PENDING
    assert control.answers.get(answer).stage == "landing"
    control.batches.finish(batch)
    with pytest.raises(ConflictError, match="finished"):
        control.batches.finish(batch)


def test_an_answer_belongs_to_one_batch(control):
    answer = store(control)
    control.batches.begin(BARS, [answer])
    with pytest.raises(ConflictError, match="cannot land: it is landing"):
        control.batches.begin(BARS, [answer])
    with pytest.raises(LakeError, match="no answer 77"):
        control.batches.begin(BARS, [77])
    assert len(control.batches.unfinished()) == 1


def test_the_same_bytes_of_a_page_are_one_answer(control):
    first = store(control)
    control.batches.finish(control.batches.begin(BARS, [first]))
    assert store(control, ts_recv_ns=99) == first
    assert control.answers.get(first).landed
    assert control.answers.get(first).ts_recv_ns == 5
    assert store(control, raw_sha256="revised") != first


def test_failures_are_kept_as_evidence_and_never_land(control):
    throttle = store(control, outcome="rate_limited", reason="slow down")
    assert control.answers.get(throttle).stage == "kept"
    assert control.answers.unlanded() == []
    with pytest.raises(ConflictError, match="kept"):
        control.batches.begin(BARS, [throttle])
    empty = store(control, 2, outcome="confirmed-empty")
    assert [a.answer_id for a in control.answers.unlanded(BARS)] == [empty]
    assert control.answers.unlanded("bronze.other") == []


def test_answers_of_the_living_are_left_to_them(location, clock):
    with (
        open_control(location, clock) as one,
        open_control(location, clock, owner=this_process("worker-2")) as two,
        open_control(location, clock, owner="other-host/1") as far,
    ):
        near, foreign = store(one, 1), store(far, 2, ts_recv_ns=clock.now_ns())
        for control, own in ((one, near), (two, None), (far, foreign)):
            found = [answer.answer_id for answer in control.answers.unlanded()]
            assert found == ([own] if own else [])
        assert len(two.answers.unlanded(orphaned_only=False)) == 2
        clock.advance(FORGOTTEN_SECONDS)
        assert [answer.answer_id for answer in two.answers.unlanded()] == [foreign]


def test_what_a_dead_process_left_is_anybodys_at_once(location, clock):
    host, _, label = this_process().rpartition("|")
    gone = "|".join((*host.split("|")[:-1], "1", label))  # same process id, started long ago
    with open_control(location, clock, owner=gone) as dead:
        batch = dead.batches.begin(BARS, [store(dead, 1)], lease_seconds=3600)
        left = store(dead, 2)
    with open_control(location, clock) as alive:
        assert [answer.answer_id for answer in alive.answers.unlanded()] == [left]
        assert alive.batches.unfinished() == [batch]
        alive.batches.finish(alive.batches.adopt(batch))


def test_writers_are_few_and_their_sequences_rise(control):
    open_batches = [control.batches.begin(BARS, []) for _ in range(3)]
    assert [b.writer for b in open_batches] == [f"{BARS}:slot-{n}" for n in range(3)]
    other = control.batches.begin("bronze.other", [])
    assert other.writer == "bronze.other:slot-0"
    control.batches.finish(open_batches[1])
    reused = control.batches.begin(BARS, [])
    assert (reused.writer, reused.sequence) == (open_batches[1].writer, 2)


def test_a_process_finds_its_own_batches_again_unless_it_is_still_landing_them(control):
    batch = control.batches.begin(BARS, [store(control)])
    assert control.batches.unfinished() == [batch]
    assert control.batches.unfinished(mine=False) == []
    assert control.batches.unfinished("bronze.other") == []


def test_a_foreign_batch_is_adopted_after_its_lease_and_its_owner_is_fenced(location, clock):
    with (
        open_control(location, clock, owner="other-host/1") as one,
        open_control(location, clock, owner="other-host/2") as two,
    ):
        answer = store(one)
        batch = one.batches.begin(BARS, [answer], lease_seconds=60)
        assert two.batches.unfinished() == []
        with pytest.raises(ConflictError, match="still being worked on by other-host/1"):
            two.batches.adopt(batch)
        batch = one.batches.renew(batch, 90)
        clock.advance(89)
        assert two.batches.unfinished() == []
        clock.advance(1)
        (left,) = two.batches.unfinished()
        adopted = two.batches.adopt(left)
        assert (adopted.writer, adopted.sequence) == (batch.writer, batch.sequence)
        assert adopted.answer_ids == (answer,)
        for stale in (one.batches.finish, lambda b: one.batches.renew(b, 60)):
            with pytest.raises(ConflictError, match="not ours any more"):
                stale(batch)
        two.batches.finish(adopted)
        assert one.answers.get(answer).landed


def test_listings_add_contents_without_cells(control):
    batch = control.batches.begin("bronze.splits", [])
    record = ContentRecord("bronze.splits", [DAY], "ab", rows=[3])
    control.batches.finish(batch, Effects(contents=[record]))
    assert list(control.contents.fingerprint("bronze.splits")) == [DAY]


def test_a_paged_task_resumes_at_the_page_after_the_last(control):
    assert control.answers.resume_point("t") is None
    store(control, task_key="t", page=1, raw_sha256="1", next_request='{"page":2}')
    store(control, task_key="t", page=2, raw_sha256="2", next_request='{"page":3}')
    store(control, task_key="t", page=3, raw_sha256="x", outcome="transient")
    assert control.answers.resume_point("t") == (3, '{"page":3}')
    store(control, task_key="t", page=3, raw_sha256="3", next_request=None)
    assert control.answers.resume_point("t") is None
    assert [a.page for a in control.answers.of_task("t")] == [1, 2, 3, 3]


def test_a_request_with_a_key_is_never_stored(control):
    with pytest.raises(LakeError, match="carries a secret"):
        store(control, next_request='{"path": "/v3/x?apiKey=abcdefgh12345"}')
    assert control.answers.of_task("task-1") == []


def test_the_answer_of_a_stale_claim_is_refused(control):
    token = control.claims.claim("task-1", control.owner, 60)
    assert store(control, token=token)
    control.claims.release("task-1", token)
    with pytest.raises(ConflictError, match="stale"):
        store(control, raw_sha256="late", token=token)


class Table:
    """What a table format with application transactions does: newest sequence per writer."""

    def __init__(self):
        self.newest = {}
        self.rows = []

    def append(self, rows, writer, sequence):
        if self.newest.get(writer, 0) >= sequence:
            return
        self.newest[writer] = sequence
        self.rows.extend(rows)


@pytest.mark.property
@pytest.mark.parametrize("seed", range(12))
def test_any_schedule_of_dying_workers_lands_every_answer_once(tmp_path, seed):
    """Workers stop at random steps and come back; zombies go on with what they held."""
    dice = random.Random(seed)
    clock = VirtualClock(1)
    names = [f"host-{n}" for n in range(dice.randint(2, 5))]
    workers = [open_control(tmp_path / "c.sqlite", clock, owner=name) for name in names]
    table, stored, zombies = Table(), [], []

    def land(worker, batch):
        rows = batch.answer_ids
        if dice.random() < 0.25:
            return zombies.append((worker, batch))
        table.append(rows, batch.writer, batch.sequence)
        if dice.random() < 0.25:
            return zombies.append((worker, batch))
        cells = [CellRecord(BARS, "AAPL", [DAY], CellState.DATA, answer_id=a) for a in rows]
        return worker.batches.finish(batch, Effects(cells=cells), rows=len(rows))

    def recover(worker):
        for batch in worker.batches.unfinished():
            land(worker, worker.batches.adopt(batch))

    for step in range(60):
        worker = dice.choice(workers)
        action = dice.random()
        if action < 0.5:
            stored.append(store(worker, step))
        elif action < 0.7:
            free = [a.answer_id for a in worker.answers.unlanded()]
            if free:
                land(worker, worker.batches.begin(BARS, free, lease_seconds=10))
        elif action < 0.85:
            clock.advance(dice.choice([1, 15]))
            recover(worker)
        elif zombies:
            # A paused process wakes up and appends what it still holds.
            owner, batch = zombies.pop(dice.randrange(len(zombies)))
            table.append(batch.answer_ids, batch.writer, batch.sequence)
            with contextlib.suppress(ConflictError):
                owner.batches.finish(batch)
    while True:
        clock.advance(100)
        for worker in workers:
            recover(worker)
            free = [a.answer_id for a in worker.answers.unlanded()]
            if free:
                land(worker, worker.batches.begin(BARS, free))
        done = [worker.answers.get(answer).landed for worker in workers[:1] for answer in stored]
        if all(done):
            break
    assert sorted(table.rows) == sorted(stored)
    assert workers[0].verify() == []
    for worker in workers:
        worker.close()
