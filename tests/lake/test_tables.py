import datetime as dt
import errno
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lake.rows import BRONZE, MINUTE, bars
from tapemill.clock.injected import SYSTEM_CLOCK
from tapemill.contracts import DATASETS, contract
from tapemill.errors import ConflictError, ContractError, LakeError, UnknownNameError
from tapemill.lake import table as table_module
from tapemill.lake.places import open_place
from tapemill.lake.tables import TableStore

DAYS = [dt.date(2025, 1, 30), dt.date(2025, 1, 31), dt.date(2025, 2, 3)]
KEY = ["symbol", "ts_event"]


def again(tables):
    """The same tables as another process sees them."""
    return TableStore(tables._place, SYSTEM_CLOCK)


def test_rows_come_back_as_they_went_in(tables):
    frame = bars(["AAA", "BBB"], DAYS)
    assert (
        tables.append(
            MINUTE, frame.sample(fraction=1, shuffle=True, seed=3), writer="w", sequence=1
        )
        == 1
    )
    read = again(tables).scan(MINUTE).collect()
    assert read.schema == frame.schema
    assert_frame_equal(read.sort(KEY), frame.sort(KEY))


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_declared_dataset_can_be_stored_and_read(tables, name):
    dataset = contract(name)
    values = {
        pl.String(): "x", pl.Int64(): 2**62, pl.Float64(): 0.1, pl.Boolean(): True,
        pl.Date(): dt.date(2025, 1, 30), pl.Int16(): 7, pl.Int8(): 3, pl.Int32(): 2025,
        pl.Datetime("us", "UTC"): dt.datetime(2025, 1, 30, 1, 2, 3, 456789, tzinfo=dt.UTC),
    }  # fmt: skip
    row = {
        column.name: "123456789.123456" if column.dtype.is_decimal() else values[column.dtype]
        for column in dataset.columns
    }
    full = pl.DataFrame([row]).cast(dict(dataset.schema))
    holes = full.with_columns(
        pl.lit(None, dtype=column.dtype).alias(column.name)
        for column in dataset.columns
        if column.nullable
    )
    frame = pl.concat([full, holes])
    tables.append(name, frame, writer="w", sequence=1)
    assert_frame_equal(tables.scan(name).collect(), frame, check_row_order=False)
    assert tables.digest(name) == again(tables).digest(name)


def test_a_batch_is_taken_once(tables):
    frame = bars(["AAA"], DAYS[:1])
    assert tables.append(MINUTE, frame, writer="w", sequence=5) == 1
    assert tables.append(MINUTE, frame, writer="w", sequence=5) is None
    assert again(tables).append(MINUTE, frame, writer="w", sequence=4) is None
    assert tables.append(MINUTE, frame, writer="other", sequence=5) == 2
    assert tables.rows(MINUTE) == 2 * frame.height
    assert (tables.committed(MINUTE, "w"), tables.committed(MINUTE, "nobody")) == (5, None)


def test_an_empty_batch_is_remembered(tables):
    tables.append(MINUTE, contract(MINUTE).empty(), writer="w", sequence=9)
    assert again(tables).committed(MINUTE, "w") == 9
    assert tables.scan(MINUTE).collect().is_empty()


def test_a_stale_handle_neither_loses_nor_repeats_a_batch(tables):
    """Two processes hold the table; each has an old view of it when it commits."""
    other = again(tables)
    frame = bars(["AAA"], DAYS[:1])
    tables.append(MINUTE, frame, writer="w", sequence=1)
    other.append(MINUTE, frame, writer="w", sequence=2)
    assert tables.append(MINUTE, frame, writer="w", sequence=2) is None
    tables.replace(MINUTE, frame, sessions=DAYS[:1])
    assert other.append(MINUTE, bars(["BBB"], DAYS[:1]), writer="w", sequence=3) is not None
    assert again(tables).rows(MINUTE) == 2 * frame.height


