"""Weeks and settlement dates, and when FINRA publishes them."""

from __future__ import annotations

from datetime import date

import pytest

from tapemill.clock import calendar, eastern_ns
from tapemill.clock.reporting import (
    interest_final_ns,
    interest_published_ns,
    monday_of,
    mondays,
    settlement_after,
    settlement_before,
    settlement_dates,
    week_final_ns,
    week_published_ns,
)

EXCHANGE = calendar("XNYS")


def test_weeks_are_those_with_a_day_in_the_range() -> None:
    assert monday_of(date(2026, 1, 4)) == date(2025, 12, 29)
    assert mondays(date(2026, 1, 7), date(2026, 1, 19)) == [
        date(2026, 1, 5),
        date(2026, 1, 12),
        date(2026, 1, 19),
    ]
    assert mondays(date(2026, 1, 10), date(2026, 1, 11)) == [date(2026, 1, 5)]


def test_a_week_comes_out_as_it_did() -> None:
    """Seen at FINRA: Tier 1 of 2023-11-06 on 2023-11-27, market totals on 2023-12-11."""
    monday = date(2023, 11, 6)
    assert week_published_ns(monday, first_tier=True) == eastern_ns(date(2023, 11, 27), 18)
    assert week_published_ns(monday, first_tier=False) == eastern_ns(date(2023, 12, 11), 18)
    assert week_final_ns(monday) == eastern_ns(date(2023, 12, 14), 18)


@pytest.mark.parametrize(
    ("year", "known"),
    [
        # FINRA's published schedule of settlement dates.
        (
            2024,
            "01-12 01-31 02-15 02-29 03-15 03-28 04-15 04-30 05-15 05-31 06-14 06-28 "
            "07-15 07-31 08-15 08-30 09-13 09-30 10-15 10-31 11-15 11-29 12-13 12-31",
        ),
        (2026, "08-14 08-31 09-15 09-30"),
    ],
)
def test_settlement_dates_are_those_of_the_schedule(year, known) -> None:
    wanted = [date.fromisoformat(f"{year}-{day}") for day in known.split()]
    assert settlement_dates(EXCHANGE, wanted[0], wanted[-1]) == wanted
    assert settlement_before(EXCHANGE, wanted[1]) == wanted[0]
    assert settlement_after(EXCHANGE, wanted[0]) == wanted[1]


def test_short_interest_is_out_seven_sessions_later() -> None:
    settled = date(2024, 1, 12)  # the 15th is a holiday
    assert interest_published_ns(EXCHANGE, settled) == eastern_ns(date(2024, 1, 24), 18)
    assert interest_final_ns(EXCHANGE, settled) == eastern_ns(date(2024, 1, 31), 18)
