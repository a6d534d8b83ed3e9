"""What an evening can see: one row a symbol and day, late facts only afterwards."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from flow.market_files import sessions
from tapemill.clock import FixedClock, eastern_ns, known_at_expr
from tapemill.contracts import Quality, contract
from tapemill.flow.evening import evening_of, sessions_before
from tapemill.flow.visible import evening_inputs
from tapemill.lake import Lake

DAYS = sessions(dt.date(2024, 3, 4), 12)
UTC_US = pl.Datetime("us", "UTC")


@pytest.fixture
def lake(tmp_path):
    opened = Lake.open(tmp_path / "lake", create=True, clock=FixedClock(1_713_600_000 * 10**9))
    yield opened
    opened.close()


def short(rows: list[dict]) -> pl.DataFrame:
    """Rows of silver.short_volume from the few columns that matter."""
    frame = pl.DataFrame(
        [
            {
                "facility": "CNMS",
                "short_exempt_volume": 0,
                "market": "B,N,Q",
                "reconciled": None,
                "source": "finra.file",
                "raw_sha256": "0" * 64,
                "ordinal": 0,
                "version": 1,
                "known_at": None,
                "superseded_at": None,
                **row,
            }
            for row in rows
        ],
        schema_overrides={"known_at": UTC_US, "superseded_at": UTC_US, "reconciled": pl.Boolean},
    )
    evening = known_at_expr("finra_evening")
    return contract("silver.short_volume").conform(
        frame.with_columns(
            known_at=pl.coalesce("known_at", evening), year=pl.col("session").dt.year()
        )
    )


def day(symbol: str, session: dt.date, b: float, d: float, **more) -> dict:
    return {"symbol": symbol, "session": session, "short_volume": b, "total_volume": d, **more}


def test_the_consolidated_row_is_never_added_to_its_facilities(lake) -> None:
    """Defect 17: a folder with both kinds of file counted every share twice."""
    rows = [day("SPY", DAYS[0], 60, 100)]
    rows += [day("SPY", DAYS[0], 30, 50, facility=name) for name in ("FNSQ", "FNYX")]
    rows += [day("SPY", DAYS[1], 30, 50, facility=name) for name in ("FNSQ", "FNYX", "FNQC")]
    rows += [day("SPY", DAYS[1], 7, 9, facility="NQBX")]
    lake.tables.replace("silver.short_volume", short(rows))
    (inputs,) = evening_inputs(lake, DAYS[:2], lookback=20)
    found = inputs.short.sort("session").select("short_volume", "total_volume", "short_source")
    assert found.rows() == [(60.0, 100.0, "consolidated"), (90.0, 150.0, "facilities")]
    column = inputs.panel.column(DAYS[1])
    assert inputs.panel.total_volume[0, column] == 150.0


def test_symbols_come_out_in_house_style(lake) -> None:
    """Defect 24: BRK/B of FINRA met BRK.B of Massive as a null."""
    rows = [day(name, DAYS[0], 60, 100) for name in ("BRK/B", "AAICpC", "ACIC/WS")]
    lake.tables.replace("silver.short_volume", short(rows))
    (inputs,) = evening_inputs(lake, DAYS[:1], lookback=20)
    assert "BRK.B" in inputs.panel.symbols
    classes = dict(inputs.symbols.select("symbol", "security_class").rows())
    assert classes["BRK.B"] == "class_share"
    assert {classes[name] for name in classes if name != "BRK.B"} == {"preferred", "warrant"}


def test_two_spellings_of_a_name_are_one(lake) -> None:
    """Not a sum, and not whichever row came last."""
    rows = [day("BRK/B", DAYS[0], 60, 100), day("BRK.B", DAYS[0], 70, 90)]
    rows += [day("BRK.B", DAYS[1], 30, 50), day("SPY", DAYS[1], 1, 2)]
    lake.tables.replace("silver.short_volume", short(rows))
    (inputs,) = evening_inputs(lake, DAYS[:2], lookback=20)
    assert inputs.panel.symbols == ("BRK.B", "SPY")
    assert inputs.symbols["symbol"].to_list() == ["BRK.B", "SPY"]
    assert inputs.short.sort("session", "symbol")["total_volume"].to_list() == [100, 50, 2]
    assert inputs.panel.short_volume[0, -2:].tolist() == [60, 30]


def test_a_restated_row_is_seen_only_from_its_arrival_on(lake) -> None:
    arrived = evening_of(DAYS[5]) - dt.timedelta(hours=1)
    rows = [day("SPY", one, 60, 100) for one in DAYS if one != DAYS[2]]
    rows += [
        day("SPY", DAYS[2], 60, 100, superseded_at=arrived),
        day("SPY", DAYS[2], 10, 100, version=2, known_at=arrived),
    ]
    lake.tables.replace("silver.short_volume", short(rows))
    early, late = evening_inputs(lake, DAYS, lookback=20)
    assert (early.evenings, late.evenings) == (tuple(DAYS[:5]), tuple(DAYS[5:]))
    for inputs, seen in ((early, 60.0), (late, 10.0)):
        assert inputs.panel.short_volume[0, inputs.panel.column(DAYS[2])] == seen
    moment = evening_of(DAYS[4])
    (then,) = evening_inputs(lake, DAYS[:4], lookback=20, as_of=arrived)
    assert then.panel.short_volume[0, then.panel.column(DAYS[2])] == 10.0
    (before,) = evening_inputs(lake, DAYS[:4], lookback=20, as_of=moment)
    assert before.panel.short_volume[0, before.panel.column(DAYS[2])] == 60.0


def test_a_row_that_came_late_is_absent_before(lake) -> None:
    arrived = evening_of(DAYS[3]) + dt.timedelta(minutes=5)
    rows = [day("SPY", one, 60, 100) for one in DAYS[:8]]
    rows.append(day("QQQ", DAYS[1], 5, 10, known_at=arrived))
    lake.tables.replace("silver.short_volume", short(rows))
    early, late = evening_inputs(lake, DAYS[:8], lookback=20)
    assert early.evenings[-1] == DAYS[3]
    assert "QQQ" not in early.panel.symbols
    assert "QQQ" in late.panel.symbols


def bar(session: dt.date, close: float, known_at: dt.datetime | None = None) -> dict:
    ns = eastern_ns(session, 9, 30)
    late = known_at or dt.datetime.combine(session, dt.time(23, 59), tzinfo=dt.UTC)
    return {
        "symbol": "SPY",
        "ts_event": ns,
        "ts": dt.datetime.fromtimestamp(ns / 1e9, dt.UTC),
        "session": session,
        "year": session.year,
        "open": close,
        "high": close + 1,
        "low": close - 1,
        "close": close,
        "volume": 1000.0,
        "quality": 0,
        "source": "massive.rest",
        "raw_sha256": "0" * 64,
        "ordinal": 0,
        "version": 1,
        "known_at": late,
    }


def test_a_bar_that_came_days_late_cuts_the_run(lake) -> None:
    lake.tables.replace("silver.short_volume", short([day("SPY", one, 60, 100) for one in DAYS]))
    bars = [bar(one, 100.0 + n) for n, one in enumerate(DAYS[:6])]
    bars.append(bar(DAYS[6], 777.0, evening_of(DAYS[9]) + dt.timedelta(hours=1)))
    declared = contract("silver.equity_bars_1d")
    frame = pl.DataFrame(bars, schema_overrides={"ts": UTC_US, "known_at": UTC_US})
    lake.tables.replace("silver.equity_bars_1d", declared.conform(frame))
    early, late = evening_inputs(lake, DAYS, lookback=20)
    assert early.evenings[-1] == DAYS[9]
    column = early.panel.column(DAYS[6])
    assert np.isnan(early.panel.close[0, column])
    assert late.panel.close[0, column] == 777.0
    assert early.panel.close[0, early.panel.column(DAYS[0])] == 100.0


def test_levels_that_know_later_splits_are_left_out(lake) -> None:
    lake.tables.replace("silver.short_volume", short([day("SPY", one, 60, 100) for one in DAYS]))
    bars = [bar(one, 100.0) for one in DAYS]
    for row in bars[:4]:
        row["quality"] = int(Quality.ADJUSTED)
    frame = pl.DataFrame(bars, schema_overrides={"ts": UTC_US, "known_at": UTC_US})
    lake.tables.replace("silver.equity_bars_1d", contract("silver.equity_bars_1d").conform(frame))
    (inputs,) = evening_inputs(lake, DAYS, lookback=20)
    close = inputs.panel.close[0, inputs.panel.column(DAYS[0]) :]
    assert np.isnan(close[:4]).all()
    assert (close[4:-1] == 100.0).all()


def test_a_split_counts_from_its_ex_date(lake) -> None:
    lake.tables.replace("silver.short_volume", short([day("SPY", one, 60, 100) for one in DAYS]))
    split = {
        "symbol": "SPY",
        "ex_date": DAYS[4],
        "kind": "split",
        "split_from": 1.0,
        "split_to": 10.0,
        "price_factor_frac": 0.1,
        "volume_factor_frac": 10.0,
        "source": "massive.rest",
        "raw_sha256": "0" * 64,
        "ordinal": 0,
        "version": 1,
        "known_at": dt.datetime.combine(DAYS[4], dt.time(9), tzinfo=dt.UTC),
    }
    frame = pl.DataFrame([split], schema_overrides={"known_at": UTC_US})
    lake.tables.replace("reference.adjustments", contract("reference.adjustments").conform(frame))
    (inputs,) = evening_inputs(lake, DAYS, lookback=20)
    factors = inputs.panel.share_factor[0]
    assert factors[inputs.panel.column(DAYS[4])] == 10.0
    assert np.prod(factors) == 10.0


def test_lookback_counts_sessions_and_stops_at_the_calendar() -> None:
    axis = sessions_before([dt.date(2024, 3, 28), dt.date(2024, 4, 1)], 3)
    assert axis == sessions(dt.date(2024, 3, 25), 5)
    assert sessions_before([dt.date(1997, 1, 6)], 260)[0] >= dt.date(1997, 1, 1)
