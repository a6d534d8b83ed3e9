"""Contracts of futures: what the venue's definitions say, and what files show without any.

Everything goes by symbol: the venue's numeric ids are reused. A contract that only order files
have shown has the price step that its rows are counted in, with the evidence for it, and no
value of a point unless a contract of its product is defined.
"""

from __future__ import annotations

import datetime
import json
import math
from fractions import Fraction
from typing import Any

import polars as pl

from tapemill.contracts import contract
from tapemill.lake import Lake
from tapemill.refine.futures_symbols import read_symbol
from tapemill.refine.recipe import Kitchen, Plan, Product, digest_of

__all__ = ["CONTRACT_INPUTS", "futures_contracts", "plan_contracts"]

_TARGET = "reference.futures_contracts"
_DEFINITIONS = "bronze.databento_definitions"
_FILES = "bronze.databento_files"
CONTRACT_INPUTS = (_DEFINITIONS, _FILES)
_NANO = 10**9
_KINDS = {
    "F": "outright",
    "S": "spread",
    "M": "spread",
    "T": "spread",
    "C": "option",
    "P": "option",
}
"""Instrument classes of the vendor that are futures or are made of them."""
_TERMS = (
    "asset",
    "instrument_class",
    "exchange",
    "currency",
    "tick_nano",
    "tick_value",
    "display_factor",
    "contract_multiplier",
    "unit_of_measure",
    "expiration_ns",
    "activation_ns",
)
_INDEX_POINTS = "IPNT"
_EVIDENCE = ("definition", "product", "prices")
"""From the best to the weakest."""


def futures_contracts(definitions: pl.DataFrame, files: pl.DataFrame) -> pl.DataFrame:
    """One row a contract.

    Parameters
    ----------
    definitions : pl.DataFrame
        Rows of ``bronze.databento_definitions``.
    files : pl.DataFrame
        Rows of ``bronze.databento_files``.

    Returns
    -------
    pl.DataFrame
        Rows of ``reference.futures_contracts``, by symbol. Terms are those of the newest
        definition, known since the first one that said the same. Shares and other instruments
        that are not of futures are left out.

    Notes
    -----
    The value of a step is the definition's over its factor of display (ES: 0.125 over 0.01 is
    12.50), and the value of a point is that over the size of a step. Where the unit of measure is
    index points its quantity is the value of a point too, and must say the same. Without a factor
    the quantity counts, if it is of index points, or the value of a step as it stands agrees, or
    there is none; but a quantity of the price's own currency is the face of a bond, of which a
    point is a hundredth. What contradicts itself is null, and the evidence gives both.
    """
    defined = {row["symbol"]: row for row in _newest(definitions)}
    rows = [row for row in map(_of_definition, defined.values()) if row]
    products = {(row["root"], row["kind"]): row for row in reversed(rows) if row["multiplier"]}
    seen = _seen(files)
    rows += [
        row
        for symbol in sorted(seen.keys() - {row["symbol"] for row in rows})
        if (row := _of_files(symbol, seen[symbol], products)) is not None
    ]
    target = contract(_TARGET)
    return target.conform(pl.DataFrame(rows, schema=target.schema).sort("symbol"))


def _newest(definitions: pl.DataFrame) -> list[dict[str, Any]]:
    """The last definition of each symbol, with the moment from which its terms were known."""
    named = definitions.with_columns(
        symbol=pl.when(pl.col("symbol").str.starts_with("#") & pl.col("raw_symbol").is_not_null())
        .then(pl.col("raw_symbol"))
        .otherwise(pl.col("symbol"))
    ).sort("symbol", "ts_gateway", "raw_sha256", "ordinal")
    terms = pl.struct(_TERMS)
    # The terms of a symbol's last run of equal definitions began with the first of that run.
    runs = named.with_columns(run=terms.rle_id().over("symbol"))
    last = runs.filter(pl.col("run") == pl.col("run").max().over("symbol"))
    return last.group_by("symbol", maintain_order=True).first().to_dicts()


def _of_definition(row: dict[str, Any]) -> dict[str, Any] | None:
    read = read_symbol(row["symbol"])
    kind = _KINDS.get(row["instrument_class"] or "", read.kind if read else "")
    root = row["asset"] or (read.root if read else "")
    tick = row["tick_nano"]
    if not kind or not root or not tick or row["instrument_class"] in ("K", "B", "X", "I"):
        return None
    multiplier, doubt = _point_value(row, kind)
    return {
        "symbol": row["symbol"],
        "root": root,
        "kind": kind,
        "exchange": row["exchange"],
        "currency": row["currency"],
        "tick_nano": tick,
        "tick_size": tick / _NANO,
        "tick_value": multiplier * tick / _NANO if multiplier else None,
        "multiplier": multiplier,
        "expiration_ns": row["expiration_ns"],
        "activation_ns": row["activation_ns"],
        "evidence": "definition: its own" + doubt,
        "known_at": row["known_at"],
    }


