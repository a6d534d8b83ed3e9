"""Price worlds with a known answer: a market, sectors, own noise, and drift only where planted."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from tapemill.clock import calendar
from tapemill.flow.evening import evening_of


def axis(count: int, first: date = date(2022, 1, 3)) -> list[date]:
    exchange = calendar("XNYS")
    return exchange.session_dates(first, first + timedelta(days=2 * count))[:count]


class World:
    """`moves[i, t]` is open-to-open log return of session t; a close is the next open."""

    def __init__(self, seed: int, names: int = 40, sessions: int = 300) -> None:
        rng = np.random.default_rng(seed)
        self.rng = rng
        self.symbols = [f"W{n:03d}" for n in range(names)]
        self.sessions = axis(sessions)
        shape = (names, sessions)
        sector = np.repeat(rng.normal(0, 0.006, (8, sessions)), names // 8, axis=0)
        self.moves = rng.normal(0, 0.01, (1, sessions)) + sector + rng.normal(0, 0.015, shape)

    def signal(self, beyond: float = 1.6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A persistent score, shared in part by sectors; places and sides where it is extreme."""
        names, sessions = self.moves.shape
        shocks = self.rng.normal(0, 1, (names, sessions))
        shocks += np.repeat(self.rng.normal(0, 1, (8, sessions)), names // 8, axis=0)
        score = np.zeros_like(shocks)
        for t in range(1, sessions):
            score[:, t] = 0.8 * score[:, t - 1] + shocks[:, t]
        score /= score.std()
        row, column = np.nonzero(np.abs(score) > beyond)
        return row, column, np.sign(score[row, column]).astype(int)

    def plant(self, row, column, side, drift: float, length: int) -> None:
        """Add `drift` a session to the `length` sessions that follow each event."""
        for i, t, s in zip(row, column, side, strict=True):
            self.moves[i, t + 1 : t + 1 + length] += s * drift

    def prices(self) -> pl.DataFrame:
        level = np.cumsum(self.moves, axis=1)
        close = 50.0 * np.exp(level)
        opened = np.hstack([np.full((len(close), 1), 50.0), close[:, :-1]])
        names, sessions = close.shape
        return pl.DataFrame(
            {
                "symbol": np.repeat(self.symbols, sessions),
                "session": pl.Series(self.sessions * names, dtype=pl.Date),
                "open": opened.ravel(),
                "close": close.ravel(),
            }
        )

    def events(self, row, column, side) -> pl.DataFrame:
        days = [self.sessions[t] for t in column]
        return pl.DataFrame(
            {
                "symbol": [self.symbols[i] for i in row],
                "session": pl.Series(days, dtype=pl.Date),
                "known_at": pl.Series(
                    [evening_of(day) for day in days], dtype=pl.Datetime("us", "UTC")
                ),
                "side": pl.Series(list(side), dtype=pl.Int64),
            }
        )
