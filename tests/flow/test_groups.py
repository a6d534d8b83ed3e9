"""Groups against plain loops: membership dates, weights, coverage, baselines, breadth."""

from __future__ import annotations

import math
import statistics
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from flow.daily_rows_made import daily, row
from flow.market_files import sessions
from tapemill.contracts import contract
from tapemill.flow.groups import group_rows
from tapemill.settings.declaration import FlowSettings

FLOW = FlowSettings(baseline_sessions=20, baseline_min_days=15)
DAYS = sessions(date(2024, 3, 1), 30)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NAMES = [f"N{n:02d}" for n in range(20)]


def member(
    symbol,
    group="IDX",
    kind="index",
    weight=None,
    first=date(2020, 1, 1),
    last=None,
    known=LONG_AGO,
    superseded=None,
):
    return {
        "group": group,
        "kind": kind,
        "symbol": symbol,
        "weight_frac": weight,
        "valid_from": first,
        "valid_to": last,
        "known_at": known,
        "superseded_at": superseded,
    }


def listed(rows) -> pl.DataFrame:
    schema = contract("reference.memberships").schema
    names = list(member("X"))
    return pl.DataFrame(rows, schema={name: schema[name] for name in names})


def facts(seed=1, names=NAMES, days=DAYS, priced=True):
    rng = np.random.default_rng(seed)
    rows = []
    for n, name in enumerate(names):
        for day in days:
            d = float(rng.integers(100_000, 900_000))
            rows.append(
                row(
                    name,
                    day,
                    short_volume=float(int(d * rng.uniform(0.3, 0.6))),
                    total_volume=d,
                    short_z=float(rng.normal(0, 1.5)),
                    has_price=priced,
                    close=10.0 + n if priced else None,
                )
            )
    return rows


ROWS = facts()
ALL = listed([member(name) for name in NAMES])


def made(rows=ROWS, memberships=ALL, evenings=DAYS, flow=FLOW) -> pl.DataFrame:
    return group_rows(daily(rows).lazy(), memberships, evenings, flow)


def weighted(rows, names, day, priced=True) -> float:
    chosen = [r for r in rows if r["symbol"] in names and r["session"] == day]
    price = [r["close"] if priced else 1.0 for r in chosen]
    top = sum(r["short_volume"] * p for r, p in zip(chosen, price, strict=True))
    return top / sum(r["total_volume"] * p for r, p in zip(chosen, price, strict=True))


def test_share_breadth_and_surprise_equal_a_plain_loop():
    found = made()
    assert found["session"].to_list() == DAYS
    assert set(found["weighting"]) == {"dollar"}
    shares = [weighted(ROWS, NAMES, day) for day in DAYS]
    assert found["short_share"].to_list() == pytest.approx(shares, rel=1e-12)
    last = found.row(-1, named=True)
    today = [r for r in ROWS if r["session"] == DAYS[-1]]
    zs = [r["short_z"] for r in today]
    assert last["breadth"] == pytest.approx((sum(z > 1 for z in zs) - sum(z < -1 for z in zs)) / 20)
    assert last["equal_weight_share"] == pytest.approx(
        statistics.mean(r["short_volume"] / r["total_volume"] for r in today)
    )
    y = [math.log(s / (1 - s)) for s in shares]
    past = y[-21:-1]
    middle = statistics.median(past)
    mad = statistics.median(abs(v - middle) for v in past)
    scale = max(1.4826 * mad * 20 / 19.2, 0.01)
    assert last["short_z"] == pytest.approx((y[-1] - middle) / scale, rel=1e-9)
    assert last["status"] == "ready"
    z = last["short_z"]
    expected = "buying" if z >= 1 else "selling" if z <= -1 else "neutral"
    assert last["pressure_label"] == expected
    assert set(found["status"][:15]) == {"warming"}
    assert set(found["pressure_label"][:15]) == {"insufficient"}


def test_members_count_from_their_first_to_their_last_day_and_once_known():
    change = DAYS[20]
    monday = datetime(2024, 4, 3, 3, 0, tzinfo=UTC)
    rows = [member(name) for name in NAMES[:10]]
    rows += [member(NAMES[10], last=DAYS[19]), member(NAMES[11], first=change)]
    rows += [member(NAMES[12], known=monday)]
    found = made(memberships=listed(rows))
    for r in found.iter_rows(named=True):
        day = r["session"]
        names = set(NAMES[:10]) | ({NAMES[10]} if day < change else {NAMES[11]})
        if r["as_of"] >= monday:
            names.add(NAMES[12])
        assert r["members"] == len(names)
        assert r["short_share"] == pytest.approx(weighted(ROWS, names, day), rel=1e-12)
    assert {11, 12} == set(found["members"])


