"""What it means to declare a dataset: columns, identity, order, time, checks, retention.

One :class:`Dataset` value drives the Arrow schema, the creation of the table, the key and order of
its files, its partitions, its row checks (quarantine), its drift check and its page in the docs.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Literal

import polars as pl

from tapemill.errors import ContractError, did_you_mean

__all__ = ["KNOWN_AT_RULES", "Column", "Dataset", "RowCheck"]

Layer = Literal["bronze", "silver", "reference", "gold", "ops"]

KNOWN_AT_RULES = (
    "bar_end",
    "daily_bar",
    "finra_evening",
    "ex_date_open",
    "declared_next_morning",
    "received",
    "five_minute_end",
    "otc_publication",
    "short_interest_publication",
    "effective_date",
    "flow_evening",
    "venue_receipt",
    "half_hour_end",
    "trade_date_end",
    "level_valid",
    "episode_end",
    "decision",
    "outcome_resolved",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """One column: name, type, unit, whether it may be null, meaning, and where vendors keep it.

    Parameters
    ----------
    name : str
    dtype : pl.DataType
    description : str
    unit : str
        ``"USD/share"``, ``"shares"``, ``"ns UTC"`` … empty for text and flags.
    nullable : bool
    sources : Mapping[str, str]
        Vendor → the name of its field, for the data dictionary and the drift check.
    """

    name: str
    dtype: pl.DataType
    description: str
    unit: str = ""
    nullable: bool = False
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class RowCheck:
    """A rule each row must keep; a row that breaks it goes to quarantine with `name` as reason.

    `passes` is a boolean expression; null counts as broken.
    """

    name: str
    passes: pl.Expr
    description: str


@dataclasses.dataclass(frozen=True)
class Dataset:
    """The contract of one dataset.

    Parameters
    ----------
    name : str
        ``layer.thing``, for example ``silver.equity_bars_1m``.
    description : str
    columns : tuple of Column
    key : tuple of str
        What makes a row one fact. In a versioned dataset several rows may share it, one a version.
    order : tuple of str
        How files are sorted.
    partition : str
        The one coarse partition column, or empty.
    event_column : str
        When the row happened: ``ts_event`` (ns UTC) or a date column.
    known_at : str
        The availability rule (see ``tapemill.clock.availability``) behind ``known_at``.
    row_checks : tuple of RowCheck
    versioned : bool
        Whether rows carry ``version`` and ``superseded_at``, so that an as-of read can choose.
    retention_days : int, optional
        Age by event date after which `tapemill purge` may drop rows; None keeps them for ever.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    order: tuple[str, ...]
    partition: str
    event_column: str
    known_at: str
    row_checks: tuple[RowCheck, ...] = ()
    versioned: bool = False
    retention_days: int | None = None

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        partition = (self.partition,) if self.partition else ()
        missing = {*self.key, *self.order, *partition} - set(names)
        if missing or len(set(names)) != len(names) or self.known_at not in KNOWN_AT_RULES:
            raise ContractError(
                f"the declaration of {self.name} contradicts itself",
                where=f"missing {sorted(missing)}, known_at rule {self.known_at!r}",
                next_step="correct the declaration in tapemill.contracts",
            )

    @property
    def layer(self) -> str:
        """The part of the name before the dot."""
        return self.name.split(".", 1)[0]

    @property
    def table(self) -> str:
        """The part of the name after the dot."""
        return self.name.split(".", 1)[1]

    @functools.cached_property
    def schema(self) -> pl.Schema:
        """Column name → Polars type, in declared order."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    def column(self, name: str) -> Column:
        """The declaration of one column; ContractError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ContractError(
            f"{self.name} has no column {name!r}",
            next_step=did_you_mean(name, self.schema.names()) or "see docs/data-dictionary.md",
        )

    def empty(self) -> pl.DataFrame:
        """A frame of this shape without rows."""
        return pl.DataFrame(schema=self.schema)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return `frame` in the declared column order and types; nothing is dropped in silence.

        Nullable columns that are absent are added as nulls. Values must survive the cast.

        Raises
        ------
        ContractError
            A column is missing, unknown, of a type that cannot be cast without loss, or null
            where the contract forbids it.
        """
        unknown = [name for name in frame.columns if name not in self.schema]
        absent = [c for c in self.columns if c.name not in frame.columns]
        required = [c.name for c in absent if not c.nullable]
        if unknown or required:
            raise ContractError(
                f"{self.name}: missing columns {required}, unknown columns {unknown}",
                next_step=f"declared columns are {', '.join(self.schema.names())}",
            )
        frame = frame.with_columns(pl.lit(None, dtype=c.dtype).alias(c.name) for c in absent)
        try:
            frame = frame.select(self.schema.names()).cast(self.schema, strict=True)
        except pl.exceptions.PolarsError as error:
            raise ContractError(
                f"{self.name}: a column cannot be read as its declared type",
                where=str(error).splitlines()[0],
                next_step="correct the parser, or declare the new type if the vendor changed it",
            ) from error
        strict = [c.name for c in self.columns if not c.nullable]
        nulls = frame.select(pl.col(strict).null_count()).row(0) if strict else ()
        holed = {name: count for name, count in zip(strict, nulls, strict=True) if count}
        if holed:
            raise ContractError(
                f"{self.name}: nulls where the contract forbids them: {holed}",
                next_step="split the rows with Dataset.split before conforming them",
            )
        return frame

    def split(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Divide rows into those that keep the contract and those that break it.

        Returns
        -------
        good : pl.DataFrame
            Rows as given.
        bad : pl.DataFrame
            Rows as given plus ``reasons`` (String, names of broken checks joined by ``;``).
        """
        present = [c for c in self.columns if not c.nullable and c.name in frame.columns]
        verdicts = [
            pl.when(pl.col(c.name).is_null()).then(pl.lit(f"null_{c.name}")) for c in present
        ]
        verdicts += [
            pl.when(~check.passes.fill_null(value=False)).then(pl.lit(check.name))
            for check in self.row_checks
        ]
        if not verdicts:
            return frame, frame.clear().with_columns(reasons=pl.lit("", dtype=pl.String))
        reasons = pl.concat_str(verdicts, separator=";", ignore_nulls=True)
        judged = frame.with_columns(reasons=reasons)
        bad = judged.filter(pl.col("reasons") != "")
        if bad.is_empty():
            return frame, bad
        return judged.filter(pl.col("reasons") == "").drop("reasons"), bad
