"""What happens when people type the wrong thing: each message says cause, place and next step."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import re
import socket
import subprocess
import sys

import pytest

from acceptance.mistake_table import (
    ALL,
    BARS,
    COMMANDS,
    CONFIGURATION,
    FETCHES,
    FILES,
    GOOD_BARS,
    LAKES,
    QUERIES,
    Mistake,
)
from acceptance.mistakes import (
    EVENING,
    KEY,
    copy_lake,
    lay_out_files,
    make_lake,
    session_bars,
    tapemill,
)
from tapemill.clock import eastern_ns
from tapemill.world import SANDBOX_KEY, FaultPlan, Market, Sandbox, SandboxThread

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    lay_out_files(folder)
    return folder


@pytest.fixture(scope="module")
def vendors():
    market = Market(7, symbols=["SPY", "KO"], start=dt.date(2026, 1, 5), end=dt.date(2026, 1, 30))
    sandbox = Sandbox(market, now_ns=eastern_ns(dt.date(2026, 1, 30), 21), faults=FaultPlan())
    with SandboxThread(sandbox) as thread:
        yield thread.base_url


@pytest.fixture(scope="module")
def lake(desk, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lake") / "lake"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAPEMILL_CLOCK_NOW", EVENING)
        make_lake(folder, desk)
    return folder


@pytest.fixture
def at_the_desk(desk, lake, vendors, monkeypatch, tmp_path):
    """The environment of somebody at work: a lake, a key, vendors that answer."""
    for name in list(os.environ):
        if name.startswith(("TAPEMILL_", "MASSIVE_", "POLYGON_", "FINRA_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAPEMILL_LAKE", str(lake))
    monkeypatch.setenv("TAPEMILL_CLOCK_NOW", EVENING)
    monkeypatch.setenv("TAPEMILL_MASSIVE_BASE_URL", vendors)
    monkeypatch.setenv("TAPEMILL_MASSIVE_CALLS_PER_MINUTE", "6000")
    monkeypatch.setenv("TAPEMILL_BREAKER_FIRST_PROBE_SECONDS", "0.01")
    monkeypatch.setenv("TAPEMILL_BREAKER_LONGEST_PROBE_SECONDS", "0.02")
    monkeypatch.setenv("TAPEMILL_RETRY_FIRST_WAIT_SECONDS", "0.01")
    monkeypatch.setenv("MASSIVE_API_KEY", SANDBOX_KEY)
    return desk


def words(line: str, desk) -> list[str]:
    """The arguments of a command line; of a query only the first bar separates."""
    parts = line.split("|", 1) if line.startswith("sql|") else line.split()
    return [part.format(desk=desk, empty="empty folder") for part in parts]


def raw_objects(lake) -> int:
    """How many raw objects are stored."""
    return sum(1 for path in (lake / "raw").rglob("*") if path.is_file())


def says(answer, mistake: Mistake) -> None:
    """The answer has the exit code, and says cause, place and next step; and no secret."""
    assert answer.code == mistake.code, answer.text
    for part in ("cause", "place", "step"):
        assert re.search(getattr(mistake, part), answer.text), f"no {part}: {answer.text}"
    assert "Traceback" not in answer.text
    assert KEY not in answer.text


def test_the_list_is_long_enough():
    assert len(ALL) >= 60
    assert len({mistake.line + str(mistake.env) for mistake in ALL}) == len(ALL)


@pytest.mark.parametrize("mistake", ALL, ids=lambda mistake: mistake.name.replace(" ", "-"))
def test_mistake(mistake, at_the_desk, monkeypatch):
    for name, value in mistake.env.items():
        monkeypatch.setenv(name, value)
    says(tapemill(words(mistake.line, at_the_desk)), mistake)


@pytest.mark.parametrize("mistake", [FILES[0], COMMANDS[0], LAKES[0], QUERIES[1], FETCHES[4]])
def test_json_mode_says_the_same_in_one_document(mistake, at_the_desk):
    answer = tapemill([*words(mistake.line, at_the_desk), "--json"])
    document = json.loads(answer.out)
    assert answer.code == mistake.code
    assert set(document) == {"error", "what", "where", "next"}
    assert re.search(mistake.cause, document["what"])
    assert document["next"]


@pytest.mark.parametrize(
    ("number", "cause"),
    [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EACCES, "permission")],
)
def test_the_disk_refuses(number, cause, at_the_desk, monkeypatch, tmp_path):
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tapemill.lake.places._fsync", refuse)
    monkeypatch.setattr("os.fsync", refuse)
    answer = tapemill(
        [
            *words(BARS, at_the_desk),
            "--map",
            "zone=America/New_York",
            "--lake",
            str(tmp_path / "new"),
        ]
    )
    says(answer, Mistake("disk", "", 3, cause, str(tmp_path / "new"), "next: "))


def test_stamps_of_another_unit_are_quarantined(at_the_desk, tmp_path):
    """Rows with two digits missing from the stamp do not become bars of another century."""
    answer = tapemill(
        ["import", "massive-minute", str(at_the_desk / "stamps.csv"), "--lake", str(tmp_path / "l")]
    )
    assert re.search(r"rows in quarantine 1 |cannot be (read|believed)", answer.text), answer.text


def test_check_before_anything_was_built(at_the_desk, tmp_path):
    own = ["--lake", str(tmp_path / "lake")]
    assert tapemill([*words(GOOD_BARS, at_the_desk), *own]).code == 0
    says(
        tapemill(["check", *own, "--figure", str(tmp_path / "coverage")]),
        Mistake("unbuilt", "", 3, "silver.coverage has no table yet", "coverage", "tapemill build"),
    )


def test_build_before_anything_was_imported(at_the_desk, tmp_path):
    own = ["--lake", str(tmp_path / "lake")]
    assert tapemill([*words(FILES[4].line, at_the_desk), *own]).code == 3
    answer = tapemill(["build", *own])
    assert answer.code == 0
    assert "Nothing new: no build was needed" in answer.text


def test_purge_of_the_only_copy(at_the_desk, lake, tmp_path):
    """Once the raw object is gone, the bronze rows stay without --force."""
    own = ["--before", "2026-02-01", "--yes", "--lake", str(copy_lake(lake, tmp_path / "lake"))]
    before = raw_objects(tmp_path / "lake")
    assert tapemill(["purge", "raw", *own]).code == 0
    assert raw_objects(tmp_path / "lake") < before
    answer = tapemill(["purge", "bronze.finra_short_volume", *own])
    says(answer, Mistake("only", "", 0, "3 rows stay", "bronze.finra_short_volume", "--force"))
    assert "bronze.finra_short_volume 0 " in answer.text


def test_a_port_that_is_taken(at_the_desk):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = tapemill(
            ["sandbox", "--port", str(port), "--symbols", "1", "--start", "2026-06-29"]
        )
    says(answer, Mistake("port", "", 3, "in use|taken", str(port), "--port|port"))


def test_a_flipped_bit(at_the_desk, lake, tmp_path):
    own = copy_lake(lake, tmp_path / "lake")
    victim = sorted((own / "tables" / "silver").rglob("*.parquet"))[0]
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(bytes(content))
    answer = tapemill(["verify", "--lake", str(own)])
    says(answer, Mistake("bit", "", 1, "differ", victim.name, "restore the named files"))


def test_two_purges_at_once(at_the_desk, lake, tmp_path, monkeypatch):
    """A writer that always loses the race says that nothing was committed."""
    from deltalake.exceptions import CommitFailedError

    from tapemill.lake import table

    def lose(*_: object, **__: object) -> None:
        raise CommitFailedError("another commit was faster")

    own = copy_lake(lake, tmp_path / "lake")
    target = "create_write_transaction"
    monkeypatch.setattr(table.DeltaTable, target, lose)
    answer = tapemill(
        ["purge", "silver.short_volume", "--before", "2026-02-01", "--yes", "--lake", str(own)]
    )
    says(
        answer,
        Mistake("race", "", 3, "nothing was committed", "silver.short_volume", "again"),
    )


@pytest.mark.parametrize("mistake", [COMMANDS[0], LAKES[0], CONFIGURATION[4]])
def test_the_installed_command_says_the_same(mistake, at_the_desk):
    done = subprocess.run(
        [sys.executable, "-m", "tapemill", *words(mistake.line, at_the_desk)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == mistake.code
    assert re.search(mistake.cause, done.stderr)
    assert KEY not in done.stdout + done.stderr


def test_bars_of_the_desk_are_sound():
    assert session_bars(dt.date(2026, 1, 5)).height == 390
