"""A market of daily off-exchange volume and short sales whose surprises are known.

Log odds of the short share wander about each name's own level with heavy tails, a little memory and
a move common to all and to sectors; volume has a weekly pattern, splits and holes. Whatever is
planted is planted exactly in the statistic y = ln((B + κ) / (S + κ)), computed here on its own.
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.clock import calendar, eastern_datetime
from tapemill.errors import UsageError
from tapemill.world.seeds import stream

__all__ = ["SECTORS", "FlowMarket", "flow_market"]

Matrix = npt.NDArray[np.float64]

SECTORS = ("Energy", "Financials", "Health", "Industrials", "Technology")

_CLASSES = {
    "common": (0.78, ""),
    "class_share": (0.02, ".A"),
    "preferred": (0.06, "pA"),
    "warrant": (0.07, ".WS"),
    "unit": (0.04, ".U"),
    "right": (0.02, "r"),
    "test": (0.01, ""),
}
"""Class → part of the market, ending of the symbol in Massive's style."""
_WEEKDAY = np.log([0.96, 1.02, 1.03, 1.0, 0.99])
_SPLIT_FACTORS = (2.0, 3.0, 4.0, 10.0, 0.1, 0.05)


@dataclasses.dataclass(frozen=True)
class FlowMarket:
    """Facts of a made market; matrices are float64 of shape (symbols, sessions), NaN = no row.

    Attributes
    ----------
    symbols : tuple of str
        Massive's style, sorted.
    security_class, sector : tuple of str
        Per symbol; sector is empty for names outside any.
    sessions : tuple of datetime.date
        Consecutive XNYS sessions.
    short_volume, total_volume : ndarray
        B and D, shares; fractions of a share, so that a planted shift is exact.
    share_factor : ndarray
        New shares for an old one from that session on.
    close, volume : ndarray
        Unadjusted USD and consolidated shares.
    sigma : ndarray
        float64, shape (symbols,): standard deviation of a name's own noise in y.
    """

    symbols: tuple[str, ...]
    security_class: tuple[str, ...]
    sector: tuple[str, ...]
    sessions: tuple[datetime.date, ...]
    short_volume: Matrix
    total_volume: Matrix
    share_factor: Matrix
    close: Matrix
    volume: Matrix
    sigma: npt.NDArray[np.float64]

    def logits(self, session: datetime.date) -> npt.NDArray[np.float64]:
        """y of every name on a session; NaN where its row or its usual volume is missing."""
        t = self.sessions.index(session)
        kappa = self._kappa(t)
        short, total = self.short_volume[:, t], self.total_volume[:, t]
        return np.asarray(np.log((short + kappa) / (total - short + kappa)))

    def plant(self, symbol: str, session: datetime.date, sigma: float) -> FlowMarket:
        """The same market with one name's y shifted by `sigma` of its standard deviations.

        Raises
        ------
        UsageError
            No such row, or no short volume between 0 and the total has that y.
        """
        row = self.symbols.index(symbol)
        delta = np.zeros(len(self.symbols))
        delta[row] = sigma * self.sigma[row]
        return self._shifted(session, delta, np.arange(len(self.symbols)) == row)

    def market_shift(self, session: datetime.date, delta: float) -> FlowMarket:
        """The same market with every name's y of one session shifted by `delta` log odds.

        Raises
        ------
        UsageError
            A name has no short volume between 0 and the total with that y.
        """
        there = np.isfinite(self.logits(session))
        return self._shifted(session, np.full(len(self.symbols), delta), there)

    def rows(self) -> pl.DataFrame:
        """``symbol``, ``session``, ``short_volume``, ``total_volume`` of every row, by session."""
        place = np.nonzero(np.isfinite(self.total_volume.T))
        return pl.DataFrame(
            {
                "symbol": pl.Series(self.symbols).gather(place[1]),
                "session": pl.Series(self.sessions).gather(place[0]),
                "short_volume": self.short_volume.T[place],
                "total_volume": self.total_volume.T[place],
            }
        )

    def symbol_table(self) -> pl.DataFrame:
        """``symbol``, ``finra_symbol``, ``security_class``, ``root``, ``is_test``."""
        kinds = pl.Series(self.security_class)
        names = pl.Series(self.symbols)
        return pl.DataFrame(
            {
                "symbol": names,
                "finra_symbol": names.str.replace(".", "/", literal=True),
                "security_class": kinds,
                "root": names.str.replace(r"(\.(A|WS|U)|pA|r)$", ""),
                "is_test": kinds == "test",
            }
        )

    def sector_rows(self) -> pl.DataFrame:
        """Memberships of the sectors, in force and known from the first session on."""
        known = eastern_datetime(pl.col("valid_from"), 4)
        return (
            pl.DataFrame({"group": self.sector, "kind": "sector", "symbol": self.symbols})
            .filter(pl.col("group") != "")
            .with_columns(
                weight_frac=pl.lit(None, pl.Float64()),
                valid_from=pl.lit(self.sessions[0]),
                valid_to=pl.lit(None, pl.Date()),
            )
            .with_columns(known_at=known, superseded_at=pl.lit(None, pl.Datetime("us", "UTC")))
        )

    def _kappa(self, t: int) -> npt.NDArray[np.float64]:
        """0.5 % of the median of the 20 sessions before (5 at least) in the shares of t, ≥ 100."""
        kappa = np.full(len(self.symbols), np.nan)
        first = max(t - 20, 0)
        for row in range(len(self.symbols)):
            factor = self.share_factor[row, first + 1 : t + 1]
            past = self.total_volume[row, first:t] * np.cumprod(factor[::-1])[::-1]
            past = past[past > 0]
            if len(past) >= 5:
                kappa[row] = max(0.005 * float(np.median(past)), 100.0)
        return kappa

    def _shifted(
        self,
        session: datetime.date,
        delta: npt.NDArray[np.float64],
        among: npt.NDArray[np.bool_],
    ) -> FlowMarket:
        t = self.sessions.index(session)
        y, kappa, total = self.logits(session), self._kappa(t), self.total_volume[:, t]
        made = (total + 2 * kappa) / (1 + np.exp(-(y + delta))) - kappa
        bad = among & ~((made >= 0) & (made <= total))
        if bad.any():
            name = self.symbols[int(np.flatnonzero(bad)[0])]
            raise UsageError(
                f"no short volume of {name} on {session} has the log odds asked for",
                next_step="plant a smaller shift, or on a session 5 rows after the first",
            )
        short = self.short_volume.copy()
        short[among, t] = made[among]
        return dataclasses.replace(self, short_volume=short)


