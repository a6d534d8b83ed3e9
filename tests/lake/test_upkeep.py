"""Compaction, sweeping, checkpoints and purge."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lake.rows import BRONZE, MINUTE, bars, weekdays
from tapemill import Lake
from tapemill.clock.injected import SYSTEM_CLOCK, FixedClock
from tapemill.errors import ConflictError
from tapemill.lake import table as table_module

DAYS = weekdays(dt.date(2025, 1, 30), 3)
LATER = FixedClock(SYSTEM_CLOCK.now_ns() + 30 * 86_400 * 10**9)


def fill(lake, batches=12, dataset=MINUTE):
    for sequence in range(batches):
        rows = bars([f"S{sequence:02d}"], DAYS, seed=sequence, dataset=dataset)
        lake.tables.append(dataset, rows, writer="w", sequence=sequence)


def parquet(lake, dataset=MINUTE):
    return sorted(Path(lake.tables.table(dataset).place.uri).glob("month=*/*.parquet"))


class TestCompact:
    def test_few_sorted_files_with_the_same_content(self, lake):
        fill(lake)
        before, digest = lake.scan(MINUTE).collect(), lake.digest(MINUTE)
        (report,) = lake.compact()
        assert (report.dataset, report.files_before, report.files_after) == (MINUTE, 24, 2)
        assert report.bytes_after < report.bytes_before
        assert lake.digest(MINUTE) == digest
        assert_frame_equal(lake.scan(MINUTE).collect(), before, check_row_order=False)
        for uri in lake.tables.uris(MINUTE):
            rows = pl.read_parquet(uri, hive_partitioning=False).select("symbol", "ts_event")
            assert rows.equals(rows.sort("symbol", "ts_event"))
        assert lake.verify() == []
        (again,) = lake.compact(MINUTE)
        assert again.files_before == again.files_after == 2

    def test_sequence_numbers_survive_compaction_checkpoint_and_log_clean_up(self, lake, tmp_path):
        fill(lake)
        lake.compact()
        table = lake.tables.table(MINUTE)
        table.require().create_checkpoint()
        log = Path(table.place.uri, "_delta_log")
        newest = max(path.name[:20] for path in log.glob("*.checkpoint.parquet"))
        for entry in log.glob("*.json"):
            if entry.name[:20] < newest:
                entry.unlink()
        fresh = Lake.open(lake.location)
        assert fresh.tables.committed(MINUTE, "w") == 11
        frame = bars(["S11"], DAYS, seed=11)
        assert fresh.tables.append(MINUTE, frame, writer="w", sequence=11) is None
        assert fresh.tables.append(MINUTE, frame, writer="w", sequence=12) is not None

    def test_a_partition_that_others_keep_changing_is_left_alone(self, lake, monkeypatch):
        fill(lake, 3)
        before = lake.digest(MINUTE)

        def lose(*_, **__):
            raise ConflictError("lost")

        monkeypatch.setattr(table_module.Table, "commit", lose)
        (report,) = lake.compact()
        assert report.files_after == report.files_before
        assert lake.digest(MINUTE) == before

    def test_an_append_of_another_process_meanwhile_is_kept(self, lake, monkeypatch):
        fill(lake, 3)
        other = Lake.open(lake.location)
        commit = table_module.Table.commit
        raced = []

        def late(self, *arguments, **named):
            if not raced:
                raced.append(True)
                other.tables.append(MINUTE, bars(["NEW"], DAYS), writer="o", sequence=1)
            return commit(self, *arguments, **named)

        monkeypatch.setattr(table_module.Table, "commit", late)
        lake.compact()
        assert lake.tables.rows(MINUTE) == 4 * 90
        assert lake.scan(MINUTE, "NEW").collect().height == 90

    def test_two_compactions_of_the_same_files_do_not_both_win(self, lake, monkeypatch):
        fill(lake, 3)
        other = Lake.open(lake.location)
        commit = table_module.Table.commit
        raced = []

        def late(self, *arguments, **named):
            if not raced:
                raced.append(True)
                other.tables.append(MINUTE, bars(["NEW"], DAYS), writer="o", sequence=1)
                other.compact()
            return commit(self, *arguments, **named)

        monkeypatch.setattr(table_module.Table, "commit", late)
        lake.compact()
        assert raced and Lake.open(lake.location).tables.rows(MINUTE) == 4 * 90

    def test_retired_files_stay_for_the_window_and_go_after_it(self, lake):
        fill(lake, 4)
        lake.compact()
        assert len(parquet(lake)) == 10
        later = Lake.open(lake.location, clock=LATER)
        (report,) = later.compact()
        assert report.swept == 8
        assert len(parquet(later)) == 2
        assert later.scan(MINUTE).collect().height == 4 * 90
        assert later.verify() == []

    def test_orphans_of_killed_writers_go_only_when_they_are_old(self, lake):
        fill(lake, 1)
        table = lake.tables.table(MINUTE)
        table.write_files(bars(["DEAD"], DAYS), "never committed")
        leftover = parquet(lake)[0].with_name(".x.1.2.tmp")
        leftover.write_bytes(b"half")
        lake.compact()
        assert len(parquet(lake)) == 4 and leftover.exists()
        Lake.open(lake.location, clock=LATER).compact()
        assert len(parquet(lake)) == 2 and not leftover.exists()

    def test_checkpoints_come_by_themselves_and_opening_uses_them(self, lake, monkeypatch):
        monkeypatch.setattr(table_module, "CHECKPOINT_EVERY", 5)
        fill(lake, 11)
        log = Path(lake.tables.table(MINUTE).place.uri, "_delta_log")
        assert [int(path.name[:20]) for path in sorted(log.glob("*.checkpoint.parquet"))] == [5, 10]
        for version in range(10):
            (log / f"{version:020d}.json").unlink()
        fresh = Lake.open(lake.location)
        assert fresh.tables.rows(MINUTE) == 11 * 90
        assert fresh.verify() == []


class TestPurge:
    def put(self, lake, content, sessions, sequence):
        reference = lake.raw.put(content, media_type="json", origin="test")
        rows = bars(["AAA"], sessions, dataset=BRONZE, seed=sequence)
        rows = rows.with_columns(raw_sha256=pl.lit(reference.sha256))
        lake.tables.append(BRONZE, rows, writer="w", sequence=sequence)
        return reference.sha256

    def test_a_plan_counts_and_changes_nothing(self, lake):
        fill(lake, 2)
        before = lake.digest(MINUTE)
        report = lake.purge(MINUTE, DAYS[2])
        (line,) = report.lines
        assert report.dry_run and report.refused == ()
        assert (line.dataset, line.rows, line.files) == (MINUTE, 120, 2)
        assert line.bytes > 0
        assert lake.digest(MINUTE) == before

    def test_age_is_that_of_the_event(self, lake):
        fill(lake, 2)
        expected = lake.scan(MINUTE, start=DAYS[1]).collect()
        report = lake.purge(MINUTE, DAYS[1], dry_run=False)
        assert report.lines[0].rows == 60
        assert_frame_equal(lake.scan(MINUTE).collect(), expected, check_row_order=False)
        live = {Path(uri) for uri in lake.tables.uris(MINUTE)}
        assert set(parquet(lake)) == live, "what was purged is off the disk"
        assert lake.verify() == []
        assert lake.purge(MINUTE, DAYS[1], dry_run=False).lines[0].rows == 0

    def test_bronze_rows_go_only_while_their_raw_object_is_there(self, lake):
        kept = self.put(lake, b"kept", DAYS[:1], 1)
        lost = self.put(lake, b"lost", DAYS[:1], 2)
        lake.raw.delete(lost)
        report = lake.purge(BRONZE, DAYS[2], dry_run=False)
        assert report.lines[0].rows == 30
        assert len(report.refused) == 1 and "30 rows stay" in report.refused[0]
        assert lake.scan(BRONZE).collect()["raw_sha256"].unique().to_list() == [lost]
        assert lake.raw.exists(kept)
        forced = lake.purge(BRONZE, DAYS[2], dry_run=False, force=True)
        assert forced.lines[0].rows == 30 and forced.refused == ()
        assert lake.tables.rows(BRONZE) == 0

    def test_raw_objects_go_only_while_their_rows_are_in_bronze(self, lake):
        old = self.put(lake, b"old", DAYS[:1], 1)
        young = self.put(lake, b"young", DAYS[1:], 2)
        mixed = self.put(lake, b"mixed", DAYS[:1], 3)
        empty = lake.raw.put(b"[]", media_type="json", origin="test").sha256
        bad = (
            bars(["AAA"], DAYS[:1], dataset=BRONZE)
            .head(1)
            .with_columns(raw_sha256=pl.lit(mixed), reasons=pl.lit("x"))
        )
        lake.quarantine(BRONZE, bad, "w", 1)
        planned = lake.purge("raw", DAYS[1])
        assert planned.lines[0].files == 1 and lake.raw.exists(old)
        done = lake.purge("raw", DAYS[1], dry_run=False)
        assert (done.lines[0].files, done.lines[0].rows) == (1, 30)
        assert [lake.raw.exists(sha) for sha in (old, young, mixed, empty)] == [
            False, True, True, True
        ]  # fmt: skip
        assert any("quarantine" in text for text in done.refused)
        assert any("no row tells their date" in text for text in done.refused)
        lake.purge("raw", DAYS[1], dry_run=False, force=True)
        assert [lake.raw.exists(sha) for sha in (young, mixed, empty)] == [True, False, True]

    def test_the_last_copy_is_never_taken_by_two_purges(self, lake):
        self.put(lake, b"old", DAYS[:1], 1)
        lake.purge("raw", DAYS[2], dry_run=False)
        report = lake.purge(BRONZE, DAYS[2], dry_run=False)
        assert lake.tables.rows(BRONZE) == 30 and report.refused

    def test_the_other_order_keeps_the_last_copy_too(self, lake):
        sha256 = self.put(lake, b"old", DAYS[:1], 1)
        lake.purge(BRONZE, DAYS[2], dry_run=False)
        report = lake.purge("raw", DAYS[2], dry_run=False)
        assert lake.raw.exists(sha256) and report.refused

    def test_a_dataset_without_table(self, lake):
        assert lake.purge(MINUTE, DAYS[0], dry_run=False).lines[0].rows == 0

    def test_a_purged_symbol_is_unknown_again(self, lake):
        from tapemill.errors import UnknownNameError

        fill(lake, 1)
        lake.scan(MINUTE, "S00")
        lake.purge(MINUTE, DAYS[2] + dt.timedelta(days=1), dry_run=False)
        with pytest.raises(UnknownNameError):
            lake.scan(MINUTE, "S00")


def test_a_checkpoint_whose_pointer_was_never_written_stops_nobody(lake):
    """A kill between the two, or another process that is between them just now."""
    lake.tables.append(MINUTE, bars(["AAA"], DAYS), writer="w", sequence=1)
    lake.compact(MINUTE)
    place = lake.tables.table(MINUTE).place
    place.delete("_delta_log/_last_checkpoint")
    lake.compact(MINUTE)
    assert lake.verify() == []
    lake.tables.append(MINUTE, bars(["BBB"], DAYS), writer="w", sequence=2)
    lake.compact(MINUTE)
    assert place.exists("_delta_log/_last_checkpoint")
    assert lake.verify() == []
