"""The one owner of the window: which sessions a vendor's plan lets us ask for, now.

Nothing is ever asked outside of it, and an answer from outside of it is never believed to be
"confirmed empty": a plan that ends in two years' depth says nothing about the third.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date, timedelta

from tapemill.clock import Calendar, eastern_ns
from tapemill.intake.dates import exchange_today
from tapemill.settings import Settings

__all__ = ["Entitled", "clamp", "window"]

FINRA_FIRST_CONSOLIDATED_FILE = date(2018, 8, 1)
_FINRA_PUBLICATION_HOUR = 18


@dataclasses.dataclass(frozen=True, slots=True)
class Entitled:
    """Sessions wanted, divided by what may be asked.

    Parameters
    ----------
    available : list of date
        May be asked now.
    out_of_window : list of date
        Older than the plan reaches; terminal, never asked.
    not_yet : list of date
        Not closed or not published yet; stay pending.
    """

    available: list[date]
    out_of_window: list[date]
    not_yet: list[date]


def window(settings: Settings, calendar: Calendar, vendor: str, now_ns: int) -> tuple[date, date]:
    """First and last date that may appear in a request to `vendor`, both inclusive.

    The last date is a session; the window is empty when it lies before the first one.
    """
    today = exchange_today(now_ns)
    if vendor == "finra":
        return FINRA_FIRST_CONSOLIDATED_FILE, _last_published(calendar, today, now_ns)
    first = today - timedelta(days=settings.massive.history_days)
    return first, _last_closed(settings, calendar, today, now_ns)


def clamp(
    settings: Settings,
    calendar: Calendar,
    vendor: str,
    sessions: Sequence[date],
    now_ns: int,
) -> Entitled:
    """Divide `sessions` into those that may be asked, those that never may, and those to come.

    Parameters
    ----------
    settings : Settings
        The vendor's plan: ``history_days``, ``same_day``, ``feed_delay_minutes``.
    calendar : Calendar
    vendor : str
        ``massive`` or ``finra``.
    sessions : sequence of date
    now_ns : int
        Nanoseconds UTC of the injected clock.
    """
    first, last = window(settings, calendar, vendor, now_ns)
    return Entitled(
        available=[session for session in sessions if first <= session <= last],
        out_of_window=[session for session in sessions if session < first],
        not_yet=[session for session in sessions if session >= first and session > last],
    )


def _last_closed(settings: Settings, calendar: Calendar, today: date, now_ns: int) -> date:
    if settings.massive.same_day and calendar.is_session(today):
        delay_ns = settings.massive.feed_delay_minutes * 60_000_000_000
        if now_ns >= calendar.session(today).post_close_ns + delay_ns:
            return today
    return calendar.previous(today)


def _last_published(calendar: Calendar, today: date, now_ns: int) -> date:
    published = now_ns >= eastern_ns(today, _FINRA_PUBLICATION_HOUR)
    return today if published and calendar.is_session(today) else calendar.previous(today)
