"""The exchange's date of a moment."""

from __future__ import annotations

from datetime import UTC, date, datetime

from tapemill.clock import EASTERN

__all__ = ["exchange_today"]


def exchange_today(now_ns: int) -> date:
    """The calendar date in New York at `now_ns` (nanoseconds UTC)."""
    return datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).astimezone(EASTERN).date()
