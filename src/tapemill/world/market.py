"""A seeded equity market whose every event is known: the truth that the pipeline must recover."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, lru_cache

import numpy as np
import polars as pl

from tapemill.clock.eastern import EASTERN, eastern_ns
from tapemill.clock.sessions import Session, calendar
from tapemill.errors import DateError, UnknownNameError, did_you_mean
from tapemill.world.corporate_actions import Plan, plan_events
from tapemill.world.daily import FRACTIONAL_FROM, MICRO, DailyPath, draw_daily
from tapemill.world.minutes import BAR_SCHEMA, draw_minutes
from tapemill.world.seeds import stream
from tapemill.world.short_volume import draw_short_volume
from tapemill.world.specs import SymbolSpec, specs_for

__all__ = ["SHORT_VOLUME_SCHEMA", "Listing", "Market"]

SHORT_VOLUME_SCHEMA = pl.Schema(
    {
        "session": pl.Date,
        "symbol": pl.String,
        "facility": pl.String,
        "short": pl.Int64,
        "exempt": pl.Int64,
        "total": pl.Int64,
    }
)
"""Volumes in millionths of a share; `facility` is B, Q, N, or a list such as ``B,Q,N``."""

_CACHED_SESSIONS = 4_000


@dataclass(frozen=True)
class Listing:
    """A ticker and the sessions ``[first, last]`` (indices) in which it traded."""

    ticker: str
    spec: SymbolSpec
    first: int
    last: int


class Market:
    """Synthetic US equities with known truth; equal arguments give equal data, in any order.

    Parameters
    ----------
    seed : int
        Root of every random stream.
    symbols : int or sequence of str
        How many companies of the built-in roster, or their tickers.
    start, end : date
        First and last calendar date, both inclusive; the price paths begin at `start`.
    null : bool
        No drift: price plus dividend, adjusted for splits, is a pure martingale, nights included.
    circuit_breaker : date, optional
        Session on which the whole market halts from 09:34 for 15 minutes.

    Raises
    ------
    DateError
        If the window holds no session.
    UsageError
        If `symbols` is empty or repeats a ticker.
    """

    def __init__(
        self,
        seed: int,
        *,
        symbols: int | Sequence[str] = 8,
        start: date,
        end: date,
        null: bool = False,
        circuit_breaker: date | None = None,
    ) -> None:
        self.seed = seed
        self.null = null
        self.specs = specs_for(symbols)
        self.sessions: list[Session] = calendar("XNYS").sessions(start, end)
        if not self.sessions:
            raise DateError(
                f"no exchange session between {start} and {end}", next_step="widen the window"
            )
        self._index = {session.session: i for i, session in enumerate(self.sessions)}
        self._plans = {
            spec.symbol: plan_events(seed, spec, self.sessions, circuit_breaker)
            for spec in self.specs
        }
        self._daily: dict[str, DailyPath] = {}
        self._minutes = lru_cache(_CACHED_SESSIONS)(self._draw_minutes)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Current tickers, one a company."""
        return tuple(spec.symbol for spec in self.specs)

    @cached_property
    def listings(self) -> dict[str, Listing]:
        """Every ticker that ever traded in the window, the given-up ones included."""
        final = len(self.sessions) - 1
        found = {}
        for spec in self.specs:
            renamed = self._plans[spec.symbol].renamed_at
            if renamed is not None:
                found[spec.formerly] = Listing(spec.formerly, spec, 0, renamed - 1)
            found[spec.symbol] = Listing(spec.symbol, spec, renamed or 0, final)
        return found

    def spec(self, ticker: str) -> SymbolSpec:
        """Planted parameters of the company behind a ticker.

        Raises
        ------
        UnknownNameError
            If the ticker never traded here; tickers are case-sensitive.
        """
        return self._listing(ticker).spec

    def session_dates(self, start: date | None = None, end: date | None = None) -> list[date]:
        """Sessions of the market between two dates, both inclusive."""
        return [d for d in self._index if (not start or d >= start) and (not end or d <= end)]

    def session(self, day: date) -> Session:
        """The session of a date.

        Raises
        ------
        DateError
            If the market was closed or the date lies outside the window.
        """
        index = self._index.get(day)
        if index is None:
            raise DateError(
                f"the synthetic market has no session on {day}",
                where=f"{self.sessions[0].session} to {self.sessions[-1].session}",
            )
        return self.sessions[index]

    def minute_bars(self, symbol: str, session: date) -> pl.DataFrame:
        """Unadjusted minute bars of one ticker and session, 04:00-20:00 New York.

        Returns
        -------
        polars.DataFrame
            Schema ``BAR_SCHEMA``; empty when the ticker did not trade or the market was closed.
        """
        index = self._trading_index(symbol, session)
        if index is None:
            return BAR_SCHEMA.to_frame()
        return self._minutes(self._listing(symbol).spec.symbol, index)

    def daily_bar(self, symbol: str, session: date) -> pl.DataFrame:
        """Unadjusted daily bar: zero or one row of ``BAR_SCHEMA``, `t` at midnight New York."""
        return self.daily_bars(symbol, session, session)

    def daily_bars(self, symbol: str, start: date, end: date) -> pl.DataFrame:
        """Unadjusted daily bars of a ticker between two dates, both inclusive.

        Open, high, low and close are of regular hours; volume and trades of all hours.
        """
        listing = self._listing(symbol)
        path = self._path(listing.spec)
        pick = np.array(
            [
                i
                for d in self.session_dates(start, end)
                if self._traded(listing, i := self._index[d])
            ],
            dtype=np.int64,
        )
        midnight = [eastern_ns(self.sessions[i].session, 0) // 1_000_000 for i in pick]
        close = path.close[pick]
        vwap = np.round((path.open[pick] + path.high[pick] + path.low[pick] + 2 * close) / 5, 4)
        return pl.DataFrame(
            {
                "t": midnight,
                "o": path.open[pick],
                "h": path.high[pick],
                "l": path.low[pick],
                "c": close,
                "v": path.volume_micro[pick] / MICRO,
                "vw": vwap,
                "n": path.trades[pick],
            },
            schema=BAR_SCHEMA,
        )

    def grouped(self, session: date) -> pl.DataFrame:
        """Daily bars of the whole market: column `T` and ``BAR_SCHEMA``, `t` at 16:00 New York."""
        empty = pl.DataFrame(schema={"T": pl.String, **BAR_SCHEMA})
        return self._grouped.get(session, empty)

    def splits(self) -> pl.DataFrame:
        """Planned splits: ticker, execution_date, split_from, split_to (new shares for old)."""
        rows = [
            (
                self._ticker_at(spec, s.index),
                self.sessions[s.index].session,
                s.split_from,
                s.split_to,
            )
            for spec in self.specs
            for s in self._plans[spec.symbol].splits
        ]
        schema = {
            "ticker": pl.String,
            "execution_date": pl.Date,
            "split_from": pl.Int64,
            "split_to": pl.Int64,
        }
        return pl.DataFrame(rows, schema=schema, orient="row").sort("execution_date", "ticker")

    def dividends(self) -> pl.DataFrame:
        """Cash dividends in dollars a share of the ex date's share count."""
        rows = []
        for spec in self.specs:
            cash = self._path(spec).dividends
            for d in self._plans[spec.symbol].dividends:
                ex_date = self.sessions[d.index].session
                ticker = self._ticker_at(spec, d.index)
                rows.append((ticker, ex_date, d.declared, d.record, d.pay, cash[d.index]))
        schema = {
            "ticker": pl.String,
            "ex_dividend_date": pl.Date,
            "declaration_date": pl.Date,
            "record_date": pl.Date,
            "pay_date": pl.Date,
            "cash_amount": pl.Float64,
        }
        return pl.DataFrame(rows, schema=schema, orient="row").sort("ex_dividend_date", "ticker")

    def halts(self) -> pl.DataFrame:
        """Planted halts: symbol, session, start_ns, end_ns (end exclusive), reason."""
        rows = [
            (
                self._ticker_at(spec, h.index),
                self.sessions[h.index].session,
                h.start_ns,
                h.end_ns,
                h.reason,
            )
            for spec in self.specs
            for h in self._plans[spec.symbol].halts
        ]
        schema = {
            "symbol": pl.String,
            "session": pl.Date,
            "start_ns": pl.Int64,
            "end_ns": pl.Int64,
            "reason": pl.String,
        }
        return pl.DataFrame(rows, schema=schema, orient="row").sort("session", "symbol")

    def symbol_changes(self) -> pl.DataFrame:
        """Changes of ticker: old, new, and the first session of the new one."""
        rows = [
            (spec.formerly, spec.symbol, self.sessions[plan.renamed_at].session)
            for spec in self.specs
            if (plan := self._plans[spec.symbol]).renamed_at is not None
        ]
        schema = {"old_ticker": pl.String, "new_ticker": pl.String, "effective_date": pl.Date}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def tickers(self) -> pl.DataFrame:
        """Every ticker, its identity and life; both names of a company share their FIGI."""
        rows = []
        for listing in self.listings.values():
            spec = listing.spec
            mark = hashlib.sha256(f"{self.seed}/{spec.symbol}".encode()).hexdigest().upper()
            last = self.sessions[listing.last].session
            rows.append(
                {
                    "ticker": listing.ticker,
                    "name": f"Synthetic {spec.symbol} ({spec.tier})",
                    "kind": spec.kind,
                    "primary_exchange": spec.exchange,
                    "composite_figi": f"BBG00{mark[:7]}",
                    "share_class_figi": f"BBG00{mark[7:14]}",
                    "cik": f"{int(mark[:8], 16) % 2_000_000:010d}",
                    "first_session": self.sessions[listing.first].session,
                    "last_session": last,
                    "renamed": listing.ticker != spec.symbol,
                }
            )
        return pl.DataFrame(rows).sort("ticker")

    def short_volume(self, session: date) -> pl.DataFrame:
        """Off-exchange short volume of a session, one row per symbol and facility.

        Returns
        -------
        polars.DataFrame
            ``SHORT_VOLUME_SCHEMA``, facilities B, Q and N only, sorted by symbol.
            :meth:`consolidated_short_volume` sums them.
        """
        index = self._index.get(session)
        rows: list[tuple[date, str, str, int, int, int]] = []
        for listing in self.listings.values() if index is not None else ():
            if index is None or not self._traded(listing, index):
                continue
            spec = listing.spec
            drawn = draw_short_volume(
                stream(self.seed, "short", spec.symbol, session.toordinal()),
                spec.tier,
                int(self._path(spec).volume_micro[index]),
                fractional=session >= FRACTIONAL_FROM,
            )
            rows.extend(
                (session, listing.ticker, f.facility, f.short, f.exempt, f.total) for f in drawn
            )
        frame = pl.DataFrame(rows, schema=SHORT_VOLUME_SCHEMA, orient="row")
        return frame.sort("symbol", maintain_order=True)

    def consolidated_short_volume(self, session: date) -> pl.DataFrame:
        """Sum over facilities, as the consolidated (CNMS) file has it."""
        return (
            self.short_volume(session)
            .group_by("session", "symbol", maintain_order=True)
            .agg(pl.col("facility").str.join(","), pl.col("short", "exempt", "total").sum())
            .select(list(SHORT_VOLUME_SCHEMA))
        )

    # -- lookup ------------------------------------------------------------------------------

    def _listing(self, ticker: str) -> Listing:
        listing = self.listings.get(ticker)
        if listing is None:
            raise UnknownNameError(
                f"the synthetic market has no ticker {ticker!r}",
                next_step=did_you_mean(ticker, self.listings) or f"known: {sorted(self.listings)}",
            )
        return listing

    def _traded(self, listing: Listing, index: int) -> bool:
        return listing.first <= index <= listing.last

    def _trading_index(self, ticker: str, session: date) -> int | None:
        index = self._index.get(session)
        return index if index is not None and self._traded(self._listing(ticker), index) else None

    def _ticker_at(self, spec: SymbolSpec, index: int) -> str:
        renamed = self._plans[spec.symbol].renamed_at
        return spec.formerly if renamed is not None and index < renamed else spec.symbol

    # -- drawing -----------------------------------------------------------------------------

    def _path(self, spec: SymbolSpec) -> DailyPath:
        path = self._daily.get(spec.symbol)
        if path is None:
            plan: Plan = self._plans[spec.symbol]
            path = draw_daily(self.seed, spec, plan, self.sessions, null=self.null)
            self._daily[spec.symbol] = path
        return path

    def _draw_minutes(self, symbol: str, index: int) -> pl.DataFrame:
        spec = self._listing(symbol).spec
        session = self.sessions[index]
        halts = tuple(h for h in self._plans[symbol].halts if h.index == index)
        draw = stream(self.seed, "minutes", symbol, session.session.toordinal())
        return draw_minutes(draw, spec.tier, session, self._path(spec), index, halts)

    @cached_property
    def _grouped(self) -> dict[date, pl.DataFrame]:
        """Daily bars of all tickers by session, drawn at once: the calls are one per session."""
        first, last = self.sessions[0].session, self.sessions[-1].session
        everything = pl.concat(
            self.daily_bars(ticker, first, last).select(pl.lit(ticker).alias("T"), pl.all())
            for ticker in self.listings
        )
        return {
            (day := datetime.fromtimestamp(key[0] / 1000, EASTERN).date()): frame.with_columns(
                t=pl.lit(eastern_ns(day, 16) // 1_000_000)
            )
            for key, frame in everything.partition_by("t", as_dict=True).items()
        }
