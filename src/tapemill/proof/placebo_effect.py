"""Real minus placebo: whether something named did otherwise than the same thing at random.

What is judged comes in *units* that do not depend on each other: trade dates, or stretches of time
where there are few of them. Rows of one unit may depend on each other in any way (one move of price
meets several levels, a level has several placebos, an outcome is watched while the next begins), so
the uncertainty is that of leaving out whole units, never rows, and real and placebo of a unit go
together. Leaving out units one at a time (the jackknife, Efron and Stein 1981; CV3 in MacKinnon,
Nielsen and Webb 2023, "Cluster-robust inference") errs on the wide side where units are few and
unequal. The critical value is Student's for as many units as really count, (Σn)² / Σn².
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.errors import UsageError
from tapemill.proof.inference import LEVEL, benjamini_hochberg
from tapemill.proof.shrinkage import NORMAL_REACH, shrink
from tapemill.proof.student import t_quantile, t_two_sided

__all__ = ["EFFECT_SCHEMA", "LEAST_ROWS", "LEAST_UNITS", "placebo_effects"]

LEAST_ROWS = 20
"""Real rows, and placebo rows, under which nothing is said."""
LEAST_UNITS = 8
"""Units with real rows, and with placebo rows, under which nothing is said."""

_LEAST_EFFECTIVE = 4.0
_NOTHING = 1e-12
"""Errors this small against the values are rounding."""
_LEAST_ALIKE = 5
"""Fewer zeros or ones than this tell too little of their own spread."""

EFFECT_SCHEMA = pl.Schema(
    {
        "kind": pl.String,
        "n_real": pl.Int64,
        "n_placebo": pl.Int64,
        "left_out": pl.Int64,
        "unmatched": pl.Int64,
        "units": pl.Int64,
        "effective_units": pl.Float64,
        "real_frac": pl.Float64,
        "real_low": pl.Float64,
        "real_high": pl.Float64,
        "placebo_frac": pl.Float64,
        "placebo_low": pl.Float64,
        "placebo_high": pl.Float64,
        "difference": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "p_value": pl.Float64,
        "q_value": pl.Float64,
        "shrunk": pl.Float64,
        "shrunk_low": pl.Float64,
        "shrunk_high": pl.Float64,
        "real_shrunk": pl.Float64,
        "real_shrunk_low": pl.Float64,
        "real_shrunk_high": pl.Float64,
        "note": pl.String,
    }
)
"""Columns of the answer; see :func:`placebo_effects`."""

Floats = npt.NDArray[np.float64]


class _Sums(NamedTuple):
    """Of one kind and family: rows and the sum of their values, shape (units, strata)."""

    rows: Floats
    values: Floats


class _Mean(NamedTuple):
    """A mean, what it is without each unit, and how many units really count."""

    mean: float
    without: Floats
    effective: float


def placebo_effects(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Compare real with placebo, kind by kind.

    Parameters
    ----------
    outcomes : pl.DataFrame
        ``unit`` (String: trade date or stretch of time; rows of different units are independent),
        ``kind`` (String), ``family`` (``"real"``; everything else is placebo) and ``value`` (0 or
        1, or any number; null: unknown, left out and counted). Optionally ``stratum`` (String):
        real is compared with placebo of the same stratum only, such as the time of day. Other
        columns are not looked at.

    Returns
    -------
    pl.DataFrame
        A row a kind, by name, columns of :data:`EFFECT_SCHEMA`. ``n_real`` and ``n_placebo`` count
        what was compared, ``left_out`` the unknown, ``unmatched`` what has nothing to be compared
        with in its stratum. ``real_frac``, ``placebo_frac`` and
        ``difference`` (real minus placebo) with 95 % intervals; ``p_value`` two-sided against no
        difference and ``q_value`` over all kinds that were judged (Benjamini and Hochberg 1995);
        ``shrunk`` and ``real_shrunk``: difference and real rate drawn towards those of all kinds as
        far as their own evidence is weak (null with under three kinds). ``note`` says why a kind
        was not judged and is empty otherwise; then every number but the counts is null: there is no
        number without its interval.

    Raises
    ------
    UsageError
        A column is missing, or a value is not finite.
    """
    _refuse(outcomes)
    binary = bool(outcomes["value"].drop_nulls().is_in([0.0, 1.0]).all())
    real, known = pl.col("family") == "real", pl.col("value").is_not_null()
    value = pl.col("value").cast(pl.Float64)
    stratum = pl.col("stratum") if "stratum" in outcomes.columns else pl.lit("")
    sums = (
        outcomes.group_by("kind", "unit", stratum.alias("stratum"))
        .agg(
            n_real=(real & known).sum(),
            n_placebo=(~real & known).sum(),
            sum_real=value.filter(real).sum(),
            sum_placebo=value.filter(~real).sum(),
            left_out=(~known).sum(),
        )
        .sort("kind", "unit", "stratum")
    )
    rows = [
        _effect(str(kind), cells, binary)
        for (kind,), cells in sums.group_by("kind", maintain_order=True)
    ]
    q_values = benjamini_hochberg([row["p_value"] for row in rows])
    for row, q_value in zip(rows, q_values, strict=True):
        row["q_value"] = q_value
    _shrink(rows, "difference", "low", "high", "shrunk")
    _shrink(rows, "real_frac", "real_low", "real_high", "real_shrunk")
    made = pl.DataFrame(rows, schema=EFFECT_SCHEMA)
    return made.with_columns(pl.selectors.float().fill_nan(None))


