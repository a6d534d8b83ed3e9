"""FINRA: the daily short volume files of the CDN, and the Query API with its log-in."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import date

import msgspec
import polars as pl

from tapemill.clock.eastern import eastern_ns
from tapemill.world.daily import MICRO
from tapemill.world.sandbox.feed import VendorFeed
from tapemill.world.sandbox.finra_datasets import DATASETS
from tapemill.world.sandbox.finra_query import conditions, date_bounds, read_query
from tapemill.world.sandbox.wire import Call, Reply, http_date, json_reply
from tapemill.world.short_volume import FACILITIES

__all__ = ["FinraApi", "FinraCdn"]

_FILE = re.compile(r"/equity/regsho/daily/(?P<prefix>[A-Z]{4})shvol(?P<day>\d{8})\.txt")
_HEADER = "Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market"
_FACILITY_OF = {prefix: code for code, (prefix, _) in FACILITIES.items()}
_DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
)
_GROUP = "/data/group/otcmarket/name/"
_LARGEST_LIMIT, _DEFAULT_LIMIT = 5_000, 1_000
_TOKEN_SECONDS = 1_800
_SECOND = 1_000_000_000


class FinraCdn:
    """Files by prefix and date: CNMS consolidated, FNSQ, FNYX and FNQC per facility, FNRA empty."""

    def __init__(self, feed: VendorFeed) -> None:
        self._feed = feed

    def answer(self, call: Call) -> Reply:
        """Answer a file, or the store's 403 for what is not there (yet)."""
        found = _FILE.fullmatch(call.path)
        denied = Reply(403, _DENIED, {"content-type": "application/xml"})
        prefix = found["prefix"] if found is not None else ""
        if found is None or prefix not in {"CNMS", "FNRA", *_FACILITY_OF}:
            return denied
        try:
            day = date.fromisoformat(found["day"])
        except ValueError:
            return denied
        if not self._feed.has_short_volume(day):
            return denied
        facility = "CNMS" if prefix == "CNMS" else _FACILITY_OF.get(prefix, "D")
        served = self._feed.short_volume(self._anchored(day), facility, "finra_cdn")
        rows, claimed = served.frame, served.frame.height + served.withheld
        body = "\n".join([_HEADER, *_lines(rows), str(claimed)])
        # A re-issued file is a day younger.
        written = eastern_ns(day, 17, 42) + self._feed.revision(day, facility) * 86_400 * _SECOND
        headers = {"content-type": "text/plain", "last-modified": http_date(written)}
        return Reply(200, f"{body}\n".encode(), headers)

    def _anchored(self, day: date) -> date:
        for fault in self._feed.faults("finra_cdn"):
            if fault.kind == "start_anchor_ignored":
                dates = self._feed.market.session_dates(None, day)
                return dates[-int(fault.number("sessions")) - 1 :][0]
        return day


def _lines(rows: pl.DataFrame) -> list[str]:
    """Pipe-delimited rows; whole quantities without, fractional with six decimals."""
    return (
        rows.select(
            pl.concat_str(
                pl.col("session").dt.to_string("%Y%m%d"),
                "symbol",
                *(_quantity(name) for name in ("short", "exempt", "total")),
                "facility",
                separator="|",
            )
        )
        .to_series()
        .to_list()
    )


def _quantity(name: str) -> pl.Expr:
    whole, rest = pl.col(name) // MICRO, pl.col(name) % MICRO
    decimals = pl.concat_str(whole, pl.lit("."), rest.cast(pl.String).str.zfill(6))
    return pl.when(rest == 0).then(whole.cast(pl.String)).otherwise(decimals)


