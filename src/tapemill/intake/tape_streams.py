"""Two streams of ticks, trades and quotes, read page by page and no further than needed.

A page is asked for when the rows before it are used up; what it brings is handed on up to a moment
that both streams have passed. So a day of any size takes the memory of a page of each.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Awaitable, Callable, Iterable

import polars as pl

from tapemill.intake.attempt import Asked
from tapemill.intake.pages import PageChain
from tapemill.vendors import Answer, Outcome, Request
from tapemill.vendors.massive import stream_of

__all__ = ["Ask", "DayFailed", "Judge", "PageNote", "TickStream"]

_FOREVER = 2**63 - 1
_MOST_REJECTED = 1_000
"""Broken ticks of a session beyond which the rest is not believed either."""

Judge = Callable[[Request, Answer], Answer]
Ask = Callable[[Request, Judge], Awaitable[Asked]]


class DayFailed(Exception):  # noqa: N818 - not an error: an answer that ends the day, on its way up
    """A page did not bring ticks; the symbol's session stays open.

    Parameters
    ----------
    request : Request
    asked : Asked
        With the outcome that the session's cell is given.
    """

    def __init__(self, request: Request, asked: Asked) -> None:
        super().__init__(asked.answer.reason)
        self.request = request
        self.asked = asked


@dataclasses.dataclass(frozen=True, slots=True)
class PageNote:
    """What is kept of a page: what was asked, how much came, and the hash of its bytes."""

    stream: str
    path: str
    params: tuple[tuple[str, str], ...]
    rows: int
    rejected: int
    sha256: str
    bytes: int
    request_id: str | None


class TickStream:
    """Trades or quotes of one symbol's session, in order.

    Parameters
    ----------
    requests : iterable of Request
        First pages of stretches that follow each other without a gap.
    ask : callable
        Makes one logical call; it raises what must end the day.
    chain : PageChain
        Judges a page by those before it.
    limit : int
        Rows of a page, as asked for.
    """

    def __init__(
        self, requests: Iterable[Request], ask: Ask, chain: PageChain, *, limit: int
    ) -> None:
        self._waiting = list(requests)
        self._ask = ask
        self._chain = chain
        self._limit = limit
        self._next: Request | None = self._waiting.pop(0)
        self._held: list[pl.DataFrame] = []
        self.frontier = int(self._promised("from_ns"))
        self.rows = 0
        self.pages: list[PageNote] = []
        self.rejected: list[pl.DataFrame] = []
        self.notes: list[str] = []
        self.source = ""

    @property
    def done(self) -> bool:
        """Whether every page has been read."""
        return self._next is None

    def end(self, note: str) -> None:
        """Ask for nothing more; `note` tells why."""
        self.notes.append(note)
        self._waiting, self._next = [], None
        self.frontier = _FOREVER

    async def read_page(self) -> None:
        """Read the next page.

        Raises
        ------
        DayFailed
            It brought neither rows nor a confirmed nothing.
        """
        request = self._next
        if request is None:
            raise AssertionError("a stream that is done was asked for a page")
        asked = await self._ask(request, self._judge)
        answer = asked.answer
        if not answer.outcome.completes:
            raise DayFailed(request, asked)
        self._chain.accept(request, answer)
        self._note(request, asked)
        if answer.frame is not None and answer.frame.height:
            self._held.append(answer.frame.drop("ordinal"))
            self.rows += answer.frame.height
        following = answer.next or self._beyond_a_full_page(request, answer)
        if following is not None:
            last = following.promised("last_sip_ns")
            self.frontier = self.frontier if last is None else int(last)
        else:
            self.frontier = int(request.promised("before_ns") or self.frontier)
            following = self._waiting.pop(0) if self._waiting else None
        self._next = following
        if following is None:
            self.frontier = _FOREVER

    def take(self, before: int) -> pl.DataFrame | None:
        """Rows earlier than `before` (ns UTC), by time and sequence; None if there are none."""
        if not self._held:
            return None
        held = self._held[0] if len(self._held) == 1 else pl.concat(self._held, how="diagonal")
        # Ticks of one nanosecond may lie on two pages: their order must not depend on the cut.
        held = held.sort("sip_timestamp", "sequence_number", maintain_order=True, nulls_last=True)
        stamps = held.get_column("sip_timestamp")
        cut = held.height if before == _FOREVER else int(stamps.search_sorted(before, side="left"))
        rest = held.slice(cut)
        self._held = [rest] if rest.height else []
        return held.head(cut) if cut else None

    def _promised(self, name: str) -> str:
        found = self._next.promised(name) if self._next else None
        if found is None:
            raise AssertionError(f"a request for ticks names no {name}")
        return found

    def _judge(self, request: Request, answer: Answer) -> Answer:
        judged = self._chain.judge(request, answer)
        if judged.outcome is not Outcome.DATA:
            return judged
        if request.promised("beyond"):
            reason = "a full page named no next one, yet there are ticks behind it: it was cut"
            return _bad(judged, reason)
        broken = [*self.rejected, *([] if judged.rejected is None else [judged.rejected])]
        if (count := sum(rows.height for rows in broken)) > _MOST_REJECTED:
            reasons = ", ".join(pl.concat(broken)["reasons"].unique().sort().head(3).to_list())
            return _bad(judged, f"{count:,} ticks of the session cannot be read: {reasons}")
        return judged

    def _beyond_a_full_page(self, request: Request, answer: Answer) -> Request | None:
        """A look behind a last page that is full to the limit: the vendor gives no total."""
        count = sum(0 if f is None else f.height for f in (answer.frame, answer.rejected))
        if count < self._limit or answer.frame is None or answer.frame.is_empty():
            return None
        last = int(answer.frame.item(-1, "sip_timestamp"))
        end = int(request.promised("before_ns") or 0)
        if last + 1 >= end:
            return None
        params = (
            ("timestamp.gt", str(last)),
            ("timestamp.lt", str(end)),
            ("sort", "timestamp"),
            ("order", "asc"),
            ("limit", "1"),
        )
        expect = (
            ("from_ns", str(last + 1)),
            ("before_ns", str(end)),
            ("last_sip_ns", str(last)),
            ("beyond", "1"),
        )
        return dataclasses.replace(request, params=params, page=request.page + 1, expect=expect)

    def _note(self, request: Request, asked: Asked) -> None:
        answer, body = asked.answer, asked.wire.body
        rejected = 0 if answer.rejected is None else answer.rejected.height
        if answer.rejected is not None and rejected:
            self.rejected.append(answer.rejected)
        self.notes += [note for note in answer.notes if note not in self.notes]
        self.source = answer.source
        self.pages.append(
            PageNote(
                stream_of(request),
                request.path,
                request.params,
                0 if answer.frame is None else answer.frame.height,
                rejected,
                hashlib.sha256(body).hexdigest(),
                len(body),
                answer.request_id,
            )
        )


def _bad(answer: Answer, reason: str) -> Answer:
    return dataclasses.replace(
        answer, outcome=Outcome.BAD_ANSWER, reason=reason, frame=None, rejected=None, next=None
    )
