"""Aggregates: per-ticker minutes and days, and the grouped day of the whole market."""

from __future__ import annotations

import dataclasses
from datetime import date

import polars as pl

from tapemill.clock import eastern_datetime, exchange_date
from tapemill.contracts import Drift, contract
from tapemill.errors import BadAnswerError
from tapemill.vendors.exchange import Request
from tapemill.vendors.massive.drift import BAR, GROUPED_BAR, Envelope
from tapemill.vendors.rows import TypedRows, read_rows, rejected_rows
from tapemill.vendors.shape import (
    breaks_contract,
    in_column_order,
    partitioned,
    without_conflicts,
)

__all__ = ["Lane", "read_bars"]

_MS = 1_000_000
# 1970-04-26 to 2100: seconds and nanoseconds mistaken for milliseconds fall outside.
_PLAUSIBLE_MS = (10_000_000_000, 4_102_444_800_000)


@dataclasses.dataclass(frozen=True)
class Lane:
    """Rows of one answer in bronze columns, what was set aside, and what later pages must keep."""

    frame: pl.DataFrame
    rejected: pl.DataFrame
    drift: list[Drift]
    notes: tuple[str, ...] = ()
    expect: tuple[tuple[str, str], ...] = ()


def read_bars(request: Request, envelope: Envelope) -> Lane:
    """Read bars of one page.

    Raises
    ------
    BadAnswerError
        Rows are missing, adjusted, of another ticker, or outside the window that was asked for.
    msgspec.DecodeError
        The rows are no JSON.
    """
    grouped = request.symbol == "*"
    typed = read_rows(envelope.results, GROUPED_BAR if grouped else BAR)
    drift = [*typed.drift, *_check_envelope(request, envelope, typed)]
    frame = _bronze(request, typed.frame)
    frame, misdated = _plausible(frame)
    if misdated.height and frame.is_empty():
        low = typed.frame.get_column("t").min()
        drift.append(Drift("unit_change", "t", f"not milliseconds since 1970: {low!r}"))
    _check_window(request, frame)
    notes = _check_order(request, frame)
    frame, conflicting = without_conflicts(frame)
    good, bad = breaks_contract(contract(request.dataset), frame)
    bad = pl.concat([bad, misdated, conflicting], how="diagonal")
    rejected = pl.concat([typed.broken, rejected_rows(bad, typed.frame)])
    last = frame.get_column("ts_event").max() if frame.height else request.promised("last_ts_event")
    expect = () if last is None else (("last_ts_event", str(last)),)
    return Lane(
        in_column_order(contract(request.dataset), good),
        rejected.sort("ordinal"),
        drift,
        notes,
        expect,
    )


def _check_envelope(request: Request, envelope: Envelope, typed: TypedRows) -> list[Drift]:
    claimed = envelope.results_count
    if isinstance(claimed, int) and claimed != typed.count:
        raise BadAnswerError(
            f"the answer reports completion with records missing: resultsCount {claimed}, "
            f"rows {typed.count}"
        )
    if isinstance(envelope.ticker, str) and request.symbol not in ("*", envelope.ticker):
        raise BadAnswerError(f"asked for {request.symbol}, answered for {envelope.ticker}")
    if typed.count and envelope.adjusted is True:
        raise BadAnswerError("split-adjusted bars, though unadjusted ones were asked for")
    if typed.count and envelope.adjusted is None:
        return [Drift("missing", "adjusted", "the answer no longer says whether it is adjusted")]
    return []


def _bronze(request: Request, rows: pl.DataFrame) -> pl.DataFrame:
    low, high = _PLAUSIBLE_MS
    milliseconds = pl.when(pl.col("t").is_between(low, high)).then(pl.col("t"))
    frame = rows.select(
        "ordinal",
        symbol=pl.col("T") if "T" in rows.columns else pl.lit(request.symbol),
        ts_event=milliseconds * _MS,
        open="o",
        high="h",
        low="l",
        close="c",
        volume="v",
        decimal_volume="dv",
        vwap="vw",
        trades="n",
        otc="otc",
        adjusted=pl.lit(value=False),
    ).with_columns(session=exchange_date(pl.col("ts_event")))
    if request.dataset == "bronze.massive_bars_1d":
        # Days are stamped at midnight per ticker and at 16:00 in the grouped form.
        midnight = eastern_datetime(pl.col("session"), 0).dt.epoch("ns")
        frame = frame.with_columns(ts_event=midnight)
    frame = frame.with_columns(ts=pl.from_epoch("ts_event", time_unit="ns").cast(pl.Datetime("us")))
    frame = frame.with_columns(pl.col("ts").dt.replace_time_zone("UTC"))
    return partitioned(frame, contract(request.dataset))


def _plausible(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    if not frame.get_column("ts_event").null_count():
        return frame, frame.clear().with_columns(reasons=pl.lit("", dtype=pl.String))
    lost = pl.col("ts_event").is_null()
    bad = frame.filter(lost).with_columns(reasons=pl.lit("t_not_milliseconds"))
    return frame.filter(~lost), bad


def _check_window(request: Request, frame: pl.DataFrame) -> None:
    if frame.is_empty() or request.start is None or request.end is None:
        return
    sessions = frame.get_column("session")
    first, last = sessions.min(), sessions.max()
    if not (isinstance(first, date) and isinstance(last, date)):
        return
    if first < request.start or last > request.end:
        raise BadAnswerError(
            f"window ignored: asked for {request.start} to {request.end}, "
            f"got bars of {first} to {last}"
        )


def _check_order(request: Request, frame: pl.DataFrame) -> tuple[str, ...]:
    if frame.is_empty() or request.symbol == "*":
        return ()
    stamps = frame.get_column("ts_event")
    notes = []
    if not stamps.is_sorted():
        notes.append("bars out of order, though sorted ones were asked for")
    promised = request.promised("last_ts_event")
    if promised is not None and int(stamps.min() or 0) <= int(promised):  # type: ignore[arg-type]
        if int(stamps.max() or 0) <= int(promised):  # type: ignore[arg-type]
            raise BadAnswerError(f"page {request.page} repeats bars of the page before it")
        notes.append("the page overlaps the page before it")
    return tuple(notes)
