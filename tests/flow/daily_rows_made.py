"""Rows of gold.flow_daily with the columns that signals and groups read."""

from __future__ import annotations

from datetime import date

import polars as pl

from tapemill.contracts import contract
from tapemill.flow.evening import evening_of

READY = {
    "has_short": True,
    "has_tape": False,
    "has_otc": False,
    "has_price": False,
    "status": "ready",
    "baseline_days": 60,
    "tape_mode": "none",
    "otc_status": "none",
    "pressure_label": "neutral",
}


def row(symbol: str, session: date, **facts) -> dict:
    moment = evening_of(session)
    stamped = {"as_of": moment, "known_at": moment, "year": session.year}
    return {"symbol": symbol, "session": session, **stamped, **READY, **facts}


def daily(rows: list[dict]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=contract("gold.flow_daily").schema)
