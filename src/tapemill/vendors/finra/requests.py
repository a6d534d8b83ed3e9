"""Questions to FINRA: short sale volume files on the CDN, and the Query API's `regShoDaily`.

The Query API ignores keys that it does not know (an invented filter returns the first 5,000 rows of
everything), so the body is built here from known keys alone.
"""

from __future__ import annotations

from datetime import date

import msgspec

from tapemill.errors import DateError, UnknownNameError, did_you_mean
from tapemill.vendors.exchange import Request

__all__ = [
    "API_ROWS",
    "FACILITIES",
    "FACILITY_OF_CODE",
    "LONGEST_OFFSET",
    "reg_sho_daily",
    "short_volume_file",
]

DATASET = "bronze.finra_short_volume"
API_ROWS = 5_000
"""Largest page of a synchronous query; the default is 1,000, and more is cut without a word."""
LONGEST_OFFSET = 500_000

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
        dataset=DATASET,
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
    if start > end or not 0 <= offset <= LONGEST_OFFSET:
        raise DateError(
            f"cannot ask for {start} to {end} from row {offset}",
            where="FINRA regShoDaily",
            next_step=f"give start <= end, and a range of fewer than {LONGEST_OFFSET} rows",
        )
    body: dict[str, object] = {
        "limit": API_ROWS,
        "offset": offset,
        "dateRangeFilters": [
            {
                "fieldName": "tradeReportDate",
                "startDate": start.isoformat(),
                "endDate": end.isoformat(),
            }
        ],
    }
    if symbol != "*":
        body["compareFilters"] = [
            {
                "fieldName": "securitiesInformationProcessorSymbolIdentifier",
                "compareType": "EQUAL",
                "fieldValue": symbol,
            }
        ]
    return Request(
        vendor="finra",
        dataset=DATASET,
        method="POST",
        base="finra_api",
        path="/data/group/otcMarket/name/regShoDaily",
        params=(),
        symbol=symbol,
        start=start,
        end=end,
        body=msgspec.json.encode(body),
        page=offset // API_ROWS + 1,
    )
