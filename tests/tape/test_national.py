from __future__ import annotations

import numpy as np
import pytest

from tapemill.errors import ContractError
from tapemill.tape import NationalBest, Quotes, national_best
from tapemill.tape import _national as kernel


def made(seed: int, n: int = 300) -> tuple[np.ndarray, Quotes, np.ndarray]:
    rng = np.random.default_rng(seed)
    bid = rng.integers(100, 105, n).astype(float)
    ask = rng.integers(104, 109, n).astype(float)
    bid[rng.random(n) < 0.1] = 0
    ask[rng.random(n) < 0.1] = 0
    sizes = rng.integers(1, 4, (2, n))
    ts = np.sort(rng.integers(0, 200, n))
    quotes = Quotes.of(ts, bid, ask, bid_size=sizes[0], ask_size=sizes[1])
    return rng.integers(0, 6, n), quotes, rng.random(n) < 0.95


def slow(exchange: np.ndarray, quotes: Quotes, firm: np.ndarray) -> list[tuple[float, ...]]:
    book: dict[int, tuple[float, ...]] = {}
    rows: list[tuple[float, ...]] = []
    for i, place in enumerate(exchange.tolist()):
        row = (quotes.bid[i], quotes.ask[i], quotes.bid_size[i], quotes.ask_size[i])
        book[place] = row if firm[i] else (0.0,) * 4
        bids = [(r[0], r[2]) for r in book.values() if r[0] > 0]
        asks = [(r[1], -r[3]) for r in book.values() if r[1] > 0]
        bid, bid_size = max(bids, default=(0.0, 0.0))
        ask, ask_size = min(asks, default=(0.0, 0.0))
        best = (bid, ask, bid_size, -ask_size)
        if best != (rows[-1][1:] if rows else (0.0,) * 4):
            rows.append((float(quotes.ts[i]), *best))
    return rows


def table(quotes: Quotes) -> list[tuple[float, ...]]:
    columns = (quotes.ts, quotes.bid, quotes.ask, quotes.bid_size, quotes.ask_size)
    return [tuple(map(float, row)) for row in zip(*columns, strict=True)]


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_best_over_a_dictionary_of_exchanges(seed: int) -> None:
    exchange, quotes, firm = made(seed)
    best, _ = national_best(exchange, quotes, firm=firm)
    assert table(best) == slow(exchange, quotes, firm)


def test_any_chunking_gives_the_same_rows() -> None:
    exchange, quotes, firm = made(11)
    whole, end = national_best(exchange, quotes, firm=firm)
    state: NationalBest | None = None
    rows = []
    for low, high in ((0, 1), (1, 1), (1, 170), (170, 300)):
        part, state = national_best(
            exchange[low:high], quotes.between(low, high), firm=firm[low:high], state=state
        )
        rows += table(part)
    assert rows == table(whole)
    assert state is not None
    assert state.best.tolist() == end.best.tolist()


def test_interpreted_equals_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange, quotes, firm = made(2)
    compiled = table(national_best(exchange, quotes, firm=firm)[0])
    monkeypatch.setattr(kernel, "merge_best", kernel.merge_best.py_func)
    assert table(national_best(exchange, quotes, firm=firm)[0]) == compiled


def test_an_exchange_that_withdraws_uncovers_the_next() -> None:
    quotes = Quotes.of([1, 2, 3], [10, 11, 0], [20, 19, 0])
    best, _ = national_best([1, 2, 2], quotes)
    assert table(best) == [(1, 10, 20, 0, 0), (2, 11, 19, 0, 0), (3, 10, 20, 0, 0)]


def test_numbers_out_of_range_are_refused() -> None:
    quotes = Quotes.of([1], [10], [20])
    with pytest.raises(ContractError, match="0-63"):
        national_best([64], quotes)
    with pytest.raises(ContractError, match="exchanges"):
        national_best([1, 2], quotes)