class FinraApi:
    """Query API, group ``otcMarket``: filters, paging by Record-Total, optional OAuth.

    Keys that it does not know are ignored without a word, as by the real one.

    Parameters
    ----------
    feed : VendorFeed
        The facts.
    clients : mapping of str to str
        Client id to secret for the log-in.
    require_oauth : bool
        Refuse calls without a token; otherwise anonymous calls are served too.
    """

    def __init__(
        self, feed: VendorFeed, *, clients: Mapping[str, str], require_oauth: bool
    ) -> None:
        self._feed = feed
        self._clients = dict(clients)
        self._require_oauth = require_oauth
        self._tokens: dict[str, int] = {}

    def answer(self, call: Call, page_fault: str = "") -> Reply:
        """Answer the log-in or a query; other data sets do not exist here."""
        if call.path.startswith("/fip/rest/"):
            return self._log_in(call)
        denied = self._unauthorized(call)
        if denied is not None:
            return denied
        dataset = DATASETS.get(call.path.lower().removeprefix(_GROUP))
        if dataset is None:
            return _problem(404, "Dataset not found")
        try:
            asked = read_query(call)
            rows = dataset.rows(self._feed, *date_bounds(asked, dataset.date_field))
            chosen = rows.frame.filter(conditions(asked, rows.frame.schema))
            fields = asked.get("fields") or []
            chosen = chosen.select(fields) if fields else chosen
        except (ValueError, KeyError, TypeError) as broken:
            return _problem(400, f"Invalid request: {broken}")
        limit = min(max(1, int(asked.get("limit", _DEFAULT_LIMIT))), _LARGEST_LIMIT)
        offset = int(asked.get("offset", 0))
        shown = {"duplicated_page": max(0, offset - limit), "cursor_loop": 0}.get(
            page_fault, offset
        )
        page = _whole_numbers(chosen.slice(shown, limit))
        headers = {
            "record-total": str(chosen.height + rows.withheld),
            "record-offset": str(offset),
            "record-limit": str(limit),
            "record-max-limit": str(_LARGEST_LIMIT),
            "response-payload-max-size": "3mb",
        }
        if page.is_empty():
            return Reply(204, b"", headers)
        if "application/json" in call.headers.get("accept", ""):
            body = msgspec.json.encode(
                page.with_columns(pl.col(pl.Date).cast(pl.String)).to_dicts()
            )
            return Reply(200, body, {"content-type": "application/json", **headers})
        text = page.write_csv(
            separator=asked.get("delimiter", ","),
            quote_style="always" if asked.get("quoteValues", True) else "never",
        )
        return Reply(200, text.encode(), {"content-type": "text/plain", **headers})

    def _log_in(self, call: Call) -> Reply:
        scheme, _, text = call.headers.get("authorization", "").partition(" ")
        try:
            client, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            client, secret = "", ""
        known = scheme.lower() == "basic" and self._clients.get(client) == secret
        if call.method != "POST" or call.query.get("grant_type") != "client_credentials":
            return json_reply(400, {"error": "unsupported_grant_type"})
        if not known or client not in self._clients:
            return json_reply(401, {"error": "invalid_client"})
        token = base64.b32encode(f"{client}/{len(self._tokens)}".encode()).decode().rstrip("=")
        self._tokens[token] = self._feed.now_ns() + _TOKEN_SECONDS * _SECOND
        body = {"access_token": token, "expires_in": _TOKEN_SECONDS, "token_type": "Bearer"}
        return json_reply(200, body)

    def _unauthorized(self, call: Call) -> Reply | None:
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if not scheme and not self._require_oauth:
            return None
        if self._tokens.get(token, 0) > self._feed.now_ns():
            return None
        return _problem(401, "Unauthorized: a valid access token is required")


def _whole_numbers(page: pl.DataFrame) -> pl.DataFrame:
    """Write quantities without decimals where a page has none."""
    names = [name for name in page.columns if name.endswith("Quantity")]
    whole = all((page[name] % 1 == 0).all() for name in names)
    return page.with_columns(pl.col(names).cast(pl.Int64)) if whole and names else page


def _problem(status: int, text: str) -> Reply:
    return json_reply(status, {"statusCode": status, "statusDescription": text})
