from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tape.made import made_tape
from tapemill.contracts.columns import TAPE_SUMS
from tapemill.errors import ContractError
from tapemill.tape import (
    Classified,
    OpenBucket,
    Quotes,
    Rules,
    Rung,
    TapeState,
    Trades,
    classify,
    close_bucket,
    five_minute_sums,
    running_sums,
)
from tapemill.tape import _sums as kernel
from tapemill.tape import sums as declared
from tapemill.tape.rules import TICK_RUNGS

NAMES = [column.name for column in TAPE_SUMS]


def spread_tape(seed: int) -> tuple[Trades, Quotes]:
    """The made tape over half an hour, with blocks."""
    trades, quotes = made_tape(seed)
    step = 20 * 10**9
    size = trades.size * np.where(np.arange(len(trades)) % 17 == 0, 100.5, 1.0)
    flags = {"trf": trades.trf, "eligible": trades.eligible, "auction": trades.auction}
    return (
        Trades.of(trades.ts * step, trades.price, size, **flags),
        Quotes.of(quotes.ts * step, quotes.bid, quotes.ask),
    )


def by_polars(trades: Trades, made: Classified, round_lot: float) -> pl.DataFrame:
    size, dollars = pl.col("size"), pl.col("size") * pl.col("price")
    standing = ~pl.col("rung").is_in([Rung.AUCTION, Rung.INELIGIBLE])
    side, trf, rung = pl.col("side"), pl.col("trf"), pl.col("rung")

    def volume(which: pl.Expr) -> pl.Expr:
        return size.filter(which).sum()

    names = {1: "buy", -1: "sell", 0: "unclassified"}
    return (
        pl.DataFrame(
            {
                "ts_event": trades.ts // (300 * 10**9) * (300 * 10**9),
                "price": trades.price,
                "size": trades.size,
                "trf": trades.trf,
                "side": made.side,
                "rung": made.rung,
                "retail": made.retail,
            }
        )
        .group_by("ts_event", maintain_order=True)
        .agg(
            *(
                volume(standing & (trf == off) & (side == sign)).alias(f"{venue}_{word}_volume")
                for venue, off in (("lit", False), ("trf", True))
                for sign, word in names.items()
            ),
            volume(rung == Rung.QUOTE).alias("quote_rule_volume"),
            volume(rung == Rung.MIDPOINT).alias("midpoint_volume"),
            volume(rung.is_in(list(TICK_RUNGS))).alias("tick_rule_volume"),
            volume(pl.col("retail") == 1).alias("retail_buy_volume"),
            volume(pl.col("retail") == -1).alias("retail_sell_volume"),
            volume(standing & (size < round_lot)).alias("odd_lot_volume"),
            volume(standing & ((size >= 10_000) | (dollars >= 200_000))).alias("block_volume"),
            volume(rung == Rung.AUCTION).alias("auction_volume"),
            volume(rung == Rung.INELIGIBLE).alias("ineligible_volume"),
            pl.len().cast(pl.Int64).alias("prints"),
            dollars.filter(standing).sum().alias("dollar_volume"),
        )
        .select("ts_event", *NAMES)
    )


@pytest.mark.parametrize("seed", range(4))
def test_equals_a_group_by(seed: int) -> None:
    trades, quotes = spread_tape(seed)
    made = classify(trades, quotes, rules=Rules(through="tick" if seed % 2 else "quote"))
    ours = five_minute_sums(trades, made, round_lot=40)
    expected = by_polars(trades, made, 40)
    assert ours.schema == expected.schema
    for name in ours.columns:
        np.testing.assert_allclose(ours[name], expected[name], rtol=1e-12, err_msg=name)


def test_every_share_is_counted_once() -> None:
    trades, quotes = spread_tape(8)
    row = five_minute_sums(trades, classify(trades, quotes)).sum().row(0, named=True)
    venues = [f"{v}_{s}_volume" for v in ("lit", "trf") for s in ("buy", "sell", "unclassified")]
    once = sum(row[name] for name in [*venues, "auction_volume", "ineligible_volume"])
    assert once == pytest.approx(trades.size.sum(), rel=1e-12)
    rungs = sum(row[f"{rule}_volume"] for rule in ("quote_rule", "midpoint", "tick_rule"))
    sided = sum(row[name] for name in venues if "unclassified" not in name)
    assert rungs == pytest.approx(sided, rel=1e-12)
    assert row["prints"] == len(trades)


@pytest.mark.property
@given(st.integers(0, 1000), st.lists(st.integers(0, 1900), max_size=6))
def test_any_cut_in_time_gives_the_same_bits(seed: int, cuts: list[int]) -> None:
    trades, quotes = spread_tape(seed)
    whole = five_minute_sums(trades, classify(trades, quotes))
    state: TapeState | None = None
    bucket: OpenBucket | None = None
    frames = []
    for low, high in itertools.pairwise([-1, *sorted(cuts), 10_000]):
        t0, t1, q0, q1 = (
            int(np.searchsorted(c, k * 10**9)) for c in (trades.ts, quotes.ts) for k in (low, high)
        )
        made = classify(trades.between(t0, t1), quotes.between(q0, q1), state=state)
        state = made.state
        closed, bucket = running_sums(trades.between(t0, t1), made, bucket)
        frames.append(closed)
    assert pl.concat([*frames, close_bucket(bucket)]).equals(whole)


def test_interpreted_equals_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    trades, quotes = spread_tape(4)
    made = classify(trades, quotes)
    compiled = five_minute_sums(trades, made)
    monkeypatch.setattr(kernel, "add_prints", kernel.add_prints.py_func)
    assert five_minute_sums(trades, made).equals(compiled)


def test_no_print_makes_no_row() -> None:
    none = Trades.of([], [], [])
    frame = five_minute_sums(none, classify(none, Quotes.none()))
    assert frame.columns == ["ts_event", *NAMES]
    assert frame.is_empty()


def test_sides_of_other_prints_and_steps_back_are_refused() -> None:
    trades, quotes = spread_tape(1)
    made = classify(trades, quotes)
    with pytest.raises(ContractError, match="sides"):
        five_minute_sums(trades.between(0, 5), made)
    bucket = OpenBucket(int(trades.ts[-1]) + 1, np.zeros(len(NAMES)))
    with pytest.raises(ContractError, match="before the open"):
        running_sums(trades, made, bucket)


def test_kernel_numbers_are_those_of_the_declarations() -> None:
    places = {
        "lit_buy": kernel._BUY, "lit_sell": kernel._SELL, "lit_unclassified": kernel._UNCLASSIFIED,
        "trf_buy": kernel._TRF, "quote_rule": kernel._QUOTE_VOLUME,
        "midpoint": kernel._MIDPOINT_VOLUME, "tick_rule": kernel._TICK_VOLUME,
        "retail_buy": kernel._RETAIL_BUY, "retail_sell": kernel._RETAIL_SELL,
        "odd_lot": kernel._ODD_LOT, "block": kernel._BLOCK, "auction": kernel._AUCTION_VOLUME,
        "ineligible": kernel._INELIGIBLE_VOLUME, "dollar": kernel._DOLLARS,
    }  # fmt: skip
    assert {NAMES.index(f"{name}_volume"): place for name, place in places.items()} == {
        place: place for place in places.values()
    }
    assert NAMES.index("prints") == kernel._PRINTS
    assert declared.FIVE_MINUTES_NS == kernel._FIVE_MINUTES_NS
    assert (declared.BLOCK_SHARES, declared.BLOCK_DOLLARS) == (
        kernel._BLOCK_SHARES,
        kernel._BLOCK_DOLLARS,
    )
