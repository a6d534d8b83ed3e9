"""How a metric of off-exchange flow is declared: unit and type follow from its form."""

from __future__ import annotations

import polars as pl

from tapemill.contracts.metrics import Form, Metric

__all__ = ["flow_metric"]

_FORM_UNIT: dict[Form, str] = {
    "volume": "shares",
    "dollars": "USD",
    "price": "USD/share",
    "frac": "fraction",
    "z": "robust standard deviations",
    "count": "count",
    "date": "date ET",
}


def flow_metric(
    block: str,
    name: str,
    label: str,
    form: Form,
    description: str,
    formula: str = "",
    *,
    table: bool = False,
    guides: tuple[float, ...] = (),
    dtype: pl.DataType | None = None,
    nullable: bool = True,
    unit: str | None = None,
) -> Metric:
    """A metric whose unit and type follow from its form, unless they are given."""
    kinds: dict[Form, pl.DataType] = {
        "text": pl.String(),
        "date": pl.Date(),
        "flag": pl.Boolean(),
        "count": pl.Int32(),
    }
    return Metric(
        name,
        dtype or kinds.get(form, pl.Float64()),
        description,
        _FORM_UNIT.get(form, "") if unit is None else unit,
        nullable,
        {},
        block,
        label,
        formula,
        form,
        table,
        guides,
    )
