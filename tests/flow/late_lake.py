"""A lake of silver with everything in it, whose facts arrive late, are restated or vanish."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from flow.market_files import sessions
from tapemill.clock import FixedClock, eastern_ns
from tapemill.contracts import contract
from tapemill.contracts.columns import TAPE_SUMS
from tapemill.flow import GOLD_RECIPES
from tapemill.flow.evening import evening_of
from tapemill.lake import Lake
from tapemill.refine import BuildReport, build
from tapemill.settings import Settings

DAYS = sessions(dt.date(2023, 11, 1), 100)
NAMES = [*(f"{chr(65 + n)}BX" for n in range(20)), "BRK.B", "AACQ", "AACQW"]
FILLED = {
    "source": "massive.rest",
    "raw_sha256": "0" * 64,
    "ordinal": 0,
    "version": 1,
    "quality": 0,
    "market": "Q",
    "superseded_at": None,
}

Facts = dict[str, pl.DataFrame]


KINDS = ("late", "restated", "gone")


def facts_of(seed: int, *, unrest: float, kinds: Sequence[str] = KINDS) -> Facts:
    """Silver of a made market; about `unrest` of all facts come late, change or go.

    Of the few splits and memberships ten times as many do.
    """
    rng = np.random.default_rng(seed)
    made = {
        "silver.short_volume": _short(rng),
        "silver.equity_bars_1d": _bars(rng),
        "silver.tape_5m": _tape(rng),
        "silver.otc_weekly": _weeks(rng),
        "silver.short_interest": _interest(rng),
        "reference.adjustments": _splits(rng),
        "reference.memberships": _members(rng),
    }
    return {
        name: frame_of(name, _disturbed(rows, unrest * (1 if len(rows) > 100 else 10), kinds, rng))
        for name, rows in made.items()
    }


def known_by(facts: Facts, moment: dt.datetime) -> Facts:
    """What the lake held at a moment: nothing that came later, and nothing gone that went later."""
    gone = pl.col("superseded_at")
    return {
        name: frame.filter(pl.col("known_at") <= moment).with_columns(
            superseded_at=pl.when(gone <= moment).then(gone)
        )
        for name, frame in facts.items()
    }


def open_lake(place, facts: Facts) -> Lake:
    lake = Lake.open(place, create=True, clock=FixedClock(1_713_600_000 * 10**9))
    fill(lake, facts)
    return lake


def fill(lake: Lake, facts: Facts) -> None:
    """Make silver hold exactly these facts."""
    for name, frame in facts.items():
        lake.tables.replace(name, frame)
    short = facts["silver.short_volume"].group_by("session").len()
    units = [(day.isoformat(), "made", count) for day, count in short.iter_rows()]
    lake.control.builds.record_many("silver.short_volume", units, ns=1)


def make_gold(lake: Lake, progress: Callable[[int, int, str], None] | None = None) -> BuildReport:
    return build(lake, Settings(), lake.clock, progress=progress, recipes=GOLD_RECIPES)


def gold_of(lake: Lake, name: str, day: dt.date | None = None) -> pl.DataFrame:
    rows = lake.tables.scan(name)
    if day is not None:
        rows = rows.filter(pl.col("session") == day)
    found = rows.collect()
    # A revision and a digest of inputs tell how a row came about, not what it says.
    return found.drop("revision", "input_digest", strict=False).sort(contract(name).order[:2])


def frame_of(name: str, rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    schema = contract(name).schema
    texts = {n: pl.String() for n, kind in schema.items() if isinstance(kind, pl.Decimal)}
    filled = [
        {n: str(v) if n in texts and v is not None else v for n, v in {**FILLED, **row}.items()}
        for row in rows
    ]
    frame = pl.DataFrame(
        [{n: row.get(n) for n in schema} for row in filled], schema={**schema, **texts}
    )
    day = next(n for n in ("session", "week_start", "settlement_date", "valid_from", "ex_date")
               if n in schema)  # fmt: skip
    if "year" in schema:
        frame = frame.with_columns(year=pl.col(day).dt.year())
    if "month" in schema:
        frame = frame.with_columns(month=pl.col(day).dt.strftime("%Y-%m"))
    return contract(name).conform(frame)


# -- facts on time -------------------------------------------------------------------------------


def _short(rng: np.random.Generator) -> list[dict]:
    rows = []
    for name in NAMES:
        share, size = rng.uniform(0.3, 0.6), rng.uniform(13, 15)
        for day in DAYS:
            total = int(np.exp(size + rng.normal(0, 0.3)))
            short = int(total * np.clip(share + rng.normal(0, 0.05), 0.02, 0.98))
            facts = {
                "symbol": name.replace(".", "/"),
                "session": day,
                "short_exempt_volume": 0,
                "known_at": evening_of(day),
            }
            if rng.random() < 0.1:
                for facility in ("FNSQ", "FNYX"):
                    half = {"short_volume": short // 2, "total_volume": total // 2}
                    rows.append({**facts, **half, "facility": facility})
            if rng.random() < 0.99:
                whole = {"short_volume": short, "total_volume": total}
                rows.append({**facts, **whole, "facility": "CNMS"})
    return rows


def _bars(rng: np.random.Generator) -> list[dict]:
    rows = []
    for name in NAMES:
        close = rng.uniform(20, 90)
        for day in DAYS:
            close *= np.exp(rng.normal(0, 0.02))
            opened = eastern_ns(day, 9, 30)
            rows.append(
                {
                    "symbol": name,
                    "ts_event": opened,
                    "ts": _moment(opened),
                    "session": day,
                    "open": close,
                    "high": close * 1.01,
                    "low": close * 0.99,
                    "close": close,
                    "volume": float(rng.integers(2_000_000, 9_000_000)),
                    "known_at": evening_of(day) + dt.timedelta(hours=2, minutes=15),
                }
            )
    return rows


def _tape(rng: np.random.Generator) -> list[dict]:
    rows = []
    for name in NAMES[:8]:
        for day in DAYS:
            for hour in (10, 13):
                for mode in ("tick", "minute"):
                    at = eastern_ns(day, hour)
                    sums = {
                        column.name: float(rng.integers(1000, 90_000))
                        if column.dtype == pl.Float64()
                        else int(rng.integers(10, 900))
                        for column in TAPE_SUMS
                    }
                    sides = {
                        f"{side}_volume": float(rng.integers(10_000, 90_000))
                        for side in ("buy", "sell", "unclassified", "bulk")
                    }
                    key = {"symbol": name, "ts_event": at, "ts": _moment(at), "session": day}
                    known = {"mode": mode, "known_at": _moment(at) + dt.timedelta(minutes=20)}
                    rows.append({**key, **known, **sums, **sides})
    return rows


def _weeks(rng: np.random.Generator) -> list[dict]:
    rows = []
    monday = DAYS[0] - dt.timedelta(days=DAYS[0].weekday() + 7 * 12)
    while monday < DAYS[-1]:
        for name in NAMES:
            tier = "T1" if name < "M" else "T2"
            out = monday + dt.timedelta(days=21 if tier == "T1" else 35)
            rows += [
                {
                    "symbol": name,
                    "week_start": monday,
                    "venue_class": venue,
                    "tier": tier,
                    "week_inferred": False,
                    "shares": int(rng.integers(1_000_000, 9_000_000)),
                    "trades": int(rng.integers(1000, 9000)),
                    "firms": 3,
                    "venue_concentration": float(rng.uniform(0.1, 0.9)),
                    "from_firm_rows": False,
                    "last_update_date": out,
                    "known_at": evening_of(out),
                }
                for venue in ("ats", "non_ats")
            ]
        monday += dt.timedelta(days=7)
    return rows


def _interest(rng: np.random.Generator) -> list[dict]:
    settled = [DAYS[0] + dt.timedelta(days=15 * n) for n in range(9)]
    return [
        {
            "symbol": name,
            "settlement_date": day,
            "short_interest": int(rng.integers(100_000, 900_000)),
            "previous_short_interest": int(rng.integers(100_000, 900_000)),
            "days_to_cover": float(rng.uniform(1, 9)),
            "known_at": evening_of(day + dt.timedelta(days=13)),
        }
        for name in NAMES
        for day in settled
    ]


def _splits(rng: np.random.Generator) -> list[dict]:
    return [
        {
            "symbol": name,
            "ex_date": day,
            "kind": "split",
            "split_from": 1.0,
            "split_to": 4.0,
            "price_factor_frac": 0.25,
            "volume_factor_frac": 4.0,
            "known_at": evening_of(day) - dt.timedelta(hours=14),
        }
        for name, day in zip(NAMES[:12], rng.choice(np.array(DAYS), 12), strict=True)
    ]


def _members(rng: np.random.Generator) -> list[dict]:
    rows = []
    for place, name in enumerate(NAMES):
        for group, kind in ((f"S{place % 3}", "sector"), ("CORE", "index")):
            since = DAYS[int(rng.integers(0, 60))] if rng.random() < 0.4 else dt.date(2020, 1, 1)
            rows.append(
                {
                    "group": group,
                    "kind": kind,
                    "symbol": name,
                    "valid_from": since,
                    "known_at": evening_of(since) - dt.timedelta(hours=18),
                }
            )
    return rows


# -- facts that move ------------------------------------------------------------------------------

_RESTATED = {
    "short_volume": 0.9,
    "close": 1.1,
    "volume": 1.3,
    "buy_volume": 1.5,
    "lit_buy_volume": 1.4,
    "venue_concentration": 0.5,
    "trades": 2,
    "days_to_cover": 2.0,
    "volume_factor_frac": 0.5,
}


def _disturbed(
    rows: list[dict], part: float, kinds: Sequence[str], rng: np.random.Generator
) -> list[dict]:
    """Some facts come late, some are restated, some go without a successor."""
    end = evening_of(DAYS[-1]) + dt.timedelta(days=20)
    made = []
    for row in rows:
        if rng.random() >= part:
            made.append(row)
            continue
        span = max((end - row["known_at"]).total_seconds(), 1.0)
        near = rng.random() < 0.5
        seconds = int(rng.uniform(0, min(span, 9 * 86_400) if near else span))
        moment = row["known_at"] + dt.timedelta(seconds=seconds)
        kind = rng.choice(kinds)
        if kind == "late":
            made.append({**row, "known_at": moment})
            continue
        made.append({**row, "superseded_at": moment})
        if kind == "restated":
            new = {n: _times(row[n], by) for n, by in _RESTATED.items() if row.get(n) is not None}
            tier = {"tier": "T1" if row["tier"] == "T2" else "T2"} if "tier" in row else {}
            made.append({**row, **new, **tier, "version": 2, "known_at": moment})
    return made


def _times(value: float, by: float) -> float:
    return int(value * by) if isinstance(value, int) else value * by


def _moment(ns: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ns / 1e9, dt.UTC)
