"""A single flipped bit has a name, or changes nothing."""

import random
import shutil
import sqlite3
from datetime import date, timedelta

import pytest

from tapemill.clock.injected import VirtualClock
from tapemill.errors import CorruptError, LakeError
from tapemill.lake.control import CellRecord, CellState, Effects, TaskState, open_control

DAY = date(2024, 3, 1)


def populate(location):
    """Some of everything, byte for byte the same on every run."""
    with open_control(location, VirtualClock(10**18), owner="worker") as control:
        for number in range(6):
            token = control.claims.claim(f"task-{number}", control.owner, 60)
            answer = control.answers.store(
                f"task-{number}", 1, "massive", "bronze.x", f"{number:064x}", 10**18, "id",
                "data", "", f"S{number}", DAY, DAY + timedelta(days=9), None, token=token,
            )  # fmt: skip
            batch = control.batches.begin("bronze.x", [answer])
            days = [DAY + timedelta(days=n) for n in range(number + 1)]
            record = CellRecord(
                "bronze.x", f"S{number}", days, CellState.DATA, rows=390, answer_id=answer
            )
            control.batches.finish(batch, Effects(cells=[record]), table_version=number, rows=390)
            control.calls.record_attempt("massive", "bronze.x", "/x", status=200, outcome="data")
            control.builds.record("silver.x", days[-1].isoformat(), "ab" * 32, 390)
            control.incidents.open("drift", "bronze.x", f"S{number}", "a column is gone")
            control.imports.record(f"{number:064x}", "bars", "x.csv", 5, 0)
            control.tasks.generate("run", [f"task-{number}"])
        control.tasks.end("run", "task-0", TaskState.DONE)


def dump(location):
    connection = sqlite3.connect(location)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def findings(location):
    try:
        with open_control(location, VirtualClock(10**18)) as control:
            return control.verify()
    except (CorruptError, LakeError) as error:
        return [error]


def test_a_sound_state_has_no_findings(location):
    populate(location)
    assert findings(location) == []


@pytest.mark.parametrize(
    ("table", "change", "subject"),
    [
        (
            "ledger_states",
            "states = CAST(substr(states, 1, 60) || x'02' || substr(states, 62) AS BLOB)",
            "ledger_states bronze.x/S0/2024",
        ),
        (
            "ledger_counts",
            "counts = CAST(x'00' || substr(counts, 2) AS BLOB)",
            "ledger_counts bronze.x/S0/2024",
        ),
        ("answers", "page = page | 4", "answers 1"),
        ("answers", "raw_sha256 = '1' || substr(raw_sha256, 2)", "answers 1"),
        ("batches", "sequence = sequence + 8", "batches 1"),
        ("contents", "batch_id = 3", "contents bronze.x/"),
        ("content_sums", "objects = objects + 1", "content_sums bronze.x/2024-03-01"),
        ("cell_events", "state = 2", "cell_events 1"),
        ("claims", "token = token + 1", "claims task-0"),
        ("writers", "last_sequence = 0", "writers bronze.x:slot-0"),
        ("meta", "crc = crc + 1 WHERE name = 'fence'", "meta fence"),
        ("calls", "status = 204", "calls 1"),
        ("builds", "fingerprint = 'x'", "builds 1"),
        ("imports", "row_count = 4", "imports 1"),
        ("incidents", "state = 'resolved'", "incidents 1"),
        ("tasks", "state = 'done'", "tasks run/task-1"),
    ],
)
def test_a_changed_row_is_named(location, table, change, subject):
    populate(location)
    connection = sqlite3.connect(location)
    connection.execute(f"UPDATE {table} SET {change}")
    connection.commit()
    connection.close()
    named = [f.subject for f in findings(location) if not isinstance(f, Exception)]
    assert any(name.startswith(subject) for name in named), named


def test_a_lost_member_shows_in_the_fingerprint(location):
    populate(location)
    connection = sqlite3.connect(location)
    connection.execute("DELETE FROM contents WHERE symbol = 'S3'")
    connection.commit()
    connection.close()
    subjects = [finding.subject for finding in findings(location)]
    assert subjects == [f"bronze.x {DAY + timedelta(days=n)}" for n in range(4)]


def check_flips(location, tmp_path, flips, seed):
    """Flip bits one at a time; returns how many were found. The others must change nothing."""
    populate(location)
    sound = location.read_bytes()
    content = dump(location)
    dice = random.Random(seed)
    used = [place for place, byte in enumerate(sound) if byte]
    found = 0
    for _ in range(flips):
        place, bit = dice.choice(used), dice.randrange(8)
        damaged = bytearray(sound)
        damaged[place] ^= 1 << bit
        for old in tmp_path.glob("damaged*"):
            old.unlink()
        copy = tmp_path / "damaged.sqlite"
        copy.write_bytes(damaged)
        if findings(copy):
            found += 1
            continue
        # The flip lies in unused space or in a field that SQLite ignores.
        shutil.copy(copy, tmp_path / "damaged2.sqlite")
        assert dump(tmp_path / "damaged2.sqlite") == content, f"bit {bit} of byte {place} unseen"
    return found


@pytest.mark.property
def test_any_flipped_bit_of_the_file_is_found_or_harmless(location, tmp_path):
    assert check_flips(location, tmp_path, flips=80, seed=5) > 60


@pytest.mark.soak
@pytest.mark.property
def test_thousands_of_flipped_bits_are_found_or_harmless(location, tmp_path):
    assert check_flips(location, tmp_path, flips=5_000, seed=6) > 4_000


def test_a_definition_that_cannot_be_decoded_is_named(location):
    populate(location)
    content = location.read_bytes()
    location.write_bytes(content.replace(b"CREATE TABLE answers", b"CREATE TABL\xe9 answers", 1))
    (found,) = findings(location)
    assert isinstance(found, CorruptError)
    assert "malformed" in found.what
