"""What is asked of a vendor, what came back over the wire, and what it means.

A :class:`Request` says what to ask without saying where the vendor lives and without secrets: it
can be stored, hashed and sent again. A :class:`WireAnswer` is what the transport saw. An
:class:`Answer` is the judgement: one typed :class:`Outcome`, the rows, and where to go on.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Collection, Mapping
from datetime import date
from typing import Literal

import msgspec
import polars as pl

from tapemill.contracts import Drift

__all__ = ["Answer", "Base", "Outcome", "Request", "WireAnswer", "is_cursor_loop"]

Base = Literal["massive", "finra_cdn", "finra_api"]


class Outcome(enum.StrEnum):
    """What an answer means for the cells it was to fill."""

    DATA = "data"
    CONFIRMED_EMPTY = "confirmed-empty"
    """The vendor said, in a way that cannot be an accident, that there is nothing."""
    NOT_ENTITLED = "not-entitled"
    RATE_LIMITED = "rate-limited"
    TRANSIENT = "transient"
    BAD_ANSWER = "bad-answer"

    @property
    def completes(self) -> bool:
        """Whether a cell may be closed: only data and a confirmed nothing do that."""
        return self in (Outcome.DATA, Outcome.CONFIRMED_EMPTY)

    @property
    def retries(self) -> bool:
        """Whether asking again, later, can help."""
        return self in (Outcome.RATE_LIMITED, Outcome.TRANSIENT)


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One question to a vendor, without host and without secrets.

    Parameters
    ----------
    vendor : str
        ``"massive"`` or ``"finra"``; the budget that is charged.
    dataset : str
        Bronze dataset that the rows land in.
    method : str
        ``"GET"`` or ``"POST"``.
    base : {"massive", "finra_cdn", "finra_api"}
        Which configured base address the path belongs to.
    path : str
        Absolute path, percent-encoded.
    params : tuple of (str, str)
        Query parameters in order. Credentials never appear here.
    symbol : str
        Ticker asked for; ``"*"`` for the whole market.
    start, end : datetime.date, optional
        First and last session covered, inclusive; None for listings without dates.
    body : bytes
        Body of a POST.
    page : int
        1 for the first page.
    expect : tuple of (str, str)
        What earlier pages promised (a total, the last bar): kept with the request, never sent.
    """

    vendor: str
    dataset: str
    method: str
    base: Base
    path: str
    params: tuple[tuple[str, str], ...]
    symbol: str
    start: date | None
    end: date | None
    body: bytes = b""
    page: int = 1
    expect: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """SHA-256 of the question itself: same question, same key, whatever host answers it."""
        asked = dataclasses.replace(self, page=1, expect=())
        return hashlib.sha256(asked.to_json()).hexdigest()

    def to_json(self) -> bytes:
        """Canonical JSON bytes; the inverse of :meth:`from_json`."""
        return msgspec.json.encode(self, order="deterministic")

    @classmethod
    def from_json(cls, content: bytes | str) -> Request:
        """Read back what :meth:`to_json` wrote.

        Raises
        ------
        msgspec.ValidationError
            `content` is not a stored request.
        """
        return msgspec.json.decode(content, type=cls)

    def promised(self, name: str) -> str | None:
        """The value that an earlier page promised under `name`, if any."""
        return dict(self.expect).get(name)


@dataclasses.dataclass(frozen=True, slots=True)
class WireAnswer:
    """What the transport saw.

    Parameters
    ----------
    status : int
        HTTP status; 0 when no answer arrived.
    headers : Mapping[str, str]
        Header names in lower case.
    body : bytes
        Body after content decoding.
    fault : str
        Transport failure in words (time-out, reset); empty when an answer arrived.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    fault: str = ""


@dataclasses.dataclass(frozen=True)
class Answer:
    """The meaning of one answer.

    Parameters
    ----------
    outcome : Outcome
    reason : str
        Why, in words that name the values; empty for plain data.
    source : str
        Lane, for the `source` column: ``"massive.rest"``, ``"finra.cdn"``, ``"finra.api"``.
    frame : pl.DataFrame, optional
        Rows with the columns of the bronze contract without provenance, `ordinal` included. Given
        with DATA only, except that a blocking drift keeps what could be read beside BAD_ANSWER, for
        inspection: such rows must not land.
    rejected : pl.DataFrame, optional
        Rows for quarantine: ordinal (Int64), symbol (String?), session (Date?), reasons (String,
        joined by ``;``) and row (String, JSON as sent). None when there are none.
    next : Request, optional
        The following page.
    request_id : str, optional
        The vendor's id of this answer.
    retry_after : float, optional
        Seconds the vendor asked to wait, capped to an hour.
    retry_after_raw : str
        The header as sent.
    drift : list of Drift
        Changes of the vendor's shape.
    notes : tuple of str
        Peculiarities that change nothing but should be seen.
    """

    outcome: Outcome
    reason: str
    source: str
    frame: pl.DataFrame | None = None
    rejected: pl.DataFrame | None = None
    next: Request | None = None
    request_id: str | None = None
    retry_after: float | None = None
    retry_after_raw: str = ""
    drift: list[Drift] = dataclasses.field(default_factory=list)
    notes: tuple[str, ...] = ()


def is_cursor_loop(seen: Collection[str], following: Request | None) -> bool:
    """Whether `following` asks for a page already fetched.

    Parameters
    ----------
    seen : Collection of str
        `key` of every request of this listing so far.
    following : Request, optional
        The next page, as an :class:`Answer` names it.
    """
    return following is not None and following.key in seen
