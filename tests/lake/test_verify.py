import datetime as dt
import random
from pathlib import Path

import pytest

from lake.rows import BRONZE, MINUTE, bars, weekdays
from tapemill import Lake
from tapemill.lake import table as table_module

DAYS = weekdays(dt.date(2025, 1, 30), 3)


@pytest.fixture
def filled(lake, monkeypatch):
    """A lake in which every kind of stored file occurs."""
    monkeypatch.setattr(table_module, "CHECKPOINT_EVERY", 3)
    for number in range(2):
        lake.raw.put(b"answer %d" % number * 30, media_type="json", origin="test")
    for sequence in range(4):
        rows = bars(["AAA"], DAYS, seed=sequence, minutes=5)
        lake.tables.append(MINUTE, rows, writer="w", sequence=sequence)
    lake.tables.append(BRONZE, bars(["AAA"], DAYS, dataset=BRONZE), writer="w", sequence=1)
    lake.tables.replace(MINUTE, bars(["AAA"], DAYS[:1], minutes=5), sessions=DAYS[:1])
    lake.compact(BRONZE)
    lake.control.close()
    assert lake.verify() == []
    return lake


def stored(lake):
    root = Path(lake.location)
    return sorted(p for p in root.rglob("*") if p.is_file() and "control.sqlite" not in p.name)


def test_a_sound_lake_has_no_findings(filled):
    kinds = {path.suffix for path in stored(filled)}
    assert kinds == {".zst", ".json", ".parquet", ""}, "the lake holds every kind of file"
    assert filled.verify() == []


def test_a_flipped_bit_in_any_file_is_named(filled):
    rng = random.Random(17)
    for path in stored(filled):
        good = path.read_bytes()
        for _ in range(4):
            bit = rng.randrange(len(good) * 8)
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            path.write_bytes(bytes(bad))
            fresh = Lake.__new__(Lake)
            fresh.__dict__.update(
                {k: v for k, v in filled.__dict__.items() if k not in ("tables", "_reader")}
            )
            fresh.tables = type(filled.tables)(filled.tables._place, filled.clock)
            findings = fresh.verify()
            assert any(path.name in finding.subject for finding in findings), (path, bit, findings)
        path.write_bytes(good)
    assert filled.verify() == []


def test_a_missing_data_file_and_a_missing_log_entry_are_named(filled):
    table = filled.tables.table(MINUTE)
    gone = Path(filled.tables.uris(MINUTE)[0])
    content = gone.read_bytes()
    gone.unlink()
    (finding,) = filled.verify()
    assert finding.kind == "data" and gone.name in finding.subject and "missing" in finding.detail
    gone.write_bytes(content)
    entry = Path(table.place.uri, f"_delta_log/{4:020d}.json")
    entry.unlink()
    assert any(
        entry.name in f.subject and f.kind == "log" for f in Lake.open(filled.location).verify()
    )


def test_a_foreign_file_among_raw_objects_is_named(filled):
    Path(filled.location, "raw", "notes.txt").write_text("x")
    (finding,) = filled.verify()
    assert finding.kind == "raw" and "notes.txt" in finding.subject


def test_a_writer_killed_before_its_seal_leaves_no_finding(filled):
    table = filled.tables.table(MINUTE)
    seals = Path(table.place.uri, "_tapemill_seals")
    newest = max(path for path in seals.glob("*.log.json"))
    newest.unlink()
    fresh = Lake.open(filled.location)
    assert fresh.verify() == []
    fresh.tables.append(MINUTE, bars(["BBB"], DAYS), writer="x", sequence=1)
    assert newest.exists(), "the next writer seals what the killed one left"
    assert fresh.verify() == []


def test_a_seal_emptied_by_a_power_cut_is_no_finding(filled):
    table = filled.tables.table(MINUTE)
    Path(table.place.uri, "_tapemill_seals", f"{2:020d}.log.json").write_bytes(b"")
    assert filled.verify() == []


def test_a_removed_seal_in_the_middle_is_a_finding(filled):
    table = filled.tables.table(MINUTE)
    Path(table.place.uri, "_tapemill_seals", f"{2:020d}.log.json").unlink()
    (finding,) = filled.verify()
    assert f"{2:020d}.json" in finding.subject
