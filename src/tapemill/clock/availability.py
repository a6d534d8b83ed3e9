"""When a fact becomes known: the only place that says so.

An as-of read may use a row only when its ``known_at`` is not later than the moment asked for, so a
rule errs on the late side: a fact that arrives early is used a little later than possible, never
the other way round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from tapemill.clock.eastern import eastern_datetime
from tapemill.errors import UnknownNameError, UsageError, did_you_mean

__all__ = ["AVAILABILITY_RULES", "AvailabilityRule", "known_at_expr"]

_BAR_MICROSECONDS = 60_000_000
_MINUTE_MICROSECONDS = 60_000_000


@dataclass(frozen=True)
class AvailabilityRule:
    """How ``known_at`` follows from the columns of a row.

    Parameters
    ----------
    name : str
        What a dataset's declaration refers to.
    columns : tuple of str
        Columns that the rule reads.
    description : str
        One sentence for the data dictionary.
    expression : callable
        Feed delay in minutes → expression of ``Datetime("us", "UTC")``.
    """

    name: str
    columns: tuple[str, ...]
    description: str
    expression: Callable[[int], pl.Expr]


def _delay(minutes: int) -> pl.Expr:
    return pl.duration(minutes=minutes, time_unit="us")


def _bar_end(delay_minutes: int) -> pl.Expr:
    # Rounded up: a sub-microsecond remainder must not make a bar known before its end.
    start = -(-pl.col("ts_event") // 1000)
    known = start + _BAR_MICROSECONDS + delay_minutes * _MINUTE_MICROSECONDS
    return known.cast(pl.Datetime("us", "UTC"))


def _daily_bar(delay_minutes: int) -> pl.Expr:
    return eastern_datetime(pl.col("session"), 20) + _delay(delay_minutes)


def _finra_evening(_delay_minutes: int) -> pl.Expr:
    return eastern_datetime(pl.col("session"), 18)


def _ex_date_open(_delay_minutes: int) -> pl.Expr:
    return eastern_datetime(pl.col("ex_date"), 4)


def _declared_next_morning(delay_minutes: int) -> pl.Expr:
    declared = eastern_datetime(pl.col("declaration_date").dt.offset_by("1d"), 8)
    return pl.coalesce(declared, _ex_date_open(delay_minutes))


def _five_minute_end(delay_minutes: int) -> pl.Expr:
    start = -(-pl.col("ts_event") // 1000)
    known = start + 5 * _BAR_MICROSECONDS + delay_minutes * _MINUTE_MICROSECONDS
    return known.cast(pl.Datetime("us", "UTC"))


def _otc_publication(_delay_minutes: int) -> pl.Expr:
    return eastern_datetime(pl.col("last_update_date"), 18)


def _short_interest_publication(_delay_minutes: int) -> pl.Expr:
    # FINRA publishes on the seventh business day; two more leave room for holidays.
    return eastern_datetime(pl.col("settlement_date").dt.add_business_days(9, roll="forward"), 18)


def _effective_date(_delay_minutes: int) -> pl.Expr:
    return eastern_datetime(pl.col("valid_from"), 4)


def _received(_delay_minutes: int) -> pl.Expr:
    return pl.col("ts_recv").cast(pl.Datetime("us", "UTC"))


def _half_hour_end(_delay_minutes: int) -> pl.Expr:
    start = -(-pl.col("ts_event") // 1000)
    return (start + 30 * _BAR_MICROSECONDS).cast(pl.Datetime("us", "UTC"))


def _trade_date_end(_delay_minutes: int) -> pl.Expr:
    return eastern_datetime(pl.col("session"), 17)


def _moment(column: str) -> Callable[[int], pl.Expr]:
    """Rule: the nanoseconds of one column, rounded up to a microsecond."""

    def expression(_delay_minutes: int) -> pl.Expr:
        return (-(-pl.col(column) // 1000)).cast(pl.Datetime("us", "UTC"))

    return expression


AVAILABILITY_RULES: dict[str, AvailabilityRule] = {
    rule.name: rule
    for rule in (
        AvailabilityRule(
            "bar_end",
            ("ts_event",),
            "End of the one-minute bar plus the delay of the feed.",
            _bar_end,
        ),
        AvailabilityRule(
            "daily_bar",
            ("session",),
            "20:00 New York of the session, when extended trading ends, plus the delay of the feed"
            " (on short days too, although they end at 17:00).",
            _daily_bar,
        ),
        AvailabilityRule(
            "finra_evening",
            ("session",),
            "18:00 New York of the trade date, when FINRA publishes the daily files.",
            _finra_evening,
        ),
        AvailabilityRule(
            "ex_date_open",
            ("ex_date",),
            "04:00 New York of the ex-date, when trading at the new terms begins.",
            _ex_date_open,
        ),
        AvailabilityRule(
            "declared_next_morning",
            ("declaration_date", "ex_date"),
            "08:00 New York of the day after the declaration; 04:00 of the ex-date where the vendor"
            " names no declaration.",
            _declared_next_morning,
        ),
        AvailabilityRule(
            "received",
            ("ts_recv",),
            "The moment the answer arrived here.",
            _received,
        ),
        AvailabilityRule(
            "five_minute_end",
            ("ts_event",),
            "End of the five-minute sum plus the delay of the feed.",
            _five_minute_end,
        ),
        AvailabilityRule(
            "otc_publication",
            ("last_update_date",),
            "18:00 New York of the date on which FINRA published, or last restated, the week.",
            _otc_publication,
        ),
        AvailabilityRule(
            "short_interest_publication",
            ("settlement_date",),
            "18:00 New York nine weekdays after settlement: FINRA publishes on the seventh business"
            " day, and two holidays may lie in between.",
            _short_interest_publication,
        ),
        AvailabilityRule(
            "effective_date",
            ("valid_from",),
            "04:00 New York of the date from which the membership counts.",
            _effective_date,
        ),
        AvailabilityRule(
            "flow_evening",
            ("session",),
            "18:00 New York of the session: the row was computed from what was known by then.",
            _finra_evening,
        ),
        AvailabilityRule(
            "venue_receipt",
            ("ts_gateway",),
            "The moment the vendor's gateway at the venue had it.",
            _moment("ts_gateway"),
        ),
        AvailabilityRule("half_hour_end", ("ts_event",), "End of the half hour.", _half_hour_end),
        AvailabilityRule(
            "trade_date_end",
            ("session",),
            "17:00 New York of the trade date, when Globex closes.",
            _trade_date_end,
        ),
        AvailabilityRule(
            "level_valid",
            ("valid_from_ns",),
            "The moment from which the level stood at this price.",
            _moment("valid_from_ns"),
        ),
        AvailabilityRule(
            "episode_end", ("end_ns",), "The moment the episode ended.", _moment("end_ns")
        ),
        AvailabilityRule(
            "decision", ("decision_ns",), "The moment of decision.", _moment("decision_ns")
        ),
        AvailabilityRule(
            "outcome_resolved",
            ("resolved_ns",),
            "The moment the outcome was known.",
            _moment("resolved_ns"),
        ),
    )
}


def known_at_expr(rule: str, *, feed_delay_minutes: int = 15) -> pl.Expr:
    """Expression that gives the moment a row could first be acted on.

    Parameters
    ----------
    rule : str
        A key of `AVAILABILITY_RULES`; the rule's `columns` must be in the frame.
    feed_delay_minutes : int, default 15
        Delay of the vendor's plan, for bars only; 0 for a real-time plan.

    Returns
    -------
    pl.Expr
        ``Datetime("us", "UTC")``, named ``known_at``; null where its columns are null.

    Raises
    ------
    UnknownNameError
        When there is no such rule.
    UsageError
        When the delay is negative.
    """
    if rule not in AVAILABILITY_RULES:
        raise UnknownNameError(
            f"there is no availability rule {rule!r}",
            next_step=did_you_mean(rule, AVAILABILITY_RULES)
            or f"known: {', '.join(AVAILABILITY_RULES)}",
        )
    if feed_delay_minutes < 0:
        raise UsageError(
            f"a feed cannot deliver {-feed_delay_minutes} minutes before the fact",
            where="feed_delay_minutes",
            next_step="give 0 or more minutes",
        )
    return AVAILABILITY_RULES[rule].expression(feed_delay_minutes).alias("known_at")
