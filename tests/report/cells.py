"""Coverage cells for drawing."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

DATASET = "silver.equity_bars_1m"


def weekdays(first: date, count: int) -> list[date]:
    """The first `count` weekdays from `first` on."""
    days = (first + timedelta(days=i) for i in range(count * 2 + 7))
    return [day for day in days if day.weekday() < 5][:count]


def make_cells(
    symbols: list[str],
    sessions: list[date],
    states: dict[tuple[str, int], str] | None = None,
    *,
    expected: dict[int, int] | None = None,
    dataset: str = DATASET,
) -> pl.DataFrame:
    """Green cells but for `states`: (symbol, session index) → state, ``"absent"`` = no cell."""
    states, expected = states or {}, expected or {}
    minutes = [expected.get(i, 390) for i in range(len(sessions))]
    frame = pl.DataFrame(
        {
            "symbol": np.repeat(symbols, len(sessions)),
            "session": sessions * len(symbols),
            "expected": minutes * len(symbols),
            "state": "green",
        }
    ).with_columns(dataset=pl.lit(dataset), reasons=pl.lit(""), halted=pl.lit(0))
    wanted = pl.DataFrame(
        [(symbol, sessions[i], state) for (symbol, i), state in states.items()],
        schema={"symbol": pl.String, "session": pl.Date, "other": pl.String},
        orient="row",
    )
    frame = frame.join(wanted, on=["symbol", "session"], how="left", maintain_order="left")
    state = pl.coalesce("other", "state")
    longest = state.replace_strict(
        {"green": 0, "amber": 8, "red": 45, "missing": 390, "halt": 15, "empty": 390, "absent": 0}
    )
    return (
        frame.with_columns(
            state=state,
            reasons=pl.when(pl.col("other").is_not_null())
            .then(pl.lit("first_reason;second_reason"))
            .otherwise(pl.lit("")),
            longest_missing_run=longest,
            present=pl.col("expected") - longest,
        )
        .filter(pl.col("state") != "absent")
        .drop("other")
    )
