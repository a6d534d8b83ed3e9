"""Who takes part, rule by rule, and what no rule may look at."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import polars as pl
import pytest

from flow.scan_inputs import panel_of
from tapemill.flow.eligibility import REASONS, Eligibility, eligibility
from tapemill.flow.panel import Panel
from tapemill.flow.surprise import median_volume
from tapemill.settings.declaration import FlowSettings
from tapemill.world.flow import flow_market

FLOW = FlowSettings()
COUNT = 100


def scene(**changes: np.ndarray) -> Panel:
    """One liquid name at 20 dollars on every session."""
    market = flow_market(1, date(2020, 1, 2), COUNT, seed=1, mode="null")
    one = np.ones((1, COUNT))
    panel = dataclasses.replace(
        panel_of(market),
        total_volume=1e6 * one,
        short_volume=5e5 * one,
        close=20.0 * one,
        volume=2e6 * one,
    )
    return dataclasses.replace(panel, **changes)


def judged(panel: Panel, kind: str | None = "common", *, test: bool = False) -> Eligibility:
    table = pl.DataFrame(
        {"symbol": list(panel.symbols), "security_class": [kind], "is_test": [test]},
        schema_overrides={"security_class": pl.String()},
    )
    return eligibility(panel, FLOW, table, median_volume(panel, FLOW))


def reasons(panel: Panel, kind: str | None = "common", *, test: bool = False) -> list[str]:
    return [REASONS[code] for code in judged(panel, kind, test=test).reason[0]]


@pytest.mark.parametrize("kind", ["common", "class_share"])
def test_a_liquid_name_takes_part_from_its_sixteenth_session_on(kind: str) -> None:
    found = reasons(scene(), kind)
    assert set(found[:15]) == {"history"}
    assert set(found[15:]) == {""}


@pytest.mark.parametrize(
    "kind",
    [
        *("warrant", "right", "unit", "preferred", "when_issued", "called", "convertible"),
        *("test", "other", None),
    ],
)
def test_other_classes_never_take_part(kind: str | None) -> None:
    assert set(reasons(scene(), kind)) == {"class"}


def test_a_test_symbol_never_takes_part() -> None:
    assert set(reasons(scene(), "common", test=True)) == {"class"}


def test_presence_counts_sessions_that_have_a_file_from_the_first_row_on() -> None:
    total = np.full((1, COUNT), 1e6)
    total[0, 60:63] = np.nan
    three = reasons(scene(total_volume=total.copy()))
    # only this name is in the panel: a session without it is a session without a file
    assert three[80] == ""
    market = flow_market(2, date(2020, 1, 2), COUNT, seed=1, mode="null")
    both = np.full((2, COUNT), 1e6)
    both[1, 60:64] = np.nan
    late = both.copy()
    late[1, :70] = np.nan
    prices = {"close": np.full((2, COUNT), 20.0), "volume": np.full((2, COUNT), 2e6)}
    for volumes, t, wanted in (
        (both, 80, "presence"),  # 56 of 60
        (late, 84, "history"),
        (late, 85, ""),
    ):
        panel = dataclasses.replace(panel_of(market), total_volume=volumes, **prices)
        table = market.symbol_table()
        found = eligibility(panel, FLOW, table, median_volume(panel, FLOW))
        assert REASONS[found.reason[1, t]] == wanted
    both[1, 63] = 1e6
    panel = dataclasses.replace(panel_of(market), total_volume=both, **prices)
    found = eligibility(panel, FLOW, market.symbol_table(), median_volume(panel, FLOW))
    assert found.reason[1, 80] == 0  # 57 of 60 are 95 %


def test_price_rules() -> None:
    close = np.full((1, COUNT), 20.0)
    close[0, 50] = 2.99
    assert reasons(scene(close=close))[50:53] == ["", "price", ""]
    assert reasons(scene(volume=np.full((1, COUNT), 2e5)))[50] == "dollar_volume"


def test_without_prices_the_usual_volume_decides() -> None:
    none = np.full((1, COUNT), np.nan)
    assert reasons(scene(close=none, volume=none))[50] == ""
    low = np.full((1, COUNT), 1e5)
    assert reasons(scene(close=none, volume=none, total_volume=low))[50] == "off_exchange_volume"
    stale = np.full((1, COUNT), np.nan)
    stale[0, 20] = 1.0
    found = reasons(scene(close=stale, volume=none))
    assert found[21:41] == ["price"] * 20
    assert found[41] == ""


def test_a_day_without_volume_is_named() -> None:
    total = np.full((1, COUNT), 1e6)
    total[0, 60] = 0.0
    assert reasons(scene(total_volume=total))[60] == "no_volume"


def test_a_price_before_a_split_is_taken_in_new_shares() -> None:
    close = np.full((1, COUNT), 8.0)
    close[0, 50:] = 2.0
    factor = np.ones((1, COUNT))
    factor[0, 50] = 4.0
    found = judged(scene(close=close, share_factor=factor, volume=np.full((1, COUNT), 9e6)))
    assert REASONS[found.reason[0, 49]] == ""
    assert REASONS[found.reason[0, 50]] == "price"  # 8 dollars of old shares are 2 of the new
    assert found.last_close[0, 50] == 8.0
    assert found.split[0, 49:52].tolist() == [0, 1, 0]


def test_the_evenings_own_price_is_never_looked_at() -> None:
    plain = judged(scene())
    for t in (40, 70, 99):
        close, volume = np.full((1, COUNT), 20.0), np.full((1, COUNT), 2e6)
        close[0, t:], volume[0, t:] = 0.01, 1.0
        other = judged(scene(close=close, volume=volume))
        for name in ("reason", "last_close", "dollar_volume", "split"):
            one, two = getattr(plain, name)[:, : t + 1], getattr(other, name)[:, : t + 1]
            assert np.array_equal(one, two, equal_nan=True)


@pytest.mark.parametrize(
    ("times", "price", "flag"),
    [(2.0, 10.0, 2), (1.2, 10.0, 0), (2.0, 15.0, 0), (9.0, 10.0, 0), (0.1, 200.0, 2)],
)
def test_an_unlisted_split_is_suspected_a_day_later(times: float, price: float, flag: int) -> None:
    total, close = np.full((1, COUNT), 1e6), np.full((1, COUNT), 20.0)
    total[0, 60:], close[0, 60:] = 1e6 * times, price
    found = judged(scene(total_volume=total, close=close)).split
    assert found[0, 60] == 0
    assert found[0, 61] == flag
    assert found[0, 62] == 0


def lettered_scene(symbols: tuple[str, ...], absent: dict[str, slice]) -> Panel:
    """Liquid names without prices, gone on some sessions."""
    market = flow_market(len(symbols), date(2020, 1, 2), COUNT, seed=1, mode="null")
    total = np.full((len(symbols), COUNT), 1e6)
    for symbol, where in absent.items():
        total[symbols.index(symbol), where] = np.nan
    none = np.full_like(total, np.nan)
    return dataclasses.replace(
        panel_of(market),
        symbols=symbols,
        total_volume=total,
        short_volume=total / 2,
        share_factor=np.ones_like(total),
        **dict.fromkeys(("close", "high", "low", "volume"), none),
    )


def lettered_reasons(panel: Panel) -> dict[str, list[str]]:
    table = pl.DataFrame({"symbol": panel.symbols, "security_class": "common", "is_test": False})
    found = eligibility(panel, FLOW, table, median_volume(panel, FLOW))
    return {
        symbol: [REASONS[code] for code in row]
        for symbol, row in zip(panel.symbols, found.reason, strict=True)
    }


def test_a_fifth_letter_tells_while_its_root_has_rows() -> None:
    symbols = ("AACQ", "AACQW", "ABCDU", "EFGH", "EFGHR", "GOOG", "GOOGL")
    # AACQ ends before session 30; EFGH begins on session 50
    panel = lettered_scene(symbols, {"AACQ": slice(30, None), "EFGH": slice(0, 50)})
    found = lettered_reasons(panel)
    assert found["AACQW"][:90] == ["class"] * 90  # session 89 sees session 29, 60 before it
    assert found["AACQW"][90:] == [""] * 10
    assert "class" not in found["EFGHR"][:50]
    assert found["EFGHR"][50:] == ["class"] * 50
    for symbol in ("ABCDU", "GOOGL", "GOOG", "AACQ"):
        assert "class" not in found[symbol]


def test_a_fifth_letter_is_read_the_same_in_a_later_panel() -> None:
    symbols = ("AACQ", "AACQW")
    panel = lettered_scene(symbols, {"AACQ": slice(20, None)})
    whole = lettered_reasons(panel)["AACQW"]
    names = ("short_volume", "total_volume", "share_factor", "close", "high", "low", "volume")
    part = dataclasses.replace(
        panel,
        sessions=panel.sessions[15:],
        **{name: getattr(panel, name)[:, 15:] for name in names},
    )
    later = lettered_reasons(part)["AACQW"]
    assert later[60:] == whole[75:]
    assert (whole[80], whole[79]) == ("", "class")
