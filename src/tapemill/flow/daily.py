"""Rows of gold.flow_daily: everything an evening knew about a symbol, block beside block."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl

from tapemill.contracts import contract
from tapemill.flow.evening import as_of_column
from tapemill.flow.inputs import EveningInputs
from tapemill.flow.interest_block import interest_block
from tapemill.flow.otc_block import otc_block
from tapemill.flow.panel import Panel
from tapemill.flow.price_block import newest_close, price_block
from tapemill.flow.short_block import short_block
from tapemill.flow.tape_block import tape_block
from tapemill.settings.declaration import FlowSettings

__all__ = ["daily_rows"]

_TABLE = "gold.flow_daily"


def daily_rows(inputs: EveningInputs, flow: FlowSettings) -> pl.DataFrame:
    """Rows of the evenings.

    Parameters
    ----------
    inputs : EveningInputs
        With 300 sessions before the first evening where the calendar has them.
    flow : FlowSettings

    Returns
    -------
    pl.DataFrame
        Contract ``gold.flow_daily``, sorted by session and symbol: a row for each symbol that has
        a row of FINRA or a tape on the evening, or a close among the `median_sessions` sessions
        before it. The same rows whether evenings come together or one by one.
    """
    inputs = dataclasses.replace(inputs, panel=_widened(inputs.panel, inputs.tape))
    if not inputs.evenings or not inputs.panel.symbols:
        return contract(_TABLE).empty()
    cells = _cells(inputs, flow)
    blocks = [
        short_block(inputs, cells, flow),
        tape_block(inputs, cells, flow),
        otc_block(inputs, cells, flow),
        price_block(inputs, cells, flow),
        interest_block(inputs, cells),
    ]
    keys = cells.select("symbol", "session", "as_of", known_at="as_of").with_columns(
        year=pl.col("session").dt.year()
    )
    rows = pl.concat(
        [keys, *(block.drop("symbol", "session") for block in blocks)], how="horizontal"
    )
    return rows.select(pl.col(name).cast(dtype) for name, dtype in contract(_TABLE).schema.items())


def _cells(inputs: EveningInputs, flow: FlowSettings) -> pl.DataFrame:
    """Symbols and evenings that have a row, with their places in the panel.

    ``symbol``, ``session``, ``as_of``, ``row`` (Int64), ``column`` (Int64); sorted by session and
    symbol.
    """
    panel = inputs.panel
    columns = np.array([panel.column(day) for day in inputs.evenings], dtype=np.int64)
    there = np.isfinite(panel.total_volume[:, columns])
    there |= newest_close(panel, flow.median_sessions)[:, columns] >= 0
    tape = inputs.tape.filter(pl.col("session").is_in(inputs.evenings))
    down = pl.Series(panel.symbols, dtype=pl.String()).search_sorted(tape["symbol"])
    across = pl.Series(inputs.evenings, dtype=pl.Date()).search_sorted(tape["session"])
    there[down.to_numpy(), across.to_numpy()] = True
    evening, row = np.nonzero(there.T)
    return pl.DataFrame(
        {
            "symbol": pl.Series(panel.symbols, dtype=pl.String()).gather(pl.Series(row)),
            "session": pl.Series(inputs.evenings, dtype=pl.Date()).gather(pl.Series(evening)),
            "row": row,
            "column": columns[evening],
        }
    ).with_columns(as_of=_moments(inputs).gather(pl.Series(evening)))


def _moments(inputs: EveningInputs) -> pl.Series:
    days = pl.DataFrame({"session": pl.Series(inputs.evenings, dtype=pl.Date())})
    return days.select(as_of_column()).to_series()


def _widened(panel: Panel, tape: pl.DataFrame) -> Panel:
    """The panel with rows of nothing for symbols that only a tape was fetched of."""
    missing = set(tape["symbol"].unique()) - set(panel.symbols)
    if not missing:
        return panel
    symbols = sorted({*panel.symbols, *missing})
    old = np.isin(np.array(symbols), np.array(panel.symbols))
    wide: dict[str, Any] = {}
    for field in dataclasses.fields(panel):
        if field.name not in ("symbols", "sessions"):
            empty = 1.0 if field.name == "share_factor" else np.nan
            wide[field.name] = np.full((len(symbols), len(panel.sessions)), empty)
            wide[field.name][old] = getattr(panel, field.name)
    return dataclasses.replace(panel, symbols=tuple(symbols), **wide)
