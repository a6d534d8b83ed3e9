"""What is kept of a symbol's session of prints: one small document, landed like a file.

It names every page that was read with the hash of its bytes, the classifier, what was counted and
what was set aside, and holds the five-minute sums. Bronze rows are made from it alone, so that a
kill between keeping and landing loses nothing, and `why` leads from a row to the pages behind it.
"""

from __future__ import annotations

import dataclasses
import itertools
from datetime import date
from typing import Any

import msgspec
import polars as pl

from tapemill.clock import Calendar, Session
from tapemill.contracts import contract
from tapemill.contracts.columns import TAPE_SUMS
from tapemill.errors import CorruptError
from tapemill.intake.coverage import Settled
from tapemill.intake.evidence import Receipt, dress, quarantine_rows
from tapemill.intake.tape_day import TapeDay
from tapemill.intake.tape_streams import PageNote
from tapemill.lake import Lake
from tapemill.lake.control import CellState, StoredAnswer
from tapemill.settings import Settings
from tapemill.tape import Rules, classifier_digest
from tapemill.vendors.massive import TICKS
from tapemill.vendors.rows import REJECTED

__all__ = ["TAPE_VENDOR", "TapeDocument", "keep_day", "read_back_day", "tape_document"]

TAPE_VENDOR = "tape"
"""Vendor of a stored document: made here from answers of Massive."""

_FRESH_DAYS = 4
_MEDIA = "application/json"


class TapeDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The document; `sums` has one list a column, in step."""

    kind: str = "tapemill.tape_day.1"
    symbol: str
    session: date
    source: str
    from_ns: int
    before_ns: int
    classifier: str
    rules: dict[str, Any]
    prints: int
    quotes: int
    repeated: int
    notes: list[str]
    pages: list[PageNote]
    rejected: list[dict[str, Any]]
    sums: dict[str, list[float]]


class _Kept(msgspec.Struct, frozen=True):
    """What a later reading needs beside the document."""

    waiting: bool
    feed_delay_minutes: int


def tape_document(day: TapeDay, session: Session, rules: Rules) -> bytes:
    """The document of a finished day, as canonical JSON."""
    return msgspec.json.encode(
        TapeDocument(
            symbol=day.symbol,
            session=day.session,
            source=day.source,
            from_ns=session.pre_open_ns,
            before_ns=session.post_close_ns,
            classifier=classifier_digest(rules),
            rules=dataclasses.asdict(rules),
            prints=day.prints,
            quotes=day.quotes,
            repeated=day.repeated,
            notes=day.notes,
            pages=day.pages,
            rejected=day.rejected.select("ordinal", "reasons", "row").to_dicts(),
            sums={name: day.sums[name].to_list() for name in day.sums.columns},
        ),
        order="sorted",
    )


def keep_day(
    lake: Lake,
    settings: Settings,
    calendar: Calendar,
    day: TapeDay,
    rules: Rules,
    *,
    task_key: str,
    token: int | None,
    repeat: bool,
) -> Receipt | None:
    """Store the document of a finished day durably; None if its very bytes have landed before.

    Parameters
    ----------
    repeat : bool
        Land bytes that landed before once more, because the cell was reopened since.

    Raises
    ------
    ConflictError
        The claim was taken over by another process.
    """
    content = tape_document(day, calendar.session(day.session), rules)
    raw = lake.raw.put(content, media_type=_MEDIA, origin=f"massive:ticks of {day.symbol}")
    waiting = not day.sums.height and _expected(lake, calendar, day)
    kept = _Kept(waiting, settings.massive.feed_delay_minutes)
    outcome = "data" if day.sums.height else "confirmed-empty"

    def store(key: str) -> StoredAnswer:
        answer_id = lake.control.answers.store(
            key,
            1,
            TAPE_VENDOR,
            TICKS,
            raw.sha256,
            day.received_ns,
            None,
            outcome,
            "; ".join(day.notes),
            day.symbol,
            day.session,
            day.session,
            request=msgspec.json.encode(kept).decode(),
            token=token if key == task_key else None,
        )
        return lake.control.answers.get(answer_id)

    stored = store(task_key)
    if stored.stage in ("landing", "landed"):
        if not repeat:
            return None
        times = itertools.count(2)
        while stored.stage in ("landing", "landed"):
            stored = store(f"{task_key}@{next(times)}")
    return _receipt(stored, content)


def read_back_day(lake: Lake, stored: StoredAnswer) -> Receipt:
    """Make a receipt again from what was kept.

    Raises
    ------
    CorruptError
        The raw object differs from its hash, or is no such document.
    """
    return _receipt(stored, lake.raw.get(stored.raw_sha256))


def _receipt(stored: StoredAnswer, content: bytes) -> Receipt:
    try:
        document = msgspec.json.decode(content, type=TapeDocument)
        kept = msgspec.json.decode(stored.request or "", type=_Kept)
    except msgspec.DecodeError as error:
        raise CorruptError(
            f"the document of a day of prints cannot be read: {error}",
            where=f"answer {stored.answer_id}, raw object {stored.raw_sha256}",
            next_step="run `tapemill verify`; if it is clean, the format changed: report it",
        ) from error
    raw, received_ns = stored.raw_sha256, stored.ts_recv_ns
    rows = _rows(document)
    frame = dress(
        TICKS,
        rows,
        source=document.source,
        raw_sha256=raw,
        received_ns=received_ns,
        delay_minutes=kept.feed_delay_minutes,
    )
    return Receipt(
        stored.answer_id,
        stored.task_key,
        TICKS,
        raw,
        received_ns,
        frame,
        quarantine_rows(TICKS, document.source, _rejected(document), raw, received_ns),
        cells=(_cell(document, rows.height, kept),),
    )


def _rows(document: TapeDocument) -> pl.DataFrame:
    schema = {"ts_event": pl.Int64()} | {column.name: column.dtype for column in TAPE_SUMS}
    sums = pl.DataFrame(document.sums).cast(pl.Schema(schema))
    stamp = (pl.col("ts_event") // 1000).cast(pl.Datetime("us", "UTC"))
    rows = sums.with_columns(
        symbol=pl.lit(document.symbol),
        ts=stamp,
        session=pl.lit(document.session),
        month=pl.lit(document.session.strftime("%Y-%m")),
        classifier=pl.lit(document.classifier),
        ordinal=pl.int_range(pl.len(), dtype=pl.Int64),
    )
    declared = [name for name in contract(TICKS).schema if name in rows.columns]
    return rows.select(declared)


def _rejected(document: TapeDocument) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"symbol": document.symbol, "session": document.session, **one}
            for one in document.rejected
        ],
        schema=REJECTED,
    )


def _cell(document: TapeDocument, rows: int, kept: _Kept) -> Settled:
    session = (document.session,)
    if rows:
        return Settled(document.symbol, session, CellState.DATA, (rows,), "; ".join(document.notes))
    if kept.waiting:
        reason = "no print yet of a young session, though the one before has some"
        return Settled(document.symbol, session, CellState.PARTIAL, (0,), reason)
    if document.rejected:
        reason = "every print of it broke the contract; see ops.quarantine"
        return Settled(document.symbol, session, CellState.BAD_ANSWER, (0,), reason)
    reason = "the vendor confirms that there is no print"
    return Settled(document.symbol, session, CellState.EMPTY, (0,), reason)


def _expected(lake: Lake, calendar: Calendar, day: TapeDay) -> bool:
    """Whether nothing may only mean "not yet": a young session after one with prints."""
    age_days = (day.received_ns - calendar.session(day.session).post_close_ns) / 86_400e9
    if age_days > _FRESH_DAYS:
        return False
    before = calendar.previous(day.session)
    known = lake.control.ledger.matrix(TICKS, [day.symbol], [before])
    return bool(known.rows[0, 0])
