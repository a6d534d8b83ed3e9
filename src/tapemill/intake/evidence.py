"""What came over the wire, kept before anything is made of it, and read back after a crash.

The body goes to the raw store by its hash, the question and the status line to the control state.
From these two alone the same rows can be made again, so a kill between receiving and landing loses
nothing.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping

import msgspec
import polars as pl

from tapemill.clock.availability import known_at_expr
from tapemill.contracts import contract
from tapemill.contracts.columns import UTC_US
from tapemill.errors import CorruptError
from tapemill.intake.coverage import Settled
from tapemill.lake import Lake
from tapemill.lake.control import StoredAnswer
from tapemill.settings import Settings
from tapemill.vendors import SYNTHETIC_HEADER, Answer, Outcome, Request, WireAnswer, interpret

__all__ = ["Receipt", "dress", "dress_answer", "keep", "quarantine_rows", "read_back"]

_KEPT_HEADERS = frozenset(
    {
        "content-type",
        "date",
        "finra-api-request-id",
        "last-modified",
        "record-limit",
        "record-max-limit",
        "record-offset",
        "record-total",
        "retry-after",
        "x-request-id",
        SYNTHETIC_HEADER,
    }
)


@dataclasses.dataclass(frozen=True)
class Receipt:
    """An answer that is safely kept and waits to land.

    Parameters
    ----------
    answer_id : int
    task_key : str
    token : int, optional
        Fencing token of the claim under which it was asked.
    request : Request
    answer : Answer
    raw_sha256 : str
    received_ns : int
        Nanoseconds UTC.
    frame : pl.DataFrame
        Rows in the full bronze contract.
    rejected : pl.DataFrame
        Rows in the contract of ``ops.quarantine``.
    asked : tuple of Request and Answer, optional
        The exchange it came from; files have none.
    cells : tuple of Settled
        Cells that a file settles; those of an exchange follow from it.
    """

    answer_id: int
    task_key: str
    dataset: str
    raw_sha256: str
    received_ns: int
    frame: pl.DataFrame
    rejected: pl.DataFrame
    asked: tuple[Request, Answer] | None = None
    cells: tuple[Settled, ...] = ()


class _Envelope(msgspec.Struct):
    """What a later reading needs beside the body: it must not depend on today's settings."""

    request: msgspec.Raw
    status: int
    headers: dict[str, str]
    base_url: str


def keep(
    lake: Lake,
    settings: Settings,
    request: Request,
    answer: Answer,
    wire: WireAnswer,
    received_ns: int,
    *,
    task_key: str,
    token: int | None,
    repeat: bool = False,
) -> Receipt | None:
    """Store an answer durably.

    Parameters
    ----------
    repeat : bool
        Whether bytes that have landed before shall land once more, because the cells were reopened
        since. Without it they give None.

    Raises
    ------
    ContractError
        The vendor room handed over rows that break the dataset's contract.
    ConflictError
        The claim was taken over by another process.
    """
    media = wire.headers.get("content-type", "application/octet-stream")
    raw = lake.raw.put(wire.body, media_type=media, origin=f"{request.vendor}:{request.path}")
    frame = dress_answer(settings, request, answer, raw.sha256, received_ns)
    envelope = _Envelope(
        msgspec.Raw(request.to_json()),
        wire.status,
        _kept(wire.headers),
        settings.massive.base_url,
    )

    def store(key: str) -> StoredAnswer:
        answers = lake.control.answers
        answer_id = answers.store(
            key,
            request.page,
            request.vendor,
            request.dataset,
            raw.sha256,
            received_ns,
            answer.request_id,
            answer.outcome.value,
            answer.reason,
            request.symbol,
            request.start,
            request.end,
            answer.next.to_json().decode() if answer.next else None,
            request=msgspec.json.encode(envelope).decode(),
            token=token if key == task_key else None,
        )
        return answers.get(answer_id)

    stored = store(task_key)
    if stored.stage in ("landing", "landed"):
        if not repeat:
            return None
        times = itertools.count(2)
        while stored.stage in ("landing", "landed"):
            stored = store(f"{task_key}@{next(times)}")
    rejected = quarantine_rows(
        request.dataset, answer.source, answer.rejected, raw.sha256, received_ns
    )
    return Receipt(
        stored.answer_id,
        stored.task_key,
        request.dataset,
        raw.sha256,
        received_ns,
        frame,
        rejected,
        (request, answer),
    )


