from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from refine import lean
from tapemill.clock import calendar
from tapemill.contracts import contract
from tapemill.lake.adjust import adjust
from tapemill.refine.adjustments import adjustments

UTC_US = pl.Datetime("us", "UTC")
SESSIONS = calendar("XNYS").frame(date(1998, 1, 2), date(2024, 12, 31))

# Apple's announcements (investor.apple.com, dividend history): ex-date and dollars a share.
APPLE_DIVIDENDS = """
2012-08-09 2.65 2012-11-07 2.65 2013-02-07 2.65 2013-05-09 3.05 2013-08-08 3.05 2013-11-06 3.05
2014-02-06 3.05 2014-05-08 3.29 2014-08-07 0.47 2014-11-06 0.47 2015-02-05 0.47 2015-05-07 0.52
2015-08-06 0.52 2015-11-05 0.52 2016-02-04 0.52 2016-05-05 0.57 2016-08-04 0.57 2016-11-03 0.57
2017-02-09 0.57 2017-05-11 0.63 2017-08-10 0.63 2017-11-10 0.63 2018-02-09 0.63 2018-05-11 0.73
2018-08-10 0.73 2018-11-08 0.73 2019-02-08 0.73 2019-05-10 0.77 2019-08-09 0.77 2019-11-07 0.77
2020-02-07 0.77 2020-05-08 0.82 2020-08-07 0.82 2020-11-06 0.205 2021-02-05 0.205
"""
APPLE_SPLITS = [
    ("2000-06-21", 1, 2),
    ("2005-02-28", 1, 2),
    ("2014-06-09", 1, 7),
    ("2020-08-31", 1, 4),
]


def stamped(rows: list[dict[str, object]], dataset: str) -> pl.DataFrame:
    """Bronze rows with provenance filled in where a test does not care."""
    declared = contract(dataset)
    filled = [
        {
            "source": "massive.rest",
            "raw_sha256": "a" * 64,
            "ordinal": number,
            "ts_recv": lean.RECEIVED,
            "known_at": lean.RECEIVED,
            "year": row["ex_date"].year,
            **row,
        }
        for number, row in enumerate(rows)
    ]
    return (
        declared.conform(pl.DataFrame(filled, schema_overrides=declared.schema, strict=False))
        if (filled)
        else declared.empty()
    )


def split(symbol: str, ex_date: date, old: float, new: float, **more: object) -> dict[str, object]:
    return {"symbol": symbol, "ex_date": ex_date, "split_from": old, "split_to": new, **more}


def dividend(symbol: str, ex_date: date, cash: float, **more: object) -> dict[str, object]:
    return {"symbol": symbol, "ex_date": ex_date, "cash_amount": cash, "currency": "USD", **more}


def splits_of(rows: list[dict[str, object]]) -> pl.DataFrame:
    return stamped(rows, "bronze.massive_splits")


def dividends_of(rows: list[dict[str, object]]) -> pl.DataFrame:
    return stamped(rows, "bronze.massive_dividends")


