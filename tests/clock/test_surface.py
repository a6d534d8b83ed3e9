"""The names that other rooms may use."""

from __future__ import annotations

import tapemill.clock


def test_public_names() -> None:
    assert sorted(tapemill.clock.__all__) == [
        "AVAILABILITY_RULES",
        "AvailabilityRule",
        "Calendar",
        "CalendarName",
        "Clock",
        "EASTERN",
        "FixedClock",
        "SYSTEM_CLOCK",
        "Session",
        "SystemClock",
        "VirtualClock",
        "calendar",
        "eastern_datetime",
        "eastern_ns",
        "exchange_date",
        "known_at_expr",
    ]
    assert all(hasattr(tapemill.clock, name) for name in tapemill.clock.__all__)


def test_the_version_names_the_content_of_the_tables() -> None:
    versions = {tapemill.clock.calendar(name).version for name in ("XNYS", "CMES", "CBOE")}
    assert len(versions) == 1
    assert len(versions.pop()) == 16
