"""The facts as the vendor has them: published truth, with data faults applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from tapemill.clock.eastern import EASTERN, eastern_ns
from tapemill.clock.reporting import monday_of, settlement_dates
from tapemill.clock.sessions import calendar
from tapemill.errors import UnknownNameError, did_you_mean
from tapemill.world.market import Market
from tapemill.world.minutes import BAR_SCHEMA
from tapemill.world.sandbox.faults import FAULTS, Fault, FaultPlan
from tapemill.world.sandbox.patterns import (
    PATTERNS,
    Target,
    altered_daily,
    altered_minutes,
    altered_short_volume,
    default_targets,
)

__all__ = ["Served", "VendorFeed"]

FEED_DELAY_NS = 15 * 60 * 1_000_000_000
_MINUTE_MS = 60_000


@dataclass(frozen=True)
class Served:
    """Rows to deliver, and how many more the vendor claims to have delivered."""

    frame: pl.DataFrame
    withheld: int = 0


class VendorFeed:
    """The market through a vendor's eyes at a moment.

    Parameters
    ----------
    market : Market
        The truth.
    plan : FaultPlan
        Switched-on faults.
    now_ns, elapsed : callable
        Vendor's wall time, and seconds since the sandbox began.
    """

    def __init__(
        self,
        market: Market,
        plan: FaultPlan,
        now_ns: Callable[[], int],
        elapsed: Callable[[], float],
    ) -> None:
        self.market = market
        self.plan = plan
        self.now_ns = now_ns
        self._elapsed = elapsed
        self._fetches: Counter[tuple[str, str, date]] = Counter()
        self._targets: dict[bytes, frozenset[Target]] = {}

    @property
    def today(self) -> date:
        """Exchange date of the vendor's now."""
        return datetime.fromtimestamp(self.now_ns() / 1e9, EASTERN).date()

    @property
    def faulty(self) -> bool:
        """Whether a data fault of Massive is on; only then answers may differ between fetches."""
        return bool(self.faults())

    def faults(self, vendor: str = "massive") -> list[Fault]:
        """Data faults of a vendor that act now."""
        return self.plan.data_faults(vendor, self._elapsed())

    def reset(self) -> None:
        """Forget what was fetched."""
        self._fetches.clear()

    def sessions(self, start: date, end: date) -> list[date]:
        """Sessions between two dates that have begun."""
        return self.market.session_dates(start, min(end, self.today))

    def minutes(self, ticker: str, session: date) -> Served:
        """Minute bars of a ticker and session that are out by now, as the vendor has them."""
        truth = self.market.minute_bars(ticker, session)
        ready = (self.now_ns() - FEED_DELAY_NS) // 1_000_000 - _MINUTE_MS
        if session >= self.today:
            truth = truth.filter(pl.col("t") <= ready)
        faults = self._concerned(ticker, session)
        if not faults or truth.is_empty():
            return Served(truth)
        fetch = self._fetch("minutes", ticker, session)
        frame = truth
        for fault in faults:
            frame = altered_minutes(fault, self.market, ticker, session, frame, fetch)
        incomplete = any(fault.kind == "replay_incomplete" for fault in faults)
        return Served(frame, truth.height - frame.height if incomplete else 0)

    def daily(self, ticker: str, start: date, end: date) -> Served:
        """Daily bars of finished sessions."""
        frame = self.market.daily_bars(ticker, start, min(end, self.last_finished))
        if not self.faulty or frame.is_empty():
            return Served(frame)
        days = [self._day(t) for t in frame["t"]]
        rows = [self._daily_row(ticker, day, frame.slice(row, 1)) for row, day in enumerate(days)]
        return Served(pl.concat(rows))

    def grouped(self, session: date) -> Served:
        """Daily bars of all tickers of a finished session."""
        if session > self.last_finished:
            return Served(pl.DataFrame(schema={"T": pl.String, **BAR_SCHEMA}))
        frame = self.market.grouped(session)
        if not self.faulty or frame.is_empty():
            return Served(frame)
        rows = [
            self._daily_row(ticker, session, frame.slice(row, 1))
            for row, ticker in enumerate(frame["T"])
        ]
        return Served(pl.concat(rows))

    def short_volume(self, session: date, facility: str, vendor: str) -> Served:
        """Rows of FINRA's publication of a session, after 18:00 New York of its date.

        `facility` is a market code, ``"*"`` for one row per symbol and facility, or ``"CNMS"``
        for their sum.
        """
        if facility == "CNMS":
            truth = self.market.consolidated_short_volume(session)
        else:
            truth = self.market.short_volume(session)
            truth = truth if facility == "*" else truth.filter(pl.col("facility") == facility)
        if self.now_ns() < eastern_ns(session, 18):
            return Served(truth.clear())
        frame, withheld = truth, 0
        for fault in self.faults(vendor):
            tickers = {s for s, d in self.targets(fault) if d == session}
            if fault.kind not in PATTERNS or not tickers:
                continue
            fetch = self._fetch(fault.kind, facility, session)
            before = frame.height
            frame = altered_short_volume(fault, frame, tickers, fetch)
            withheld += before - frame.height if fault.kind == "replay_incomplete" else 0
        return Served(frame, withheld)

    def weeks(self, start: date, end: date) -> list[date]:
        """Mondays from `start` to `end` of weeks in which the market was open."""
        open_weeks = {monday_of(day) for day in self.sessions(date(1900, 1, 1), self.today)}
        return sorted(monday for monday in open_weeks if start <= monday <= end)

    def otc_week(self, monday: date) -> Served:
        """Rows of a week as FINRA shows them now: tiers that are out, the newest version of each.

        Faults of the data act on the weeks that hold a session they concern.
        """
        truth = self.market.otc_week(monday)
        out = [day for day in truth["published"].unique() if self.now_ns() >= eastern_ns(day, 18)]
        key = ["symbol", "summary_type", "mpid"]
        shown = truth.filter(pl.col("published").is_in(out)).sort("published", maintain_order=True)
        shown = shown.unique(key, keep="last", maintain_order=True).sort(key, nulls_last=False)
        frame, withheld = shown.rename({"shares": "total"}), 0
        for fault in self.faults("finra_api"):
            tickers = {s for s, day in self.targets(fault) if monday_of(day) == monday}
            if fault.kind not in PATTERNS or not tickers:
                continue
            before = frame.height
            fetch = self._fetch(fault.kind, "otc_week", monday)
            frame = altered_short_volume(fault, frame, tickers, fetch)
            withheld += before - frame.height if fault.kind == "replay_incomplete" else 0
        return Served(frame.rename({"total": "shares"}), withheld)

    def settlements(self, start: date, end: date) -> list[date]:
        """Settlement dates of the market between two dates."""
        dates = self.sessions(start, end)
        return settlement_dates(calendar("XNYS"), dates[0], dates[-1]) if dates else []

    def short_interest(self, settled: date) -> pl.DataFrame:
        """Positions of a settlement date, once they are published."""
        truth = self.market.short_interest(settled)
        due = truth["published"].max()
        if not isinstance(due, date) or self.now_ns() < eastern_ns(due, 18):
            return truth.clear()
        return truth

    def has_short_volume(self, session: date) -> bool:
        """Whether FINRA has published the session."""
        return bool(self.market.session_dates(session, session)) and (
            self.now_ns() >= eastern_ns(session, 18)
        )

    def revision(self, session: date, facility: str) -> int:
        """1 once the publication of a session has been re-issued, else 0."""
        return max(
            (
                int(self._fetches["revised_data", facility, session] > fault.number("fetches"))
                for fault in self.faults("finra_cdn")
                if fault.kind == "revised_data"
            ),
            default=0,
        )

    def splits(self) -> pl.DataFrame:
        """Splits that are executed or due within a month."""
        horizon = eastern_ns(self.today, 0) + 30 * 86_400 * 1_000_000_000
        limit = datetime.fromtimestamp(horizon / 1e9, EASTERN).date()
        return self.market.splits().filter(pl.col("execution_date") <= limit)

    def unadjusted_splits(self) -> frozenset[Target]:
        """Splits that the vendor forgets to apply."""
        forgotten = [self.targets(f) for f in self.faults() if f.kind == "split_unadjusted"]
        return frozenset().union(*forgotten)

    def dividends(self) -> pl.DataFrame:
        """Dividends that are declared by now."""
        known = pl.coalesce("declaration_date", "ex_dividend_date") <= self.today
        return self.market.dividends().filter(known)

    @property
    def last_finished(self) -> date:
        """Last date whose sessions are complete: today once the post-market feed is out."""
        today = self.today
        done = self.now_ns() >= eastern_ns(today, 20) + FEED_DELAY_NS
        return today if done else date.fromordinal(today.toordinal() - 1)

    def targets(self, fault: Fault) -> frozenset[Target]:
        """The (symbol, session) pairs whose facts a data fault alters."""
        key = repr((fault.kind, fault.symbols, fault.sessions, fault.options, self.today)).encode()
        if key not in self._targets:
            self._targets[key] = frozenset(default_targets(fault, self.market, self.last_finished))
        return self._targets[key]

    def truth_of(self, kind: str) -> pl.DataFrame:
        """What a switched-on data fault alters: fault, symbol, session, sorted.

        Raises
        ------
        UnknownNameError
            If the fault does not exist or alters no facts.
        """
        if kind not in FAULTS or FAULTS[kind].stage != "data":
            data = [name for name, known in FAULTS.items() if known.stage == "data"]
            raise UnknownNameError(
                f"{kind!r} is not a fault of the data",
                next_step=did_you_mean(kind, data) or f"known: {', '.join(data)}",
            )
        on = (fault for fault in self.plan.faults if fault.kind == kind)
        pairs = {pair for fault in on for pair in self.targets(fault)}
        rows = [(kind, symbol, session) for symbol, session in pairs]
        schema = {"fault": pl.String, "symbol": pl.String, "session": pl.Date}
        return pl.DataFrame(rows, schema=schema, orient="row").sort("symbol", "session")

    def _concerned(self, ticker: str, session: date) -> list[Fault]:
        return [f for f in self.faults() if (ticker, session) in self.targets(f)]

    def _fetch(self, what: str, ticker: str, session: date) -> int:
        self._fetches[what, ticker, session] += 1
        return self._fetches[what, ticker, session]

    def _daily_row(self, ticker: str, session: date, row: pl.DataFrame) -> pl.DataFrame:
        faults = self._concerned(ticker, session)
        fetch = self._fetch("daily", ticker, session) if faults else 0
        for fault in faults:
            row = altered_daily(fault, self.market, ticker, session, row, fetch)
        return row

    @staticmethod
    def _day(midnight_ms: int) -> date:
        return datetime.fromtimestamp(midnight_ms / 1000, EASTERN).date()