def test_an_undeclared_dataset_and_a_broken_frame_are_refused(tables):
    frame = bars(["AAA"], DAYS[:1])
    with pytest.raises(UnknownNameError, match="equity_bars_2m") as caught:
        tables.append("silver.equity_bars_2m", frame, writer="w", sequence=1)
    assert "did you mean" in caught.value.next_step
    with pytest.raises(ContractError, match="close"):
        tables.append(MINUTE, frame.drop("close"), writer="w", sequence=1)
    with pytest.raises(ContractError, match="close"):
        tables.append(
            MINUTE, frame.with_columns(close=pl.lit(None, pl.Float64)), writer="w", sequence=1
        )
    assert not tables.exists(MINUTE)


def test_a_dataset_without_table_is_empty_and_says_so_where_asked(tables):
    assert_frame_equal(tables.scan(MINUTE).collect(), contract(MINUTE).empty())
    assert not tables.exists(MINUTE) and tables.existing() == []
    assert tables.committed(MINUTE, "w") is None and tables.rows(MINUTE) == 0
    with pytest.raises(LakeError, match="no table yet"):
        tables.version(MINUTE)
    with pytest.raises(LakeError, match="no table yet"):
        tables.history(MINUTE)


def test_files_are_sorted_partitioned_and_prunable(tables):
    frame = bars(["BBB", "AAA"], DAYS)
    tables.append(MINUTE, frame.reverse(), writer="w", sequence=1)
    files = tables.files(MINUTE).sort("path")
    assert files["partition.month"].to_list() == ["2025-01", "2025-02"]
    assert files["min.session"].to_list() == [DAYS[0], DAYS[2]]
    assert files["max.session"].to_list() == [DAYS[1], DAYS[2]]
    assert files["min.symbol"].to_list() == ["AAA", "AAA"]
    rows = pl.read_parquet(tables.uris(MINUTE)[0], hive_partitioning=False)
    assert "month" not in rows.columns
    assert rows.select("symbol", "ts_event").equals(rows.select("symbol", "ts_event").sort(KEY))
    assert tables.scan(MINUTE, start=DAYS[2]).collect()["session"].unique().to_list() == [DAYS[2]]
    assert tables.scan(MINUTE, symbols=["ZZZ"]).collect().is_empty()


def test_other_readers_of_delta_agree(tables):
    frame = bars(["AAA"], DAYS)
    tables.append(MINUTE, frame, writer="w", sequence=1)
    tables.replace(MINUTE, frame.filter(pl.col("session") == DAYS[0]), sessions=DAYS[:2])
    uri = tables.table(MINUTE).place.uri
    read = pl.scan_delta(uri).collect()
    assert_frame_equal(
        read.select(frame.columns).sort(KEY),
        frame.filter(pl.col("session") != DAYS[1]).sort(KEY),
    )


def test_history_tells_each_commit(tables):
    tables.append(MINUTE, bars(["AAA"], DAYS), writer="fetch", sequence=1)
    tables.replace(MINUTE, bars(["AAA"], DAYS[:1], minutes=7), sessions=DAYS[:1])
    newest, middle, first = tables.history(MINUTE)
    assert (newest["version"], newest["operation"], newest["writer"]) == (2, "replace", "build")
    assert (newest["files_added"], newest["files_removed"]) == (1, 1)
    assert (middle["operation"], middle["rows"], middle["writer"]) == ("append", 90, "fetch")
    assert first["operation"] == "create table"


