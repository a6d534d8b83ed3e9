"""Rows of the flow tables as their contracts declare them, made from a seed."""

from __future__ import annotations

import datetime
import math

import numpy as np
import polars as pl

from tapemill.clock import calendar
from tapemill.contracts import contract
from tapemill.flow.evening import evening_of

LAST = datetime.date(2021, 1, 29)
SYMBOLS = ("GME", "AMC", "BRK.B", "SPY")
VERSION = "0123456789ab"


def sessions_until(last: datetime.date = LAST, days: int = 40) -> list[datetime.date]:
    exchange = calendar("XNYS")
    return exchange.session_dates(exchange.previous(last, days - 1), last)


def conform(dataset: str, rows: list[dict]) -> pl.DataFrame:
    """Rows with every column of the contract; what is not given is null, or empty if it must be."""
    declared = contract(dataset)
    columns = []
    for column in declared.columns:
        values = [row.get(column.name) for row in rows]
        if not column.nullable and all(v is None for v in values):
            values = [{pl.Boolean(): False, pl.String(): ""}.get(column.dtype, 0)] * len(rows)
        columns.append(pl.Series(column.name, values, dtype=column.dtype, strict=False))
    return pl.DataFrame(columns)


def _share(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def daily(
    symbols=SYMBOLS, last=LAST, days=40, seed=7, *, tape="tick", prices=True, weeks=True
) -> pl.DataFrame:
    """gold.flow_daily: a usual share a symbol, noise of known scale, one shock near the end."""
    generator = np.random.default_rng(seed)
    sessions = sessions_until(last, days)
    rows = []
    for number, symbol in enumerate(symbols):
        base, scale = generator.normal(0.0, 0.3), 0.15
        price, volume = 20.0 * (number + 1), 2e6 * (number + 1)
        for place, session in enumerate(sessions):
            z = float(generator.normal())
            if symbol == "GME" and place >= len(sessions) - 4:
                z += 3.5
            share = _share(base + z * scale)
            total = volume * float(np.exp(generator.normal(0, 0.3)))
            price *= 1 + float(generator.normal(0, 0.02))
            lit = float(np.clip(generator.normal(0, 0.12), -0.9, 0.9))
            monday = session - datetime.timedelta(days=session.weekday())
            week = monday - datetime.timedelta(days=21)
            rows.append(
                {
                    "symbol": symbol,
                    "session": session,
                    "as_of": evening_of(session),
                    "known_at": evening_of(session),
                    "year": session.year,
                    "finra_symbol": symbol.replace(".", "/"),
                    "has_short": True,
                    "has_tape": tape != "none",
                    "has_otc": weeks,
                    "has_price": prices,
                    "status": "ready",
                    "short_source": "consolidated",
                    "short_volume": share * total,
                    "rest_volume": (1 - share) * total,
                    "total_volume": total,
                    "short_share": share,
                    "short_to_rest_ratio": share / (1 - share),
                    "short_share_logit": base + z * scale,
                    "short_baseline_share": _share(base),
                    "baseline_days": min(60, 25 + place),
                    "short_z": z,
                    "volume_z": float(generator.normal()),
                    "volume_ratio": total / volume,
                    "tape_mode": tape,
                    "tape_imbalance": lit * 0.8 if tape != "none" else None,
                    "tape_z": lit * 6 if tape != "none" else None,
                    "lit_imbalance": lit if tape == "tick" else None,
                    "lit_z": lit * 8 if tape == "tick" else None,
                    "otc_week": week if weeks else None,
                    "otc_published": week + datetime.timedelta(days=21) if weeks else None,
                    "otc_age_sessions": 11 + session.weekday() if weeks else None,
                    "otc_status": "latest_known" if weeks else "none",
                    "otc_tier": "T1" if weeks else None,
                    "otc_volume": 2.5 * volume if weeks else None,
                    "otc_participation_frac": (
                        0.3 + 0.02 * (week.toordinal() // 7 % 9) if weeks and prices else None
                    ),
                    "otc_next_publication": monday + datetime.timedelta(days=21),
                    "close": price if prices else None,
                    "return_1d_frac": float(generator.normal(0, 0.02)) if prices else None,
                    "dollar_volume_median": price * volume if prices else None,
                    "pressure_score": math.tanh(z / 2),
                    "pressure_label": (
                        "buying" if z > 0.73 else "selling" if z < -0.73 else "neutral"
                    ),
                }
            )
    return conform("gold.flow_daily", rows)


def composite(made: pl.DataFrame) -> pl.DataFrame:
    rows = []
    for row in made.iter_rows(named=True):
        score = 0.8 * row["pressure_score"]
        label = "accumulate" if score > 0.35 else "distribute" if score < -0.35 else "neutral"
        rows.append(
            {
                **{k: row[k] for k in ("symbol", "session", "as_of", "known_at", "year")},
                "inference_version": VERSION,
                "revision": 1,
                "pressure_score": row["pressure_score"],
                "directional_score": 0.1,
                "composite_score": score,
                "confidence": 0.4 + 0.01 * (row["baseline_days"] - 20),
                "final_label": label,
                "data_quality": "short+tick+otc+price",
                "input_digest": "00",
            }
        )
    return conform("gold.composite_signal", rows)


def bars(made: pl.DataFrame, seed=3) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    rows = []
    for row in made.filter(pl.col("close").is_not_null()).iter_rows(named=True):
        close = row["close"]
        opened = close * (1 + float(generator.normal(0, 0.01)))
        known = evening_of(row["session"]) + datetime.timedelta(hours=5)
        rows.append(
            {
                "symbol": row["symbol"],
                "session": row["session"],
                "ts_event": 0,
                "ts": evening_of(row["session"]),
                "year": row["session"].year,
                "open": opened,
                "high": max(opened, close) * 1.01,
                "low": min(opened, close) * 0.99,
                "close": close,
                "volume": 3 * row["total_volume"],
                "source": "made",
                "raw_sha256": "0" * 64,
                "ordinal": len(rows),
                "version": 1,
                "known_at": known,
            }
        )
    return conform("silver.equity_bars_1d", rows)


def versions() -> pl.DataFrame:
    row = {
        "inference_version": VERSION,
        "signal": "gold.composite_signal",
        "code_digest": "00",
        "parameters": "{}",
        "registered_at": evening_of(LAST),
    }
    return conform("ops.signal_versions", [row])


def fill(lake, symbols=SYMBOLS, *, last=LAST, days=40, signal=True, **kinds) -> pl.DataFrame:
    """Put made rows into a lake; the rows of gold.flow_daily."""
    made = daily(symbols, last, days, **kinds)
    lake.tables.replace("gold.flow_daily", made)
    if signal:
        lake.tables.append("ops.signal_versions", versions(), writer="made", sequence=1)
        lake.tables.append("gold.composite_signal", composite(made), writer="made", sequence=1)
    if kinds.get("prices", True):
        lake.tables.replace("silver.equity_bars_1d", bars(made))
    return made


def scan(names=40, last=LAST, days=30, seed=11, *, prices=False) -> pl.DataFrame:
    """gold.flow_scan: `names` eligible names and one warrant that is left out, every session."""
    generator = np.random.default_rng(seed)
    rows = []
    for session in sessions_until(last, days):
        z = generator.normal(0, 1, names)
        if session == last:
            z[0], z[1] = 6.0, -6.0
        volume_z = generator.normal(0, 1, names)
        order = {int(i): place + 1 for place, i in enumerate(np.argsort(-volume_z))}
        places = {"buying": 0, "selling": 0}
        stamps = {"session": session, "as_of": evening_of(session), "year": session.year}
        stamps["known_at"] = stamps["as_of"]
        for i in sorted(range(names), key=lambda one: -abs(z[one])):
            side = "buying" if z[i] > 0 else "selling"
            places[side] += 1
            share = _share(z[i] * 0.15)
            rows.append(
                stamps
                | {
                    "symbol": f"N{i:02d}" if i else "GME",
                    "eligible": True,
                    "security_class": "common",
                    "sector": ("Energy", "Tech")[i % 2],
                    "short_volume": share * 1e6,
                    "total_volume": 1e6,
                    "short_share": share,
                    "baseline_share": 0.5,
                    "baseline_days": 45,
                    "share_move": z[i] * 0.15,
                    "peer_shift": 0.0,
                    "peer_share_points": 0.01,
                    "z": float(z[i]),
                    "p_value": 0.01,
                    "p_source": "prior_evenings",
                    "q_value": 0.0004 if abs(z[i]) > 5 else 0.6,
                    "volume_ratio": 1.4,
                    "volume_z": float(volume_z[i]),
                    "volume_q_value": 0.5,
                    "score": float(z[i]),
                    "direction": side,
                    "rank": places[side],
                    "volume_rank": order[i],
                    "novelty": "sudden" if abs(z[i]) > 5 else "ordinary",
                    "run_length": 1 if abs(z[i]) > 2 else 0,
                    "volume_novelty": "ordinary",
                    "dollar_volume_median": 2e7 if prices else None,
                    "otc_next_publication": last + datetime.timedelta(days=17),
                }
            )
        rows.append(
            stamps
            | {
                "symbol": "ACIC.WS",
                "eligible": False,
                "ineligible_reason": "class",
                "security_class": "warrant",
                "short_share": 0.9,
                "total_volume": 100.0,
            }
        )
    return conform("gold.flow_scan", rows)


def macro(last=LAST, days=30, seed=5, scopes=("market", "sector:Tech")) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    rows = []
    for place, session in enumerate(sessions_until(last, days)):
        for scope in scopes:
            rank = place >= 20
            rows.append(
                {
                    "scope": scope,
                    "session": session,
                    "as_of": evening_of(session),
                    "known_at": evening_of(session),
                    "year": session.year,
                    "names": 40,
                    "rows": 41,
                    "priced_frac": 0.0,
                    "weighting": "share",
                    "short_share": 0.48 + 0.01 * float(generator.normal()),
                    "equal_weight_share": 0.47,
                    "breadth": float(np.clip(generator.normal(0, 0.2), -1, 1)),
                    "dispersion": 1.0 + 0.1 * float(generator.normal()),
                    "peer_shift": 0.0,
                    "share_percentile": float(generator.random()) if rank else None,
                    "breadth_percentile": float(generator.random()) if rank else None,
                    "dispersion_percentile": float(generator.random()) if rank else None,
                    "percentile_days": place if rank else 0,
                }
            )
    return conform("gold.flow_macro", rows)