def test_a_superseded_membership_row_counts_only_until_it_was_replaced():
    swap = datetime(2024, 4, 1, tzinfo=UTC)
    rows = [member(name) for name in NAMES[:5]]
    rows += [member(NAMES[5], superseded=swap), member(NAMES[5], last=DAYS[0], known=swap)]
    found = made(memberships=listed(rows))
    assert set(found.filter(pl.col("as_of") < swap)["members"]) == {6}
    assert set(found.filter(pl.col("as_of") >= swap)["members"]) == {5}


def test_a_group_with_too_few_covered_members_is_thin_and_has_no_label():
    ghosts = listed([member(n) for n in NAMES[:8]] + [member(f"G{n}") for n in range(2)])
    found = made(memberships=ghosts)
    assert set(found["weight_coverage_frac"]) == {0.8}
    assert set(found["status"]) == {"thin"}
    assert set(found["pressure_label"]) == {"insufficient"}
    assert found["short_share"].null_count() == 0


def test_coverage_is_of_weight_where_every_weight_is_known():
    light = listed([member(n, weight=0.12) for n in NAMES[:8]] + [member("G", weight=0.04)])
    assert made(memberships=light)["weight_coverage_frac"][-1] == pytest.approx(0.96)
    partly = listed([member(n, weight=0.12) for n in NAMES[:8]] + [member("G")])
    assert made(memberships=partly)["weight_coverage_frac"][-1] == pytest.approx(8 / 9)


def test_without_prices_the_shares_weigh_and_the_row_says_so():
    rows = facts(priced=False)
    found = made(rows)
    assert set(found["weighting"]) == {"share"}
    expected = weighted(rows, NAMES, DAYS[-1], priced=False)
    assert found["short_share"][-1] == pytest.approx(expected, rel=1e-12)
    assert found["status"][-1] == "ready"


def test_a_baseline_never_mixes_dollars_with_shares():
    """Prices begin on the last evening: its dollar share has no past."""
    rows = facts(priced=False, days=DAYS[:-1]) + facts(seed=2, days=DAYS[-1:])
    found = made(rows)
    assert found["weighting"].to_list()[-2:] == ["share", "dollar"]
    assert found["status"].to_list()[-2:] == ["ready", "warming"]


def test_an_evening_without_any_member_in_the_file_is_thin_not_zero():
    found = made(memberships=listed([member("G0"), member("G1")]))
    last = found.row(-1, named=True)
    assert (last["members"], last["covered"], last["status"]) == (2, 0, "thin")
    assert last["short_share"] is None and last["short_volume"] is None
    assert last["weight_coverage_frac"] == 0.0


def test_a_member_without_a_finra_row_is_not_covered_though_it_is_in_daily():
    rows = [
        {**r, "has_short": False, "short_volume": None} if r["symbol"] == "N00" else r for r in ROWS
    ]
    assert set(made(rows)["covered"]) == {19}


@pytest.mark.property
def test_evening_by_evening_is_bit_identical_to_all_at_once():
    memberships = listed(
        [member(n) for n in NAMES] + [member(n, "S", "sector", 0.1) for n in NAMES[:9]]
    )
    whole = made(memberships=memberships)
    assert set(whole["kind"]) == {"index", "sector"}
    for place, day in enumerate(DAYS):
        behind = {*DAYS[max(0, place - 20) : place + 1]}
        part = [r for r in ROWS if r["session"] in behind]
        alone = made(list(reversed(part)), memberships, [day])
        assert alone.equals(whole.filter(pl.col("session") == day))


def test_later_facts_change_no_earlier_evening():
    spoiled = [{**r, "short_volume": 1.0} if r["session"] > DAYS[20] else r for r in ROWS]
    early = [made(r).filter(pl.col("session") <= DAYS[20]) for r in (ROWS, spoiled)]
    assert early[0].equals(early[1])


def test_nothing_listed_is_an_empty_table():
    assert made(memberships=listed([])).schema == contract("gold.flow_groups").schema