class TestReplace:
    def test_only_the_named_sessions_change(self, tables):
        old, new = bars(["AAA", "BBB"], DAYS), bars(["AAA"], DAYS[1:2], seed=9)
        tables.append(MINUTE, old, writer="w", sequence=1)
        tables.replace(MINUTE, new, sessions=DAYS[1:2])
        expected = pl.concat([old.filter(pl.col("session") != DAYS[1]), new])
        assert_frame_equal(tables.scan(MINUTE).collect(), expected, check_row_order=False)

    def test_files_of_only_replaced_sessions_go_unread(self, tables):
        for day in DAYS:
            tables.replace(MINUTE, bars(["AAA"], [day]), sessions=[day])
        before = set(tables.files(MINUTE)["path"])
        doomed = tables.files(MINUTE).filter(pl.col("min.session") == DAYS[1])["path"][0]
        Path(tables.table(MINUTE).place.uri, doomed).unlink()
        tables.replace(MINUTE, bars(["AAA"], [DAYS[1]], seed=4), sessions=[DAYS[1]])
        after = set(tables.files(MINUTE)["path"])
        assert before - after == {doomed}
        assert tables.scan(MINUTE).collect().height == 90

    def test_the_whole_table_a_predicate_and_nothing(self, tables):
        tables.replace(MINUTE, bars(["AAA", "BBB"], DAYS))
        tables.replace(MINUTE, bars(["BBB"], DAYS[:1], seed=2), predicate="symbol = 'BBB'")
        assert tables.scan(MINUTE).collect()["symbol"].value_counts(sort=True).rows() == [
            ("AAA", 90), ("BBB", 30)
        ]  # fmt: skip
        tables.replace(MINUTE, contract(MINUTE).empty(), sessions=[])
        assert tables.rows(MINUTE) == 120
        tables.replace(MINUTE, contract(MINUTE).empty(), sessions=DAYS)
        assert tables.rows(MINUTE) == 0
        tables.replace(MINUTE, contract(MINUTE).empty())
        assert tables.rows(MINUTE) == 0

    def test_the_same_content_twice_is_still_there(self, tables):
        frame = bars(["AAA"], DAYS)
        versions = [tables.replace(MINUTE, frame, sessions=DAYS) for _ in range(3)]
        assert versions == [1, 2, 3]
        assert_frame_equal(tables.scan(MINUTE).collect(), frame, check_row_order=False)

    def test_rows_outside_of_what_is_replaced_are_refused(self, tables):
        with pytest.raises(ContractError, match="outside"):
            tables.replace(MINUTE, bars(["AAA"], DAYS), sessions=DAYS[:1])
        with pytest.raises(ContractError, match="outside"):
            tables.replace(MINUTE, bars(["AAA"], DAYS), predicate="symbol = 'BBB'")
        with pytest.raises(ContractError, match="not a condition"):
            tables.replace(MINUTE, bars(["AAA"], DAYS), predicate="symbol = = 'BBB'")

    def test_a_numbered_replacement_happens_once(self, tables):
        tables.replace(MINUTE, bars(["AAA"], DAYS), sessions=DAYS, writer="b", sequence=1)
        again(tables).replace(MINUTE, bars(["BBB"], DAYS), sessions=DAYS, writer="b", sequence=1)
        assert tables.scan(MINUTE).collect()["symbol"].unique().to_list() == ["AAA"]

    def test_two_builders_of_one_empty_session_do_not_both_win(self, tables, monkeypatch):
        """The second builder commits while the first one still writes its files."""
        other = again(tables)
        frame = bars(["AAA"], DAYS[:1])
        tables.replace(MINUTE, contract(MINUTE).empty())
        write = table_module.Table.write_files
        raced = []

        def write_then_lose(self, *arguments, **named):
            done = write(self, *arguments, **named)
            if not raced:
                raced.append(True)
                other.replace(MINUTE, frame, sessions=DAYS[:1], writer="second")
            return done

        monkeypatch.setattr(table_module.Table, "write_files", write_then_lose)
        tables.replace(MINUTE, frame, sessions=DAYS[:1], writer="first")
        assert_frame_equal(again(tables).scan(MINUTE).collect(), frame, check_row_order=False)

    def test_what_is_replaced_is_judged_on_the_version_that_is_committed_to(
        self, tables, monkeypatch
    ):
        """The second builder commits between the first one's look at version and at files."""
        other = again(tables)
        frame = bars(["AAA"], DAYS[:1])
        tables.replace(MINUTE, bars(["AAA"], DAYS[:1], seed=7))
        files = table_module.Table.files
        raced = []

        def files_after_losing(self, **named):
            if not raced:
                raced.append(True)
                other.replace(MINUTE, frame, sessions=DAYS[:1])
            return files(self, **named)

        monkeypatch.setattr(table_module.Table, "files", files_after_losing)
        tables.replace(MINUTE, frame, sessions=DAYS[:1])
        assert_frame_equal(again(tables).scan(MINUTE).collect(), frame, check_row_order=False)

    def test_a_writer_that_always_loses_gives_up_with_a_clear_error(self, tables, monkeypatch):
        tables.replace(MINUTE, bars(["AAA"], DAYS[:1]))

        def lose(*_, **__):
            raise ConflictError("lost")

        monkeypatch.setattr(table_module.Table, "commit", lose)
        for write in (
            lambda: tables.replace(MINUTE, bars(["AAA"], DAYS[:1]), sessions=DAYS[:1]),
            lambda: tables.append(MINUTE, bars(["AAA"], DAYS[:1]), writer="w", sequence=1),
        ):
            with pytest.raises(ConflictError, match="40 times") as caught:
                write()
            assert "run the command again" in caught.value.next_step


