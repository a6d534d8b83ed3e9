"""Small made tapes with every awkward case in them."""

from __future__ import annotations

import numpy as np

from tapemill.tape import Quotes, Trades

CENTS = 0.01


def made_tape(seed: int, trades: int = 120, quotes: int = 160) -> tuple[Trades, Quotes]:
    """Few distinct times and prices, so that ties, locks, crosses and empty sides abound."""
    rng = np.random.default_rng(seed)
    ts = np.sort(rng.integers(0, 90, trades))
    made = np.sort(rng.integers(0, 90, quotes))
    bid = np.round(rng.integers(1000, 1004, quotes) * CENTS, 2)
    ask = np.round(rng.integers(1002, 1008, quotes) * CENTS, 2)
    bid[rng.random(quotes) < 0.08] = 0
    ask[rng.random(quotes) < 0.08] = 0
    price = np.round(rng.integers(19980, 20180, trades) * 0.0005, 4)
    return (
        Trades.of(
            ts,
            price,
            rng.integers(1, 400, trades),
            trf=rng.random(trades) < 0.4,
            eligible=rng.random(trades) < 0.9,
            auction=rng.random(trades) < 0.05,
        ),
        Quotes.of(made, bid, ask),
    )
