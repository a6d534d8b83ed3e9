"""Parquet by our own writer, read back by three others."""

import io

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tapemill.lake.parquet import all_whole, encode
from tapemill.lake.whole_numbers import WholeFile

TYPES = {
    pl.Int8: (-(2**7), 2**7 - 1),
    pl.Int16: (-(2**15), 2**15 - 1),
    pl.Int32: (-(2**31), 2**31 - 1),
    pl.Int64: (-(2**63), 2**63 - 1),
    pl.Date: (-100_000, 100_000),
    pl.Datetime("us", "UTC"): (0, 2**52),
}


def written(frame, *, nullable=None, most=131_072, cuts=()):
    holed = [name for name in frame.columns if frame[name].null_count()]
    file = WholeFile(frame.schema, nullable or holed, row_group_rows=most, level=1)
    start = 0
    for stop in (*cuts, frame.height):
        file.add(frame[start:stop])
        start = stop
    assert file.rows == frame.height
    return file.finish()


def numbers(rng, dtype, count):
    """Numbers of one of the shapes that columns have: constant, few, a walk, noise, extremes."""
    low, high = TYPES[dtype]
    shape = rng.integers(6)
    if shape == 0:
        values = np.full(count, rng.integers(low, high, endpoint=True))
    elif shape == 1:
        values = rng.choice(rng.integers(low, high, 5, endpoint=True), count)
    elif shape == 2:
        start = rng.integers(low // 2, high // 2)
        values = np.clip(start + np.cumsum(rng.integers(-3, 9, count)), low, high)
    elif shape == 3:
        values = rng.choice([low, high], count)
    elif shape == 4:
        values = np.arange(count) % (high // 2)
    else:
        values = rng.integers(low, high, count, endpoint=True)
    series = pl.Series(values.astype(np.int64)).cast(dtype)
    absent = rng.choice([0.0, 0.0, 0.01, 0.7, 1.0])
    return series.set(pl.Series(rng.random(count) < absent), None) if absent else series


def made(seed, count):
    rng = np.random.default_rng(seed)
    columns = {f"c{k}": numbers(rng, dtype, count) for k, dtype in enumerate(TYPES)}
    texts = ["ESH4", "ESM4", "", "é" * 40][: rng.integers(1, 5)]
    columns["symbol"] = pl.Series(rng.choice(texts, count), dtype=pl.String)
    if rng.random() < 0.3:
        columns["symbol"] = columns["symbol"].set(pl.Series(rng.random(count) < 0.4), None)
    return pl.DataFrame(columns)


@pytest.mark.property
@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 3000),
    most=st.sampled_from([1, 7, 100, 1000, 131_072]),
    data=st.data(),
)
def test_what_is_written_is_read_by_polars(seed, count, most, data):
    frame = made(seed, min(count, most * 40))
    cuts = sorted(data.draw(st.lists(st.integers(0, frame.height), max_size=3)))
    content = written(frame, most=most, cuts=cuts)
    assert_frame_equal(pl.read_parquet(io.BytesIO(content)), frame)


@pytest.mark.parametrize("seed", range(8))
def test_other_readers_agree(tmp_path, seed):
    frame = made(seed, 5000)
    path = tmp_path / "x.parquet"
    path.write_bytes(written(frame, most=1700))
    found = pl.DataFrame(duckdb.sql(f"select * from '{path}'").pl())
    times = (
        pl.col("c5").dt.replace_time_zone("UTC")
        if found["c5"].dtype.time_zone is None
        else pl.col("c5").dt.convert_time_zone("UTC")
    )
    assert_frame_equal(found.with_columns(times), frame)
    arrow = pytest.importorskip("pyarrow.parquet")
    assert_frame_equal(pl.DataFrame(arrow.read_table(path)), frame)


def test_statistics_let_readers_skip_row_groups(tmp_path):
    arrow = pytest.importorskip("pyarrow.parquet")
    frame = pl.DataFrame({"n": np.arange(1000) * 10**12, "symbol": ["A"] * 500 + ["B"] * 500})
    (tmp_path / "x.parquet").write_bytes(written(frame, most=500))
    second = arrow.ParquetFile(tmp_path / "x.parquet").metadata.row_group(1)
    assert second.num_rows == 500
    assert (second.column(0).statistics.min, second.column(0).statistics.max) == (
        500 * 10**12,
        999 * 10**12,
    )
    # Texts of a whole addition are one dictionary, so their range is that of the addition.
    assert second.column(1).statistics.max == "B"


def test_a_declared_null_need_not_occur():
    frame = pl.DataFrame({"n": [1, 2, 3], "symbol": ["A", "A", "A"]})
    content = written(frame, nullable=["n", "symbol"])
    assert_frame_equal(pl.read_parquet(io.BytesIO(content)), frame)


def test_only_tables_of_whole_numbers_go_this_way():
    schema = {"symbol": pl.String, "n": pl.Int64, "at": pl.Datetime("us", "UTC")}
    assert all_whole(pl.Schema(schema))
    for name, dtype in {"x": pl.Float64, "t": pl.String, "b": pl.Boolean, "u": pl.UInt8}.items():
        assert not all_whole(pl.Schema(schema | {name: dtype}))


def test_times_in_order_take_a_fraction_of_their_eight_bytes():
    rng = np.random.default_rng(5)
    frame = pl.DataFrame({"ts": np.cumsum(rng.integers(0, 4096, 100_000)), "k": np.arange(100_000)})
    content = encode(frame, ["ts"]).content
    assert len(content) < 1.7 * frame.height
