"""Patterns that show in how the data reached us: answers, pages, confirmations, sums."""

from __future__ import annotations

import polars as pl

from tapemill.refine.detectors.findings import Finding, by_session

__all__ = ["old_window_empty", "page_appended_twice", "replay_incomplete", "start_anchor_ignored"]

_CELL = ("symbol", "session")
_SHORTFALL_FRAC = 0.005
_LEAST_CELLS = 20
_UNMEASURED_SHORTFALL_FRAC = 0.02
_LEAST_EMPTY_SESSIONS = 5


def replay_incomplete(
    dataset: str, minutes: pl.DataFrame, daily: pl.DataFrame, partial: pl.DataFrame | None = None
) -> list[Finding]:
    """A delivery that called itself complete, yet its minutes do not add up to the day.

    The usual ratio of summed minutes to daily volume is measured on the data (vendors leave
    different trades out of each); a session is short when it lies half a percent and six median
    deviations below.

    Parameters
    ----------
    dataset : str
    minutes : pl.DataFrame
        ``symbol``, ``session``, ``volume`` summed over the session's bars.
    daily : pl.DataFrame
        ``symbol``, ``session``, ``volume`` of the daily bars.
    partial : pl.DataFrame, optional
        ``symbol``, ``session`` of ledger cells that intake itself recorded as partial.
    """
    sums = minutes.join(daily.select(*_CELL, daily_volume="volume"), on=_CELL, how="inner").filter(
        (pl.col("daily_volume") > 0) & pl.col("volume").is_not_null()
    )
    ratio = sums.select(pl.col("volume") / pl.col("daily_volume")).to_series()
    centre, spread = 1.0, _UNMEASURED_SHORTFALL_FRAC
    if ratio.len() >= _LEAST_CELLS:
        centre = min(_number(ratio.median()), 1.0)
        spread = max(_SHORTFALL_FRAC, 6 * _number((ratio - centre).abs().median()))
    evidence = sums.with_columns(delivered_frac=ratio).filter(
        pl.col("delivered_frac") < centre - spread
    )
    found = by_session(
        "replay_incomplete",
        dataset,
        evidence,
        "{symbols} symbols: minutes sum to less than the day",
    )
    if partial is not None:
        found += by_session(
            "replay_incomplete", dataset, partial, "{symbols} symbols were delivered in part"
        )
    return found


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def page_appended_twice(dataset: str, bronze: pl.DataFrame) -> list[Finding]:
    """Rows of one raw object that entered bronze more than once.

    Parameters
    ----------
    dataset : str
    bronze : pl.DataFrame
        ``symbol``, ``session``, ``raw_sha256``, ``ordinal``.
    """
    evidence = (
        bronze.group_by("raw_sha256", "ordinal", *_CELL)
        .agg(copies=pl.len())
        .filter(pl.col("copies") > 1)
        .sort("raw_sha256", "ordinal")
    )
    return by_session(
        "page_appended_twice", dataset, evidence, "{rows} rows of a page entered twice"
    )


def start_anchor_ignored(
    dataset: str, answers: pl.DataFrame, bronze: pl.DataFrame
) -> list[Finding]:
    """An answer that holds sessions which were not asked for.

    Parameters
    ----------
    dataset : str
    answers : pl.DataFrame
        ``raw_sha256``, ``symbol``, ``start``, ``end``: what was asked, both ends included.
    bronze : pl.DataFrame
        ``raw_sha256``, ``symbol``, ``session``: what came.
    """
    # The same bytes may answer several requests: a session asked for by any of them is fine.
    asked = answers.select("raw_sha256", "start", "end").drop_nulls().unique()
    came = bronze.select("raw_sha256", *_CELL).unique()
    fits = pl.col("session").is_between(pl.col("start"), pl.col("end"))
    outside = (
        came.join(asked, on="raw_sha256", how="inner")
        .group_by("raw_sha256", *_CELL)
        .agg(fits=fits.any(), start=pl.col("start").min(), end=pl.col("end").max())
        .filter(~pl.col("fits"))
        .drop("fits")
    )
    return [
        Finding(
            "start_anchor_ignored",
            "error",
            dataset,
            str(symbol),
            None,
            f"{rows.height} sessions from {rows['session'].min()!s} were not asked for "
            f"(asked {rows['start'].min()!s} to {rows['end'].max()!s})",
            rows,
        )
        for (symbol,), rows in outside.sort(*_CELL).group_by("symbol", maintain_order=True)
    ]


def old_window_empty(
    dataset: str, cells: pl.DataFrame, listed: pl.DataFrame | None = None
) -> list[Finding]:
    """A window older than the plan, answered with empty instead of an error.

    Confirmed-empty sessions right before the first data of a symbol that was listed and traded
    then, or with the same boundary in most symbols.

    Parameters
    ----------
    dataset : str
    cells : pl.DataFrame
        ``symbol``, ``session``, ``ledger_state``.
    listed : pl.DataFrame, optional
        ``symbol``, ``first_seen``, ``last_seen`` (Date; null = still listed): listing dates or
        first and last session in another dataset.
    """
    data = pl.col("ledger_state") == "data"
    first = cells.group_by("symbol").agg(
        first_data=pl.col("session").filter(data).min(), last_cell=pl.col("session").max()
    )
    empty = cells.filter(pl.col("ledger_state") == "empty").join(first, on="symbol")
    empty = empty.filter(
        pl.col("first_data").is_null() | (pl.col("session") < pl.col("first_data"))
    )
    runs = empty.group_by("symbol", "first_data").agg(
        first_empty=pl.col("session").min(),
        last_empty=pl.col("session").max(),
        sessions=pl.len(),
    )
    runs = runs.filter(pl.col("sessions") >= _LEAST_EMPTY_SESSIONS)
    seen = ("first_seen", "last_seen")
    runs = (
        runs.with_columns(pl.lit(None, dtype=pl.Date).alias(name) for name in seen)
        if listed is None
        else runs.join(listed.select("symbol", *seen), on="symbol", how="left")
    )
    total = cells["symbol"].n_unique()
    boundary = pl.len().over("last_empty")
    shared = (boundary >= 3) & (boundary >= 0.5 * total) & pl.col("first_data").is_not_null()
    # A ticker that was given up before the window is rightly empty in it.
    left = (pl.col("last_seen") < pl.col("first_empty")) & pl.col("first_data").is_null()
    traded = (pl.col("first_seen") <= pl.col("last_empty")) & ~left.fill_null(value=False)
    traded = traded.fill_null(value=False)
    evidence = runs.filter(shared | traded).sort("symbol")
    return [
        Finding(
            "old_window_empty",
            "error",
            dataset,
            row["symbol"],
            None,
            f"{row['sessions']} sessions {row['first_empty']} to {row['last_empty']} were answered "
            "as empty, although the symbol traded",
            evidence.filter(pl.col("symbol") == row["symbol"]),
        )
        for row in evidence.iter_rows(named=True)
    ]
