"""Schema drift: what changed between the columns a vendor sends and those we know.

New columns and all-null columns are warnings; missing and retyped ones, and a jump of the unit by
the configured ratio (cents for dollars, round lots for shares), stop the lane until a person has
looked.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal

import polars as pl

__all__ = ["Drift", "compare_fields", "unit_changes"]

DriftKind = Literal["new", "missing", "retyped", "all_null", "unit_change"]

BLOCKING: frozenset[str] = frozenset({"missing", "retyped", "unit_change"})


@dataclasses.dataclass(frozen=True, slots=True)
class Drift:
    """One change of a vendor's shape."""

    kind: DriftKind
    field: str
    detail: str

    @property
    def blocks(self) -> bool:
        """Whether the lane must stop."""
        return self.kind in BLOCKING


def compare_fields(
    expected: Mapping[str, str], seen: Mapping[str, str], optional: frozenset[str] = frozenset()
) -> list[Drift]:
    """Compare field names and type families.

    Parameters
    ----------
    expected, seen : Mapping[str, str]
        Field → family (``"number"``, ``"integer"``, ``"text"``, ``"flag"``, ``"list"``,
        ``"object"``, ``"null"`` when every value was null). An integer is a number.
    optional : frozenset of str
        Fields the vendor documents as sometimes absent.
    """
    found: list[Drift] = []
    for name, family in expected.items():
        if name not in seen:
            if name not in optional:
                found.append(Drift("missing", name, f"expected a {family}, absent"))
        elif seen[name] == "null":
            if name not in optional:
                found.append(Drift("all_null", name, "every value is null"))
        elif seen[name] != family and not (family == "number" and seen[name] == "integer"):
            found.append(Drift("retyped", name, f"expected {family}, got {seen[name]}"))
    found += [Drift("new", name, f"a {seen[name]}") for name in seen if name not in expected]
    return found


def unit_changes(
    before: Mapping[str, float], frame: pl.DataFrame, ratio: float = 1000.0
) -> list[Drift]:
    """Fields whose median moved by about `ratio` or more against the medians seen before.

    Parameters
    ----------
    before : Mapping[str, float]
        Field → median of earlier answers of the same lane and symbol.
    frame : pl.DataFrame
        New rows.
    ratio : float
        Smallest suspicious factor. Half of it on the log scale already counts as "about", as a
        median moves on its own too.
    """
    threshold = math.log(ratio) * 0.9
    found: list[Drift] = []
    for name, old in before.items():
        if name not in frame.columns or not old > 0:
            continue
        new = frame.get_column(name).cast(pl.Float64, strict=False).median()
        if not isinstance(new, float) or not new > 0:
            continue
        if abs(math.log(new / old)) >= threshold:
            detail = f"median {old:g} became {new:g}"
            found.append(Drift("unit_change", name, detail))
    return found
