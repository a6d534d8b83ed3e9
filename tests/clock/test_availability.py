"""Availability against moments worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.clock import AVAILABILITY_RULES, eastern_ns, known_at_expr
from tapemill.errors import UnknownNameError, UsageError

UTC_US = pl.Datetime("us", "UTC")


def known(rule: str, columns: dict[str, object], **options: int) -> datetime | None:
    kinds = {"ts_event": pl.Int64, "ts_recv": UTC_US}
    frame = pl.DataFrame(
        {name: [value] for name, value in columns.items()},
        schema={name: kinds.get(name, pl.Date) for name in columns},
    )
    answer = frame.select(known_at_expr(rule, **options)).to_series()
    assert (answer.name, answer.dtype) == ("known_at", UTC_US)
    return answer.item()


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "columns", "options", "expected"),
    [
        (
            "bar_end",
            {"ts_event": eastern_ns(date(2024, 7, 8), 9, 30)},
            {},
            utc(2024, 7, 8, 13, 46),
        ),
        (
            "bar_end",
            {"ts_event": eastern_ns(date(2024, 7, 8), 9, 30)},
            {"feed_delay_minutes": 0},
            utc(2024, 7, 8, 13, 31),
        ),
        ("daily_bar", {"session": date(2024, 7, 8)}, {}, utc(2024, 7, 9, 0, 15)),
        ("daily_bar", {"session": date(2024, 1, 8)}, {}, utc(2024, 1, 9, 1, 15)),
        (
            "daily_bar",
            {"session": date(2024, 1, 8)},
            {"feed_delay_minutes": 0},
            utc(2024, 1, 9, 1, 0),
        ),
        ("finra_evening", {"session": date(2024, 3, 8)}, {}, utc(2024, 3, 8, 23)),
        ("finra_evening", {"session": date(2024, 3, 11)}, {}, utc(2024, 3, 11, 22)),
        ("ex_date_open", {"ex_date": date(2014, 6, 9)}, {}, utc(2014, 6, 9, 8)),
        (
            "declared_next_morning",
            {"declaration_date": date(2024, 3, 9), "ex_date": date(2024, 3, 20)},
            {},
            utc(2024, 3, 10, 12),  # the clocks changed that night
        ),
        (
            "declared_next_morning",
            {"declaration_date": None, "ex_date": date(2024, 1, 20)},
            {},
            utc(2024, 1, 20, 9),
        ),
        (
            "five_minute_end",
            {"ts_event": eastern_ns(date(2024, 7, 8), 9, 30)},
            {},
            utc(2024, 7, 8, 13, 50),
        ),
        ("otc_publication", {"last_update_date": date(2022, 7, 29)}, {}, utc(2022, 7, 29, 22)),
        # FINRA's own calendar: settled 2025-12-15, published 2025-12-24.
        (
            "short_interest_publication",
            {"settlement_date": date(2025, 12, 15)},
            {},
            utc(2025, 12, 26, 23),
        ),
        ("effective_date", {"valid_from": date(2024, 1, 2)}, {}, utc(2024, 1, 2, 9)),
        ("flow_evening", {"session": date(2024, 3, 8)}, {}, utc(2024, 3, 8, 23)),
        ("received", {"ts_recv": utc(2024, 1, 20, 9, 1, 2)}, {}, utc(2024, 1, 20, 9, 1, 2)),
    ],
)
def test_moments(rule, columns, options, expected) -> None:
    assert known(rule, columns, **options) == expected


@given(st.integers(0, 4 * 10**18))
def test_a_bar_is_never_known_before_its_end(ts_event: int) -> None:
    moment = known("bar_end", {"ts_event": ts_event}, feed_delay_minutes=0)
    end_ns = ts_event + 60 * 10**9
    microseconds = (moment - utc(1970, 1, 1)) // timedelta(microseconds=1)
    assert 0 <= microseconds * 1000 - end_ns < 1000


def test_missing_dates_stay_unknown() -> None:
    assert known("daily_bar", {"session": None}) is None


def test_every_rule_names_its_columns() -> None:
    frame = pl.LazyFrame(
        schema={
            "ts_event": pl.Int64,
            "session": pl.Date,
            "ex_date": pl.Date,
            "declaration_date": pl.Date,
            "ts_recv": UTC_US,
            "last_update_date": pl.Date,
            "settlement_date": pl.Date,
            "valid_from": pl.Date,
            "ts_gateway": pl.Int64,
            "valid_from_ns": pl.Int64,
            "end_ns": pl.Int64,
            "decision_ns": pl.Int64,
            "resolved_ns": pl.Int64,
        }
    )
    for name, rule in AVAILABILITY_RULES.items():
        assert sorted(known_at_expr(name).meta.root_names()) == sorted(rule.columns)
        assert frame.select(rule.columns).select(known_at_expr(name)).collect_schema() == {
            "known_at": UTC_US
        }
        assert rule.name == name
        assert rule.description.endswith(".")


def test_contracts_use_only_these_rules() -> None:
    from tapemill.contracts.dataset import KNOWN_AT_RULES

    assert set(KNOWN_AT_RULES) == set(AVAILABILITY_RULES)


def test_wrong_questions() -> None:
    with pytest.raises(UnknownNameError, match="bar_ends") as caught:
        known_at_expr("bar_ends")
    assert "did you mean 'bar_end'?" in str(caught.value)
    with pytest.raises(UsageError, match="5 minutes before"):
        known_at_expr("bar_end", feed_delay_minutes=-5)