def _point_value(row: dict[str, Any], kind: str) -> tuple[float | None, str]:
    """Currency a point, and what is to be said about it."""
    if kind != "outright":
        return None, ""
    unit, factor = row["unit_of_measure"], row["display_factor"] or None
    by_unit, step = row["contract_multiplier"] or None, row["tick_value"] or None
    points = unit == _INDEX_POINTS
    if step is None:
        # A quantity of the price's own currency is a face value, no money a point.
        return (None if unit and unit == row["currency"] else by_unit), ""
    by_step = float(_exact(step) / _exact(factor or 1.0) / Fraction(row["tick_nano"], _NANO))
    if by_unit is None or (factor and not points):
        return (by_step if factor else None), ""
    if math.isclose(by_step, by_unit, rel_tol=1e-9) or (points and not factor):
        return by_unit, ""
    said = f"{by_step:g} by the value of its step and {by_unit:g} by its unit of measure"
    return None, f"; value of a point unknown: {said}"


def _exact(value: float) -> Fraction:
    """The decimal that the venue sent: nine places, before it was a floating-point number."""
    return Fraction(round(value * _NANO), _NANO)


def _seen(files: pl.DataFrame) -> dict[str, tuple[int, str, datetime.datetime]]:
    """Symbol → price step of its rows, evidence, and when the first file shows it."""
    found: dict[str, tuple[int, str, datetime.datetime]] = {}
    known = files.filter(pl.col("first_gateway_ns").is_not_null()).sort(
        "first_gateway_ns", "raw_sha256"
    )
    for ticks, first in known.select("ticks", "first_gateway_ns").iter_rows():
        at = _EPOCH + datetime.timedelta(microseconds=-(-first // 1000))
        for symbol, (tick, evidence) in json.loads(ticks or "{}").items():
            before = found.get(symbol)
            if before is None:
                found[symbol] = (int(tick), str(evidence), at)
            elif _strength(str(evidence)) < _strength(before[1]):
                found[symbol] = (int(tick), str(evidence), before[2])
    return found


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def _strength(evidence: str) -> int:
    kind = evidence.partition(":")[0]
    return _EVIDENCE.index(kind) if kind in _EVIDENCE else len(_EVIDENCE)


def _of_files(
    symbol: str,
    seen: tuple[int, str, datetime.datetime],
    products: dict[tuple[str, str], dict[str, Any]],
) -> dict[str, Any] | None:
    read = read_symbol(symbol)
    tick, evidence, known_at = seen
    if read is None or tick <= 0:
        return None
    like = products.get((read.root, read.kind))
    multiplier = like["multiplier"] if like else None
    if like and read.kind == "outright":
        evidence += f"; value of a point: of {like['symbol']}"
        known_at = max(known_at, like["known_at"])
    else:
        multiplier = None
    return {
        "symbol": symbol,
        "root": read.root,
        "kind": read.kind,
        "exchange": like["exchange"] if like else None,
        "currency": like["currency"] if like else None,
        "tick_nano": tick,
        "tick_size": tick / _NANO,
        "tick_value": multiplier * tick / _NANO if multiplier else None,
        "multiplier": multiplier,
        "expiration_ns": None,
        "activation_ns": None,
        "evidence": evidence,
        "known_at": known_at,
    }


def plan_contracts(kitchen: Kitchen, version: str) -> Plan:
    """Units are symbols; see :class:`tapemill.refine.recipe.Recipe`."""
    tables = kitchen.lake.tables
    rows = futures_contracts(tables.scan(_DEFINITIONS).collect(), _files(kitchen.lake))
    return rows_by_unit(rows, version, "symbol")


def _files(lake: Lake) -> pl.DataFrame:
    return lake.tables.scan(_FILES).select("raw_sha256", "ticks", "first_gateway_ns").collect()


def rows_by_unit(rows: pl.DataFrame, version: str, unit: str) -> Plan:
    """A plan over rows at hand: a unit is stale when its own rows came out different."""
    prints = {
        str(name): digest_of(version, *(str(row) for row in part.rows()))
        for (name,), part in rows.group_by(unit, maintain_order=True)
    }
    return Plan(prints, lambda units: Product(rows.filter(pl.col(unit).is_in(list(units)))))
