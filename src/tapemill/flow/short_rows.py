"""FINRA's daily rows as flow reads them: one a symbol and session, under the house's symbols."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.flow.panel import Matrix
from tapemill.refine.symbology import massive_symbol

if TYPE_CHECKING:
    from tapemill.lake import Lake

__all__ = ["FACILITIES", "ShortRows", "read_short_rows"]

FACILITIES = ("FNSQ", "FNYX", "FNQC", "FNRA", "FORF")
"""Summed where the consolidated file (CNMS) has no row; never added to it."""

_CONSOLIDATED = "CNMS"
_VALUES = ("short_volume", "short_exempt_volume", "total_volume")


@dataclasses.dataclass(frozen=True)
class ShortRows:
    """Versions of rows over some sessions.

    Attributes
    ----------
    rows : pl.DataFrame
        ``place`` (row of `names`), ``session``, ``consolidated``, volumes (Float64), ``known_at``,
        ``superseded_at``.
    names : pl.DataFrame
        ``symbol`` (sorted, each once) and ``finra_symbol``.
    twice : bool
        Whether any symbol came under two spellings.
    """

    rows: pl.DataFrame
    names: pl.DataFrame
    twice: bool = False

    def visible(self, moment: datetime.datetime, last: datetime.date) -> ShortRows:
        """One row a symbol and session up to `last`, as known at `moment`."""
        superseded = pl.col("superseded_at")
        seen = self.rows.filter(
            pl.col("known_at") <= moment,
            pl.col("session") <= last,
            superseded.is_null() | (superseded > moment),
        )
        if self.twice:
            # Two spellings of one name in one file are one fact: the larger, never their sum.
            fact = ["place", "session", "facility"]
            seen = seen.sort(*fact, *_VALUES[::-1]).unique(fact, keep="last", maintain_order=True)
        return ShortRows(_one_a_day(seen), self.names)

    def present(self) -> pl.DataFrame:
        """The names that have a row, sorted by symbol."""
        places = self.rows["place"].unique().sort()
        return self.names[places]

    def of(self, sessions: Sequence[datetime.date]) -> pl.DataFrame:
        """Rows of these sessions with their symbols."""
        rows = self.rows.filter(pl.col("session").is_in(list(sessions)))
        named = self.names.with_row_index("place").with_columns(pl.col("place").cast(pl.Int32))
        source = (
            pl.when("consolidated").then(pl.lit("consolidated")).otherwise(pl.lit("facilities"))
        )
        return rows.join(named, on="place", how="left").select(
            "symbol", "finra_symbol", "session", *_VALUES, short_source=source
        )

    def matrices(
        self, symbols: Sequence[str], sessions: Sequence[datetime.date]
    ) -> dict[str, Matrix]:
        """Short and total volume, shape (symbols, sessions); `symbols` hold all present names."""
        down = np.searchsorted(np.asarray(symbols), self.names["symbol"].to_numpy())
        row = down[self.rows["place"].to_numpy()]
        column = _columns(self.rows["session"], sessions)
        found = {}
        for name in ("short_volume", "total_volume"):
            matrix = np.full((len(symbols), len(sessions)), np.nan)
            matrix[row, column] = self.rows[name].to_numpy()
            found[name] = matrix
        return found


def read_short_rows(lake: Lake, sessions: Sequence[datetime.date]) -> ShortRows:
    """Read every version of the consolidated and the facilities' rows of consecutive sessions."""
    rows = (
        lake.tables.scan("silver.short_volume", start=sessions[0], end=sessions[-1])
        .filter(
            pl.col("session").is_between(sessions[0], sessions[-1]),
            pl.col("facility").is_in([_CONSOLIDATED, *FACILITIES]),
        )
        .select(
            # As integers: twelve thousand names repeat on every session.
            pl.col("symbol").cast(pl.Categorical),
            "session",
            pl.col("facility").cast(pl.Enum([_CONSOLIDATED, *FACILITIES])),
            consolidated=pl.col("facility") == _CONSOLIDATED,
            **{name: pl.col(name).cast(pl.Float64) for name in _VALUES},
            known_at="known_at",
            superseded_at="superseded_at",
        )
        .collect(engine="streaming")
    )
    distinct = rows["symbol"].unique()
    names = (
        pl.DataFrame({"finra_symbol": distinct.cast(pl.String), "code": distinct.to_physical()})
        .with_columns(symbol=massive_symbol(pl.col("finra_symbol")))
        .sort("symbol", "finra_symbol")
    )
    house = names.unique("symbol", keep="first", maintain_order=True)
    place = np.zeros(int(names["code"].max() or 0) + 1, dtype=np.int32)  # type: ignore[arg-type]
    place[names["code"].to_numpy()] = house["symbol"].search_sorted(names["symbol"]).to_numpy()
    places = pl.Series("place", place[rows["symbol"].to_physical().to_numpy()], dtype=pl.Int32)
    return ShortRows(
        rows.with_columns(places).drop("symbol"),
        house.select("symbol", "finra_symbol"),
        twice=house.height < names.height,
    )


def _columns(days: pl.Series, sessions: Sequence[datetime.date]) -> npt.NDArray[np.intp]:
    axis = pl.Series(sessions, dtype=pl.Date).to_physical().to_numpy()
    found: npt.NDArray[np.intp] = np.searchsorted(axis, days.to_physical().to_numpy())
    return found


def _one_a_day(rows: pl.DataFrame) -> pl.DataFrame:
    """The consolidated row where there is one, else the facilities' sum; never both."""
    if rows["consolidated"].all():
        return rows
    whole = rows.filter("consolidated")
    day = ["place", "session"]
    summed = (
        rows.filter(~pl.col("consolidated"))
        .join(whole, on=day, how="anti")
        .group_by(day)
        .agg(
            pl.col(_VALUES).sum(),
            facility=pl.col("facility").first(),
            consolidated=pl.lit(value=False),
            known_at=pl.col("known_at").max(),
            superseded_at=pl.lit(None, dtype=rows.schema["superseded_at"]),
        )
    )
    return pl.concat([whole, summed.select(rows.columns)])
