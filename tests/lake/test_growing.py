"""Files that grow by row groups: read back by three readers, in any cuts."""

import io

import duckdb
import numpy as np
import polars as pl
import pyarrow.parquet as arrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tapemill.errors import LakeError
from tapemill.lake import growing
from tapemill.lake.growing import GrowingFile, all_whole
from tapemill.lake.parquet import encode

TYPES = {
    pl.Int8: 2**7, pl.Int16: 2**15, pl.Int32: 2**31, pl.Int64: 2**63,
    pl.Date: 100_000, pl.Datetime("us", "UTC"): 2**52,
}  # fmt: skip


def made(seed, count):
    """Columns of every type with nulls: extremes, few values, walks."""
    rng = np.random.default_rng(seed)
    columns = {}
    for number, (dtype, top) in enumerate(TYPES.items()):
        low = 0 if dtype == pl.Datetime("us", "UTC") else -top
        shapes = [
            rng.integers(low, top, count),
            rng.choice([low, top - 1], count),
            np.clip(np.cumsum(rng.integers(-3, 9, count)), low, top - 1),
        ]
        values = pl.Series(shapes[rng.integers(3)].astype(np.int64)).cast(dtype)
        holes = pl.Series(rng.random(count) < rng.choice([0.0, 0.1, 1.0]))
        columns[f"c{number}"] = values.set(holes, None) if holes.any() else values
    columns["symbol"] = pl.Series(rng.choice(["ESH4", "ESM4", ""], count), dtype=pl.String)
    return pl.DataFrame(columns)


def written(frame, *, most=131_072, cuts=()):
    file = GrowingFile(frame.schema, row_group_rows=most, level=1)
    start = 0
    for stop in (*cuts, frame.height):
        file.add(frame[start:stop])
        start = stop
    return file.finish()


@pytest.mark.property
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 2000), st.sampled_from([7, 1000, 131_072]), st.data())
def test_what_is_written_is_read_whatever_the_cuts(seed, count, most, data):
    frame = made(seed, count)
    cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=3)))
    content = written(frame, most=most, cuts=cuts)
    assert_frame_equal(pl.read_parquet(io.BytesIO(content)), frame)


def test_other_readers_agree(tmp_path):
    frame = made(3, 5000)
    path = tmp_path / "x.parquet"
    path.write_bytes(written(frame, most=1700))
    assert_frame_equal(pl.DataFrame(arrow.read_table(path)), frame)
    found = pl.DataFrame(duckdb.sql(f"select * from '{path}'").pl())
    assert_frame_equal(found.with_columns(pl.col("c5").dt.convert_time_zone("UTC")), frame)


def test_statistics_let_readers_skip_row_groups():
    frame = pl.DataFrame({"n": np.arange(1000) * 10**12, "symbol": ["A"] * 1000})
    second = arrow.ParquetFile(io.BytesIO(written(frame, most=500))).metadata.row_group(1)
    assert second.num_rows == 500
    found = second.column(0).statistics
    assert (found.min, found.max) == (500 * 10**12, 999 * 10**12)


def test_only_tables_of_whole_numbers_go_this_way():
    schema = {"symbol": pl.String, "n": pl.Int64, "at": pl.Datetime("us", "UTC")}
    assert all_whole(pl.Schema(schema))
    for name, dtype in {"x": pl.Float64, "t": pl.String, "b": pl.Boolean, "u": pl.UInt8}.items():
        assert not all_whole(pl.Schema(schema | {name: dtype}))


def test_times_in_order_take_a_fraction_of_their_eight_bytes():
    rng = np.random.default_rng(5)
    frame = pl.DataFrame({"ts": np.cumsum(rng.integers(0, 4096, 100_000)), "k": np.arange(100_000)})
    assert len(encode(frame, ["ts"]).content) < 2 * frame.height


def test_without_pyarrow_other_tables_go_on_and_these_say_what_is_missing(monkeypatch):
    monkeypatch.setattr(growing.importlib.util, "find_spec", lambda name: None)
    frame = pl.DataFrame({"n": [1, 2, 3]})
    assert_frame_equal(pl.read_parquet(io.BytesIO(encode(frame, []).content)), frame)
    with pytest.raises(LakeError, match="pyarrow") as refused:
        GrowingFile(frame.schema, row_group_rows=10, level=1)
    assert "futures" in refused.value.next_step