def _refuse(outcomes: pl.DataFrame) -> None:
    missing = [name for name in ("unit", "kind", "family", "value") if name not in outcomes.columns]
    if missing:
        raise UsageError(
            f"outcomes lack {', '.join(missing)}",
            next_step="give unit, kind, family and value, one row an outcome",
        )
    if not outcomes["value"].cast(pl.Float64).drop_nulls().is_finite().all():
        raise UsageError(
            "a value of the outcomes is not finite", next_step="make unknown values null"
        )


def _effect(kind: str, cells: pl.DataFrame, binary: bool) -> dict[str, Any]:
    """The row of one kind; `cells` are its sums by unit and stratum."""
    raw = _families(cells)
    matched = [sums.rows.sum(axis=0) > 0 for sums in raw]
    both = matched[0] & matched[1]
    row: dict[str, Any] = dict.fromkeys(EFFECT_SCHEMA, math.nan)
    row |= _counts(raw) | {"kind": kind, "left_out": int(cells["left_out"].sum()), "unmatched": 0}
    row["note"] = _lacking(raw)
    if not row["note"]:
        every = row["n_real"] + row["n_placebo"]
        families = [_Sums(sums.rows[:, both], sums.values[:, both]) for sums in raw]
        row |= _counts(families)
        row["unmatched"] = every - row["n_real"] - row["n_placebo"]
        row["note"] = _lacking(families)
    if row["note"]:
        return row
    means = _means(*families)
    real, placebo = means
    effective = min(real.effective, placebo.effective)
    spare = [
        _alike(sums, mean) if binary else 0.0 for sums, mean in zip(families, means, strict=True)
    ]
    difference = real.mean - placebo.mean
    variance = _variance(real.without - placebo.without) + sum(spare)
    error, reach = math.sqrt(variance), t_quantile(1.0 - LEVEL, effective - 1.0)
    if not error > _NOTHING * max(abs(real.mean), abs(placebo.mean), 1.0):
        row["note"] = "insufficient: nothing tells how sure it is, for the units do not differ"
        return row
    bounds = (-1.0, 1.0) if binary else (-math.inf, math.inf)
    row |= {
        "effective_units": effective,
        "difference": difference,
        "low": max(difference - reach * error, bounds[0]),
        "high": min(difference + reach * error, bounds[1]),
        "p_value": t_two_sided(difference / error, effective - 1.0),
    }
    for name, mean, more in zip(("real", "placebo"), means, spare, strict=True):
        low, high = _interval(mean, _variance(mean.without) + more, binary)
        row |= {f"{name}_frac": mean.mean, f"{name}_low": low, f"{name}_high": high}
    return row


def _families(cells: pl.DataFrame) -> list[_Sums]:
    """Sums of real and of placebo, by unit and stratum."""
    unit, stratum = (cells[name].rank("dense").to_numpy() - 1 for name in ("unit", "stratum"))
    shape = (int(unit.max()) + 1, int(stratum.max()) + 1)
    found = []
    for family in ("real", "placebo"):
        sums = _Sums(np.zeros(shape), np.zeros(shape))
        sums.rows[unit, stratum] = cells[f"n_{family}"].to_numpy()
        sums.values[unit, stratum] = cells[f"sum_{family}"].to_numpy()
        found.append(sums)
    return found


