"""The query grammar of FINRA's API as its server reads it: filters, bounds, values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

import msgspec
import polars as pl

from tapemill.world.sandbox.wire import Call

__all__ = ["conditions", "date_bounds", "read_query"]


def read_query(call: Call) -> dict[str, Any]:
    """Body of a POST, or the parameters of a GET."""
    if call.method == "POST":
        document = msgspec.json.decode(call.body or b"{}")
        if not isinstance(document, dict):
            raise ValueError("the body must be a JSON object")
        return document
    asked: dict[str, Any] = dict(call.query)
    if "fields" in asked:
        asked["fields"] = asked["fields"].split(",")
    return asked


_COMPARE = {
    "EQUAL": pl.Expr.eq,
    "EQUALS": pl.Expr.eq,
    "NOT_EQUAL": pl.Expr.ne,
    "GREATER": pl.Expr.gt,
    "LESSER": pl.Expr.lt,
    "GTE": pl.Expr.ge,
    "LTE": pl.Expr.le,
}


def date_bounds(asked: Mapping[str, Any], field: str) -> tuple[date, date]:
    """Dates worth building: the tightest bounds that filters put on `field`."""
    first, last = date(1900, 1, 1), date(9999, 12, 31)
    for entry in asked.get("dateRangeFilters") or []:
        if entry["fieldName"] == field:
            first = max(first, date.fromisoformat(entry["startDate"][:10]))
            last = min(last, date.fromisoformat(entry["endDate"][:10]))
    for entry in asked.get("compareFilters") or []:
        if entry["fieldName"] == field and entry["compareType"].upper().startswith("EQUAL"):
            day = date.fromisoformat(entry["fieldValue"][:10])
            first, last = max(first, day), min(last, day)
    return first, last


def conditions(asked: Mapping[str, Any], schema: pl.Schema) -> list[pl.Expr]:
    """What a row must satisfy to be delivered."""
    found = [pl.lit(True)]
    for entry in asked.get("compareFilters") or []:
        compare = _COMPARE[entry["compareType"].upper()]
        found.append(compare(pl.col(entry["fieldName"]), _value(entry, "fieldValue", schema)))
    for entry in asked.get("dateRangeFilters") or []:
        start, end = (_value(entry, name, schema) for name in ("startDate", "endDate"))
        found.append(pl.col(entry["fieldName"]).is_between(start, end))
    for entry in asked.get("domainFilters") or []:
        values: Collection[Any] = [
            _value({"fieldName": entry["fieldName"], "v": v}, "v", schema) for v in entry["values"]
        ]
        found.append(pl.col(entry["fieldName"]).is_in(list(values)))
    return found


def _value(entry: Mapping[str, Any], key: str, schema: pl.Schema) -> Any:
    """Value of a filter in the type of its field."""
    dtype = schema[entry["fieldName"]]
    text = str(entry[key])
    if dtype == pl.Date:
        return date.fromisoformat(text[:10])
    return float(text) if dtype.is_numeric() else text
