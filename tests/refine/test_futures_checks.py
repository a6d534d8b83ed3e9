"""Each pattern of bad order data is found where it was planted, and none in sound data."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from refine.futures_orders import MINUTE, QUARTER, SECOND, at, definition, land, records, trades
from tapemill.clock.injected import FixedClock
from tapemill.lake import Lake
from tapemill.refine import build
from tapemill.refine.detectors import Finding
from tapemill.refine.futures_checks import check_futures
from tapemill.refine.futures_patterns import CHECKS
from tapemill.settings import load_settings

NOW = FixedClock(1_790_000_000 * 10**9)
DAY = date(2024, 3, 7)
DAYS = [date(2024, 3, day) for day in (4, 5, 6, 7, 8, 11, 12)]
_OPTIONS = "judges option trades; this issue's order data are futures, options have their own"
REGISTER: dict[str, tuple[str, ...] | str] = {
    "B1": ("session_missing", "hour_missing"),
    "B2": ("volume_unusual",),
    "B3": ("volume_unusual", "hour_missing"),
    "B4": _OPTIONS,
    "B5": "a Sunday evening is the beginning of Monday's trade date and is not judged apart",
    "B6": ("records_repeated", "records_equal"),
    "B7": "equal time, price and size are legitimate: rows are told apart by raw object and place",
    "B8": ("price_frozen",),
    "B9": ("one_sided_trades",),
    "B10": ("receipts_backwards",),
    "B11": ("book_crossed",),
    "B12": ("ladder_impossible",),
    "B13": ("spread_wide",),
    "B14": _OPTIONS,
    "B15": _OPTIONS,
    "B16": _OPTIONS,
    "B17": "a basis is estimated with its error at every minute; no fixed band can judge it",
    "B18": ("hour_missing",),
    "3.2 dominant share": ("no_dominant_contract", "roll_under_way"),
    "3.2 price range": ("tick_contradicts", "tick_guessed"),
    "3.3 never checked: ask ladder, crossed asks": ("ladder_impossible", "book_crossed"),
    "3.3 never checked: zero sizes": ("size_not_positive",),
    "3.3 never checked: sequence gaps": ("sequence_gap", "sequence_backwards"),
    "3.3 never checked: clock skew": ("received_before_event", "receipt_late"),
    "3.4 nulls": ("price_undefined",),
    "exchange-time hours": ("trades_outside_hours",),
    "files that could not be read whole": ("file_torn",),
}
OTHERS = {
    "hour_missing",
    "volume_unusual",
    "session_missing",
    "file_torn",
    "tick_guessed",
    "tick_contradicts",
    "no_dominant_contract",
    "roll_under_way",
}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake", create=True, clock=NOW)


def book(count: int = 3_000, *, start: int = at(DAY, 9, 30)) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Records and depth of a sound ladder feed, eight seconds apart: adds at the best prices."""
    i = np.arange(count)
    middle = 19_000 + np.round(5 * np.sin(i / 300)).astype(int)
    bid = i % 2 == 0
    frame = pl.DataFrame(
        {
            "symbol": "ESH4",
            "ts_event": start + i * 8 * SECOND,
            "price_ticks": pl.Series(middle + np.where(bid, -1, 1), dtype=pl.Int32),
            "size": pl.Series(i % 7 + 1, dtype=pl.Int32),
            "side": pl.Series(np.where(bid, ord("B"), ord("A")), dtype=pl.Int8),
            "action": pl.Series(np.where(i % 5 == 4, ord("T"), ord("A")), dtype=pl.Int8),
        }
    )
    rows = records(frame, order_id=pl.int_range(pl.len()))
    own = rows.filter(pl.col("action") == ord("A"))
    now = own.select("ordinal", "side", "price_ticks", "size", change=pl.lit(0, pl.Int16))
    gone = now.with_columns(
        price_ticks=pl.col("price_ticks").shift(1).over("side"),
        size=pl.lit(0, pl.Int32),
        change=pl.lit(1, pl.Int16),
    ).join(now, on=["ordinal", "price_ticks"], how="anti")
    depth = (
        pl.concat([now, gone.drop_nulls()])
        .sort("ordinal", "change")
        .with_columns(orders=pl.lit(1, pl.Int32), cause=pl.lit(1, pl.Int8), quantity=pl.col("size"))
    )
    return rows, depth


def found(lake: Lake, **more: object) -> dict[str, Finding]:
    return {one.kind: one for one in check_futures(lake, **more)}  # type: ignore[arg-type]


def judged(lake: Lake, rows: pl.DataFrame, depth: pl.DataFrame) -> dict[str, Finding]:
    land(lake, "a", rows, schema="mbp-10", depth=depth, batch=1_000)
    return found(lake)


