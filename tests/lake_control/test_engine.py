"""Opening, sharing and refusing a database."""

import asyncio
import os
import sqlite3
import threading
from datetime import date

import pytest
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from tapemill.errors import ConflictError, CorruptError, LakeError
from tapemill.lake.control import CellState, open_control
from tapemill.lake.control.engine import MIGRATIONS
from tapemill.lake.control.schema import TABLES

DAY = date(2024, 3, 1)


def change(location, statement):
    connection = sqlite3.connect(location)
    connection.execute(statement)
    connection.commit()
    connection.close()


def set_version(location, clock, version):
    with open_control(location, clock) as control, control.database.write() as connection:
        control.database.upsert(
            connection,
            TABLES.tables["meta"],
            [{"name": "schema_version", "value": str(version)}],
        )


def test_a_missing_file_is_not_made_when_that_is_not_wanted(tmp_path):
    with pytest.raises(LakeError, match="no control state") as caught:
        open_control(tmp_path / "none.sqlite", create=False)
    assert caught.value.next_step
    assert list(tmp_path.iterdir()) == []


def test_a_newer_format_is_refused(location, clock):
    set_version(location, clock, 99)
    with pytest.raises(LakeError, match="format 99; this Tapemill reads up to 1") as caught:
        open_control(location, clock)
    assert "upgrade" in caught.value.next_step


def test_an_older_format_moves_on_step_by_step(location, clock, monkeypatch):
    set_version(location, clock, -1)
    steps = []
    monkeypatch.setitem(MIGRATIONS, -1, lambda connection: steps.append(-1))
    with pytest.raises(LakeError, match="no way from control format 0 to 1"):
        open_control(location, clock)
    monkeypatch.setitem(MIGRATIONS, 0, lambda connection: steps.append(0))
    steps.clear()
    with open_control(location, clock) as control:
        assert control.verify() == []
    with open_control(location, clock):
        assert steps == [-1, 0]


def test_a_foreign_database_is_left_alone(location):
    change(location, "CREATE TABLE theirs (x INTEGER)")
    before = location.read_bytes()
    with pytest.raises(LakeError, match="holds other tables"):
        open_control(location)
    assert location.read_bytes() == before


def test_a_file_of_another_kind_is_named_as_damaged(location):
    location.write_bytes(b"PAR1" * 2000)
    with pytest.raises(CorruptError, match="not a database") as caught:
        open_control(location)
    assert caught.value.where == str(location)


def test_a_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(LakeError) as caught:
        open_control(tmp_path / "file" / "control.sqlite")
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("message", "kind", "advice"),
    [
        ("database is locked", ConflictError, "again"),
        ("database or disk is full", LakeError, "free some disk space"),
        ("attempt to write a readonly database", LakeError, "writable"),
        ("unable to open database file", LakeError, "writable"),
        ("database disk image is malformed", CorruptError, "tapemill verify"),
        ("server closed the connection", LakeError, "check the database"),
    ],
)
def test_every_refusal_has_a_type_and_a_way_out(control, message, kind, advice):
    with pytest.raises(kind) as caught, control.database.write():
        raise exc.OperationalError("x", {}, sqlite3.OperationalError(message))
    assert type(caught.value) is kind
    assert advice in caught.value.next_step


def test_durability_is_what_was_promised(control):
    with control.database.read() as connection:
        settings = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        ]
    assert settings == ["wal", 2, 60_000]


def test_a_transaction_holds_all_or_nothing(control):
    with pytest.raises(RuntimeError), control.transaction():
        control.builds.record("silver.x", "u", "f", 1)
        control.incidents.open("k", "d", "s", "x")
        assert control.builds.get("silver.x", "u") == "f"
        raise RuntimeError
    assert control.builds.get("silver.x", "u") is None
    assert control.incidents.history() == []


def test_the_callers_own_error_passes_through(control):
    with pytest.raises(FileNotFoundError), control.transaction():
        raise FileNotFoundError("the caller's file")


def test_readers_see_no_half_of_a_transaction(control):
    seen = []
    with control.transaction():
        control.builds.record("silver.x", "u", "f", 1)
        thread = threading.Thread(target=lambda: seen.append(control.builds.get("silver.x", "u")))
        thread.start()
        thread.join()
    assert seen == [None]
    assert control.builds.get("silver.x", "u") == "f"


def test_threads_of_an_asyncio_program_share_it(control):
    async def record_all():
        def one(number):
            control.ledger.record(
                "d", f"S{number % 3}", [DAY], CellState.DATA, raw_sha256=f"{number}"
            )

        await asyncio.gather(*(asyncio.to_thread(one, number) for number in range(30)))

    asyncio.run(record_all())
    found = control.ledger.matrix("d", ["S0", "S1", "S2"], [DAY])
    assert found.versions.tolist() == [[10], [10], [10]]


def test_a_forked_child_opens_connections_of_its_own(control):
    control.builds.record("silver.x", "parent", "f", 1)
    child = os.fork()
    if child == 0:
        control.builds.record("silver.x", "child", "f", 1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert sorted(control.builds.fingerprints("silver.x")) == ["child", "parent"]
    assert control.verify() == []


def test_every_table_can_be_made_on_postgresql():
    dialect = postgresql.dialect()
    statements = [str(CreateTable(t).compile(dialect=dialect)) for t in TABLES.sorted_tables]
    ledger = next(text for text in statements if "ledger_states" in text)
    assert "states BYTEA NOT NULL" in ledger
    assert "SERIAL" not in "".join(statements)
    assert "ROWID" not in "".join(statements)