class TestDigest:
    def test_it_ignores_files_order_and_history(self, tmp_path):
        frame = bars(["AAA", "BBB"], DAYS)
        digests = set()
        for name, seed in (("one", 1), ("two", 2)):
            store = TableStore(open_place(str(tmp_path / name)), SYSTEM_CLOCK)
            parts = frame.sample(fraction=1, shuffle=True, seed=seed)
            for sequence, part in enumerate(parts.iter_slices(37 * seed)):
                store.append(MINUTE, part, writer="w", sequence=sequence)
            digests.add(store.digest(MINUTE))
        single = TableStore(open_place(str(tmp_path / "three")), SYSTEM_CLOCK)
        single.append(MINUTE, frame, writer="w", sequence=0)
        digests.add(single.digest(MINUTE))
        assert len(digests) == 1

    @pytest.mark.parametrize(
        "change",
        [
            pl.col("close") + 1e-13,
            pl.col("ordinal") + 1,
            pl.col("source") + "x",
            pl.lit(None, pl.Float64).alias("vwap"),
            pl.lit(0.0).alias("vwap"),
        ],
    )
    def test_it_sees_any_value(self, tables, change):
        frame = bars(["AAA"], DAYS)
        tables.replace(MINUTE, frame)
        before = tables.digest(MINUTE)
        first = pl.int_range(pl.len()) == 3
        name = change.meta.output_name()
        tables.replace(
            MINUTE,
            frame.with_columns(pl.when(first).then(change).otherwise(pl.col(name)).alias(name)),
        )
        assert tables.digest(MINUTE) != before

    def test_null_and_zero_differ(self, tables):
        frame = bars(["AAA"], DAYS[:1])
        tables.replace(MINUTE, frame.with_columns(vwap=pl.lit(None, pl.Float64)))
        nulls = tables.digest(MINUTE)
        tables.replace(MINUTE, frame.with_columns(vwap=pl.lit(0.0)))
        assert tables.digest(MINUTE) != nulls


