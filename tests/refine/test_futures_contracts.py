"""Contracts: the symbol's grammar, terms of the newest definition, evidence where there is none."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from refine.futures_orders import QUARTER, at, definition, land, trades
from tapemill.clock.injected import FixedClock
from tapemill.contracts import contract
from tapemill.lake import Lake
from tapemill.refine import build
from tapemill.refine.futures_contracts import futures_contracts
from tapemill.refine.futures_symbols import FuturesSymbol, maturity, read_symbol
from tapemill.settings import load_settings

NOW = FixedClock(int(datetime(2026, 7, 2, tzinfo=UTC).timestamp()) * 10**9)
DAY = date(2024, 3, 7)
NO_FILES = contract("bronze.databento_files").empty()


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("ESH4", FuturesSymbol("ES", "outright", 3, "4")),
        ("MESZ24", FuturesSymbol("MES", "outright", 12, "24")),
        ("SR3H4", FuturesSymbol("SR3", "outright", 3, "4")),
        ("M2KM5", FuturesSymbol("M2K", "outright", 6, "5")),
        ("HGN4", FuturesSymbol("HG", "outright", 7, "4")),
        ("6EU4", FuturesSymbol("6E", "outright", 9, "4")),
        ("ESH4-ESM4", FuturesSymbol("ES", "spread", 3, "4")),
        ("ES:BF H4-M4-U4", FuturesSymbol("ES", "spread")),
        ("ESH4 C4800", FuturesSymbol("ES", "option", 3, "4")),
        ("#17077", None),
        ("AAPL", None),
        ("SPY   240119P00340000", None),
        ("ESH4-", None),
    ],
)
def test_a_symbol_says_what_it_is(symbol: str, expected: FuturesSymbol | None) -> None:
    assert read_symbol(symbol) == expected


@pytest.mark.parametrize(
    ("symbol", "day", "expected"),
    [
        ("ESH4", date(2024, 3, 15), (2024, 3)),
        ("ESH4", date(2014, 2, 1), (2014, 3)),
        ("ESH4", date(2024, 8, 1), (2034, 3)),
        ("SR3H4", date(2024, 6, 17), (2024, 3)),
        ("ESZ9", date(2020, 1, 10), (2019, 12)),
        ("ESH0", date(2019, 12, 10), (2020, 3)),
        ("CLZ24", date(2024, 1, 2), (2024, 12)),
        ("CLH00", date(2099, 12, 1), (2100, 3)),
    ],
)
def test_a_symbol_means_the_next_delivery(
    symbol: str, day: date, expected: tuple[int, int]
) -> None:
    assert maturity(symbol, day) == expected


def test_terms_are_the_newest_and_known_since_they_were_first_said() -> None:
    moments = [at(date(2024, 3, d), 19) for d in (1, 4, 5, 6)]
    said = pl.concat(
        definition("ESH4", moment, f"d{number}", tick_nano=tick)
        for number, (moment, tick) in enumerate(
            zip(moments, [QUARTER, 500_000_000, QUARTER, QUARTER], strict=True)
        )
    )
    for order in (said, said.reverse()):
        row = futures_contracts(order, NO_FILES).row(0, named=True)
        assert (row["tick_size"], row["multiplier"], row["kind"]) == (0.25, 50.0, "outright")
        assert row["known_at"].timestamp() * 1e9 == moments[2]
        assert row["evidence"] == "definition: its own"


UNKNOWN = "; value of a point unknown: {} by the value of its step and {} by its unit of measure"


@pytest.mark.parametrize(
    ("unit", "quantity", "step", "value", "factor", "expected", "told"),
    [
        # In the venue's scale of display, as CME's definitions have it.
        ("IPNT", 50.0, 0.25, 0.125, 0.01, 50.0, ""),  # ES: 12.50 a step
        ("IPNT", 20.0, 0.25, 0.05, 0.01, 20.0, ""),  # NQ: 5.00
        ("bbl", 1_000.0, 0.01, 0.1, 0.01, 1_000.0, ""),  # CL: 10.00
        ("USD", 100_000.0, 0.015625, 15.625, 1.0, 1_000.0, ""),  # ZN: the unit is the face
        ("Bu", 5_000.0, 0.25, 12.5, 1.0, 50.0, ""),  # ZC: the price is in cents
        ("EUR", 125_000.0, 0.00005, 0.000625, 0.0001, 125_000.0, ""),  # 6E: 6.25
        ("IPNT", None, 0.25, 0.125, 0.01, 50.0, ""),
        ("IPNT", 50.0, 0.25, 0.125, 0.1, None, UNKNOWN.format(5, 50)),
        ("IPNT", 20.0, 0.25, 0.125, 0.01, None, UNKNOWN.format(50, 20)),
        # Without a factor of display the scale of the step's value is not known.
        ("IPNT", 50.0, 0.25, 0.125, None, 50.0, ""),
        ("EUR", 125_000.0, 0.00005, 6.25, None, 125_000.0, ""),
        ("USD", 100_000.0, 0.015625, 15.625, None, None, UNKNOWN.format(1000, 100000)),
        ("CTRCT", None, 0.05, 1.0, None, None, ""),
        # Without a value of the step there is only the unit.
        ("bbl", 1_000.0, 0.01, None, None, 1_000.0, ""),
        ("USD", 100_000.0, 0.015625, None, 1.0, None, ""),
    ],
)
def test_a_point_is_worth_what_its_step_is_and_its_unit_does_not_deny(
    unit: str,
    quantity: float | None,
    step: float,
    value: float | None,
    factor: float | None,
    expected: float | None,
    told: str,
) -> None:
    said = definition(
        "ZNH4",
        at(DAY, 1),
        tick_nano=round(step * 1e9),
        tick_size=step,
        tick_value=value,
        display_factor=factor,
        contract_multiplier=quantity,
        unit_of_measure=unit,
    )
    row = futures_contracts(said, NO_FILES).row(0, named=True)
    assert row["multiplier"] == expected
    assert row["tick_value"] == (expected * step if expected else None)
    assert row["evidence"] == "definition: its own" + told


def test_shares_are_no_contracts_and_spreads_have_no_point_of_their_own() -> None:
    rows = futures_contracts(
        pl.concat(
            [
                definition("AAPL", at(DAY, 1), "k", instrument_class="K", asset="AAPL"),
                definition(
                    "ESH4-ESM4",
                    at(DAY, 1),
                    "s",
                    instrument_class="S",
                    tick_nano=50_000_000,
                    tick_value=None,
                    contract_multiplier=None,
                ),
            ]
        ),
        NO_FILES,
    )
    assert rows.select("symbol", "root", "kind", "tick_nano", "multiplier").rows() == [
        ("ESH4-ESM4", "ES", "spread", 50_000_000, None)
    ]


def test_files_show_contracts_that_nobody_defined(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", create=True, clock=NOW)
    lake.tables.append(
        "bronze.databento_definitions", definition("ESU4", at(DAY, 1)), writer="d", sequence=1
    )
    names = ("ESH4", "NQH4", "ESH4-ESM4", "#99")
    rows = pl.concat(trades(name, [at(DAY, 10)], [1]) for name in names)
    evidence = {
        "ESH4": (QUARTER, "product: ESU4"),
        "NQH4": (500_000_000, "prices: greatest step"),
        "ESH4-ESM4": (50_000_000, "prices: greatest step"),
        "#99": (1, "prices: greatest step"),
    }
    land(lake, "a", rows, ticks=evidence)
    land(lake, "b", rows[1:2], ticks={"NQH4": (QUARTER, "product: NQM4")})
    target = "reference.futures_contracts"
    build(lake, load_settings(env={}), NOW, [target])
    made = lake.tables.scan(target).sort("symbol").collect()
    assert made.select("symbol", "tick_nano", "multiplier", "evidence").rows() == [
        ("ESH4", QUARTER, 50.0, "product: ESU4; value of a point: of ESU4"),
        ("ESH4-ESM4", 50_000_000, None, "prices: greatest step"),
        ("ESU4", QUARTER, 50.0, "definition: its own"),
        ("NQH4", QUARTER, None, "product: NQM4"),
    ]
    again = build(lake, load_settings(env={}), NOW, [target])
    assert again.builds == 0
