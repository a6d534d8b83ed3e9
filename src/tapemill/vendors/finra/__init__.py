"""How FINRA speaks: daily short sale volume files, the Query API, and OAuth.

In: sessions, and the bytes that came back. Out: requests without secrets, and typed answers with
rows of `bronze.finra_short_volume`.
"""

from __future__ import annotations

from tapemill.vendors.finra.answers import interpret_finra
from tapemill.vendors.finra.files import read_short_volume
from tapemill.vendors.finra.oauth import Token, parse_token, token_headers, token_params
from tapemill.vendors.finra.requests import FACILITIES, reg_sho_daily, short_volume_file

__all__ = [
    "FACILITIES",
    "Token",
    "interpret_finra",
    "parse_token",
    "read_short_volume",
    "reg_sho_daily",
    "short_volume_file",
    "token_headers",
    "token_params",
]
