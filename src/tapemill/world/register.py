"""The market's register: who was listed under which ticker, and what was done to the shares."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from tapemill.clock.sessions import Session
from tapemill.world.corporate_actions import Plan
from tapemill.world.specs import SymbolSpec

__all__ = ["Listing", "Register"]

_SPLITS = pl.Schema(
    {
        "ticker": pl.String,
        "execution_date": pl.Date,
        "split_from": pl.Int64,
        "split_to": pl.Int64,
    }
)
_DIVIDENDS = pl.Schema(
    {
        "ticker": pl.String,
        "ex_dividend_date": pl.Date,
        "declaration_date": pl.Date,
        "record_date": pl.Date,
        "pay_date": pl.Date,
        "cash_amount": pl.Float64,
    }
)
_HALTS = pl.Schema(
    {
        "symbol": pl.String,
        "session": pl.Date,
        "start_ns": pl.Int64,
        "end_ns": pl.Int64,
        "reason": pl.String,
    }
)


@dataclass(frozen=True)
class Listing:
    """A ticker and the sessions ``[first, last]`` (indices) in which it traded."""

    ticker: str
    spec: SymbolSpec
    first: int
    last: int

    def traded(self, index: int) -> bool:
        """Whether the ticker traded in the session of that index."""
        return self.first <= index <= self.last


class Register:
    """Listings and corporate events as tables.

    Parameters
    ----------
    seed : int
        Seed of the market; identifiers derive from it.
    sessions : sequence of Session
        Sessions of the market; events name them by index.
    plans : sequence of (SymbolSpec, Plan)
        Every company and what is planned for it.
    """

    def __init__(
        self, seed: int, sessions: Sequence[Session], plans: Sequence[tuple[SymbolSpec, Plan]]
    ) -> None:
        self._seed = seed
        self._sessions = sessions
        self._plans = plans

    @cached_property
    def listings(self) -> dict[str, Listing]:
        """Every ticker that ever traded, the given-up ones included."""
        found = {}
        for spec, plan in self._plans:
            if plan.renamed_at is not None:
                found[spec.formerly] = Listing(spec.formerly, spec, 0, plan.renamed_at - 1)
            begin = plan.renamed_at or 0
            found[spec.symbol] = Listing(spec.symbol, spec, begin, len(self._sessions) - 1)
        return found

    def splits(self) -> pl.DataFrame:
        """One row a split, sorted by date."""
        rows = [
            (ticker, session.session, split.split_from, split.split_to)
            for ticker, session, split in self._events(lambda plan: plan.splits)
        ]
        return pl.DataFrame(rows, schema=_SPLITS, orient="row").sort("execution_date", "ticker")

    def dividends(self, cash: Callable[[SymbolSpec], dict[int, float]]) -> pl.DataFrame:
        """One row a dividend, sorted by date; `cash` gives dollars by index of the ex session."""
        rows = []
        for spec, plan in self._plans:
            paid = cash(spec)
            for d in plan.dividends:
                day = self._sessions[d.index].session
                ticker = _ticker_at(spec, plan, d.index)
                rows.append((ticker, day, d.declared, d.record, d.pay, paid[d.index]))
        frame = pl.DataFrame(rows, schema=_DIVIDENDS, orient="row")
        return frame.sort("ex_dividend_date", "ticker")

    def halts(self) -> pl.DataFrame:
        """One row a halt, sorted by session."""
        rows = [
            (ticker, session.session, halt.start_ns, halt.end_ns, halt.reason)
            for ticker, session, halt in self._events(lambda plan: plan.halts)
        ]
        return pl.DataFrame(rows, schema=_HALTS, orient="row").sort("session", "symbol", "start_ns")

    def symbol_changes(self) -> pl.DataFrame:
        """One row a change of ticker."""
        rows = [
            (spec.formerly, spec.symbol, self._sessions[plan.renamed_at].session)
            for spec, plan in self._plans
            if plan.renamed_at is not None
        ]
        schema = {"old_ticker": pl.String, "new_ticker": pl.String, "effective_date": pl.Date}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def tickers(self) -> pl.DataFrame:
        """One row a ticker; both names of a company share their identifiers."""
        return pl.DataFrame([self._ticker(listing) for listing in self.listings.values()]).sort(
            "ticker"
        )

    def _ticker(self, listing: Listing) -> dict[str, Any]:
        spec = listing.spec
        mark = hashlib.sha256(f"{self._seed}/{spec.symbol}".encode()).hexdigest().upper()
        return {
            "ticker": listing.ticker,
            "name": f"Synthetic {spec.symbol} ({spec.tier})",
            "kind": spec.kind,
            "primary_exchange": spec.exchange,
            "composite_figi": f"BBG00{mark[:7]}",
            "share_class_figi": f"BBG00{mark[7:14]}",
            "cik": f"{int(mark[:8], 16) % 2_000_000:010d}",
            "first_session": self._sessions[listing.first].session,
            "last_session": self._sessions[listing.last].session,
            "renamed": listing.ticker != spec.symbol,
        }

    def _events(
        self, pick: Callable[[Plan], tuple[Any, ...]]
    ) -> Iterator[tuple[str, Session, Any]]:
        for spec, plan in self._plans:
            for event in pick(plan):
                yield _ticker_at(spec, plan, event.index), self._sessions[event.index], event


def _ticker_at(spec: SymbolSpec, plan: Plan, index: int) -> str:
    renamed = plan.renamed_at
    return spec.formerly if renamed is not None and index < renamed else spec.symbol
