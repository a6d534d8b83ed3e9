"""The model behind the coverage calendar: a matrix of state codes, worst rows first."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.errors import ContractError, UsageError
from tapemill.report.palette import STATE_CODE, STATES

__all__ = ["NUMBERS", "CoverageGrid", "build_grid"]

NUMBERS = ("expected", "present", "longest_missing_run", "halted")
"""Columns whose values a hover shows, in this order."""

_COLUMNS = ("dataset", "symbol", "session", "state", "reasons", *NUMBERS)
_MOST_ROWS, _FEWEST_ROWS, _CELL_BUDGET = 600, 100, 30_000


@dataclasses.dataclass(frozen=True)
class CoverageGrid:
    """Rows (symbols) × sessions of one coverage calendar.

    Attributes
    ----------
    labels : tuple of str
        One a drawn row: the symbol, with its dataset where several are judged.
    sessions : tuple of date
        Exchange dates that occur, ascending; weekends and holidays have no column.
    early : ndarray of bool, (sessions,)
        Early closes.
    codes : ndarray of uint8, (rows, sessions)
        Index into ``palette.STATES``; 0 where there is no cell.
    numbers : ndarray of int16, (rows, sessions, 4)
        The columns of `NUMBERS`, in minutes; 0 where there is no cell.
    reasons : ndarray of str objects, (rows, sessions)
    counts : ndarray of int64, (sessions, states)
        Cells of *all* rows, drawn or not, by session and state.
    hidden : dict[str, int]
        Rows that are not drawn, by the name of their worst state.
    """

    labels: tuple[str, ...]
    sessions: tuple[date, ...]
    early: npt.NDArray[np.bool_]
    codes: npt.NDArray[np.uint8]
    numbers: npt.NDArray[np.int16]
    reasons: npt.NDArray[np.object_]
    counts: npt.NDArray[np.int64]
    hidden: dict[str, int]

    @property
    def rows_total(self) -> int:
        """Rows judged, drawn or not."""
        return len(self.labels) + sum(self.hidden.values())

    @property
    def cells_by_state(self) -> dict[str, int]:
        """Cells of all rows by state name, states without a cell left out."""
        totals = self.counts.sum(axis=0)
        return {s.name: int(n) for s, n in zip(STATES, totals, strict=True) if n}

    @property
    def shown(self) -> str:
        """What is drawn and what is not, in words."""
        if not self.hidden:
            return f"All {self.rows_total:,} rows, worst first."
        rest = ", ".join(
            f"{count:,} {state.label}"
            for state in reversed(STATES)
            if (count := self.hidden.get(state.name, 0))
        )
        return (
            f"The worst {len(self.labels):,} of {self.rows_total:,} rows are drawn. Not drawn "
            f"(by their worst session): {rest}. The bars on top count all rows."
        )


def build_grid(
    cells: pl.DataFrame,
    *,
    max_rows: int | None = None,
    early_closes: Collection[date] | None = None,
) -> CoverageGrid:
    """Arrange coverage cells as a grid, rows that need attention first.

    Parameters
    ----------
    cells : pl.DataFrame
        Rows of ``silver.coverage``; other columns are ignored.
    max_rows : int, optional
        Rows to draw. By default as many as stay readable: 600, fewer above 50 sessions.
    early_closes : collection of date, optional
        Half days. By default the sessions whose expected minutes stay below the longest session
        of their dataset.

    Raises
    ------
    UsageError
        There is no cell, or `max_rows` is below 1.
    ContractError
        A column is missing, a state is unknown, or a cell occurs twice.
    """
    cells = _checked(cells, max_rows)
    sessions = cells.get_column("session").unique().sort()
    limit = max_rows or min(_MOST_ROWS, max(_FEWEST_ROWS, _CELL_BUDGET // len(sessions)))
    ranked = _ranked(cells)
    drawn = ranked.head(limit)
    hidden = ranked.slice(limit).group_by("worst").len().sort("worst").iter_rows()
    columns = pl.DataFrame({"session": sessions}).with_row_index("column")
    placed = cells.join(columns, on="session")
    counts = np.zeros((len(sessions), len(STATES)), dtype=np.int64)
    np.add.at(counts, (placed["column"].to_numpy(), placed["code"].to_numpy()), 1)
    inside = placed.join(drawn.with_row_index("row"), on=["dataset", "symbol"])
    codes, numbers, reasons = _scatter(inside, drawn.height, len(sessions))
    return CoverageGrid(
        labels=tuple(drawn.get_column("label").to_list()),
        sessions=tuple(sessions.to_list()),
        early=_early(cells, sessions, early_closes),
        codes=codes,
        numbers=numbers,
        reasons=reasons,
        counts=counts,
        hidden={STATES[worst].name: count for worst, count in hidden},
    )


def _checked(cells: pl.DataFrame, max_rows: int | None) -> pl.DataFrame:
    absent = [name for name in _COLUMNS if name not in cells.columns]
    if absent:
        raise ContractError(
            f"coverage cells lack the columns {', '.join(absent)}",
            next_step="pass rows of silver.coverage",
        )
    if cells.is_empty() or (max_rows is not None and max_rows < 1):
        raise UsageError(
            "there is nothing to draw: "
            + ("no coverage cell was given" if cells.is_empty() else f"max_rows is {max_rows}"),
            next_step="run `tapemill build`, and check that symbols and dates have data",
        )
    unknown = sorted(set(cells.get_column("state").unique()) - set(STATE_CODE), key=str)
    if unknown:
        raise ContractError(
            f"unknown coverage states {unknown}", next_step=f"known: {', '.join(STATE_CODE)}"
        )
    if cells.select(pl.struct("dataset", "symbol", "session").is_duplicated().any()).item():
        raise ContractError(
            "a coverage cell (dataset, symbol, session) occurs twice",
            next_step="rebuild silver.coverage, or filter the frame to one version",
        )
    code = pl.col("state").replace_strict(STATE_CODE, return_dtype=pl.UInt8)
    return cells.select(*_COLUMNS, code=code)


def _ranked(cells: pl.DataFrame) -> pl.DataFrame:
    """One row a (dataset, symbol) with label and worst state, worst first."""
    severity = {code: state.severity for code, state in enumerate(STATES)}
    several = cells.get_column("dataset").n_unique() > 1
    label = pl.concat_str("symbol", pl.lit("  "), pl.col("dataset").str.split(".").list.last())
    return (
        cells.group_by("dataset", "symbol")
        .agg(
            score=pl.col("code").replace_strict(severity, return_dtype=pl.Int64).sum(),
            absent=(pl.col("expected") - pl.col("present")).cast(pl.Int64).sum(),
            worst=pl.col("code").max(),
        )
        .sort(["score", "absent", "symbol", "dataset"], descending=[True, True, False, False])
        .with_columns(label=label if several else pl.col("symbol"))
    )


def _early(
    cells: pl.DataFrame, sessions: pl.Series, early_closes: Collection[date] | None
) -> npt.NDArray[np.bool_]:
    if early_closes is not None:
        return np.array([session in early_closes for session in sessions], dtype=np.bool_)
    longest = pl.col("expected").max().over("dataset")
    # A cell that expects nothing (not listed yet) says nothing about the length of its session.
    short = (
        cells.filter(pl.col("expected") > 0)
        .with_columns(short=pl.col("expected") < longest)
        .group_by("session")
        .agg(pl.col("short").all())
        .filter("short")
        .get_column("session")
    )
    return np.asarray(sessions.is_in(short.implode()).to_numpy(), dtype=np.bool_)


def _scatter(
    inside: pl.DataFrame, rows: int, columns: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16], npt.NDArray[np.object_]]:
    at = inside["row"].to_numpy(), inside["column"].to_numpy()
    codes = np.zeros((rows, columns), dtype=np.uint8)
    codes[at] = inside["code"].to_numpy()
    numbers = np.zeros((rows, columns, len(NUMBERS)), dtype=np.int16)
    numbers[at] = inside.select(pl.col(NUMBERS).fill_null(0).cast(pl.Int16)).to_numpy()
    reasons = np.full((rows, columns), "", dtype=object)
    reasons[at] = inside["reasons"].fill_null("").to_numpy()
    return codes, numbers, reasons
