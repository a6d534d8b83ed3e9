"""The user's own levels, from a CSV file."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from tapemill.clock.eastern import EASTERN
from tapemill.errors import ConfigError
from tapemill.levels.inputs import LevelInputs
from tapemill.levels.kinds import LevelKind, LevelPath
from tapemill.settings.declaration import LevelsSettings

__all__ = ["USER_KINDS", "USER_SCHEMA", "foreign_rows", "own_rows", "read_user_levels"]

_COLUMNS = ("symbol", "price", "name", "valid_from", "valid_to")
_FAR_NS = 1 << 62
"""Beyond every trade date: who writes 9999-12-31 means for good."""
USER_SCHEMA = pl.Schema(
    {
        "symbol": pl.String(),
        "price": pl.Float64(),
        "name": pl.String(),
        "valid_from_ns": pl.Int64(),
        "valid_to_ns": pl.Int64(),
    }
)


def _moment(text: str, where: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as reason:
        raise ConfigError(
            f"{text!r} is not a moment",
            where=where,
            next_step="write it as 2023-12-26T09:30 (New York) or with an offset",
        ) from reason
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=EASTERN)
    epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    told = (moment - epoch) // timedelta(microseconds=1) * 1000
    return min(max(told, -_FAR_NS), _FAR_NS)


def _price(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        price = float(text)
    except ValueError as reason:
        raise ConfigError(f"{text!r} is not a price", where=where) from reason
    if not math.isfinite(price):
        raise ConfigError(f"{text!r} is not a price", where=where)
    return price


def read_user_levels(path: Path) -> pl.DataFrame:
    """Levels of a file with the columns symbol, price, name, valid_from and valid_to.

    Parameters
    ----------
    path : Path
        CSV with a header. `symbol` is a contract, a product, or another instrument (SPY) whose
        price is brought over by the basis; times are ISO 8601, New York where they have no
        offset; an empty valid_to: for good. A row without a price is an anchor: a volume-weighted
        average price since its valid_from.

    Returns
    -------
    pl.DataFrame
        :data:`USER_SCHEMA`.

    Raises
    ------
    ConfigError
        The file is missing or a row of it cannot be meant.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as reason:
        raise ConfigError(
            f"the file of your levels cannot be read: {reason}", where="levels.user_file"
        ) from reason
    reader = csv.DictReader(text.splitlines())
    missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise ConfigError(
            f"the file of your levels lacks {', '.join(missing)}",
            where=str(path),
            next_step=f"begin it with the line {','.join(_COLUMNS)}",
        )
    rows: list[dict[str, object]] = []
    names: set[tuple[str, str]] = set()
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        cells = {name: (row[name] or "").strip() for name in _COLUMNS}
        own = (cells["symbol"], cells["name"])
        if not all(own) or own in names:
            raise ConfigError(
                f"a level needs a symbol and a name of its own, not {own}", where=where
            )
        names.add(own)
        if not cells["valid_from"]:
            raise ConfigError(
                f"level {cells['name']!r} does not say from when you knew it",
                where=where,
                next_step="fill in valid_from, such as 2023-12-26T09:30 (New York)",
            )
        begin = _moment(cells["valid_from"], where)
        end = _moment(cells["valid_to"], where) if cells["valid_to"] else None
        if end is not None and end <= begin:
            raise ConfigError(f"level {cells['name']!r} ends before it begins", where=where)
        rows.append(
            {
                "symbol": own[0],
                "price": _price(cells["price"], where),
                "name": own[1],
                "valid_from_ns": begin,
                "valid_to_ns": end,
            }
        )
    return pl.DataFrame(rows, schema=USER_SCHEMA)


def own_rows(inputs: LevelInputs) -> pl.DataFrame:
    """Rows of the user's levels that belong to the contract or its product."""
    if inputs.user.is_empty():
        return pl.DataFrame(schema=USER_SCHEMA)
    return inputs.user.filter(pl.col("symbol").is_in([inputs.symbol, inputs.root]))


def foreign_rows(user: pl.DataFrame, symbol: str, root: str) -> pl.DataFrame:
    """Rows of the user's levels that belong to neither the contract nor its product."""
    if user.is_empty():
        return pl.DataFrame(schema=USER_SCHEMA)
    return user.filter(~pl.col("symbol").is_in([symbol, root]))


def _user(inputs: LevelInputs, _settings: LevelsSettings) -> Iterator[LevelPath]:
    rows = own_rows(inputs).filter(pl.col("price").is_not_null())
    for row in rows.iter_rows(named=True):
        at, ticks = [row["valid_from_ns"]], [round(row["price"] / inputs.tick_size, 6)]
        if row["valid_to_ns"] is not None:
            at.append(row["valid_to_ns"])
            ticks.append(math.nan)
        yield LevelPath(
            f"USER_{row['name']}",
            np.array(at, np.int64),
            np.array(ticks, np.float64),
            "levels.user_file",
        )


USER_KINDS = (
    LevelKind(
        name="USER",
        group="user",
        description="A level of the user's own.",
        formula="Price of the row in levels.user_file",
        known="From the row's valid_from to its valid_to",
        weight=1.0,
        build=_user,
    ),
)
