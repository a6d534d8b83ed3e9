"""Time: exchange sessions, when facts become known, and the injected clock.

In: the committed session table. Out: sessions, trade dates and availability rules for every room
above. Reading the machine's clock is allowed in `tapemill.clock.injected` alone.
"""

from __future__ import annotations

from tapemill.clock.availability import AVAILABILITY_RULES, AvailabilityRule, known_at_expr
from tapemill.clock.eastern import EASTERN, eastern_datetime, eastern_ns, exchange_date
from tapemill.clock.injected import SYSTEM_CLOCK, Clock, FixedClock, SystemClock, VirtualClock
from tapemill.clock.sessions import Calendar, CalendarName, Session, calendar

__all__ = [
    "AVAILABILITY_RULES",
    "EASTERN",
    "SYSTEM_CLOCK",
    "AvailabilityRule",
    "Calendar",
    "CalendarName",
    "Clock",
    "FixedClock",
    "Session",
    "SystemClock",
    "VirtualClock",
    "calendar",
    "eastern_datetime",
    "eastern_ns",
    "exchange_date",
    "known_at_expr",
]
