"""How FINRA speaks: daily short sale volume files, the Query API, and OAuth.

In: sessions, weeks or settlement dates, and the bytes that came back. Out: requests without
secrets, and typed answers with rows of the `bronze.finra_…` datasets.
"""

from __future__ import annotations

from tapemill.vendors.finra.answers import interpret_finra
from tapemill.vendors.finra.files import read_short_volume
from tapemill.vendors.finra.oauth import Token, parse_token, token_headers, token_params
from tapemill.vendors.finra.requests import (
    FACILITIES,
    FIRM_TYPES,
    INTEREST,
    SYMBOL_TYPES,
    WEEKLY,
    reg_sho_daily,
    short_interest,
    short_volume_file,
    weekly_summary,
)

__all__ = [
    "FACILITIES",
    "FIRM_TYPES",
    "INTEREST",
    "SYMBOL_TYPES",
    "WEEKLY",
    "Token",
    "interpret_finra",
    "parse_token",
    "read_short_volume",
    "reg_sho_daily",
    "short_interest",
    "short_volume_file",
    "token_headers",
    "token_params",
    "weekly_summary",
]