def read_back(lake: Lake, settings: Settings, stored: StoredAnswer) -> Receipt:
    """Make a receipt again from what was kept.

    Raises
    ------
    CorruptError
        The raw object differs from its hash.
    """
    envelope = msgspec.json.decode(stored.request or "", type=_Envelope)
    request = Request.from_json(bytes(envelope.request))
    wire = WireAnswer(envelope.status, envelope.headers, lake.raw.get(stored.raw_sha256))
    answer = interpret(request, wire, now_ns=stored.ts_recv_ns, base_url=envelope.base_url)
    if answer.outcome.value != stored.outcome:
        raise CorruptError(
            f"a kept answer was {stored.outcome} when it came and reads as {answer.outcome} now: "
            f"{answer.reason}",
            where=f"answer {stored.answer_id}, raw object {stored.raw_sha256}",
            next_step="run `tapemill verify`; if it is clean, the parser changed: report it",
        )
    raw, received_ns = stored.raw_sha256, stored.ts_recv_ns
    return Receipt(
        stored.answer_id,
        stored.task_key,
        request.dataset,
        raw,
        received_ns,
        dress_answer(settings, request, answer, raw, received_ns),
        quarantine_rows(request.dataset, answer.source, answer.rejected, raw, received_ns),
        (request, answer),
    )


def dress_answer(
    settings: Settings, request: Request, answer: Answer, raw_sha256: str, received_ns: int
) -> pl.DataFrame:
    """Rows of an answer in the full bronze contract; none unless it is DATA.

    Raises
    ------
    ContractError
        The rows break the contract.
    """
    if answer.outcome is not Outcome.DATA or answer.frame is None:
        return contract(request.dataset).empty()
    delay = settings.massive.feed_delay_minutes if request.vendor == "massive" else 0
    return dress(
        request.dataset,
        answer.frame,
        source=answer.source,
        raw_sha256=raw_sha256,
        received_ns=received_ns,
        request_id=answer.request_id,
        delay_minutes=delay,
    )


def dress(
    dataset: str,
    frame: pl.DataFrame,
    *,
    source: str,
    raw_sha256: str,
    received_ns: int,
    delay_minutes: int,
    request_id: str | None = None,
) -> pl.DataFrame:
    """Rows with their provenance and the moment they could be acted on.

    Raises
    ------
    ContractError
        The rows break the contract.
    """
    declared = contract(dataset)
    if frame.is_empty():
        return declared.empty()
    dressed = frame.with_columns(
        source=pl.lit(source),
        raw_sha256=pl.lit(raw_sha256),
        request_id=pl.lit(request_id, dtype=pl.String),
        ts_recv=pl.lit(received_ns // 1000).cast(UTC_US),
    ).with_columns(known_at_expr(declared.known_at, feed_delay_minutes=delay_minutes))
    return declared.conform(dressed)


def quarantine_rows(
    dataset: str,
    source: str,
    rejected: pl.DataFrame | None,
    raw_sha256: str,
    received_ns: int,
) -> pl.DataFrame:
    """Rejected rows in the contract of ``ops.quarantine``."""
    quarantine = contract("ops.quarantine")
    if rejected is None or rejected.is_empty():
        return quarantine.empty()
    return quarantine.conform(
        rejected.with_columns(
            dataset=pl.lit(dataset),
            raw_sha256=pl.lit(raw_sha256),
            source=pl.lit(source),
            ts_recv=pl.lit(received_ns // 1000).cast(UTC_US),
        )
    )


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in _KEPT_HEADERS}
