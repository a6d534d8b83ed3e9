"""Reporting periods of FINRA: trading weeks and settlement dates, and when each is published.

A week is named by its Monday, holiday or not. Volumes of Tier 1 are published three weeks after
that Monday, those of Tier 2 and of OTC equities five weeks after it, a day later when the Monday of
publication is a holiday. Short interest is settled on the 15th (or the session before it) and on
the last session of a month, and published seven sessions later.
"""

from __future__ import annotations

from datetime import date, timedelta

from tapemill.clock.eastern import eastern_ns
from tapemill.clock.sessions import Calendar

__all__ = [
    "interest_final_ns",
    "interest_published_ns",
    "monday_of",
    "mondays",
    "settlement_after",
    "settlement_before",
    "settlement_dates",
    "week_final_ns",
    "week_published_ns",
]

_HOUR = 18
_TIER_1_DAYS = 21
_OTHER_TIERS_DAYS = 35
_WEEK_MARGIN_DAYS = 3
_INTEREST_SESSIONS = 7
_INTEREST_MARGIN_SESSIONS = 5
_MID_MONTH = 15


def monday_of(day: date) -> date:
    """Monday of the week of a date."""
    return day - timedelta(days=day.weekday())


def mondays(start: date, end: date) -> list[date]:
    """Mondays of all weeks that have a day from `start` to `end`, both inclusive."""
    first = monday_of(start)
    return [first + timedelta(days=step) for step in range(0, (end - first).days + 1, 7)]


def week_published_ns(monday: date, *, first_tier: bool) -> int:
    """Nanoseconds UTC at which a week is due: of Tier 1, or of all other tiers."""
    days = _TIER_1_DAYS if first_tier else _OTHER_TIERS_DAYS
    return eastern_ns(monday + timedelta(days=days), _HOUR)


def week_final_ns(monday: date) -> int:
    """Nanoseconds UTC from which all tiers of a week are out, holidays allowed for."""
    return eastern_ns(monday + timedelta(days=_OTHER_TIERS_DAYS + _WEEK_MARGIN_DAYS), _HOUR)


def settlement_dates(calendar: Calendar, start: date, end: date) -> list[date]:
    """Settlement dates of short interest from `start` to `end`, both inclusive."""
    found = []
    year, month = start.year, start.month
    while date(year, month, 1) <= end:
        following = date(year + month // 12, month % 12 + 1, 1)
        for latest in (date(year, month, _MID_MONTH), following - timedelta(days=1)):
            settled = latest if calendar.is_session(latest) else calendar.previous(latest)
            if start <= settled <= end:
                found.append(settled)
        year, month = following.year, following.month
    return found


def settlement_before(calendar: Calendar, settled: date) -> date:
    """The settlement date before `settled`."""
    return settlement_dates(calendar, settled - timedelta(days=40), settled - timedelta(days=1))[-1]


def settlement_after(calendar: Calendar, settled: date) -> date:
    """The settlement date after `settled`."""
    return settlement_dates(calendar, settled + timedelta(days=1), settled + timedelta(days=40))[0]


def interest_published_ns(calendar: Calendar, settled: date) -> int:
    """Nanoseconds UTC at which positions of a settlement date are due."""
    return eastern_ns(calendar.next(settled, _INTEREST_SESSIONS), _HOUR)


def interest_final_ns(calendar: Calendar, settled: date) -> int:
    """Nanoseconds UTC from which positions of a settlement date are out, delays allowed for."""
    sessions = _INTEREST_SESSIONS + _INTEREST_MARGIN_SESSIONS
    return eastern_ns(calendar.next(settled, sessions), _HOUR)
