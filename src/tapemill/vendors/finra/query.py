"""One page of the Query API: a JSON list, its total in a header, any of the three data sets."""

from __future__ import annotations

import dataclasses
import re
from datetime import date

import msgspec
import polars as pl

from tapemill.contracts import Drift
from tapemill.errors import BadAnswerError
from tapemill.vendors.exchange import Request, WireAnswer
from tapemill.vendors.finra.files import sessions_outside
from tapemill.vendors.finra.interest import interest_rows
from tapemill.vendors.finra.quantities import short_volume_rows
from tapemill.vendors.finra.requests import (
    FACILITY_OF_CODE,
    INTEREST,
    LONGEST_OFFSET,
    WEEKLY,
    request_from,
    summary_types_of,
    ticker_of,
)
from tapemill.vendors.finra.weekly import weekly_rows
from tapemill.vendors.rows import Field, TypedRows, read_rows

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
WEEKLY_SUMMARY = (
    Field("issueSymbolIdentifier", "text"),
    Field("weekStartDate", "date"),
    Field("summaryTypeCode", "text"),
    Field("totalWeeklyShareQuantity", "decimal"),
    Field("lastUpdateDate", "date"),
    Field("issueName", "text", optional=True),
    Field("firmCRDNumber", "text", optional=True),
    Field("MPID", "text", optional=True),
    Field("marketParticipantName", "text", optional=True),
    Field("tierIdentifier", "text", optional=True),
    Field("tierDescription", "text", optional=True),
    Field("summaryStartDate", "date", optional=True),
    Field("totalWeeklyTradeCount", "decimal", optional=True),
    Field("totalNotionalSum", "decimal", optional=True),
    Field("lastReportedDate", "date", optional=True),
    Field("initialPublishedDate", "date", optional=True),
    Field("productTypeCode", "text", optional=True),
)
SHORT_INTEREST = (
    Field("symbolCode", "text"),
    Field("settlementDate", "date"),
    Field("currentShortPositionQuantity", "decimal"),
    Field("previousShortPositionQuantity", "decimal", optional=True),
    Field("averageDailyVolumeQuantity", "decimal", optional=True),
    Field("daysToCoverQuantity", "decimal", optional=True),
    Field("changePercent", "decimal", optional=True),
    Field("changePreviousNumber", "decimal", optional=True),
    Field("issueName", "text", optional=True),
    Field("issuerServicesGroupExchangeCode", "text", optional=True),
    Field("marketClassCode", "text", optional=True),
    Field("stockSplitFlag", "text", optional=True),
    Field("revisionFlag", "text", optional=True),
    Field("accountingYearMonthNumber", "decimal", optional=True),
)

_BARE_CRD = re.compile(rb'("firmCRDNumber"\s*:\s*)(\d+)')
_FULL_BYTES = 2_000_000
"""A page of fewer rows than asked is right when it is this large: pages end at 3 MB too."""

Shaped = tuple[pl.DataFrame, pl.DataFrame, tuple[str, ...]]


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
        that were not asked for came back (an ignored filter).
    msgspec.DecodeError
        The body is no JSON list.
    """
    if request.dataset == WEEKLY:
        # Firms' numbers come bare or quoted; they are names, not quantities.
        typed = read_rows(_BARE_CRD.sub(rb'\1"\2"', answer.body), WEEKLY_SUMMARY)
        _require_asked(request, typed.frame, "weekStartDate", "issueSymbolIdentifier")
        _require_types(request, typed.frame)
        frame, rejected, notes = weekly_rows(typed.frame)
    elif request.dataset == INTEREST:
        typed = read_rows(answer.body, SHORT_INTEREST)
        _require_asked(request, typed.frame, "settlementDate", "symbolCode")
        frame, rejected, notes = interest_rows(typed.frame)
    else:
        typed = read_rows(answer.body, REG_SHO_DAILY)
        frame, rejected, notes = _short_volume(request, typed)
    following = _following(request, answer, typed.count) if typed.count else None
    rejected = pl.concat([typed.broken, rejected]).sort("ordinal")
    return QueryPage(frame, rejected, typed.count, following, typed.drift, notes)


def _short_volume(request: Request, typed: TypedRows) -> Shaped:
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
    shaped = short_volume_rows(text, date_format="%Y-%m-%d")
    if request.start is not None and request.end is not None:
        strays = sessions_outside(shaped[0], request.start, request.end)
        if strays:
            raise _ignored(f"asked for {request.start} to {request.end}, got {strays[0]}")
    if request.symbol != "*" and shaped[0].filter(pl.col("symbol") != request.symbol).height:
        raise _ignored(f"asked for {request.symbol} alone")
    return shaped


def _require_asked(request: Request, rows: pl.DataFrame, day: str, symbol: str) -> None:
    """Refuse a page with rows of other dates or symbols: the vendor ignores what it misreads."""
    days = rows.get_column(day).str.to_date("%Y-%m-%d", strict=False)
    if request.start is not None and request.end is not None:
        strays: list[date] = days.filter(~days.is_between(request.start, request.end)).to_list()
        if strays:
            raise _ignored(f"asked for {request.start} to {request.end}, got {strays[0]}")
    ticker = ticker_of(request)
    if ticker is not None and (rows.get_column(symbol) != ticker).any():
        raise _ignored(f"asked for {ticker} alone")


def _require_types(request: Request, rows: pl.DataFrame) -> None:
    asked = summary_types_of(request)
    found = set(rows.get_column("summaryTypeCode").to_list())
    if strays := sorted(str(one) for one in found - set(asked)):
        raise _ignored(f"asked for {', '.join(asked)}, got {strays[0]}")


def _ignored(text: str) -> BadAnswerError:
    return BadAnswerError(f"filter ignored: {text}")


def _following(request: Request, answer: WireAnswer, count: int) -> Request | None:
    declared = answer.headers.get("record-total", "")
    if not declared.isdigit():
        raise BadAnswerError(f"no Record-Total to page by (header {declared!r})")
    promised = request.promised("record_total")
    if promised is not None and promised != declared:
        raise BadAnswerError(f"Record-Total changed from {promised} to {declared} between pages")
    asked = msgspec.json.decode(request.body)
    total, reached = int(declared), asked.get("offset", 0) + count
    if reached > total:
        raise BadAnswerError(f"{reached} rows so far, though Record-Total is {total}")
    if reached == total:
        return None
    if request.dataset in (WEEKLY, INTEREST):
        _require_full(answer, count, asked["limit"])
    if reached > LONGEST_OFFSET:
        raise BadAnswerError(
            f"{total} rows lie beyond the vendor's last offset {LONGEST_OFFSET}",
            next_step="ask for fewer sessions at a time",
        )
    page = request_from(request, reached)
    return dataclasses.replace(page, expect=(("record_total", declared),))


def _require_full(answer: WireAnswer, count: int, limit: int) -> None:
    """Refuse a page that is neither the last one nor full: rows of it are missing."""
    allowed = answer.headers.get("record-limit", "")
    full = min(limit, int(allowed)) if allowed.isdigit() else limit
    if count < full and len(answer.body) < _FULL_BYTES:
        raise BadAnswerError(
            f"a page of {count} rows where {full} were due: it is not the last one, and only "
            f"{len(answer.body):,} bytes long"
        )
