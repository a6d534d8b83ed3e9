"""Sessions against published facts: exchange notices, holiday lists, counts by hand."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.clock import calendar, eastern_ns, exchange_date
from tapemill.errors import DateError, UnknownNameError

NEW_YORK = ZoneInfo("America/New_York")
XNYS, CMES, CBOE = calendar("XNYS"), calendar("CMES"), calendar("CBOE")


def local(ns: int) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).astimezone(NEW_YORK).strftime("%m-%d %H:%M")


@pytest.mark.parametrize(
    ("year", "sessions", "minutes"),
    [
        (2022, 251, 97_710),
        (2023, 250, 97_140),
        (2024, 252, 97_740),
        (2025, 250, 96_960),
        (2026, 251, 97_530),
    ],
)
def test_minutes_a_year(year: int, sessions: int, minutes: int) -> None:
    frame = XNYS.frame(date(year, 1, 1), date(year, 12, 31))
    assert (frame.height, frame["minutes"].sum()) == (sessions, minutes)


# NYSE's published closings.
NYSE_CLOSED = {
    2012: "01-02 01-16 02-20 04-06 05-28 07-04 09-03 10-29 10-30 11-22 12-25",
    2018: "01-01 01-15 02-19 03-30 05-28 07-04 09-03 11-22 12-05 12-25",
    2021: "01-01 01-18 02-15 04-02 05-31 07-05 09-06 11-25 12-24",
    2022: "01-17 02-21 04-15 05-30 06-20 07-04 09-05 11-24 12-26",
    2025: "01-01 01-09 01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25",
    2026: "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25",
    2027: "01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24",
}


@pytest.mark.parametrize("year", NYSE_CLOSED)
def test_published_holidays(year: int) -> None:
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(365 + (year % 4 == 0))]
    closed = [day for day in days if day.weekday() < 5 and not XNYS.is_session(day)]
    assert " ".join(day.strftime("%m-%d") for day in closed) == NYSE_CLOSED[year]


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        ("2001-09-11", "terrorist attacks"),
        ("2001-09-14", "terrorist attacks"),
        ("2004-06-11", "day of mourning, Ronald Reagan"),
        ("2007-01-02", "day of mourning, Gerald Ford"),
        ("2012-10-30", "Hurricane Sandy"),
        ("2018-12-05", "day of mourning, George H. W. Bush"),
        ("2025-01-09", "day of mourning, Jimmy Carter"),
        ("2026-07-03", "Independence Day observed"),
        ("2024-03-29", "Good Friday"),
        ("2024-06-15", "weekend"),
        ("2024-06-14", ""),
    ],
)
def test_reason_of_a_closed_date(day: str, reason: str) -> None:
    assert XNYS.closed_reason(date.fromisoformat(day)) == reason


def test_early_closes_2022_to_2026() -> None:
    published = (
        "2022-11-25 2023-07-03 2023-11-24 2024-07-03 2024-11-29 2024-12-24 "
        "2025-07-03 2025-11-28 2025-12-24 2026-11-27 2026-12-24"
    )
    frame = XNYS.frame(date(2022, 1, 1), date(2026, 12, 31)).filter("early_close")
    assert " ".join(map(str, frame["session"])) == published
    assert frame["minutes"].unique().to_list() == [210]
    for day in frame["session"]:
        assert local(XNYS.session(day).close_ns).endswith("13:00")
        assert local(XNYS.session(day).post_close_ns).endswith("17:00")
        assert local(CBOE.session(day).close_ns).endswith("13:15")
        assert XNYS.session(day).reason


def test_extended_window_of_a_regular_day() -> None:
    session = XNYS.session(date(2024, 7, 8))
    assert [local(ns) for ns in (session.pre_open_ns, session.open_ns)] == [
        "07-08 04:00",
        "07-08 09:30",
    ]
    assert [local(ns) for ns in (session.close_ns, session.post_close_ns)] == [
        "07-08 16:00",
        "07-08 20:00",
    ]
    assert (session.early_close, session.minutes, session.reason) == (False, 390, "")
    assert local(CBOE.session(date(2024, 7, 8)).close_ns) == "07-08 16:15"


@pytest.mark.parametrize(
    ("day", "open_utc"),
    [
        ("2024-03-08", "14:30"),  # Friday before the clocks go forward
        ("2024-03-11", "13:30"),
        ("2024-11-01", "13:30"),  # Friday before they go back
        ("2024-11-04", "14:30"),
        ("2006-03-31", "14:30"),  # the rule before 2007: first Sunday of April
        ("2006-04-03", "13:30"),
    ],
)
def test_opening_follows_daylight_saving(day: str, open_utc: str) -> None:
    session = XNYS.session(date.fromisoformat(day))
    assert datetime.fromtimestamp(session.open_ns // 10**9, UTC).strftime("%H:%M") == open_utc
    assert session.minutes == 390


def test_late_open_of_2002() -> None:
    session = XNYS.session(date(2002, 9, 11))
    assert local(session.open_ns) == "09-11 12:00"
    assert (session.minutes, session.early_close) == (240, False)


@pytest.mark.parametrize(
    ("day", "opens", "closes", "minutes"),
    [
        ("2024-07-08", "07-07 18:00", "07-08 17:00", 1380),
        ("2020-01-20", "01-19 18:00", "01-20 13:00", 1140),
        ("2020-02-17", "02-16 18:00", "02-17 13:00", 1140),
        ("2025-11-28", "11-27 18:00", "11-28 13:15", 1155),
        ("2023-04-07", "04-06 18:00", "04-07 09:15", 915),
        ("2025-01-09", "01-08 18:00", "01-09 09:30", 930),
        ("2013-07-04", "07-03 18:00", "07-04 11:30", 1050),
        ("2024-03-11", "03-10 18:00", "03-11 17:00", 1380),
    ],
)
def test_globex_hours(day: str, opens: str, closes: str, minutes: int) -> None:
    session = CMES.session(date.fromisoformat(day))
    assert (local(session.open_ns), local(session.close_ns)) == (opens, closes)
    assert session.minutes == minutes
    assert (session.pre_open_ns, session.post_close_ns) == (session.open_ns, session.close_ns)


def test_globex_sessions_never_overlap() -> None:
    frame = CMES.frame(*CMES.coverage)
    gap = frame["open_ns"].shift(-1) - frame["close_ns"]
    assert gap.drop_nulls().min() >= 3600 * 10**9


def test_globex_trade_dates() -> None:
    moments = {
        (date(2024, 7, 5), 16, 59): date(2024, 7, 5),
        (date(2024, 7, 7), 18, 0): date(2024, 7, 8),  # Sunday evening
        (date(2024, 7, 8), 17, 59): date(2024, 7, 8),  # daily break
        (date(2024, 7, 8), 18, 0): date(2024, 7, 9),
        (date(2024, 12, 24), 18, 0): date(2024, 12, 26),  # closed on Christmas Day
        (date(2024, 12, 31), 16, 0): date(2024, 12, 31),
        (date(2025, 1, 1), 18, 0): date(2025, 1, 2),
        (date(2024, 7, 6), 12, 0): date(2024, 7, 8),  # Saturday
        (date(2024, 3, 10), 18, 0): date(2024, 3, 11),  # day the clocks change
    }
    stamps = pl.Series("ts_event", [eastern_ns(*moment) for moment in moments])
    assert CMES.trade_dates(stamps).to_list() == list(moments.values())


def test_trade_dates_keep_nulls_name_and_emptiness() -> None:
    stamps = pl.Series("ts_event", [None, eastern_ns(date(2024, 7, 8), 19, 30)], dtype=pl.Int64)
    for market, expected in ((XNYS, date(2024, 7, 8)), (CMES, date(2024, 7, 9))):
        answer = market.trade_dates(stamps)
        assert (answer.name, answer.dtype, answer.to_list()) == (
            "ts_event",
            pl.Date,
            [None, expected],
        )
        assert market.trade_dates(stamps.clear()).dtype == pl.Date
        assert market.trade_dates(stamps[:1]).to_list() == [None]


def test_stock_trade_date_is_the_new_york_date() -> None:
    late = eastern_ns(date(2024, 1, 2), 19, 59)  # already 3 January in UTC
    assert XNYS.trade_dates(pl.Series([late])).to_list() == [date(2024, 1, 2)]


def test_trade_dates_refuse_what_the_table_does_not_know() -> None:
    with pytest.raises(DateError, match="1996-12-31 lies outside the CMES"):
        CMES.trade_dates(pl.Series([eastern_ns(date(1996, 12, 31), 9)]))
    for evening in (CMES.coverage[1], date(2028, 12, 29)):  # the last Sunday and Friday
        with pytest.raises(DateError, match="2029-01-01 lies outside the CMES"):
            CMES.trade_dates(pl.Series([eastern_ns(evening, 18)]))


def test_steps_between_sessions() -> None:
    assert XNYS.next(date(2025, 1, 8)) == date(2025, 1, 10)
    assert XNYS.previous(date(2025, 1, 10)) == date(2025, 1, 8)
    assert XNYS.next(date(2025, 1, 9)) == date(2025, 1, 10)
    assert XNYS.previous(date(2025, 1, 9)) == date(2025, 1, 8)
    assert XNYS.next(date(2001, 9, 10)) == date(2001, 9, 17)
    assert XNYS.previous(date(2024, 7, 8), 3) == date(2024, 7, 2)
    with pytest.raises(DateError):
        XNYS.previous(XNYS.coverage[0])


@given(st.dates(date(1997, 1, 3), date(2028, 12, 28)))
def test_ordinals_count_sessions(day: date) -> None:
    after = XNYS.next(day)
    assert XNYS.date_of(XNYS.ordinal(after)) == after
    before = XNYS.previous(after)
    assert XNYS.ordinal(after) - XNYS.ordinal(before) == 1
    assert XNYS.session_dates(before, after) == [before, after]
    assert (before == day) == XNYS.is_session(day)


def test_frame_agrees_with_sessions() -> None:
    start, end = date(2024, 11, 25), date(2024, 12, 6)
    frame = XNYS.frame(start, end)
    assert frame.schema == {
        "session": pl.Date,
        "open_ns": pl.Int64,
        "close_ns": pl.Int64,
        "pre_open_ns": pl.Int64,
        "post_close_ns": pl.Int64,
        "minutes": pl.Int32,
        "early_close": pl.Boolean,
    }
    rows = [
        (s.session, s.open_ns, s.close_ns, s.pre_open_ns, s.post_close_ns, s.minutes, s.early_close)
        for s in XNYS.sessions(start, end)
    ]
    assert frame.rows() == rows
    assert len(rows) == 9


@pytest.mark.parametrize("day", [date(1996, 12, 31), date(2029, 1, 1)])
def test_dates_beyond_the_table(day: date) -> None:
    for call in (XNYS.is_session, XNYS.session, XNYS.next, XNYS.ordinal, XNYS.closed_reason):
        with pytest.raises(DateError, match="session table") as caught:
            call(day)
        assert "1997-01-01 to 2028-12-31" in str(caught.value)


def test_wrong_questions() -> None:
    with pytest.raises(DateError, match="Jimmy Carter") as caught:
        XNYS.session(date(2025, 1, 9))
    assert "2025-01-08, 2025-01-10" in str(caught.value)
    with pytest.raises(DateError, match="after its end"):
        XNYS.sessions(date(2025, 2, 1), date(2025, 1, 1))
    with pytest.raises(UnknownNameError, match="XNSY"):
        calendar("XNSY")  # type: ignore[arg-type]
    with pytest.raises(DateError, match="no session number -1"):
        XNYS.date_of(-1)


def test_weekends_only_range_is_empty() -> None:
    assert XNYS.sessions(date(2024, 7, 6), date(2024, 7, 7)) == []
    assert XNYS.frame(date(2024, 7, 6), date(2024, 7, 7)).height == 0


@given(st.dates(date(1997, 1, 1), date(2028, 12, 31)), st.integers(3, 23), st.integers(0, 59))
def test_eastern_ns_round_trip(day: date, hour: int, minute: int) -> None:
    ns = eastern_ns(day, hour, minute)
    wall = datetime.fromtimestamp(ns // 10**9, UTC).astimezone(NEW_YORK)
    assert (wall.date(), wall.time()) == (day, time(hour, minute))
    stamped = pl.DataFrame({"ts": [ns, None]}, schema={"ts": pl.Int64})
    assert stamped.select(exchange_date(pl.col("ts"))).to_series().to_list() == [day, None]


@pytest.mark.real
def test_globex_closes_seen_in_real_bars(real_data) -> None:
    bars = pl.read_parquet(real_data / "bars/es/ES_1m_ohlc_2025-07_2025-12.parquet")
    stamps = bars["datetime"].cast(pl.Datetime("ns")).dt.timestamp("ns").alias("ts_event")
    seen = (
        pl.DataFrame({"ts_event": stamps, "session": CMES.trade_dates(stamps)})
        .group_by("session")
        .agg(first=pl.col("ts_event").min(), last=pl.col("ts_event").max(), bars=pl.len())
        .sort("session")
    )
    truth = CMES.frame(seen["session"][0], seen["session"][-1])
    assert seen.join(truth, on="session", how="anti").is_empty()
    both = seen.head(-1).join(truth, on="session")  # the file ends within its last session
    assert both.height == 77  # a hole of 15 sessions in the file
    assert (both["last"] + 60 * 10**9 - both["close_ns"]).unique().to_list() == [0]
    # The one late opening is CME's cooling failure in the night of 2025-11-28.
    late = both.filter(pl.col("first") != pl.col("open_ns"))["session"].to_list()
    assert set(late) <= {date(2025, 11, 28)}
    assert both.filter(pl.col("bars") > pl.col("minutes")).is_empty()


@pytest.mark.real
def test_half_sessions_seen_in_real_bars_of_2020(real_data) -> None:
    path = real_data / "bars/es/lumibot-es-like-1m-rth-2020-01-02_2020-04-22.csv"
    stamps = pl.read_csv(path).to_series(0).str.slice(0, 10).str.to_date()
    counts = dict(stamps.value_counts().rows())
    half = {day for day, bars in counts.items() if bars == 210}
    assert half == {date(2020, 1, 20), date(2020, 2, 17)}
    assert set(counts) - half == set(XNYS.session_dates(date(2020, 1, 2), date(2020, 4, 22)))
    for day in half:
        assert not XNYS.is_session(day)
        assert CMES.session(day).early_close


def test_the_table_is_what_its_generator_makes(repo_root) -> None:
    script = repo_root / "scripts" / "make_sessions.py"
    command = [sys.executable, "-W", "ignore", str(script), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