def closes_of(*rows: tuple[str, date, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["symbol", "session", "close"], orient="row").with_columns(
        known_at=pl.col("session").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        superseded_at=pl.lit(None, dtype=UTC_US),
    )


def apple(data: Path) -> pl.DataFrame:
    words = APPLE_DIVIDENDS.split()
    pairs = list(zip(words[::2], words[1::2], strict=True))
    return adjustments(
        splits_of([split("AAPL", date.fromisoformat(d), f, t) for d, f, t in APPLE_SPLITS]),
        dividends_of([dividend("AAPL", date.fromisoformat(d), float(c)) for d, c in pairs]),
        lean.closes(data, "aapl"),
        SESSIONS,
    ).rows


def cumulative(rows: pl.DataFrame, kinds: tuple[str, ...], day: date) -> float:
    events = rows.filter(pl.col("kind").is_in(kinds) & (pl.col("ex_date") > day))
    return float(events["price_factor_frac"].product())


@pytest.mark.real
def test_published_apple_events_give_the_factors_of_lean(real_data: Path) -> None:
    rows = apple(real_data)
    assert rows["price_factor_frac"].null_count() == 0
    for row in lean.factors(real_data, "aapl").iter_rows(named=True):
        if row["session"].year > 2021:
            continue
        assert cumulative(rows, ("split",), row["session"]) == pytest.approx(
            row["splits"], abs=1e-6
        )
        ours = cumulative(rows, ("dividend",), row["session"])
        assert ours == pytest.approx(row["dividends"], abs=6e-6), row["session"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("ticker", "first"),
    [
        ("spy", date(1998, 1, 2)),
        ("ibm", date(1998, 1, 2)),
        ("iwm", date(2000, 5, 26)),
        ("aig", date(1998, 1, 2)),
        ("eem", date(2003, 4, 14)),
        # The sample's earlier bars are another company's than its factors, or are absent.
        ("bac", date(1998, 12, 1)),
        ("qqq", date(2011, 3, 24)),
    ],
)
def test_cumulative_factors_equal_lean(real_data: Path, ticker: str, first: date) -> None:
    table = lean.factors(real_data, ticker)
    splits, dividends, _ = events_behind(table, ticker.upper())
    closes = lean.closes(real_data, ticker)
    rows = adjustments(splits_of(splits), dividends_of(dividends), closes, SESSIONS).rows
    judged = table.filter(pl.col("session").is_between(first, date(2021, 3, 1)))
    assert judged.height > 5
    last = judged["session"].max()
    base = cumulative(rows, ("dividend",), last) / judged["dividends"][-1]
    for row in judged.iter_rows(named=True):
        ours = cumulative(rows, ("dividend",), row["session"])
        assert ours == pytest.approx(row["dividends"] * base, abs=3e-5), row["session"]
        ours = cumulative(rows, ("split",), row["session"])
        assert ours == pytest.approx(row["splits"], rel=1e-5)


def events_behind(
    table: pl.DataFrame, symbol: str
) -> tuple[list[dict[str, object]], list[dict[str, object]], list[date]]:
    """The splits and dividends that a factor file implies, by its reference prices."""
    splits, dividends, days = [], [], []
    rows = table.rows(named=True)
    for row, after in itertools.pairwise(rows):
        if row["session"].year > 2024:
            continue
        ex_date = calendar("XNYS").next(row["session"])
        ratio = row["splits"] / after["splits"]
        if abs(ratio - 1) > 1e-9:
            splits.append(split(symbol, ex_date, round(ratio, 6), 1.0))
        paid = 1 - row["dividends"] / after["dividends"]
        if paid > 1e-9 and row["reference"] > 1:
            dividends.append(dividend(symbol, ex_date, row["reference"] * paid))
            days.append(ex_date)
    return splits, dividends, days


@pytest.mark.real
def test_apple_split_is_continuous_and_moves_nothing_else(real_data: Path) -> None:
    rows = apple(real_data)
    raw = lean.daily(real_data, "aapl").filter(pl.col("session").dt.year() == 2014)
    seen = adjust(raw.lazy(), rows.filter(pl.col("ex_date") < date(2020, 1, 1)), "split").collect()
    move = seen.with_columns(move=(pl.col("close") / pl.col("close").shift(1)).log())
    raw_move = raw.with_columns(move=(pl.col("close") / pl.col("close").shift(1)).log())
    on_day = raw_move.filter(pl.col("session") == date(2014, 6, 9))["move"][0]
    assert on_day < -1.9
    assert move["move"].abs().max() < 0.09
    others = pl.col("session") != date(2014, 6, 9)
    assert_frame_equal(move.filter(others).select("move"), raw_move.filter(others).select("move"))
    # Dollars traded are the same on any basis.
    assert (seen["close"] * seen["volume"]).to_list() == pytest.approx(
        (raw["close"] * raw["volume"]).to_list()
    )
    at = seen.filter(pl.col("session") == date(2014, 6, 6)).row(0, named=True)
    assert at["close"] == pytest.approx(645.57 / 7)


@pytest.mark.real
@pytest.mark.parametrize(
    ("ticker", "formerly", "ex_date", "old", "new"),
    [
        ("googl", "goog", date(2014, 4, 3), 1, 2),
        ("goog", "goocv", date(2015, 4, 27), 10000, 10027),
    ],
)
def test_alphabet_splits_are_continuous(
    real_data: Path, ticker: str, formerly: str, ex_date: date, old: int, new: int
) -> None:
    """Until 2014-04-02 class A traded as GOOG and class C, when issued, as GOOCV."""
    change, symbol = date(2014, 4, 3), pl.lit(ticker.upper()).alias("symbol")
    before = lean.daily(real_data, formerly).filter(pl.col("session") < change)
    after = lean.daily(real_data, ticker).filter(pl.col("session") >= change)
    raw = pl.concat([before, after]).with_columns(symbol)
    closes = lean.closes(real_data, ticker)
    rows = adjustments(
        splits_of([split(ticker.upper(), ex_date, old, new)]), dividends_of([]), closes, SESSIONS
    ).rows
    expected = lean.factors(real_data, ticker)["splits"][0]
    assert rows["price_factor_frac"].to_list() == [pytest.approx(expected, abs=1e-6)]
    seen = adjust(raw.lazy(), rows, "split").collect()
    moves = seen.with_columns(move=pl.col("open") / pl.col("close").shift(1))
    for day in {ex_date, change}:
        move = moves.filter(pl.col("session") == day)["move"][0]
        assert move == pytest.approx(1.0, abs=0.03), day


@pytest.mark.real
@pytest.mark.parametrize("ticker", ["aapl", "spy", "ibm", "bac", "aig", "iwm"])
def test_total_return_equals_cash_reinvested(real_data: Path, ticker: str) -> None:
    """Hold one share, buy more with every dividend at the close before less the cash."""
    symbol = ticker.upper()
    raw = lean.daily(real_data, ticker)
    splits, dividends, _ = events_behind(lean.factors(real_data, ticker), symbol)
    inside = pl.col("session").is_in([r["ex_date"] for r in [*splits, *dividends]])
    events = set(raw.filter(inside)["session"]) - {raw["session"][0]}
    splits = [r for r in splits if r["ex_date"] in events]
    dividends = [r for r in dividends if r["ex_date"] in events]
    rows = adjustments(
        splits_of(splits), dividends_of(dividends), lean.closes(real_data, ticker), SESSIONS
    ).rows
    rows = rows.filter(pl.col("price_factor_frac").is_not_null())
    cash = dict(rows.filter(pl.col("kind") == "dividend").select("ex_date", "cash_amount").rows())
    shares_out = {r["ex_date"]: r["split_to"] / r["split_from"] for r in splits}
    shares, before, value = 1.0, 0.0, []
    for session, close in raw.select("session", "close").rows():
        if before:
            ratio = shares_out.get(session, 1.0)
            old_cash = cash.get(session, 0.0) * ratio
            shares *= ratio * before / (before - old_cash)
        value.append(shares * close)
        before = close
    seen = adjust(raw.lazy(), rows, "total_return").collect()["close"].to_list()
    assert len(cash) + len(splits) > 3
    scale = value[-1] / seen[-1]
    worst = max(abs(v / (s * scale) - 1) for v, s in zip(value, seen, strict=True))
    assert worst < 1e-10


def test_split_and_dividend_on_one_day() -> None:
    """2-for-1 with one dollar per old share: 100 becomes 49.5 for the continuous holder."""
    day = date(2024, 3, 6)
    found = adjustments(
        splits_of([split("X", day, 1, 2)]),
        dividends_of([dividend("X", day, 1.0)]),
        closes_of(("X", date(2024, 3, 5), 100.0)),
        SESSIONS,
    )
    paid = found.rows.row(by_predicate=pl.col("kind") == "dividend", named=True)
    assert paid["cash_amount"] == 0.5
    assert paid["previous_close"] == 100.0
    assert found.rows["price_factor_frac"].product() == pytest.approx(0.5 * 0.99)


def test_two_payments_of_one_day_add_up_and_a_twin_counts_once() -> None:
    day = date(2024, 3, 6)
    rows = [
        dividend("X", day, 0.5, id="regular", dividend_type="CD"),
        dividend("X", day, 2.0, id="special", dividend_type="SC"),
        dividend("X", day, 2.0, id="special again", dividend_type="SC"),
    ]
    found = adjustments(
        splits_of([]), dividends_of(rows), closes_of(("X", date(2024, 3, 5), 100.0)), SESSIONS
    )
    assert found.rows["cash_amount"].to_list() == [2.5]
    assert found.rows["price_factor_frac"].to_list() == [pytest.approx(0.975)]


def test_restated_dividend_is_a_second_version_from_its_arrival() -> None:
    day, late = date(2024, 3, 6), datetime(2024, 4, 1, tzinfo=UTC)
    rows = [
        dividend("X", day, 0.5, id="one", declaration_date=date(2024, 2, 1)),
        dividend("X", day, 0.6, id="one", declaration_date=date(2024, 2, 1), ts_recv=late),
    ]
    rows[0]["ts_recv"] = datetime(2024, 2, 10, tzinfo=UTC)
    found = adjustments(
        splits_of([]), dividends_of(rows), closes_of(("X", date(2024, 3, 5), 100.0)), SESSIONS
    ).rows
    assert found["version"].to_list() == [1, 2]
    assert found["price_factor_frac"].to_list() == [pytest.approx(0.995), pytest.approx(0.994)]
    assert found["known_at"].to_list() == [datetime(2024, 3, 5, tzinfo=UTC), late]
    assert found["superseded_at"].to_list() == [late, None]


def test_a_corrected_currency_resolves_the_dividend() -> None:
    day, late = date(2024, 3, 6), datetime(2024, 4, 1, tzinfo=UTC)
    rows = [
        dividend("X", day, 0.5, id="one", currency="CAD"),
        dividend("X", day, 0.5, id="one", currency="USD", ts_recv=late),
    ]
    rows[0]["ts_recv"] = datetime(2024, 2, 10, tzinfo=UTC)
    closes = closes_of(("X", date(2024, 3, 1), 100.0), ("X", date(2024, 3, 5), 100.0))
    found = adjustments(splits_of([]), dividends_of(rows), closes, SESSIONS)
    assert found.rows["price_factor_frac"].to_list() == [None, pytest.approx(0.995)]
    assert found.unresolved.is_empty()


def test_restated_close_restates_the_factor() -> None:
    day = date(2024, 3, 6)
    late = datetime(2024, 3, 20, tzinfo=UTC)
    closes = closes_of(("X", date(2024, 3, 5), 100.0), ("X", date(2024, 3, 5), 50.0)).with_columns(
        known_at=pl.Series([datetime(2024, 3, 6, 1, 15, tzinfo=UTC), late], dtype=UTC_US),
        superseded_at=pl.Series([late, None], dtype=UTC_US),
    )
    found = adjustments(splits_of([]), dividends_of([dividend("X", day, 1.0)]), closes, SESSIONS)
    assert found.rows["price_factor_frac"].to_list() == [pytest.approx(0.99), pytest.approx(0.98)]
    assert found.rows["superseded_at"].to_list() == [late, None]


def test_unresolved_dividends_have_no_factor_and_say_why() -> None:
    day = date(2024, 3, 6)
    rows = [
        dividend("NOCLOSE", day, 1.0),
        dividend("HUGE", day, 150.0),
        dividend("ABROAD", day, 1.0, currency="CAD"),
        dividend("UNKEPT", day, 1.0),
        dividend("COMING", date(2024, 12, 2), 1.0),
    ]
    before = date(2024, 3, 5)
    closes = closes_of(
        ("NOCLOSE", date(2024, 3, 4), 9.0),
        *((symbol, before, 100.0) for symbol in ("HUGE", "ABROAD", "COMING")),
    )
    found = adjustments(splits_of([]), dividends_of(rows), closes, SESSIONS)
    assert found.rows["price_factor_frac"].null_count() == found.rows.height == 4
    assert dict(found.unresolved.select("symbol", "reason").rows()) == {
        "NOCLOSE": "previous_close_missing",
        "HUGE": "dividend_exceeds_price",
        "ABROAD": "currency_not_usd",
    }


def test_no_events_is_an_empty_table() -> None:
    found = adjustments(
        splits_of([]), dividends_of([]), closes_of(("X", date(2024, 3, 5), 1.0)).clear(), SESSIONS
    )
    assert found.rows.schema == contract("reference.adjustments").schema
    assert found.rows.is_empty()
