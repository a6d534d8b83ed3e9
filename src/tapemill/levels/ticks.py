"""Earlier trade dates counted in the price step of this one.

A contract's step is what was known when its file was imported: inferred from prices today, told by
a definition tomorrow. Rows of both must not be mixed as they are: a level would stand at half its
price.
"""

from __future__ import annotations

import polars as pl

__all__ = ["counted_in"]

_PRICES = ("open_ticks", "high_ticks", "low_ticks", "close_ticks", "price_ticks", "price_volume")


def counted_in(rows: pl.DataFrame, tick_size: float, steps: pl.DataFrame) -> pl.DataFrame:
    """Rows with their prices counted in steps of `tick_size`.

    Parameters
    ----------
    rows : pl.DataFrame
        With ``session`` and any of the price columns of ``silver.futures_minutes`` and
        ``silver.futures_profile``, in ticks of their own trade date.
    tick_size : float
        Price of one tick, points.
    steps : pl.DataFrame
        ``session`` and ``tick_size``: rows of ``silver.futures_minutes`` of the same contract.

    Returns
    -------
    pl.DataFrame
        `rows` as they are where all steps are the same; else their prices as Float64. Rows of a
        trade date whose step is not known are left out.
    """
    known = steps.select("session", step="tick_size").unique("session")
    if (known["step"] == tick_size).all():
        return rows
    present = [name for name in _PRICES if name in rows.columns]
    factor = pl.col("step") / tick_size
    return (
        rows.join(known, on="session", how="inner", maintain_order="left")
        .with_columns((pl.col(name) * factor).alias(name) for name in present)
        .drop("step")
    )
