"""Against tapes whose aggressor is known, and figures that others published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tape import truth
from tapemill.tape import (
    Quotes,
    Rules,
    Rung,
    Trades,
    alignment,
    classify,
    national_best,
    tape_flags,
)

pytestmark = pytest.mark.real


def right(tape: truth.Tape, rules: Rules, label: int | None = None) -> float:
    made = classify(tape.trades, tape.quotes, rules=rules)
    asked = tape.truth != 0
    if label is not None:
        asked &= tape.label == label
    return float((made.side == tape.truth)[asked].mean())


def test_visible_and_hidden_executions_of_lobster(real_data: Path) -> None:
    tape = truth.lobster(real_data)
    assert ((tape.label == 0).sum(), (tape.label == 1).sum()) == (8974, 2445)
    visible = {m: right(tape, Rules(method=m), 0) for m in ("ladder", "emo", "clnv", "tick")}  # type: ignore[arg-type]
    hidden = {m: right(tape, Rules(method=m), 1) for m in ("ladder", "emo", "clnv", "tick")}  # type: ignore[arg-type]
    assert visible["ladder"] == visible["emo"] == visible["clnv"] == 1.0
    assert 0.89 < visible["tick"] < 0.90
    assert hidden["ladder"] > 0.87 > hidden["emo"] > 0.76
    # The direction in the file is the resting order's: read the wrong way all of it turns.
    assert (classify(tape.trades, tape.quotes).side == -tape.truth).mean() < 0.03


def test_rungs_of_lobster_stand_in_the_order_of_the_ladder(real_data: Path) -> None:
    tape = truth.lobster(real_data)
    made = classify(tape.trades, tape.quotes)
    by = {
        rung: float((made.side == tape.truth)[made.rung == rung].mean())
        for rung in (Rung.QUOTE, Rung.MIDPOINT, Rung.TICK)
    }
    assert by[Rung.QUOTE] > 0.999 > by[Rung.MIDPOINT] > 0.88 > by[Rung.TICK] > 0.6


def test_es_trades_against_the_book_before_them(real_data: Path) -> None:
    tape = truth.es_future(real_data)
    assert (len(tape.trades), (tape.truth != 0).sum()) == (1865, 1864)
    assert right(tape, Rules()) == 1.0
    assert 0.72 < right(tape, Rules(method="tick")) < 0.75


def test_kraken_by_prices_alone(real_data: Path) -> None:
    tape = truth.kraken(real_data)
    assert ((tape.truth == 1).sum(), (tape.truth == -1).sum()) == (578, 422)
    made = classify(tape.trades, tape.quotes)
    correct = made.side == tape.truth
    assert 0.77 < correct.mean() < 0.78
    assert tape.trades.size[correct].sum() / tape.trades.size.sum() > 0.96
    assert set(np.unique(made.rung)) == {Rung.UNKNOWN, Rung.TICK_NO_QUOTE}


def test_binance_quotes_run_ahead_and_are_found_out(real_data: Path) -> None:
    """Nearly half the prints lie outside the quote: it has moved before the print is heard of."""
    tape = truth.binance(real_data)
    outside = alignment(tape.trades, tape.quotes)["through_frac"].item()
    assert 0.45 < outside < 0.55
    assert right(tape, Rules()) < 0.55
    assert right(tape, Rules(through="tick")) > 0.85
    assert right(tape, Rules(through="tick", lag_ns=10_000_000)) > 0.96
    assert right(tape, Rules(method="emo", lag_ns=10_000_000)) > 0.98


def test_published_places_of_etr_against_the_quote(real_data: Path) -> None:
    """Below, at the bid, inside, at the ask, above: the published method, to its digits.

    It takes exchanges N, T, P and Z from 9:30 to 16:00 and counts a print in a locked market twice
    (at the bid and at the ask): 456 of 10,230, which is why the five add to 1.0446.
    """
    trades, quotes = truth.taq(real_data)
    hours = pl.col("ns").is_between(34_200 * 10**9, 57_600 * 10**9)
    floor = hours & pl.col("EX").is_in(["N", "T", "P", "Z"])
    trades, quotes = trades.filter(floor), quotes.filter(floor)
    best, _ = national_best(
        [ord(letter) & 63 for letter in quotes["EX"]],
        Quotes.of(quotes["ns"].to_numpy(), quotes["BID"].to_numpy(), quotes["ASK"].to_numpy()),
    )
    tape = Trades.of(trades["ns"].to_numpy(), trades["PRICE"].to_numpy(), trades["SIZE"].to_numpy())
    made = classify(tape, best, rules=Rules(method="quote", inclusive=True))
    price, bid, ask = tape.price, made.bid, made.ask
    fractions = [
        float(place.mean())
        for place in (
            price < bid, price == bid, (bid < price) & (price < ask), price == ask,
            (ask > 0) & (price > ask),
        )
    ]  # fmt: skip
    published = [0.005376344, 0.293450635, 0.404203324, 0.326001955, 0.015542522]
    np.testing.assert_allclose(fractions, published, rtol=0, atol=5e-10)
    assert ((price == bid) & (price == ask)).sum() == 456


def test_etr_of_all_exchanges_is_covered(real_data: Path) -> None:
    trades, quotes = truth.taq(real_data)
    best, _ = national_best(
        [ord(letter) & 63 for letter in quotes["EX"]],
        Quotes.of(quotes["ns"].to_numpy(), quotes["BID"].to_numpy(), quotes["ASK"].to_numpy()),
    )
    eligible, auction = tape_flags(trades["TR_SCOND"], "CTA")
    trf = (trades["EX"] == "D").to_numpy()
    assert trf.sum() == 3490
    tape = Trades.of(
        trades["ns"].to_numpy(), trades["PRICE"].to_numpy(), trades["SIZE"].to_numpy(),
        trf=trf, eligible=eligible, auction=auction,
    )  # fmt: skip
    made = classify(tape, best)
    covered = made.coverage(tape.size)
    known = sum(n for rung, (n, _) in covered.items() if rung not in (0, 7, 8))
    assert known / (len(tape) - covered[Rung.AUCTION][0] - covered[Rung.INELIGIBLE][0]) > 0.999
    assert covered[Rung.INELIGIBLE][0] < 0.02 * len(tape)
    assert not made.retail[~trf].any()
    assert 0.05 < (made.retail[trf] != 0).mean() < 0.9