class TestFailures:
    def test_a_full_disk_commits_nothing_and_says_so(self, tables, monkeypatch):
        frame = bars(["AAA"], DAYS[:1])
        tables.append(MINUTE, frame, writer="w", sequence=1)

        def full(_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(LakeError, match="disk is full") as caught:
            tables.append(MINUTE, frame, writer="w", sequence=2)
        assert "purge" in caught.value.next_step
        monkeypatch.undo()
        assert again(tables).rows(MINUTE) == frame.height
        assert tables.append(MINUTE, frame, writer="w", sequence=2) is not None
        assert again(tables).rows(MINUTE) == 2 * frame.height

    def test_a_commit_that_delta_cannot_write_is_explained(self, tables, monkeypatch):
        frame = bars(["AAA"], DAYS[:1])
        tables.append(MINUTE, frame, writer="w", sequence=1)
        for text, words in (
            (
                "Generic LocalFileSystem error: No space left on device (os error 28)",
                "disk is full",
            ),
            ("Permission denied (os error 13)", "cannot be written"),
            ("something else", "cannot be used"),
        ):

            def fail(*_, text=text, **__):
                raise OSError(text)

            monkeypatch.setattr(table_module.DeltaTable, "create_write_transaction", fail)
            with pytest.raises(LakeError, match=words):
                tables.append(MINUTE, frame, writer="w", sequence=2)

    def test_a_folder_without_write_permission(self, tmp_path):
        """Run as an unprivileged user: root may write anywhere."""
        store = TableStore(open_place(str(tmp_path / "tables")), SYSTEM_CLOCK)
        store.append(BRONZE, bars(["AAA"], DAYS[:1], dataset=BRONZE), writer="w", sequence=1)
        script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import datetime as dt
from lake.rows import BRONZE, bars
from tapemill.clock.injected import SYSTEM_CLOCK
from tapemill.errors import LakeError
from tapemill.lake.places import open_place
from tapemill.lake.tables import TableStore
frame = bars(["AAA"], [dt.date(2025, 1, 31)], dataset=BRONZE)
store = TableStore(open_place({str(tmp_path / "tables")!r}), SYSTEM_CLOCK)
assert store.rows(BRONZE) == 30
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    store.append(BRONZE, frame, writer="w", sequence=2)
except LakeError as error:
    print(error)
"""
        for folder, _, _ in os.walk(tmp_path):
            Path(folder).chmod(0o555)
        parents = [tmp_path, *tmp_path.parents]
        modes = {parent: parent.stat().st_mode for parent in parents[:4]}
        try:
            if os.getuid() == 0:
                for parent in modes:
                    Path(parent).chmod(0o755)
            run = subprocess.run(
                [sys.executable, "-c", script], capture_output=True, text=True, check=False
            )
        finally:
            for parent, mode in modes.items():
                Path(parent).chmod(mode)
            for folder, _, _ in os.walk(tmp_path):
                Path(folder).chmod(0o755)
        assert run.returncode == 0, run.stderr
        assert "permission denied or read-only" in run.stdout
        assert "next:" in run.stdout

    def test_a_damaged_log_is_a_lake_error(self, tables):
        tables.append(MINUTE, bars(["AAA"], DAYS[:1]), writer="w", sequence=1)
        log = Path(tables.table(MINUTE).place.uri, f"_delta_log/{1:020d}.json")
        log.write_text("{not json")
        with pytest.raises(LakeError, match="cannot be used") as caught:
            again(tables).rows(MINUTE)
        assert "verify" in caught.value.next_step


class TestStaged:
    def test_staged_rows_show_only_once_committed(self, tables):
        frame = bars(["AAA"], DAYS[:1])
        staged = tables.stage(MINUTE, frame, writer="w", sequence=1)
        assert tables.rows(MINUTE) == 0
        assert tables.commit(staged) == 1
        assert tables.commit(staged) is None
        assert tables.append(MINUTE, frame, writer="w", sequence=1) is None
        assert tables.rows(MINUTE) == frame.height

    def test_presorted_rows_are_written_as_they_are(self, tables):
        frame = bars(["AAA", "BBB"], DAYS[:2]).sort("symbol", "ts_event")
        tables.append(MINUTE, frame, writer="w", sequence=1, presorted=True)
        assert_frame_equal(tables.scan(MINUTE).collect(), frame, check_row_order=False)


class TestReplacement:
    def test_batches_take_the_place_of_old_rows_at_once(self, tables):
        tables.append(MINUTE, bars(["AAA", "BBB"], DAYS), writer="w", sequence=1)
        kept = bars(["AAA"], DAYS)
        swap = tables.replacement(MINUTE, "symbol = 'BBB'")
        new = [bars(["BBB"], [day], seed=7) for day in DAYS[:2]]
        before = tables.rows(MINUTE)
        for number, frame in enumerate(new):
            swap.add(frame, token=f"again|{number}")
        assert tables.rows(MINUTE) == before
        version = swap.commit(writer="again", sequence=2)
        assert swap.commit(writer="again", sequence=2) == version
        rows = tables.scan(MINUTE).collect()
        order = ["symbol", "ts_event"]
        assert_frame_equal(
            rows.filter(pl.col("symbol") == "AAA").select(order).sort(order),
            kept.select(order).sort(order),
        )
        assert_frame_equal(
            rows.filter(pl.col("symbol") == "BBB").sort(order), pl.concat(new).sort(order)
        )

    def test_no_new_rows_leave_none(self, tables):
        tables.append(MINUTE, bars(["AAA"], DAYS), writer="w", sequence=1)
        tables.replacement(MINUTE, "symbol = 'AAA'").commit(writer="again", sequence=1)
        assert tables.rows(MINUTE) == 0
