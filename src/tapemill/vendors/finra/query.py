"""One page of the Query API's `regShoDaily`: a JSON list, its total in a header."""

from __future__ import annotations

import dataclasses

import msgspec
import polars as pl

from tapemill.contracts import Drift
from tapemill.errors import BadAnswerError
from tapemill.vendors.exchange import Request, WireAnswer
from tapemill.vendors.finra.files import sessions_outside
from tapemill.vendors.finra.quantities import short_volume_rows
from tapemill.vendors.finra.requests import FACILITY_OF_CODE, LONGEST_OFFSET, reg_sho_daily
from tapemill.vendors.rows import Field, read_rows

__all__ = ["QueryPage", "read_page"]

REG_SHO_DAILY = (
    Field("tradeReportDate", "date"),
    Field("securitiesInformationProcessorSymbolIdentifier", "text"),
    Field("shortParQuantity", "decimal"),
    Field("shortExemptParQuantity", "decimal", optional=True),
    Field("totalParQuantity", "decimal"),
    Field("marketCode", "text"),
    Field("reportingFacilityCode", "text", optional=True),
)


@dataclasses.dataclass(frozen=True)
class QueryPage:
    """Rows of one page, how many it carried, and the page after it."""

    frame: pl.DataFrame
    rejected: pl.DataFrame
    count: int
    following: Request | None
    drift: list[Drift]
    notes: tuple[str, ...]


def read_page(request: Request, answer: WireAnswer) -> QueryPage:
    """Read one page and work out where to go on.

    Raises
    ------
    BadAnswerError
        `Record-Total` is missing, changed since the first page, or contradicts the rows; or rows
        of other dates came back (an ignored filter).
    msgspec.DecodeError
        The body is no JSON list.
    """
    typed = read_rows(answer.body, REG_SHO_DAILY)
    text = typed.frame.select(
        "ordinal",
        session="tradeReportDate",
        symbol="securitiesInformationProcessorSymbolIdentifier",
        short_volume="shortParQuantity",
        short_exempt_volume="shortExemptParQuantity",
        total_volume="totalParQuantity",
        market="marketCode",
        facility=pl.col("marketCode").replace_strict(FACILITY_OF_CODE, default=None),
    )
    frame, rejected, notes = short_volume_rows(text, date_format="%Y-%m-%d")
    if request.start is not None and request.end is not None:
        strays = sessions_outside(frame, request.start, request.end)
        if strays:
            raise BadAnswerError(
                f"filter ignored: asked for {request.start} to {request.end}, got {strays[0]}"
            )
    if request.symbol != "*" and frame.filter(pl.col("symbol") != request.symbol).height:
        raise BadAnswerError(f"filter ignored: asked for {request.symbol} alone")
    following = _following(request, answer, typed.count) if typed.count else None
    rejected = pl.concat([typed.broken, rejected]).sort("ordinal")
    return QueryPage(frame, rejected, typed.count, following, typed.drift, notes)


def _following(request: Request, answer: WireAnswer, count: int) -> Request | None:
    declared = answer.headers.get("record-total", "")
    if not declared.isdigit():
        raise BadAnswerError(f"no Record-Total to page by (header {declared!r})")
    promised = request.promised("record_total")
    if promised is not None and promised != declared:
        raise BadAnswerError(f"Record-Total changed from {promised} to {declared} between pages")
    offset = msgspec.json.decode(request.body).get("offset", 0)
    total, reached = int(declared), offset + count
    if reached > total:
        raise BadAnswerError(f"{reached} rows so far, though Record-Total is {total}")
    if reached == total:
        return None
    if reached > LONGEST_OFFSET:
        raise BadAnswerError(
            f"{total} rows lie beyond the vendor's last offset {LONGEST_OFFSET}",
            next_step="ask for fewer sessions at a time",
        )
    if request.start is None or request.end is None:
        raise BadAnswerError("a stored request without dates")
    page = reg_sho_daily(request.start, request.end, reached, symbol=request.symbol)
    return dataclasses.replace(page, page=request.page + 1, expect=(("record_total", declared),))
