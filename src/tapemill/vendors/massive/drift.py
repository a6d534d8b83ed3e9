"""The documented shape of Massive's answers: what any change is measured against."""

from __future__ import annotations

from typing import Any

import msgspec

from tapemill.contracts import Drift
from tapemill.vendors.rows import Field

__all__ = [
    "BAR",
    "DIVIDEND",
    "GROUPED_BAR",
    "MARKET_STATUS",
    "SPLIT",
    "TICKER",
    "Envelope",
    "envelope_drift",
]

BAR = (
    Field("t", "integer"),
    Field("o", "number"),
    Field("h", "number"),
    Field("l", "number"),
    Field("c", "number"),
    Field("v", "number"),
    Field("vw", "number", optional=True),
    Field("n", "integer", optional=True),
    Field("dv", "text", optional=True),
    Field("otc", "flag", optional=True),
)
GROUPED_BAR = (Field("T", "text"), *BAR)

SPLIT = (
    Field("ticker", "text"),
    Field("execution_date", "date"),
    Field("split_from", "number"),
    Field("split_to", "number"),
    Field("id", "text", optional=True),
    Field("adjustment_type", "text", optional=True),
    Field("historical_adjustment_factor", "number", optional=True),
)

DIVIDEND = (
    Field("ticker", "text"),
    Field("ex_dividend_date", "date"),
    Field("cash_amount", "number"),
    Field("currency", "text", optional=True),
    Field("declaration_date", "date", optional=True),
    Field("record_date", "date", optional=True),
    Field("pay_date", "date", optional=True),
    Field("frequency", "integer", optional=True),
    Field("dividend_type", "text", optional=True),
    Field("id", "text", optional=True),
)

TICKER = (
    Field("ticker", "text"),
    Field("name", "text", optional=True),
    Field("market", "text", optional=True),
    Field("locale", "text", optional=True),
    Field("primary_exchange", "text", optional=True),
    Field("type", "text", optional=True),
    Field("active", "flag", optional=True),
    Field("currency_name", "text", optional=True),
    Field("currency_symbol", "text", optional=True),
    Field("base_currency_name", "text", optional=True),
    Field("base_currency_symbol", "text", optional=True),
    Field("cik", "text", optional=True),
    Field("composite_figi", "text", optional=True),
    Field("share_class_figi", "text", optional=True),
    Field("list_date", "date", optional=True),
    Field("delisted_utc", "text", optional=True),
    Field("last_updated_utc", "text", optional=True),
)

MARKET_STATUS = (
    Field("date", "date"),
    Field("exchange", "text"),
    Field("status", "text"),
    Field("name", "text", optional=True),
    Field("open", "text", optional=True),
    Field("close", "text", optional=True),
)


class Envelope(msgspec.Struct, gc=False):
    """Everything around the rows. Types are left open here and judged one by one."""

    results: msgspec.Raw = msgspec.Raw()
    status: Any = None
    request_id: Any = None
    next_url: Any = None
    ticker: Any = None
    adjusted: Any = None
    results_count: Any = msgspec.field(name="resultsCount", default=None)
    count: Any = None
    error: Any = None
    message: Any = None
    error_message: Any = msgspec.field(name="Error Message", default=None)
    note: Any = msgspec.field(name="Note", default=None)
    information: Any = msgspec.field(name="Information", default=None)

    @property
    def text(self) -> str:
        """Every message of the answer, joined."""
        said = (self.error, self.message, self.error_message, self.note, self.information)
        return "; ".join(str(part) for part in said if part)

    @property
    def claimed(self) -> int | None:
        """How many rows the answer says it has; None if it does not say."""
        for value in (self.results_count, self.count):
            if isinstance(value, int) and not isinstance(value, bool):
                return value
        return None


_ENVELOPE: dict[str, type | tuple[type, ...]] = {
    "status": str,
    "request_id": str,
    "next_url": str,
    "ticker": str,
    "adjusted": bool,
    "results_count": int,
    "count": int,
}


def envelope_drift(envelope: Envelope) -> list[Drift]:
    """Fields around the rows whose type is no longer the documented one."""
    return [
        Drift("retyped", name, f"expected {kind}, got {type(value).__name__}")
        for name, kind in _ENVELOPE.items()
        if (value := getattr(envelope, name)) is not None and type(value) is not kind
    ]
