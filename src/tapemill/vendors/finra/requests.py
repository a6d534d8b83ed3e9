"""Questions to FINRA: short sale volume files on the CDN, and three data sets of the Query API.

The Query API ignores keys that it does not know (an invented filter returns the first 5,000 rows of
everything), so each body is checked here against the known keys before it can be sent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from tapemill.errors import DateError, UnknownNameError, UsageError, did_you_mean
from tapemill.vendors.exchange import Request

__all__ = [
    "API_ROWS",
    "FACILITIES",
    "FACILITY_OF_CODE",
    "FIRM_TYPES",
    "INTEREST",
    "LONGEST_OFFSET",
    "SHORT_VOLUME",
    "SYMBOL_TYPES",
    "WEEKLY",
    "query_body",
    "reg_sho_daily",
    "request_from",
    "short_interest",
    "short_volume_file",
    "summary_types_of",
    "ticker_of",
    "weekly_summary",
]

SHORT_VOLUME = "bronze.finra_short_volume"
WEEKLY = "bronze.finra_otc_weekly"
INTEREST = "bronze.finra_short_interest"

API_ROWS = 5_000
"""Largest page of a synchronous query; the default is 1,000, and more is cut without a word."""
LONGEST_OFFSET = 500_000

SYMBOL_TYPES = ("ATS_W_SMBL", "OTC_W_SMBL")
"""Totals per symbol: all ATSs, all other firms. Their sum is a symbol's off-exchange week."""
FIRM_TYPES = ("ATS_W_SMBL_FIRM", "OTC_W_SMBL_FIRM")
"""The same volume per venue or firm: added to the totals it would count twice."""

FACILITIES = {
    "CNMS": "consolidated NMS: the sum of FNSQ, FNYX and FNQC",
    "FNSQ": "FINRA/Nasdaq TRF Carteret, code Q",
    "FNYX": "FINRA/NYSE TRF, code N",
    "FNQC": "FINRA/Nasdaq TRF Chicago, code B",
    "FNRA": "Alternative Display Facility, code D",
    "FORF": "OTC Reporting Facility, code O",
    "NQBX": "Nasdaq BX exchange file",
    "NPSX": "Nasdaq PSX exchange file",
}
FACILITY_OF_CODE = {"Q": "FNSQ", "N": "FNYX", "B": "FNQC", "D": "FNRA", "O": "FORF"}
"""Facility code of a row → the facility whose file holds that row."""

_ON_CDN = ("CNMS", "FNSQ", "FNYX", "FNQC", "FNRA", "FORF")
_API = "/data/group/otcMarket/name/"
_FILTERS = {
    "compareFilters": {"fieldName", "compareType", "fieldValue"},
    "dateRangeFilters": {"fieldName", "startDate", "endDate"},
    "domainFilters": {"fieldName", "values"},
}
_KEYS = (*_FILTERS, "fields", "limit", "offset")
_COMPARISONS = ("EQUAL", "NOT_EQUAL", "GREATER", "LESSER", "GTE", "LTE")


def short_volume_file(session: date, facility: str = "CNMS") -> Request:
    """One day's file of one facility on the CDN.

    Parameters
    ----------
    session : datetime.date
    facility : str
        CNMS (consolidated), FNSQ, FNYX, FNQC, FNRA or FORF.

    Raises
    ------
    UnknownNameError
        `facility` has no file on the CDN.
    """
    if facility not in _ON_CDN:
        raise UnknownNameError(
            f"FINRA publishes no daily file for facility {facility!r}",
            next_step=did_you_mean(facility, _ON_CDN) or f"facilities: {', '.join(_ON_CDN)}",
        )
    return Request(
        vendor="finra",
        dataset=SHORT_VOLUME,
        method="GET",
        base="finra_cdn",
        path=f"/equity/regsho/daily/{facility}shvol{session:%Y%m%d}.txt",
        params=(),
        symbol="*",
        start=session,
        end=session,
    )


def reg_sho_daily(start: date, end: date, offset: int = 0, *, symbol: str = "*") -> Request:
    """Rows of `regShoDaily` (one per symbol, facility and day), sessions inclusive.

    Parameters
    ----------
    start, end : datetime.date
    offset : int
        First row of the page; the pages end at the answer's `Record-Total`.
    symbol : str
        One ticker, or ``"*"``.

    Raises
    ------
    DateError
        `start` is after `end`, or `offset` lies beyond what the vendor serves.
    """
    body = _ranged("tradeReportDate", start, end, offset)
    if symbol != "*":
        body |= _equal("securitiesInformationProcessorSymbolIdentifier", symbol)
    return _query(SHORT_VOLUME, "regShoDaily", body, symbol, start, end)


