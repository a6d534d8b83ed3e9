"""Who trades in the synthetic market: liquidity tiers, price levels, volatility, planned events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tapemill.errors import UsageError

__all__ = ["SymbolSpec", "Tier", "specs_for"]

Tier = Literal["mega", "mid", "illiquid"]
Event = Literal["forward_split", "reverse_split", "symbol_change", "halt"]


@dataclass(frozen=True)
class SymbolSpec:
    """The planted parameters of one company.

    Attributes
    ----------
    symbol : str
        Current ticker, case-sensitive as at the vendor.
    tier : {"mega", "mid", "illiquid"}
        Liquidity: every minute trades, nearly every minute, about one minute in four.
    price : float
        Dollars at the first session, before any planned split.
    annual_vol, annual_drift : float
        Standard deviation and mean of yearly log returns (drift is ignored in null mode).
    daily_volume : float
        Median shares a session at the first session.
    dividend_yield : float
        Cash dividends a year as a fraction of price, paid quarterly; 0 pays none.
    beta : float
        Share of the daily shock that is the market's, in [0, 1].
    kind : str
        Vendor's ticker type: CS common stock, ETF fund, PFD preferred.
    exchange : str
        MIC of the primary listing.
    events : frozenset of str
        What is planned for this company.
    formerly : str
        Ticker before the symbol change; empty when it never changed.
    """

    symbol: str
    tier: Tier
    price: float
    annual_vol: float
    annual_drift: float
    daily_volume: float
    dividend_yield: float = 0.0
    beta: float = 0.5
    kind: str = "CS"
    exchange: str = "XNAS"
    events: frozenset[Event] = frozenset()
    formerly: str = ""


_ROSTER: tuple[SymbolSpec, ...] = (
    SymbolSpec("SPY", "mega", 520.0, 0.15, 0.08, 6.0e7, 0.013, 0.95, kind="ETF", exchange="ARCX"),
    SymbolSpec(
        "NVDA",
        "mega",
        880.0,
        0.45,
        0.20,
        4.5e7,
        0.0004,
        0.7,
        events=frozenset({"forward_split"}),
    ),
    SymbolSpec("AAPL", "mega", 190.0, 0.25, 0.10, 5.5e7, 0.005, 0.7),
    SymbolSpec("KO", "mid", 62.0, 0.16, 0.05, 1.1e6, 0.031, 0.4, exchange="XNYS"),
    SymbolSpec(
        "META",
        "mid",
        480.0,
        0.35,
        0.12,
        0.9e6,
        0.004,
        0.6,
        events=frozenset({"symbol_change"}),
        formerly="FB",
    ),
    SymbolSpec(
        "GNUS", "illiquid", 3.2, 0.60, -0.10, 6.0e4, events=frozenset({"reverse_split"}), beta=0.3
    ),
    SymbolSpec("BACpL", "illiquid", 1180.0, 0.10, 0.02, 1.2e4, 0.06, 0.2, "PFD", "XNYS"),
    SymbolSpec("MSTR", "mid", 140.0, 0.80, 0.15, 1.0e6, 0.0, 0.5, events=frozenset({"halt"})),
)

# fmt: off
_MORE_TICKERS = (
    "QQQ", "MSFT", "AMZN", "GOOGL", "TSLA", "AMD", "IWM", "JPM", "V", "UNH", "XOM",
    "JNJ", "WMT", "PG", "MA", "HD", "CVX", "MRK", "ABBV", "PEP", "COST", "ADBE",
    "CRM", "NFLX", "TMO", "CSCO", "ORCL", "ACN", "MCD", "ABT", "DHR", "WFC", "LIN",
    "TXN", "PM", "INTC", "VZ", "DIS", "NKE", "QCOM", "BA", "CAT", "GE", "IBM",
    "MMM", "AXP", "GS", "MS", "BLK", "SPGI", "LOW", "UPS",
)
# fmt: on


def specs_for(symbols: int | Sequence[str]) -> tuple[SymbolSpec, ...]:
    """Return the companies for a number of symbols, or for given tickers.

    Parameters
    ----------
    symbols : int or sequence of str
        A count takes the head of the built-in roster. A known ticker gets the roster's
        parameters; an unknown one borrows those of the roster line at its position.

    Raises
    ------
    UsageError
        If there are no symbols or a ticker comes twice.
    """
    names = _tickers(symbols) if isinstance(symbols, int) else list(symbols)
    if not names or len(set(names)) != len(names):
        raise UsageError(
            f"a market needs at least one symbol and no ticker twice, got {symbols!r}",
            next_step="pass symbols=8 or a list such as ['SPY', 'KO']",
        )
    known = {spec.symbol: spec for spec in _ROSTER}
    taken = set(names)
    return tuple(
        _without_collision(known.get(name) or _generic(name, position), taken)
        for position, name in enumerate(names)
    )


def _tickers(count: int) -> list[str]:
    head = [spec.symbol for spec in _ROSTER] + list(_MORE_TICKERS)
    return [*head, *(f"TM{number:04d}" for number in range(len(head), count))][:count]


def _generic(name: str, position: int) -> SymbolSpec:
    """Borrow the roster line at `position`; later rounds vary price and size, without events."""
    line = _ROSTER[position % len(_ROSTER)]
    turn = position // len(_ROSTER)
    spec = replace(
        line,
        symbol=name,
        kind="CS",
        formerly=f"{name}O" if line.formerly else "",
        price=line.price * (1.0 + 0.13 * turn) if line.price < 400 else line.price / (1 + turn),
        daily_volume=line.daily_volume * 0.93**turn,
    )
    return spec if turn == 0 else replace(spec, events=frozenset(), formerly="")


def _without_collision(spec: SymbolSpec, taken: set[str]) -> SymbolSpec:
    """Drop the symbol change when its old ticker is another company's name."""
    if spec.formerly and spec.formerly in taken:
        return replace(spec, formerly="", events=spec.events - {"symbol_change"})
    return spec
