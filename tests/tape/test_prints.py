from __future__ import annotations

import numpy as np
import pytest

from tapemill.errors import ContractError
from tapemill.tape import Quotes, Trades


def test_flags_default_to_an_exchange_print_that_stands() -> None:
    trades = Trades.of([1, 1, 2], [10, 10.5, 11], [1, 0, 0.25])
    assert (trades.trf.any(), trades.eligible.all(), trades.auction.any()) == (False, True, False)
    assert len(trades.between(1, 3)) == 2
    assert trades.ts.dtype == np.int64


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([2, 1], [1, 1], [1, 1]), "1 ns back"),
        (([1, 2], [1, 0], [1, 1]), "price"),
        (([1, 2], [1, float("nan")], [1, 1]), "price"),
        (([1, 2], [1, 1], [1, -1]), "size"),
        (([1, 2], [1], [1, 1]), "shape"),
        (([[1]], [1], [1]), "one row"),
    ],
)
def test_trades_that_cannot_be_are_refused(columns: tuple, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        Trades.of(*columns)


def test_flags_of_another_length_are_refused() -> None:
    with pytest.raises(ContractError, match="trf has shape"):
        Trades.of([1], [1], [1], trf=[True, False])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([2, 1], [1, 1], [1, 1]), "fall"),
        (([1], [-1], [1]), "bid"),
        (([1], [1], [float("inf")]), "ask"),
        (([[1]], [1], [1]), "one row"),
    ],
)
def test_quotes_that_cannot_be_are_refused(columns: tuple, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        Quotes.of(*columns)


def test_one_sided_locked_and_crossed_quotes_are_kept() -> None:
    quotes = Quotes.of([1, 2, 3], [0, 10, 11], [10, 10, 10], bid_size=[0, 1, 1], ask_size=[1, 1, 1])
    assert len(quotes) == 3
    assert len(Quotes.none()) == 0
