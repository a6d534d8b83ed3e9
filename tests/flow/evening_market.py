"""A made market as an evening sees it: the facts in full, and what was visible by when."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from tapemill.clock import calendar
from tapemill.contracts import contract
from tapemill.contracts.columns import TAPE_SUMS
from tapemill.flow.evening import evening_of
from tapemill.flow.inputs import EveningInputs
from tapemill.flow.panel import Panel

TAPE_VOLUMES = ("buy_volume", "sell_volume", "unclassified_volume", "bulk_volume")
TAPE_SCHEMA = {
    "symbol": pl.String(),
    "session": pl.Date(),
    "mode": pl.String(),
    **{column.name: column.dtype for column in TAPE_SUMS},
    **dict.fromkeys(TAPE_VOLUMES, pl.Float64()),
}
SHORT_SCHEMA = {
    "symbol": pl.String(),
    "finra_symbol": pl.String(),
    "session": pl.Date(),
    "short_source": pl.String(),
    "short_volume": pl.Float64(),
    "short_exempt_volume": pl.Float64(),
    "total_volume": pl.Float64(),
}


def sessions_to(last: date, count: int) -> list[date]:
    """`count` consecutive sessions, `last` being the last of them."""
    exchange = calendar("XNYS")
    return exchange.session_dates(exchange.previous(last, count - 1), last)


def tape_row(symbol: str, session: date, mode: str, **sums: float) -> dict[str, Any]:
    """Sums of a session; what is not given is 0, and of minute bars everything but four null."""
    blank = 0.0 if mode == "tick" else None
    sides = dict.fromkeys(TAPE_VOLUMES, 0.0)
    empty = {column.name: blank for column in TAPE_SUMS}
    return {"symbol": symbol, "session": session, "mode": mode, **empty, **sides, **sums}


def week_row(
    symbol: str,
    monday: date,
    venue_class: str,
    shares: float,
    *,
    published: date | None = None,
    tier: str = "T1",
    superseded: datetime | None = None,
    **facts: Any,
) -> dict[str, Any]:
    """One version of an OTC week; by default out two (T1) or four weeks after its end."""
    due = monday + timedelta(days=21 if tier == "T1" else 35)
    day = published or due
    return {
        "symbol": symbol,
        "week_start": monday,
        "venue_class": venue_class,
        "tier": tier,
        "shares": str(shares),
        "trades": 100,
        "last_update_date": day,
        "known_at": evening_of(day),
        "superseded_at": superseded,
        "version": 1,
        **facts,
    }


def interest_row(symbol: str, settled: date, position: float, **facts: Any) -> dict[str, Any]:
    """One version of a settlement, known after nine business days."""
    published = date.fromisoformat(str(np.busday_offset(settled, 9, roll="forward")))
    return {
        "symbol": symbol,
        "settlement_date": settled,
        "short_interest": str(position),
        "known_at": evening_of(published),
        "version": 1,
        **facts,
    }


def _frame(dataset: str, rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    schema = contract(dataset).schema
    filled = [{**dict.fromkeys(schema), **row} for row in rows]
    texts = {n: pl.String() for n, kind in schema.items() if isinstance(kind, pl.Decimal)}
    frame = pl.DataFrame(filled, schema={**schema, **texts})
    return frame.cast({name: schema[name] for name in texts})


@dataclasses.dataclass
class Market:
    """Facts of a market, each true from its own moment on; change them before asking for inputs.

    Matrices have the shape (symbols, sessions), NaN = no fact.
    """

    symbols: tuple[str, ...]
    sessions: list[date]
    short: np.ndarray
    total: np.ndarray
    close: np.ndarray
    high: np.ndarray
    low: np.ndarray
    volume: np.ndarray
    factor: np.ndarray
    tape: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    weeks: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    interest: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    sources: dict[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def random(
        cls, symbols: Sequence[str], sessions: list[date], *, seed: int = 1, priced: bool = True
    ) -> Market:
        """Shares of short volume that wander about a mean of their own, prices about 50."""
        rng = np.random.default_rng(seed)
        shape = len(symbols), len(sessions)
        total = np.round(np.exp(rng.normal(14, 0.4, shape)))
        usual = rng.normal(0, 0.4, (shape[0], 1))
        share = 1 / (1 + np.exp(-(usual + rng.normal(0, 0.25, shape))))
        close = 50 * np.exp(np.cumsum(rng.normal(0, 0.015, shape), axis=1))
        spread = close * rng.uniform(0.001, 0.02, shape)
        volume = np.round(total * rng.uniform(2.0, 3.0, shape))
        prices = [close, close + spread, close - spread, volume]
        if not priced:
            prices = [np.full(shape, np.nan) for _ in prices]
        short = np.round(share * total)
        return cls(tuple(symbols), sessions, short, total, *prices, np.ones(shape))

    def at(self, symbol: str, session: date) -> tuple[int, int]:
        """Place of a cell in the matrices."""
        return self.symbols.index(symbol), self.sessions.index(session)

    def inputs(
        self, evenings: Sequence[date], *, lookback: int = 300, bars_to: date | None = None
    ) -> EveningInputs:
        """What the evenings see: bars end with the session before the last, unless `bars_to`."""
        first = max(self.sessions.index(evenings[0]) - lookback, 0)
        stop = self.sessions.index(evenings[-1]) + 1
        kept = slice(first, stop)
        days = self.sessions[kept]
        bars = [np.array(m[:, kept]) for m in (self.close, self.high, self.low, self.volume)]
        for matrix in bars:
            matrix[:, [day >= (bars_to or evenings[-1]) for day in days]] = np.nan
        facts = [np.array(m[:, kept]) for m in (self.short, self.total, self.factor)]
        panel = Panel(self.symbols, tuple(days), *facts, *bars)
        moment = evening_of(evenings[-1])
        seen = pl.col("known_at") <= moment
        tape = [row for row in self.tape if days[0] <= row["session"] <= days[-1]]
        names = pl.DataFrame({"symbol": self.symbols}, schema={"symbol": pl.String()})
        return EveningInputs(
            evenings=tuple(evenings),
            panel=panel,
            short=self._short_rows(evenings),
            tape=pl.DataFrame(tape, schema=TAPE_SCHEMA),
            otc=_frame("silver.otc_weekly", self.weeks).filter(seen),
            interest=_frame("silver.short_interest", self.interest).filter(seen),
            memberships=contract("reference.memberships").empty(),
            symbols=names.with_columns(finra_symbol=pl.col("symbol").str.replace(r"\.", "/")),
        )

    def _short_rows(self, evenings: Sequence[date]) -> pl.DataFrame:
        rows = []
        for symbol in self.symbols:
            for day in evenings:
                at = self.at(symbol, day)
                if np.isfinite(self.total[at]):
                    source = self.sources.get(symbol, "consolidated")
                    facts = (self.short[at], 0.0, self.total[at])
                    rows.append((symbol, symbol.replace(".", "/"), day, source, *facts))
        return pl.DataFrame(rows, schema=SHORT_SCHEMA, orient="row")
