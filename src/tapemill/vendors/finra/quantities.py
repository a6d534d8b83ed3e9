"""From text rows of any FINRA short volume form to bronze rows, exactly."""

from __future__ import annotations

import polars as pl

from tapemill.contracts import contract
from tapemill.vendors.rows import exact_decimal, rejected_rows
from tapemill.vendors.shape import breaks_contract, in_column_order

__all__ = ["QUANTITIES", "short_volume_rows"]

QUANTITIES = ("short_volume", "short_exempt_volume", "total_volume")

_MARKET = r"^[A-Z](,[A-Z])*$"


def short_volume_rows(
    text: pl.DataFrame, *, date_format: str
) -> tuple[pl.DataFrame, pl.DataFrame, tuple[str, ...]]:
    """Type, check and de-duplicate rows.

    Parameters
    ----------
    text : pl.DataFrame
        Strings: session, symbol, short_volume, short_exempt_volume, total_volume, market, facility;
        and `ordinal`.
    date_format : str
        Of `session`.

    Returns
    -------
    frame : pl.DataFrame
        Bronze columns without provenance. Quantities are ``Decimal(20, 6)``; floats never occur.
    rejected : pl.DataFrame
        Rows set aside with their reasons. Rows that contradict each other are all set aside.
    notes : tuple of str
        How many exact repeats were dropped.
    """
    dataset = contract("bronze.finra_short_volume")
    dtype = dataset.schema["short_volume"]
    assert isinstance(dtype, pl.Decimal)  # declared so; narrows the type
    exact = {name: exact_decimal(name, dtype) for name in QUANTITIES}
    session = pl.col("session").str.to_date(date_format, strict=False)
    reasons = pl.concat_str(
        *(reason for _, reason in exact.values()),
        pl.when(session.is_null()).then(pl.lit("session_not_a_date")),
        pl.when(~pl.col("market").str.contains(_MARKET)).then(pl.lit("market_not_codes")),
        separator=";",
        ignore_nulls=True,
    )
    typed = text.select(
        "ordinal",
        "symbol",
        "market",
        "facility",
        *(value for value, _ in exact.values()),
        session=session,
        year=session.dt.year(),
        reasons=reasons,
    )
    misread = typed.filter(pl.col("reasons") != "")
    frame = typed.filter(pl.col("reasons") == "").drop("reasons")
    frame, repeated, conflicting = _without_duplicates(frame)
    good, bad = breaks_contract(dataset, frame)
    bad = pl.concat([misread, conflicting, bad], how="diagonal")
    notes = (f"{repeated} exact repeats of a row dropped",) if repeated else ()
    rejected = rejected_rows(bad, text).sort("ordinal")
    return in_column_order(dataset, good), rejected, notes


def _without_duplicates(frame: pl.DataFrame) -> tuple[pl.DataFrame, int, pl.DataFrame]:
    key = ["symbol", "session", "facility"]
    nothing = frame.clear().with_columns(reasons=pl.lit("", dtype=pl.String))
    if frame.select(pl.struct(key).n_unique()).item() == frame.height:
        return frame, 0, nothing
    facts = [name for name in frame.columns if name != "ordinal"]
    kept = frame.unique(subset=facts, keep="first", maintain_order=True)
    repeated = frame.height - kept.height
    contradicts = pl.len().over(key) > 1
    bad = kept.filter(contradicts).with_columns(reasons=pl.lit("conflicting_duplicate"))
    return kept.filter(~contradicts), repeated, bad
