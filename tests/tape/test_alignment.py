from __future__ import annotations

import numpy as np

from tape.made import made_tape
from tapemill.tape import Quotes, Trades, alignment


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