def weekly_summary(
    first_week: date,
    last_week: date,
    summary_types: Sequence[str] = SYMBOL_TYPES,
    offset: int = 0,
    *,
    symbol: str = "*",
) -> Request:
    """Rows of `weeklySummary` of whole weeks, named by their Mondays, inclusive.

    Parameters
    ----------
    first_week, last_week : datetime.date
        Mondays.
    summary_types : sequence of str
        Never empty: without this filter the vendor mixes totals, firm rows and market statistics.
        Totals (:data:`SYMBOL_TYPES`) or firm rows (:data:`FIRM_TYPES`), never both.
    offset : int
        First row of the page.
    symbol : str
        One ticker as FINRA writes it, or ``"*"``.

    Raises
    ------
    DateError
        A date is no Monday, the first is after the last, or `offset` lies beyond what is served.
    UsageError
        No summary type, an unknown one, or totals together with firm rows.
    """
    if first_week.weekday() or last_week.weekday():
        raise DateError(
            f"{first_week} to {last_week} are not both Mondays",
            where="FINRA weeklySummary",
            next_step="name a week by its Monday",
        )
    wanted = set(summary_types)
    if not wanted or not (wanted <= set(SYMBOL_TYPES) or wanted <= set(FIRM_TYPES)):
        raise UsageError(
            f"cannot ask for the summary types {sorted(wanted)}",
            where="FINRA weeklySummary",
            next_step=f"give some of {', '.join(SYMBOL_TYPES)}; or some of {', '.join(FIRM_TYPES)}",
        )
    body = _ranged("weekStartDate", first_week, last_week, offset)
    body["domainFilters"] = [{"fieldName": "summaryTypeCode", "values": list(summary_types)}]
    if symbol != "*":
        body |= _equal("issueSymbolIdentifier", symbol)
    # Firm rows are another listing of the same week: the ledger keeps them apart.
    cell = symbol if wanted <= set(SYMBOL_TYPES) else f"*firms{'' if symbol == '*' else symbol}"
    return _query(WEEKLY, "weeklySummary", body, cell, first_week, last_week)


def short_interest(start: date, end: date, offset: int = 0, *, symbol: str = "*") -> Request:
    """Rows of `consolidatedShortInterest` with a settlement date in the range, inclusive.

    Raises
    ------
    DateError
        `start` is after `end`, or `offset` lies beyond what the vendor serves.
    """
    body = _ranged("settlementDate", start, end, offset)
    if symbol != "*":
        body |= _equal("symbolCode", symbol)
    return _query(INTEREST, "consolidatedShortInterest", body, symbol, start, end)


def request_from(request: Request, offset: int) -> Request:
    """The same question from another row on, as a page after `request`.

    Raises
    ------
    DateError
        `offset` lies beyond what the vendor serves.
    """
    if not 0 <= offset <= LONGEST_OFFSET:
        raise _out_of_reach(request.start, request.end, offset)
    body = msgspec.json.decode(request.body) | {"offset": offset}
    return dataclasses.replace(request, body=query_body(body), page=request.page + 1)


def query_body(body: Mapping[str, Any]) -> bytes:
    """Body of a query, every key of it known to the vendor.

    Raises
    ------
    UsageError
        A key, a filter's key or a comparison is not in the documented grammar, or the limit is
        above the largest page: the vendor would ignore or cut it without a word.
    """
    strays = [key for key in body if key not in _KEYS]
    for name, known in _FILTERS.items():
        for entry in body.get(name, ()):
            strays += [f"{name}.{key}" for key in entry.keys() ^ known]
            if name == "compareFilters" and entry.get("compareType") not in _COMPARISONS:
                strays.append(f"compareType {entry.get('compareType')}")
            if name == "domainFilters" and not entry.get("values"):
                strays.append("an empty list of values")
    if not 1 <= body.get("limit", 0) <= API_ROWS:
        strays.append(f"limit {body.get('limit')}")
    if strays:
        raise UsageError(
            f"the Query API would ignore or cut: {', '.join(sorted(strays))}",
            where="FINRA Query API",
            next_step=f"use {', '.join(_KEYS)}, and at most {API_ROWS:,} rows a page",
        )
    return msgspec.json.encode(body)


def summary_types_of(request: Request) -> tuple[str, ...]:
    """The summary types that a weekly request asks for."""
    (chosen,) = msgspec.json.decode(request.body)["domainFilters"]
    return tuple(chosen["values"])


def ticker_of(request: Request) -> str | None:
    """The ticker that a query asks for, None for the whole market."""
    compared = msgspec.json.decode(request.body).get("compareFilters")
    return str(compared[0]["fieldValue"]) if compared else None


def _ranged(field: str, start: date, end: date, offset: int) -> dict[str, Any]:
    if start > end or not 0 <= offset <= LONGEST_OFFSET:
        raise _out_of_reach(start, end, offset)
    ranged = {"fieldName": field, "startDate": start.isoformat(), "endDate": end.isoformat()}
    return {"limit": API_ROWS, "offset": offset, "dateRangeFilters": [ranged]}


def _out_of_reach(start: date | None, end: date | None, offset: int) -> DateError:
    return DateError(
        f"cannot ask for {start} to {end} from row {offset}",
        where="FINRA Query API",
        next_step=f"give start <= end, and a range of fewer than {LONGEST_OFFSET} rows",
    )


def _equal(field: str, value: str) -> dict[str, Any]:
    compared = {"fieldName": field, "compareType": "EQUAL", "fieldValue": value}
    return {"compareFilters": [compared]}


def _query(
    dataset: str, name: str, body: Mapping[str, Any], symbol: str, start: date, end: date
) -> Request:
    return Request(
        vendor="finra",
        dataset=dataset,
        method="POST",
        base="finra_api",
        path=f"{_API}{name}",
        params=(),
        symbol=symbol,
        start=start,
        end=end,
        body=query_body(body),
        page=body["offset"] // API_ROWS + 1,
    )