def flow_market(
    names: int,
    first: datetime.date,
    sessions: int,
    *,
    seed: int,
    mode: Literal["lively", "null"] = "lively",
) -> FlowMarket:
    """Draw a market.

    Parameters
    ----------
    names : int
        Symbols; every class and sector is there from about 100 on.
    first : date
        First session.
    sessions : int
        Consecutive sessions.
    seed : int
    mode : {"lively", "null"}
        ``"null"``: common stock only, every name's y independent from name to name and day to day
        with an unchanging law of its own; no holes, splits or common moves. Nothing is unusual.

    Raises
    ------
    UsageError
        There is nothing to draw.
    """
    if names < 1 or sessions < 1:
        raise UsageError(
            f"a market needs a name and a session, got {names} and {sessions}",
            next_step="flow_market(100, date(2020, 1, 2), 200, seed=1)",
        )
    exchange = calendar("XNYS")
    days = exchange.session_dates(first, exchange.next(first, sessions - 1))
    null = mode == "null"
    kinds, symbols, sectors = _roster(names, stream(seed, "roster"), null=null)
    draw = stream(seed, "flow", mode)
    shape = names, sessions
    sigma = 0.25 * np.exp(0.3 * draw.standard_normal(names))
    y = 0.45 * draw.standard_normal((names, 1)) - 0.15
    y = y + sigma[:, None] * _noise(draw, shape, memory=0.0 if null else 0.25)
    size = 12.5 + 1.4 * draw.standard_normal((names, 1))
    volume = size + 0.35 * _noise(draw, shape, memory=0.0 if null else 0.5)
    factor = np.ones(shape)
    if not null:
        odd = np.isin(kinds, ("warrant", "unit", "right", "test"))
        y[odd] += 4.0 * draw.standard_normal((int(odd.sum()), sessions))
        volume[odd] -= 4.0
        y += 0.06 * draw.standard_normal(sessions)
        common = 0.04 * draw.standard_normal((len(SECTORS), sessions))
        for code, sector in enumerate(SECTORS):
            y[np.array(sectors) == sector] += common[code]
        volume += _WEEKDAY[[day.weekday() for day in days]] + 0.1 * draw.standard_normal(sessions)
        for row in np.flatnonzero(draw.random(names) < 0.03):
            factor[row, draw.integers(sessions)] = draw.choice(_SPLIT_FACTORS)
    shares = np.cumprod(factor, axis=1)
    total = np.exp(volume) * shares
    if not null:
        rate = np.where(draw.random((names, 1)) < 0.1, 0.2, 0.002)
        total[draw.random(shape) < rate] = np.nan
    short = total / (1 + np.exp(-np.clip(y, -9, 9)))
    walk = np.cumsum(0.02 * draw.standard_normal(shape), axis=1)
    close = np.exp(3.4 + 0.8 * draw.standard_normal((names, 1)) + walk) / shares
    part = np.exp(-0.85 + 0.1 * draw.standard_normal(shape))
    return FlowMarket(
        *(tuple(symbols), tuple(kinds), tuple(sectors), tuple(days)),
        *(short, total, factor, close, total / part, sigma),
    )


def _roster(
    names: int, draw: np.random.Generator, *, null: bool
) -> tuple[list[str], list[str], list[str]]:
    """Classes, symbols and sectors, ordered by symbol."""
    parts = [part for part, _ in _CLASSES.values()]
    kinds = ["common"] * names if null else list(draw.choice(list(_CLASSES), names, p=parts))
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    made = []
    for place, kind in enumerate(kinds):
        root = "".join(letters[place // 26**k % 26] for k in (3, 2, 1, 0))
        symbol = f"ZTST{root}" if kind == "test" else root + _CLASSES[kind][1]
        company = kind in ("common", "class_share") and draw.random() < 0.8
        sector = SECTORS[int(draw.integers(len(SECTORS)))] if company else ""
        made.append((symbol, str(kind), sector))
    made.sort()
    return [m[1] for m in made], [m[0] for m in made], [m[2] for m in made]


def _noise(draw: np.random.Generator, shape: tuple[int, int], *, memory: float) -> Matrix:
    """Student t with 5 degrees of freedom, unit variance, first-order memory over sessions."""
    fresh: Matrix = draw.standard_t(5, shape) / np.sqrt(5 / 3)
    made = fresh.copy()
    for t in range(1, shape[1]):
        made[:, t] = memory * made[:, t - 1] + np.sqrt(1 - memory**2) * fresh[:, t]
    return made
