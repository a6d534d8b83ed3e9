"""A seeded equity market whose every event is known: the truth that the pipeline must recover."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache

import numpy as np
import polars as pl

from tapemill.clock.eastern import EASTERN, eastern_ns
from tapemill.clock.reporting import interest_published_ns, monday_of, settlement_before
from tapemill.clock.sessions import Session, calendar
from tapemill.errors import DateError, UnknownNameError, did_you_mean
from tapemill.world.corporate_actions import Plan, plan_events
from tapemill.world.daily import FRACTIONAL_FROM, MICRO, DailyPath, draw_daily
from tapemill.world.minutes import BAR_SCHEMA, draw_minutes
from tapemill.world.otc_weekly import WEEK_SCHEMA, draw_week
from tapemill.world.register import Listing, Register
from tapemill.world.seeds import stream
from tapemill.world.short_interest import INTEREST_SCHEMA, draw_interest
from tapemill.world.short_volume import draw_short_volume
from tapemill.world.specs import SymbolSpec, specs_for

__all__ = ["SHORT_VOLUME_SCHEMA", "Market"]

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
        self._register = Register(
            seed, self.sessions, [(spec, self._plans[spec.symbol]) for spec in self.specs]
        )
        self._daily: dict[str, DailyPath] = {}
        self._short_volume = lru_cache(_CACHED_SESSIONS)(self._draw_short_volume)
        self._weeks = lru_cache(_CACHED_SESSIONS)(self._draw_week)
        self._minutes = lru_cache(_CACHED_SESSIONS)(self._draw_minutes)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Current tickers, one a company."""
        return tuple(spec.symbol for spec in self.specs)

    @property
    def listings(self) -> dict[str, Listing]:
        """Every ticker that ever traded in the window, the given-up ones included."""
        return self._register.listings

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
            [i for d in self.session_dates(start, end) if listing.traded(i := self._index[d])],
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
        return self._register.splits()

    def dividends(self) -> pl.DataFrame:
        """Cash dividends in dollars a share of the ex date's share count, with their dates."""
        return self._register.dividends(lambda spec: self._path(spec).dividends)

    def halts(self) -> pl.DataFrame:
        """Planted halts: symbol, session, start_ns, end_ns (end exclusive), reason."""
        return self._register.halts()

    def symbol_changes(self) -> pl.DataFrame:
        """Changes of ticker: old_ticker, new_ticker, effective_date (first session of the new)."""
        return self._register.symbol_changes()

    def tickers(self) -> pl.DataFrame:
        """Every ticker, its identity and life; both names of a company share their FIGI."""
        return self._register.tickers()

    def short_volume(self, session: date) -> pl.DataFrame:
        """Off-exchange short volume of a session, one row per symbol and facility.

        Returns
        -------
        polars.DataFrame
            ``SHORT_VOLUME_SCHEMA``, facilities B, Q and N only, sorted by symbol.
            :meth:`consolidated_short_volume` sums them.
        """
        return self._short_volume(session)

    def consolidated_short_volume(self, session: date) -> pl.DataFrame:
        """Sum over facilities, as the consolidated (CNMS) file has it."""
        return (
            self.short_volume(session)
            .group_by("session", "symbol", maintain_order=True)
            .agg(pl.col("facility").str.join(","), pl.col("short", "exempt", "total").sum())
            .select(list(SHORT_VOLUME_SCHEMA))
        )

    def otc_week(self, monday: date) -> pl.DataFrame:
        """Off-exchange volume of one week by symbol, venue class and firm, with later revisions.

        Returns
        -------
        polars.DataFrame
            ``otc_weekly.WEEK_SCHEMA``; empty for a week without a session of this market.
        """
        return self._weeks(monday_of(monday))

    def short_interest(self, settled: date) -> pl.DataFrame:
        """Open short positions at a settlement date, one row a ticker.

        Returns
        -------
        polars.DataFrame
            ``short_interest.INTEREST_SCHEMA``; empty outside the market's window.
        """
        index = self._index.get(settled)
        if index is None:
            return INTEREST_SCHEMA.to_frame()
        exchange = calendar("XNYS")
        before = settlement_before(exchange, settled)
        since = [self._index[d] for d in self.session_dates(before + timedelta(days=1), settled)]
        symbols = {}
        for listing in self.listings.values():
            if listing.traded(index):
                volume = self._path(listing.spec).volume_micro[since]
                company, usual = listing.spec.symbol, listing.spec.daily_volume
                symbols[listing.ticker] = (company, usual, int(volume.mean()) // MICRO)
        due = interest_published_ns(exchange, settled)
        out = datetime.fromtimestamp(due / 1e9, EASTERN).date()
        known = before if before in self._index else None
        return draw_interest(self.seed, settled, known, out, symbols)

    # -- lookup ------------------------------------------------------------------------------

    def _listing(self, ticker: str) -> Listing:
        listing = self.listings.get(ticker)
        if listing is None:
            raise UnknownNameError(
                f"the synthetic market has no ticker {ticker!r}",
                next_step=did_you_mean(ticker, self.listings) or f"known: {sorted(self.listings)}",
            )
        return listing

    def _trading_index(self, ticker: str, session: date) -> int | None:
        index = self._index.get(session)
        return index if index is not None and self._listing(ticker).traded(index) else None

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

    def _draw_short_volume(self, session: date) -> pl.DataFrame:
        index = self._index.get(session)
        rows: list[tuple[date, str, str, int, int, int]] = []
        for listing in self.listings.values() if index is not None else ():
            if index is None or not listing.traded(index):
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

    def _draw_week(self, monday: date) -> pl.DataFrame:
        sessions = self.session_dates(monday, monday + timedelta(days=4))
        if not sessions:
            return WEEK_SCHEMA.to_frame()
        days = pl.concat([self.short_volume(session) for session in sessions])
        shares = days.group_by("symbol").agg(pl.col("total").sum() // MICRO)
        symbols = {}
        for ticker, daily in shares.sort("symbol").iter_rows():
            spec = self._listing(ticker).spec
            price = float(self._path(spec).close[self._index[sessions[-1]]])
            symbols[ticker] = (spec.tier, daily, price)
        # Nothing is published on a holiday; the weeks of publication may lie past this market.
        due = [monday + timedelta(days=days) for days in (21, 35)]
        closed = frozenset(day for day in due if not calendar("XNYS").is_session(day))
        return draw_week(self.seed, monday, symbols, sessions, closed)
