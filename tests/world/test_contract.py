"""Independent judges: the vendor's OpenAPI and the vendor's own Python client."""

from __future__ import annotations

import json
from datetime import date

import jsonschema
import msgspec
import polars as pl
import pytest

from tapemill.world import SANDBOX_KEY, Sandbox, SandboxThread
from world.conftest import NOW

ENDPOINTS = {
    "/v2/aggs/ticker/{stocksTicker}/range/{multiplier}/{timespan}/{from}/{to}": [
        "/v2/aggs/ticker/SPY/range/1/minute/2026-02-20/2026-03-06?limit=50000",
        "/v2/aggs/ticker/KO/range/1/minute/2026-03-02/2026-03-06?limit=100",
        "/v2/aggs/ticker/NVDA/range/1/day/2025-10-01/2026-03-06",
        "/v2/aggs/ticker/NOPE/range/1/day/2025-10-01/2026-03-06",
    ],
    "/v2/aggs/grouped/locale/us/market/stocks/{date}": [
        "/v2/aggs/grouped/locale/us/market/stocks/2026-03-04",
        "/v2/aggs/grouped/locale/us/market/stocks/2026-03-08",
    ],
    "/v3/reference/splits": ["/v3/reference/splits", "/v3/reference/splits?limit=1"],
    "/v3/reference/dividends": ["/v3/reference/dividends?limit=3"],
    "/v3/reference/tickers": [
        "/v3/reference/tickers?limit=2",
        "/v3/reference/tickers?active=false",
    ],
    "/v1/marketstatus/now": ["/v1/marketstatus/now"],
    "/v1/marketstatus/upcoming": ["/v1/marketstatus/upcoming"],
}


@pytest.mark.real
@pytest.mark.parametrize("path", ENDPOINTS)
def test_answers_validate_against_the_vendors_openapi(ask, real_data, path):
    spec = json.loads((real_data / "polygon" / "openapi" / "massive-rest-2025-10.json").read_text())
    content = spec["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    schema = {**content["schema"], "components": spec.get("components", {})}
    for url in ENDPOINTS[path]:
        reply = ask().get(url)
        assert reply.status == 200
        jsonschema.validate(msgspec.json.decode(reply.body), schema)
    # The judge must be able to say no.
    wrong = {"results": [{"t": "soon"}], "status": 7, "market": 1}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([wrong] if path.endswith("upcoming") else wrong, schema) or (
            jsonschema.validate("neither", schema)
        )


@pytest.fixture(scope="module")
def client(market):
    massive = pytest.importorskip("massive")
    with SandboxThread(Sandbox(market, now_ns=NOW)) as served:
        yield massive.RESTClient(api_key=SANDBOX_KEY, base=served.base_url, retries=0)


def test_official_client_reads_aggregates_over_pages(client, market):
    start, end = date(2026, 2, 20), date(2026, 3, 6)
    got = list(client.list_aggs("SPY", 1, "minute", start, end, adjusted=False, limit=900))
    truth = pl.concat(market.minute_bars("SPY", d) for d in market.session_dates(start, end))
    assert [a.timestamp for a in got] == truth["t"].to_list()
    assert [a.volume for a in got] == truth["v"].to_list()
    assert [a.vwap for a in got] == truth["vw"].to_list()
    assert [a.transactions for a in got] == truth["n"].to_list()
    assert [(a.open, a.high, a.low, a.close) for a in got] == truth.select(
        "o", "h", "l", "c"
    ).rows()


def test_official_client_reads_grouped_daily(client, market):
    day = date(2026, 3, 4)
    got = client.get_grouped_daily_aggs(day, adjusted=False)
    truth = market.grouped(day)
    assert {a.ticker: (a.open, a.close, a.volume, a.timestamp) for a in got} == {
        row["T"]: (row["o"], row["c"], row["v"], row["t"]) for row in truth.iter_rows(named=True)
    }


def test_official_client_reads_corporate_actions(client, market):
    splits = list(client.list_splits(limit=1))
    assert {(s.ticker, s.execution_date, s.split_from, s.split_to) for s in splits} == {
        (t, str(d), f, n) for t, d, f, n in market.splits().rows()
    }
    dividends = list(client.list_dividends(limit=4, ex_dividend_date_gte="2025-11-01"))
    truth = market.dividends().filter(pl.col("ex_dividend_date") >= date(2025, 11, 1))
    assert {(d.ticker, d.ex_dividend_date, d.cash_amount) for d in dividends} == {
        (t, str(d), c)
        for t, d, c in truth.select("ticker", "ex_dividend_date", "cash_amount").rows()
    }


def test_official_client_reads_tickers_and_market_status(client, market):
    names = [t.ticker for t in client.list_tickers(market="stocks", limit=3)]
    assert names == sorted(market.symbols)
    assert client.get_market_status().market == "closed"
    assert any(h.status == "early-close" and h.close for h in client.get_market_holidays())


def test_official_client_sees_a_refusal(client):
    with pytest.raises(Exception, match="NOT_AUTHORIZED"):
        client.get_grouped_daily_aggs("2020-03-04")
