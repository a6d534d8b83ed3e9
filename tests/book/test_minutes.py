"""Minutes and profiles: against Polars' group_by, and the same to the bit for any chunking."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapemill.book.minutes import Built, MinuteBuilder

MINUTE = 60_000_000_000
START = 1_703_545_200_000_000_000


def stream(seed: int, count: int, *, seconds: float = 20.0) -> pl.DataFrame:
    """Trades in order of both clocks, at prices above and below zero."""
    rng = np.random.default_rng(seed)
    moments = START + np.cumsum(rng.exponential(seconds * 1e9, count).astype(np.int64))
    return pl.DataFrame(
        {
            "ts_event": moments,
            "ts_gateway": moments + rng.integers(50_000, 90_000_000_000, count),
            "price": np.cumsum(rng.integers(-3, 4, count)).astype(np.int32),
            "size": rng.integers(1, 50, count).astype(np.int32),
            "aggressor": rng.integers(-1, 2, count).astype(np.int8),
        }
    )


def feed(builder: MinuteBuilder, trades: pl.DataFrame) -> Built:
    return builder.apply(*(trades[name].to_numpy() for name in trades.columns))


def frames(parts: list[Built]) -> tuple[pl.DataFrame, pl.DataFrame]:
    minutes = [pl.DataFrame(part.minutes._asdict()) for part in parts]
    profiles = [pl.DataFrame(part.profile._asdict()) for part in parts]
    return pl.concat(minutes), pl.concat(profiles)


def whole(trades: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    builder = MinuteBuilder()
    return frames([feed(builder, trades), builder.finish()])


def sums() -> list[pl.Expr]:
    size = pl.col("size").cast(pl.Int64)
    return [
        size.sum().alias("volume"),
        size.filter(pl.col("aggressor") == 1).sum().alias("buy_volume"),
        size.filter(pl.col("aggressor") == -1).sum().alias("sell_volume"),
        pl.col("ts_gateway").max().alias("last_gateway"),
    ]


@pytest.mark.parametrize(
    ("seed", "count", "seconds"), [(1, 5_000, 20.0), (2, 800, 200.0), (3, 1, 1.0)]
)
def test_minutes_and_profile_are_those_of_a_group_by(seed: int, count: int, seconds: float) -> None:
    trades = stream(seed, count, seconds=seconds)
    minutes, profile = whole(trades)
    price = pl.col("price").cast(pl.Int64)
    by_minute = trades.group_by(
        start=pl.col("ts_event") // MINUTE * MINUTE, maintain_order=True
    ).agg(
        *sums(),
        open=price.first(),
        high=price.max(),
        low=price.min(),
        close=price.last(),
        trades=pl.len().cast(pl.Int64),
        price_volume=(price * pl.col("size")).sum(),
    )
    assert minutes.equals(by_minute.select(minutes.columns))
    half = 30 * MINUTE
    by_price = trades.group_by(start=pl.col("ts_event") // half * half, price=price).agg(
        *(e for e in sums() if e.meta.output_name() != "last_gateway")
    )
    known = trades.group_by(start=pl.col("ts_event") // half * half).agg(sums()[-1])
    expected = by_price.join(known, on="start").sort("start", "price").select(profile.columns)
    assert profile.equals(expected)


@pytest.mark.property
@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 120),
    cuts=st.lists(st.integers(0, 120), max_size=8),
    ones=st.booleans(),
)
def test_any_chunking_gives_the_same_rows(
    seed: int, count: int, cuts: list[int], ones: bool
) -> None:
    trades = stream(seed, count)
    bounds = range(count + 1) if ones else sorted({0, count, *(min(cut, count) for cut in cuts)})
    builder = MinuteBuilder()
    parts = [feed(builder, trades[a:b]) for a, b in pairwise(bounds)]
    minutes, profile = frames([*parts, builder.finish()])
    assert minutes.equals(whole(trades)[0])
    assert profile.equals(whole(trades)[1])


def test_a_minute_is_given_out_once_something_later_was_seen() -> None:
    builder = MinuteBuilder()
    one = stream(5, 1).with_columns(ts_event=pl.lit(START + 10 * 10**9))
    assert not len(feed(builder, one).minutes.start)
    assert not len(builder.advance(START + MINUTE - 1).minutes.start)
    closed = builder.advance(START + MINUTE)
    assert closed.minutes.start.tolist() == [START]
    assert not len(closed.profile.start)
    assert len(builder.finish().profile.start) == 1


@pytest.mark.parametrize("told", [False, True])
def test_a_trade_after_its_minute_is_late_and_changes_nothing(told: bool) -> None:
    trades = stream(7, 400)
    builder = MinuteBuilder()
    parts = [feed(builder, trades)]
    if told:
        parts.append(builder.advance(int(trades["ts_event"][-1]) + 2 * MINUTE))
    belated = trades[-1:] if told else trades[:1]
    again = feed(builder, belated)
    parts += [again, builder.finish()]
    assert again.late.tolist() == [True]
    assert builder.late == 1
    minutes, profile = frames(parts)
    assert minutes.equals(whole(trades)[0])
    assert profile.equals(whole(trades)[1])
    assert minutes["volume"].sum() == trades["size"].sum() == profile["volume"].sum()
