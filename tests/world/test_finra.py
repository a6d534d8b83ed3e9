"""The FINRA side: daily files of the CDN, the Query API, its log-in."""

from __future__ import annotations

import base64
from datetime import date
from decimal import Decimal

import msgspec
import pytest

from tapemill.clock import eastern_ns
from tapemill.world import SANDBOX_CLIENT, Fault

DAY = date(2026, 3, 4)
API = "/data/group/otcMarket/name/regShoDaily"
LOGIN = "/fip/rest/ews/oauth2/access_token?grant_type=client_credentials"


def file_of(asker, prefix, day=DAY):
    reply = asker.get(f"/equity/regsho/daily/{prefix}shvol{day:%Y%m%d}.txt", key=None)
    assert reply.status == 200
    text = reply.body.decode()
    assert text.endswith("\n") and "\r" not in text
    header, *lines, trailer = text.rstrip("\n").split("\n")
    assert header == "Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market"
    return [line.split("|") for line in lines], int(trailer)


def test_facility_files_sum_to_the_consolidated_one(ask):
    asker = ask()
    total, trailer = file_of(asker, "CNMS")
    assert trailer == len(total) == 8
    sums, markets = {}, {}
    for prefix in ("FNQC", "FNSQ", "FNYX"):
        rows, count = file_of(asker, prefix)
        assert count == len(rows)
        for _, symbol, *volumes, market in rows:
            old = sums.get(symbol, [Decimal(0)] * 3)
            sums[symbol] = [a + Decimal(b) for a, b in zip(old, volumes, strict=True)]
            markets[symbol] = {*markets.get(symbol, ()), market}
    for day, symbol, *volumes, market in total:
        assert day == "20260304"
        assert [Decimal(v) for v in volumes] == sums[symbol]
        assert set(market.split(",")) == markets[symbol]
        short, exempt, all_ = map(Decimal, volumes)
        assert exempt <= short <= all_


def test_decimals_begin_with_fractional_reporting(ask):
    asker = ask()
    before, _ = file_of(asker, "CNMS", date(2026, 2, 20))
    after, _ = file_of(asker, "CNMS", date(2026, 2, 23))
    assert all("." not in row[4] for row in before)
    assert all(len(row[4].partition(".")[2]) == 6 for row in after if "." in row[4])
    assert any("." in row[4] for row in after)


def test_adf_file_is_empty_with_a_trailer(ask):
    assert file_of(ask(), "FNRA") == ([], 0)


@pytest.mark.parametrize(("hour", "minute", "status"), [(17, 59, 403), (18, 0, 200)])
def test_files_appear_at_six_in_the_evening(ask, hour, minute, status):
    asker = ask(now_ns=eastern_ns(DAY, hour, minute))
    reply = asker.get("/equity/regsho/daily/CNMSshvol20260304.txt", key=None)
    assert reply.status == status
    if status == 403:
        assert b"AccessDenied" in reply.body and reply.headers["content-type"] == "application/xml"
    else:
        assert reply.headers["last-modified"] == "Wed, 04 Mar 2026 22:42:00 GMT"


@pytest.mark.parametrize(
    "name",
    ["CNMSshvol20260307.txt", "XXXXshvol20260304.txt", "CNMSshvol20261399.txt", "index.html"],
)
def test_everything_else_is_denied(ask, name):
    assert ask().get(f"/equity/regsho/daily/{name}", key=None).status == 403


def query(asker, **body):
    reply = asker.post(API, msgspec.json.encode(body), accept="application/json")
    return reply, msgspec.json.decode(reply.body) if reply.status == 200 else None


def on(day):
    return {"fieldName": "tradeReportDate", "fieldValue": str(day), "compareType": "EQUAL"}


def test_query_api_pages_by_record_total(ask, market):
    asker, rows, offset = ask(), [], 0
    truth = market.short_volume(DAY)
    while True:
        reply, page = query(asker, limit=4, offset=offset, compareFilters=[on(DAY)])
        if page is None:
            break
        assert int(reply.headers["record-total"]) == truth.height
        assert reply.headers["record-max-limit"] == "5000"
        rows, offset = rows + page, offset + 4
        if offset >= truth.height:
            break
    assert list(rows[0]) == [
        "tradeReportDate",
        "securitiesInformationProcessorSymbolIdentifier",
        "shortParQuantity",
        "shortExemptParQuantity",
        "totalParQuantity",
        "marketCode",
        "reportingFacilityCode",
    ]
    assert [round(r["totalParQuantity"] * 1e6) for r in rows] == truth["total"].to_list()
    names = {"B": "NCTRF", "Q": "NQTRF", "N": "NYTRF"}
    assert all(r["reportingFacilityCode"] == names[r["marketCode"]] for r in rows)
    assert query(asker, offset=truth.height, compareFilters=[on(DAY)])[0].status == 204