def test_sound_data_have_no_finding(lake: Lake) -> None:
    assert judged(lake, *book()) == {}


def altered(kind: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sound data with one pattern planted."""
    rows, depth = book()
    n = pl.int_range(pl.len())
    trade = pl.col("action") == ord("T")
    later = pl.when(n == 700)
    changed: dict[str, pl.Expr] = {
        "receipts_backwards": pl.when(n == 50)
        .then(pl.col("ts_gateway") - 60 * SECOND)
        .otherwise("ts_gateway")
        .alias("ts_gateway"),
        "received_before_event": later.then(pl.col("ts_event") - 5)
        .otherwise("ts_gateway")
        .alias("ts_gateway"),
        "receipt_late": (pl.col("ts_gateway") + 4 * SECOND).alias("ts_gateway"),
        "sequence_backwards": pl.when(n == 9).then(1).otherwise("sequence").alias("sequence"),
        "sequence_gap": (pl.col("sequence") + pl.when(n > 9).then(10**6).otherwise(0)),
        "size_not_positive": later.then(0).otherwise("size").cast(pl.Int32).alias("size"),
        "price_undefined": pl.when(~(trade & (n > 90))).then("price_ticks"),
        "one_sided_trades": pl.when(trade)
        .then(ord("B"))
        .otherwise("side")
        .cast(pl.Int8)
        .alias("side"),
        "price_frozen": pl.when(trade)
        .then(19_000)
        .otherwise("price_ticks")
        .cast(pl.Int32)
        .alias("price_ticks"),
    }
    if kind in changed:
        rows = rows.with_columns(changed[kind])
    if kind == "price_frozen":
        rows = rows.with_columns(action=pl.lit(ord("T"), pl.Int8), price_ticks=pl.lit(5, pl.Int32))
    if kind == "trades_outside_hours":
        late = trades("ESH4", [at(DAY, 17, 30)], [19_000])
        rows = pl.concat(
            [
                rows,
                records(late)
                .select(rows.columns)
                .with_columns(
                    ordinal=pl.lit(3_000, pl.Int64),
                    sequence=pl.lit(3_001, pl.Int64),
                    action=pl.lit(ord("T"), pl.Int8),
                ),
            ],
            how="vertical_relaxed",
        )
    if kind == "records_repeated":
        rows = pl.concat([rows, rows[:100]]).with_columns(ordinal=pl.int_range(pl.len()))
    if kind == "records_equal":
        rows = pl.concat([rows, *[rows[:10]] * 4]).sort("ts_event", maintain_order=True)
        rows = rows.with_columns(ordinal=pl.int_range(pl.len()))
        depth = depth.clear()
    if kind == "book_crossed":
        bid = pl.col("side") == ord("B")
        wrong = bid & (pl.col("ordinal") == 1_002) & (pl.col("size") > 0)
        depth = depth.with_columns(
            price_ticks=pl.when(wrong).then(pl.col("price_ticks") + 2).otherwise("price_ticks")
        )
    if kind == "ladder_impossible":
        many = pl.DataFrame({"price_ticks": pl.Series(range(18_900, 18_911), dtype=pl.Int32)})
        more = depth.filter(pl.col("ordinal") == 20).drop("price_ticks").join(many, how="cross")
        more = more.with_columns(
            change=pl.int_range(5, 16).cast(pl.Int16), size=pl.lit(1, pl.Int32)
        )
        depth = pl.concat([depth, more.select(depth.columns)]).sort("ordinal", "change")
    if kind == "spread_wide":
        far = (pl.col("ordinal") < 300) & (pl.col("side") == ord("A"))
        depth = depth.with_columns(
            price_ticks=pl.when(far).then(pl.col("price_ticks") + 200).otherwise("price_ticks")
        )
    return rows, depth


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.kind)
def test_a_planted_pattern_is_found_by_its_name(lake: Lake, check: object) -> None:
    kind = check.kind  # type: ignore[attr-defined]
    made = judged(lake, *altered(kind))
    assert kind in made
    one = made[kind]
    assert (one.severity, one.subject, one.session) == (check.severity, "ESH4", DAY)  # type: ignore[attr-defined]
    assert one.evidence.height == 1
    assert ";" in one.detail
    # What belongs to the planted pattern by nature, and nothing else.
    kin = {
        "price_frozen": {"one_sided_trades"},
        "receipts_backwards": {"received_before_event"},
        "records_repeated": {"sequence_backwards", "receipts_backwards"},
    }.get(kind, set())
    assert set(made) <= {kind, *kin}


def test_a_book_may_cross_within_an_event_and_while_the_market_is_closed(tmp_path: Path) -> None:
    rows, depth = altered("book_crossed")
    weekend = at(date(2024, 3, 9), 9) + pl.int_range(pl.len()) * SECOND
    closed = rows.with_columns(ts_event=weekend, ts_gateway=weekend + 10**6)
    for name, events in (("inside", rows.with_columns(flags=pl.lit(0))), ("closed", closed)):
        lake = Lake.open(tmp_path / name, create=True, clock=NOW)
        assert "book_crossed" not in judged(lake, events, depth)


def test_hours_without_any_record_are_named_by_exchange_time(lake: Lake) -> None:
    rows, depth = book()
    gone = pl.col("ts_event").is_between(at(DAY, 10, 50), at(DAY, 13, 10))
    kept = rows.filter(~gone)
    land(lake, "a", kept, schema="mbp-10", depth=depth.join(kept.select("ordinal"), on="ordinal"))
    one = found(lake)["hour_missing"]
    assert one.evidence["hour"].dt.strftime("%H:%M").to_list() == ["11:00", "12:00"]
    land(lake, "t", trades("ESH4", [at(DAY, 11, 5), at(DAY, 12, 5)], [1, 1]))
    assert "hour_missing" not in found(lake)


def test_dates_are_judged_against_the_contract_s_own(lake: Lake) -> None:
    for number, day in enumerate(DAYS):
        size = 30 if number == 3 else 1
        moments = [at(day, 9, 30) + i * MINUTE for i in range(390)]
        land(lake, f"d{number}", trades("ESH4", moments, [1, 2] * 195, size, "AB"))
    made = check_futures(lake)
    assert [(one.kind, one.session) for one in made] == [("volume_unusual", DAYS[3])]
    assert check_futures(lake, start=DAYS[4]) == []
    assert check_futures(lake, ["NQH4"]) == []


def test_missing_dates_torn_files_and_steps_are_told(lake: Lake) -> None:
    tables = lake.tables
    tables.append(
        "bronze.databento_definitions", definition("ESH4", at(DAYS[0], 1)), writer="d", sequence=1
    )
    regular = [at(DAYS[0], 9, 30) + i * 30 * MINUTE for i in range(13)]
    again = [moment + 2 * 24 * 60 * MINUTE for moment in regular]
    land(lake, "a", trades("ESH4", regular, [1] * 13), ticks={"ESH4": (2 * QUARTER, "prices")})
    land(lake, "b", trades("ESH4", again, [1] * 13), fault="cut at byte 900")
    land(lake, "c", trades("NQH4", regular, [1] * 13), ticks={"NQH4": (QUARTER, "prices")})
    build(lake, load_settings(env={}), NOW, ["reference.futures_contracts"])
    made = check_futures(lake)
    assert [(one.kind, one.severity, one.subject, one.session) for one in made] == [
        ("tick_contradicts", "error", "ESH4", None),
        ("file_torn", "warning", "ESH4", None),
        ("tick_guessed", "warning", "NQH4", None),
        ("session_missing", "info", "ESH4", DAYS[1]),
    ]


def test_a_roll_is_told_and_so_is_a_product_without_a_leader(lake: Lake) -> None:
    regular = [at(DAYS[0], 9, 30) + i * 30 * MINUTE for i in range(13)]
    later = [moment + 24 * 60 * MINUTE for moment in regular]
    for name, moments, shares in (("a", regular, (8, 2, 0)), ("b", later, (4, 3, 4))):
        rows = pl.concat(
            trades(symbol, moments, [1] * 13, share, "AB")
            for symbol, share in zip(("ESH4", "ESM4", "ESU4"), shares, strict=True)
            if share
        )
        land(lake, name, rows.sort("ts_event", maintain_order=True))
    build(lake, load_settings(env={}), NOW, ["reference.futures_rolls"])
    made = {(one.kind, one.session) for one in check_futures(lake)}
    assert made == {("roll_under_way", DAYS[0]), ("no_dominant_contract", DAYS[1])}


def test_every_check_of_the_reference_has_its_successor_or_a_reason() -> None:
    assert {f"B{number}" for number in range(1, 19)} <= set(REGISTER)
    kinds = {check.kind for check in CHECKS} | OTHERS
    named = {kind for answer in REGISTER.values() if isinstance(answer, tuple) for kind in answer}
    assert named == kinds
    assert all(len(answer) > 30 for answer in REGISTER.values() if isinstance(answer, str))


def test_receipt_times_are_those_of_new_york(lake: Lake) -> None:
    """A trade at 17:59 on a half day is outside; the same hour on a whole evening is not."""
    half = date(2024, 7, 3)
    land(lake, "a", trades("ESU4", [at(half, 13, 30), at(half, 18, 30)], [1, 1]))
    made = [one for one in check_futures(lake) if one.kind == "trades_outside_hours"]
    assert [one.session for one in made] == [half]
    assert datetime.fromtimestamp(at(half, 13, 30) / 1e9, tz=UTC).hour == 17
