"""Defects that real vendors have shown, as changes to true facts with a known list of victims."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

import numpy as np
import polars as pl

from tapemill.clock.eastern import eastern_ns
from tapemill.world.daily import MICRO
from tapemill.world.market import Market
from tapemill.world.sandbox.faults import Fault
from tapemill.world.seeds import stream

__all__ = [
    "PATTERNS",
    "Target",
    "altered_daily",
    "altered_minutes",
    "altered_short_volume",
    "default_targets",
]

Target = tuple[str, date]
Alteration = Callable[[Fault, Market, str, date, pl.DataFrame, int], pl.DataFrame]

_SENTINEL = 999.99
_DEFAULT_AGE = 6  # sessions before the last finished one: old enough to be final


def default_targets(fault: Fault, market: Market, last: date) -> Iterable[Target]:
    """Return the facts that a fault alters.

    Sessions default to the sixth-last finished one (all finished ones for faults about ranges);
    symbols to those that the pattern is known for: all tickers, the largest `names`, the largest
    mid-cap for the sentinel, or every split with its day.
    """
    finished = market.session_dates(None, last)
    if fault.kind == "split_unadjusted":
        pairs = market.splits().select("ticker", "execution_date").rows()
        return [p for p in pairs if _wanted(fault.symbols, p[0]) and _wanted(fault.sessions, p[1])]
    sessions = fault.sessions or finished[-_DEFAULT_AGE:][:1]
    if fault.kind in ("old_window_empty", "start_anchor_ignored") and not fault.sessions:
        sessions = finished
    symbols = fault.symbols or _default_symbols(fault, market)
    return [
        (symbol, session)
        for session in sessions
        for symbol in symbols
        if _trades(market, symbol, session)
    ]


def _wanted(chosen: list[str] | list[date], value: object) -> bool:
    return not chosen or value in chosen


def _trades(market: Market, symbol: str, session: date) -> bool:
    listing = market.listings.get(symbol)
    return listing is not None and (
        market.sessions[listing.first].session <= session <= market.sessions[listing.last].session
    )


def _default_symbols(fault: Fault, market: Market) -> list[str]:
    by_size = sorted(market.specs, key=lambda spec: -spec.price * spec.daily_volume)
    if fault.kind == "sentinel_999_99":
        return [next((s for s in by_size if s.tier == "mid"), by_size[0]).symbol]
    if fault.kind in ("session_cut_1530", "closing_bar_missing", "off_exchange_prints"):
        return [spec.symbol for spec in by_size[: int(fault.number("names"))]]
    return list(market.listings)


# -- minute bars ---------------------------------------------------------------------------------


def altered_minutes(
    fault: Fault, market: Market, ticker: str, session: date, bars: pl.DataFrame, fetch: int
) -> pl.DataFrame:
    """Minute bars of a concerned symbol and session on the nth fetch."""
    alter = PATTERNS.get(fault.kind)
    return bars if alter is None else alter(fault, market, ticker, session, bars, fetch)


def _cut_at(hour: int, minute: int) -> Alteration:
    def cut(
        fault: Fault, market: Market, ticker: str, session: date, bars: pl.DataFrame, fetch: int
    ) -> pl.DataFrame:
        return bars.filter(pl.col("t") < eastern_ns(session, hour, minute) // 1_000_000)

    return cut


def _absent(
    fault: Fault, market: Market, ticker: str, session: date, bars: pl.DataFrame, fetch: int
) -> pl.DataFrame:
    return bars.clear()


def _no_closing_bar(
    fault: Fault, market: Market, ticker: str, session: date, bars: pl.DataFrame, fetch: int
) -> pl.DataFrame:
    close = market.session(session).close_ns
    return bars.filter(pl.col("t") != close // 1_000_000 - 60_000)


def _late(
    fault: Fault, market: Market, ticker: str, session: date, bars: pl.DataFrame, fetch: int
) -> pl.DataFrame:
    if fetch > fault.number("fetches"):
        return bars
    close = market.session(session).close_ns
    return bars.filter(pl.col("t") < close // 1_000_000 - fault.number("minutes") * 60_000)


def _revised(
    fault: Fault, market: Market, ticker: str, session: date, bars: pl.DataFrame, fetch: int
) -> pl.DataFrame:
    """Every nth bar ends inside its range elsewhere than first said, with a tenth more volume."""
    if fetch <= fault.number("fetches"):
        return bars
    chosen = pl.int_range(pl.len()) % int(fault.number("every_row")) == 0
    return bars.with_columns(
        c=pl.when(chosen & (pl.col("c") > pl.col("l"))).then("l").otherwise("c"),
        v=pl.when(chosen).then((pl.col("v") * 1.1).round(0)).otherwise("v"),
    )


def _incomplete(
    fault: Fault, market: Market, ticker: str, session: date, bars: pl.DataFrame, fetch: int
) -> pl.DataFrame:
    """One stretch is not delivered, away from both ends."""
    missing = max(1, round(bars.height * fault.number("missing_frac")))
    begin = int(_draw(fault, market, ticker, session).integers(1, max(2, bars.height - missing)))
    kept = pl.int_range(pl.len()).is_between(begin, begin + missing - 1).not_()
    return bars.filter(kept)


def _sentinel(
    fault: Fault, market: Market, ticker: str, session: date, bars: pl.DataFrame, fetch: int
) -> pl.DataFrame:
    chosen = _some_rows(fault, market, ticker, session, bars)
    columns = ["v"] if fault.option("field") == "volume" else ["o", "h", "l", "c", "vw"]
    return bars.with_columns(
        pl.when(chosen).then(_SENTINEL).otherwise(pl.col(name)).alias(name) for name in columns
    )


def _prints(
    fault: Fault, market: Market, ticker: str, session: date, bars: pl.DataFrame, fetch: int
) -> pl.DataFrame:
    """Isolated extremes in regular hours: alternately a high and a low."""
    away = fault.number("away_frac")
    chosen = _some_rows(fault, market, ticker, session, bars)
    up = pl.int_range(pl.len()) % 2 == 0
    return bars.with_columns(
        h=pl.when(chosen & up).then((pl.col("h") * (1 + away)).round(2)).otherwise("h"),
        l=pl.when(chosen & ~up).then((pl.col("l") * (1 - away)).round(2)).otherwise("l"),
    )


def _old_basis(
    fault: Fault, market: Market, ticker: str, session: date, bars: pl.DataFrame, fetch: int
) -> pl.DataFrame:
    """The day of the split still in shares of the day before."""
    split = market.splits().row(
        by_predicate=(pl.col("ticker") == ticker) & (pl.col("execution_date") == session),
        named=True,
    )
    ratio = split["split_to"] / split["split_from"]
    shares = pl.col("v") / ratio
    whole = (bars["v"] % 1 == 0).all()
    return bars.with_columns(
        (pl.col("o", "h", "l", "c", "vw") * ratio).round(4),
        v=shares.ceil() if whole else shares.round(6),
    )


def _some_rows(
    fault: Fault, market: Market, ticker: str, session: date, bars: pl.DataFrame
) -> pl.Expr:
    """Rows in regular hours, far apart, always the same for a symbol and session."""
    found = market.session(session)
    inside = bars["t"].is_between(
        found.open_ns // 1_000_000, found.close_ns // 1_000_000, closed="left"
    )
    rows = np.flatnonzero(inside.to_numpy())
    wanted = min(int(fault.number("bars")), rows.size)
    picked = _draw(fault, market, ticker, session).choice(rows, wanted, replace=False)
    return pl.int_range(pl.len()).is_in(sorted(picked.tolist()))


def _draw(fault: Fault, market: Market, ticker: str, session: date) -> np.random.Generator:
    return stream(market.seed, fault.kind, ticker, session.toordinal())


PATTERNS: dict[str, Alteration] = {
    "late_data": _late,
    "revised_data": _revised,
    "session_cut_1530": _cut_at(15, 30),
    "bars_end_at_noon": _cut_at(12, 0),
    "minute_file_absent": _absent,
    "closing_bar_missing": _no_closing_bar,
    "replay_incomplete": _incomplete,
    "sentinel_999_99": _sentinel,
    "off_exchange_prints": _prints,
    "split_unadjusted": _old_basis,
}
"""Fault to what it does with the minute bars of one concerned symbol and session."""


# -- daily bars and short volumes ----------------------------------------------------------------


def altered_daily(
    fault: Fault, market: Market, ticker: str, session: date, row: pl.DataFrame, fetch: int
) -> pl.DataFrame:
    """The daily bar; only revisions and the forgotten split reach it."""
    if fault.kind in ("revised_data", "split_unadjusted"):
        return PATTERNS[fault.kind](fault, market, ticker, session, row, fetch)
    return row


def altered_short_volume(
    fault: Fault, rows: pl.DataFrame, tickers: set[str], fetch: int
) -> pl.DataFrame:
    """FINRA's rows of a session: absent at first, revised later, or not all delivered."""
    concerned = pl.col("symbol").is_in(sorted(tickers))
    number = concerned.cum_sum() - 1
    if fault.kind == "late_data" and fetch <= fault.number("fetches"):
        return rows.filter(~(concerned & (number % 3 == 0)))
    if fault.kind == "revised_data" and fetch > fault.number("fetches"):
        chosen = concerned & (number % int(fault.number("every_row")) == 0)
        more = pl.when(chosen).then(pl.col("total") + MICRO).otherwise("total")
        return rows.with_columns(total=more)
    if fault.kind == "replay_incomplete":
        missing = max(1, round(rows.height * fault.number("missing_frac")))
        return rows.filter(~(concerned & (number < missing)))
    return rows