def test_query_api_and_files_agree_to_the_last_digit(ask):
    asker = ask()
    between = {"fieldName": "tradeReportDate", "startDate": "2026-02-20", "endDate": "2026-03-06"}
    _, rows = query(asker, dateRangeFilters=[between])
    told = {
        (
            r["tradeReportDate"].replace("-", ""),
            r["securitiesInformationProcessorSymbolIdentifier"],
            r["marketCode"],
        ): [str(r[f"{name}ParQuantity"]) for name in ("short", "shortExempt", "total")]
        for r in rows
    }
    days = [date(2026, 2, d) for d in (20, 23, 24, 25, 26, 27)] + [
        date(2026, 3, d) for d in range(2, 7)
    ]
    filed = {
        (day, symbol, market): volumes
        for when in days
        for prefix in ("FNQC", "FNSQ", "FNYX")
        for day, symbol, *volumes, market in file_of(asker, prefix, when)[0]
    }
    assert told.keys() == filed.keys()
    for key, volumes in filed.items():
        assert [Decimal(v) for v in told[key]] == [Decimal(v) for v in volumes], key


def test_query_api_filters(ask, market):
    ko = {
        "fieldName": "securitiesInformationProcessorSymbolIdentifier",
        "fieldValue": "KO",
        "compareType": "EQUAL",
    }
    between = {"fieldName": "tradeReportDate", "startDate": "2026-03-02", "endDate": "2026-03-06"}
    only_n = {"fieldName": "marketCode", "values": ["N"]}
    _, rows = query(
        ask(),
        compareFilters=[ko],
        dateRangeFilters=[between],
        domainFilters=[only_n],
        fields=["tradeReportDate", "totalParQuantity"],
    )
    assert [r["tradeReportDate"] for r in rows] == [f"2026-03-0{d}" for d in range(2, 7)]
    assert set(rows[0]) == {"tradeReportDate", "totalParQuantity"}
    big = {"fieldName": "totalParQuantity", "fieldValue": 1e7, "compareType": "GREATER"}
    _, rows = query(ask(), compareFilters=[on(DAY), big])
    assert len(rows) == (market.short_volume(DAY)["total"] > 10**13).sum() > 0


def test_query_api_limits(ask):
    reply, _ = query(ask(), limit=9999)
    assert reply.headers["record-limit"] == "5000"
    assert ask().get(f"{API}?limit=7", key=None).headers["record-limit"] == "7"
    assert ask().get(API, key=None).headers["record-limit"] == "1000"


def test_query_api_default_is_delimited_text(ask):
    lines = ask().get(f"{API}?limit=2", key=None).body.decode().splitlines()
    assert len(lines) == 3 and lines[0].startswith('"tradeReportDate","securities')


def test_query_api_confirms_emptiness_and_refuses_nonsense(ask):
    assert query(ask(), compareFilters=[on("2026-03-07")])[0].status == 204
    assert query(ask(), compareFilters=[{"fieldName": "nope"}])[0].status == 400
    assert ask().post(API, b"[1]").status == 400
    assert ask().get("/data/group/otcMarket/name/other", key=None).status == 404


def test_log_in(ask):
    asker = ask(require_oauth=True)
    assert query(asker, limit=1)[0].status == 401
    good = base64.b64encode(":".join(SANDBOX_CLIENT).encode()).decode()
    bad = base64.b64encode(b"sandbox-client:wrong").decode()
    assert asker.post(LOGIN, b"", authorization=f"Basic {bad}").status == 401
    assert asker.post(LOGIN, b"").status == 401
    assert asker.post(LOGIN.partition("?")[0], b"", authorization=f"Basic {good}").status == 400
    token = msgspec.json.decode(asker.post(LOGIN, b"", authorization=f"Basic {good}").body)
    assert token["token_type"] == "Bearer" and token["expires_in"] == 1800
    bearer = f"Bearer {token['access_token']}"
    assert asker.post(API, b"{}", authorization=bearer).status == 200
    asker.sandbox.now_ns += 1801 * 10**9
    assert asker.post(API, b"{}", authorization=bearer).status == 401


def test_vendor_of_a_data_fault(ask):
    fault = Fault(kind="replay_incomplete", vendor="finra_cdn", sessions=[DAY])
    asker = ask(fault)
    rows, trailer = file_of(asker, "CNMS")
    assert trailer == 8 and len(rows) == 7
    assert int(query(asker, compareFilters=[on(DAY)])[0].headers["record-total"]) > 0
    clean = query(ask(), compareFilters=[on(DAY)])[1]
    assert query(asker, compareFilters=[on(DAY)])[1] == clean


def test_query_api_knows_a_session_from_the_same_moment(ask):
    asker = ask(now_ns=eastern_ns(DAY, 17, 59))
    assert query(asker, compareFilters=[on(DAY)])[0].status == 204
    asker.sandbox.now_ns = eastern_ns(DAY, 18)
    assert query(asker, compareFilters=[on(DAY)])[0].status == 200