def _counts(families: Sequence[_Sums]) -> dict[str, int]:
    real, placebo = (sums.rows.sum(axis=1) for sums in families)
    return {
        "n_real": int(real.sum()),
        "n_placebo": int(placebo.sum()),
        "units": int((real + placebo > 0).sum()),
    }


def _lacking(families: Sequence[_Sums]) -> str:
    """Why a kind cannot be judged; empty if it can."""
    for name, sums in zip(("real", "placebo"), families, strict=True):
        by_unit = sums.rows.sum(axis=1)
        rows, units = int(by_unit.sum()), int((by_unit > 0).sum())
        if rows < LEAST_ROWS or units < LEAST_UNITS:
            return (
                f"insufficient: {rows} {name} in {units} {'unit' if units == 1 else 'units'}; "
                f"{LEAST_ROWS} in {LEAST_UNITS} are needed"
            )
        effective = _effective(by_unit)
        if effective < _LEAST_EFFECTIVE:
            return (
                f"insufficient: the {rows} {name} fall so unevenly into {units} units that they "
                f"count as {effective:.1f}; {_LEAST_EFFECTIVE:.0f} are needed"
            )
    return ""


def _effective(weights: Floats) -> float:
    return float(weights.sum() ** 2 / (weights @ weights))


def _means(real: _Sums, placebo: _Sums) -> tuple[_Mean, _Mean]:
    """Both means over the same mix of strata, so that their difference is one within strata.

    A stratum weighs ``n m / (n + m)`` for n real and m placebo rows, as sure as it is (Mantel and
    Haenszel 1959). Without strata these are the plain means.
    """
    pair = (real, placebo)
    # First all units, then without each of them.
    rows = [np.vstack([s.rows.sum(axis=0), s.rows.sum(axis=0) - s.rows]) for s in pair]
    values = [np.vstack([s.values.sum(axis=0), s.values.sum(axis=0) - s.values]) for s in pair]
    weight = rows[0] * rows[1] / np.maximum(rows[0] + rows[1], 1.0)
    every = weight.sum(axis=1)
    every[every == 0.0] = np.nan
    found = []
    for sums, n, total in zip(pair, rows, values, strict=True):
        mean = (weight * total / np.maximum(n, 1.0)).sum(axis=1) / every
        by_unit = sums.rows @ (weight[0] / np.maximum(n[0], 1.0))
        found.append(_Mean(float(mean[0]), mean[1:], _effective(by_unit)))
    return found[0], found[1]


def _variance(without: Floats) -> float:
    """Jackknife variance of what leaving out each unit gives."""
    count = len(without)
    apart = without - without.mean()
    return float((count - 1) / count * (apart @ apart))


def _alike(sums: _Sums, mean: _Mean) -> float:
    """Variance to add where nearly all values are the same.

    Values that never differ have no spread to see, but that is no certainty: as if each unit that
    counts were one trial, with one more success and one more failure (Agresti and Caffo 2000).
    """
    ones = float(sums.values.sum())
    if min(ones, float(sums.rows.sum()) - ones) >= _LEAST_ALIKE:
        return 0.0
    trials = mean.effective + 2.0
    guess = (mean.mean * mean.effective + 1.0) / trials
    return guess * (1.0 - guess) / trials


def _interval(mean: _Mean, variance: float, binary: bool) -> tuple[float, float]:
    """95 % interval of one mean; of a rate Wilson's, with as many trials as its variance shows."""
    reach, rate = t_quantile(1.0 - LEVEL, mean.effective - 1.0), mean.mean
    if not binary:
        width = reach * math.sqrt(variance)
        return rate - width, rate + width
    spread = rate * (1.0 - rate)
    trials = spread / variance if spread > 0.0 and variance > 0.0 else mean.effective
    centre = (rate + reach**2 / (2.0 * trials)) / (1.0 + reach**2 / trials)
    width = math.sqrt(spread / trials + reach**2 / (4.0 * trials**2)) * reach
    width /= 1.0 + reach**2 / trials
    return max(centre - width, 0.0), min(centre + width, 1.0)


def _shrink(rows: list[dict[str, Any]], value: str, low: str, high: str, into: str) -> None:
    """Add to each row its value drawn towards those of all kinds."""
    judged = [row for row in rows if not row["note"]]
    errors = [(row[high] - row[low]) / (2.0 * NORMAL_REACH) for row in judged]
    for row, drawn in zip(judged, shrink([row[value] for row in judged], errors), strict=True):
        row |= {into: drawn.value, f"{into}_low": drawn.low, f"{into}_high": drawn.high}
