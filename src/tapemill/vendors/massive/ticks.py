"""Trades and quotes: one page of prints or of national best bids and offers."""

from __future__ import annotations

import polars as pl

from tapemill.contracts import Drift
from tapemill.errors import BadAnswerError
from tapemill.vendors.exchange import Request
from tapemill.vendors.massive.bars import Lane
from tapemill.vendors.massive.drift import Envelope
from tapemill.vendors.massive.tick_requests import TICKS, stream_of
from tapemill.vendors.rows import Field, read_rows, rejected_rows

__all__ = ["QUOTE", "TICKS", "TRADE", "read_ticks"]

TRADE = (
    Field("sip_timestamp", "integer"),
    Field("sequence_number", "integer"),
    Field("price", "number"),
    Field("size", "number"),
    Field("exchange", "integer"),
    Field("id", "text"),
    Field("participant_timestamp", "integer"),
    Field("conditions", "list", optional=True),
    Field("correction", "integer", optional=True),
    Field("tape", "integer", optional=True),
    Field("trf_id", "integer", optional=True),
    Field("trf_timestamp", "integer", optional=True),
)
QUOTE = (
    Field("sip_timestamp", "integer"),
    Field("sequence_number", "integer"),
    Field("participant_timestamp", "integer"),
    Field("bid_price", "number", optional=True),
    Field("ask_price", "number", optional=True),
    Field("bid_size", "number", optional=True),
    Field("ask_size", "number", optional=True),
    Field("bid_exchange", "integer", optional=True),
    Field("ask_exchange", "integer", optional=True),
    Field("conditions", "list", optional=True),
    Field("indicators", "list", optional=True),
    Field("tape", "integer", optional=True),
    Field("trf_timestamp", "integer", optional=True),
)
# 1990 to 2100 in nanoseconds: any other unit falls outside.
_PLAUSIBLE_NS = (631_152_000_000_000_000, 4_102_444_800_000_000_000)


def read_ticks(request: Request, envelope: Envelope) -> Lane:
    """Read one page of ``/v3/trades`` or ``/v3/quotes``.

    Returns
    -------
    Lane
        `frame` has `ordinal` and the vendor's fields under the vendor's names, all of them,
        ordered by SIP time and, within a nanosecond, by sequence number. Prints without a price
        above zero, and rows without a time, are set aside.

    Raises
    ------
    BadAnswerError
        The page lies outside the stretch that was asked for, or before the page before it.
    msgspec.DecodeError
        The rows are no JSON.
    """
    is_trades = stream_of(request) == "trades"
    typed = read_rows(envelope.results, TRADE if is_trades else QUOTE)
    frame, misdated = _dated(typed.frame)
    drift = list(typed.drift)
    if misdated.height and frame.is_empty():
        low = typed.frame.get_column("sip_timestamp").min()
        drift.append(Drift("unit_change", "sip_timestamp", f"not nanoseconds since 1970: {low!r}"))
    _require_stretch(request, frame)
    notes = _out_of_order(frame)
    frame = frame.sort("sip_timestamp", "sequence_number", maintain_order=True, nulls_last=True)
    _require_progress(request, frame)
    reasons = _trade_reasons() if is_trades else _quote_reasons()
    judged = frame.with_columns(reasons=pl.concat_str(reasons, separator=";", ignore_nulls=True))
    good = judged.filter(pl.col("reasons") == "").drop("reasons")
    bad = pl.concat([judged.filter(pl.col("reasons") != ""), misdated], how="diagonal")
    bad = bad.with_columns(symbol=pl.lit(request.symbol), session=pl.lit(request.start))
    broken = typed.broken.with_columns(
        symbol=pl.lit(request.symbol), session=pl.lit(request.start, dtype=pl.Date())
    )
    rejected = pl.concat([broken, rejected_rows(bad, typed.frame)]).sort("ordinal")
    return Lane(good, rejected, drift, notes, _promises(request, frame))


def _dated(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows with a time in nanoseconds, and the others with their reason."""
    stamped = pl.col("sip_timestamp").is_between(*_PLAUSIBLE_NS).fill_null(value=False)
    if rows.select(stamped.all()).item():
        return rows, rows.clear().with_columns(reasons=pl.lit("", dtype=pl.String))
    bad = rows.filter(~stamped).with_columns(reasons=pl.lit("sip_timestamp_not_ns"))
    return rows.filter(stamped), bad


def _require_stretch(request: Request, frame: pl.DataFrame) -> None:
    start, end = request.promised("from_ns"), request.promised("before_ns")
    if frame.is_empty() or start is None or end is None:
        return
    first, last = frame.select(
        first=pl.col("sip_timestamp").min(), last=pl.col("sip_timestamp").max()
    ).row(0)
    if first < int(start) or last >= int(end):
        raise BadAnswerError(
            f"window ignored: asked for {start} to {end} ns, got ticks of {first} to {last} ns"
        )


def _out_of_order(frame: pl.DataFrame) -> tuple[str, ...]:
    if frame.get_column("sip_timestamp").is_sorted():
        return ()
    return ("ticks out of order, though sorted ones were asked for",)


def _require_progress(request: Request, frame: pl.DataFrame) -> None:
    promised = request.promised("last_sip_ns")
    if promised is None or frame.is_empty():
        return
    first = int(frame.item(0, "sip_timestamp"))
    if first < int(promised):
        raise BadAnswerError(
            f"page {request.page} goes back to {first} ns, the page before it ended at "
            f"{promised} ns"
        )


def _promises(request: Request, frame: pl.DataFrame) -> tuple[tuple[str, str], ...]:
    kept = [promise for promise in request.expect if promise[0] != "last_sip_ns"]
    if frame.height:
        kept.append(("last_sip_ns", str(frame.item(-1, "sip_timestamp"))))
    elif (before := request.promised("last_sip_ns")) is not None:
        kept.append(("last_sip_ns", before))
    return tuple(kept)


def _trade_reasons() -> list[pl.Expr]:
    price, size = pl.col("price"), pl.col("size")
    return [
        _unless(price.is_finite() & (price > 0), "price_not_positive"),
        _unless(size.is_finite() & (size >= 0), "size_negative"),
        _unless(pl.col("exchange").is_not_null(), "exchange_missing"),
        _unless(pl.col("sequence_number").is_not_null(), "sequence_number_missing"),
    ]


def _quote_reasons() -> list[pl.Expr]:
    """A side may be empty (absent or 0), never below zero."""
    sides = ("bid_price", "ask_price", "bid_size", "ask_size")
    return [
        _unless((pl.col(name).is_finite() & (pl.col(name) >= 0)).fill_null(value=True), reason)
        for name, reason in zip(sides, (f"{side}_negative" for side in sides), strict=True)
    ]


def _unless(sound: pl.Expr, reason: str) -> pl.Expr:
    return pl.when(~sound.fill_null(value=False)).then(pl.lit(reason))
