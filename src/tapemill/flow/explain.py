"""One row of the scan in words: what moved, how far, with whom, and what is not known."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

__all__ = ["FULL_HISTORY", "explain"]

FULL_HISTORY = 60
"""Sessions of a whole baseline."""

_REASONS = {
    "class": "not ranked: not common stock, class share or fund",
    "no_volume": "not ranked: no off-exchange volume",
    "history": "not ranked: too little history to compare with",
    "presence": "not ranked: missing on too many of the sessions before",
    "price": "not ranked: price too low",
    "dollar_volume": "not ranked: too little dollar volume",
    "off_exchange_volume": "not ranked: too little off-exchange volume",
}


def explain(row: Mapping[str, Any], *, usual_days: int = FULL_HISTORY) -> str:
    """What a row of ``gold.flow_scan`` says, in one line.

    Parts that are not known are left out, or named where their absence matters.

    Parameters
    ----------
    row : mapping
        Column name → value; nulls as None, dates as date or ISO text.
    usual_days : int
        Sessions of history below which a baseline is named as short: 60, or fewer on an evening
        on which most names have fewer and its warnings say so once for all.

    Returns
    -------
    str
        For example ``"share +9 points on 1.4 × volume; peers +1; OTC unknown until 2021-02-08"``.
    """
    parts = [_headline(row), _peers(row), *_cautions(row, usual_days)]
    return "; ".join(part for part in parts if part)


def _headline(row: Mapping[str, Any]) -> str:
    share, usual, times = (row.get(k) for k in ("short_share", "baseline_share", "volume_ratio"))
    said = "no usual share to compare with" if share is not None else "no short share"
    if share is not None and usual is not None:
        said = f"share {_points(share - usual)} points"
    if times is not None:
        said += f" on {times:.1f} × volume"
    return said


def _peers(row: Mapping[str, Any]) -> str:
    points, sector = row.get("peer_share_points"), row.get("sector")
    if points is None:
        return f"sector {sector}" if sector else ""
    return f"peers {_points(points)}" + (f" ({sector})" if sector else "")


def _cautions(row: Mapping[str, Any], usual_days: int) -> list[str]:
    said = []
    run, days = row.get("run_length"), row.get("baseline_days")
    if run is not None and run >= 2:
        said.append(f"evening {run} in a row")
    if days is not None and days < usual_days:
        said.append(f"baseline of {days} days only")
    if row.get("p_source") == "own_evening":
        said.append("compared with its own evening only, less sure")
    if row.get("split"):
        said.append("split suspected" if row["split"] == "suspected" else "split today")
    due = row.get("otc_next_publication")
    if due is not None:
        day = due.isoformat() if isinstance(due, datetime.date) else str(due)
        said.append(f"OTC unknown until {day}")
    reason = row.get("ineligible_reason")
    if reason:
        said.append(_REASONS.get(reason, f"not ranked: {reason}"))
    return said


def _points(fraction: float) -> str:
    """A difference of shares in whole points, signed; one decimal where whole points say 0."""
    whole = round(100 * fraction)
    if whole or abs(fraction) < 0.0005:
        return f"{whole:+d}" if whole else "0"
    return f"{100 * fraction:+.1f}"
