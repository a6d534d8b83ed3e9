from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tape import truth
from tape.made import made_tape
from tapemill.errors import ContractError
from tapemill.tape import Quotes, Rules, Trades, alignment, best_lag_ns, classify


def test_fractions_add_to_one_and_show_a_stream_that_runs_ahead() -> None:
    moments = np.arange(1, 101) * 1000
    price = 100 + np.arange(100) * 0.01
    trades = Trades.of(moments, price, np.ones(100))
    # Each print was made at the ask of its moment; the quotes came 500 ns early, one step on.
    quotes = Quotes.of(moments - 500, price + 0.01, price + 0.02)
    frame = alignment(trades, quotes, [0, 600])
    assert frame["through_frac"].to_list() == [1.0, 0.0]
    assert frame["at_frac"].to_list() == [0.0, 0.99]
    sums = frame.select(at="at_frac", a="inside_frac", b="through_frac", c="no_market_frac")
    np.testing.assert_allclose(sums.sum_horizontal(), 1.0)


def test_counts_only_prints_that_stand() -> None:
    trades, quotes = made_tape(2)
    frame = alignment(trades, quotes)
    assert frame["prints"].item() == (trades.eligible & ~trades.auction).sum()
    empty = alignment(Trades.of([], [], []), Quotes.none())
    assert empty.row(0) == (0, 0, None, None, None, None)


@pytest.mark.real
def test_best_lag_finds_a_planted_delay(real_data: Path) -> None:
    """Prints reported 1 ms late: the lag is found without the truth, and the truth agrees."""
    tape = truth.lobster(real_data)
    late = Trades.of(tape.trades.ts + 1_000_000, tape.trades.price, tape.trades.size)
    lags = [0, 500_000, 1_000_000, 2_000_000, 10_000_000]
    assert best_lag_ns(late, tape.quotes, lags) == 1_000_000
    before = classify(late, tape.quotes).side == tape.truth
    after = classify(late, tape.quotes, rules=Rules(lag_ns=1_000_000)).side == tape.truth
    assert before.mean() < 0.87
    assert after.mean() > 0.97


def test_best_lag_without_prints_is_refused() -> None:
    with pytest.raises(ContractError, match="0 prints"):
        best_lag_ns(Trades.of([], [], []), Quotes.none(), [0])
