"""The Massive REST side: shapes, paging, limits, entitlement, adjustment."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import polars as pl
import pytest

from tapemill.clock import eastern_ns
from tapemill.world import Fault

RANGE = "/v2/aggs/ticker/{}/range/1/{}/{}/{}?adjusted=false"


def decoded(reply):
    assert reply.status == 200, reply.body
    return msgspec.json.decode(reply.body)


def pages(asker, url):
    """Follow next_url to the end."""
    found = []
    while url:
        found.append(decoded(asker.get(url)))
        url = found[-1].get("next_url")
        assert len(found) < 50
    return found


def rows_of(found, schema):
    return pl.DataFrame([row for page in found for row in page.get("results", [])], schema=schema)


def truth_minutes(market, symbol, start, end):
    return pl.concat(market.minute_bars(symbol, d) for d in market.session_dates(start, end))


@pytest.mark.parametrize("symbol", ["SPY", "GNUS", "META"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_together_are_the_truth(ask, market, symbol, order):
    start, end = date(2026, 2, 9), date(2026, 3, 6)
    truth = truth_minutes(market, symbol, start, end)
    url = RANGE.format(symbol, "minute", start, end) + f"&limit=700&sort={order}"
    found = pages(ask(), url)
    assert len(found) == -(-truth.height // 700)
    got = rows_of(found, truth.schema)
    assert got.equals(truth if order == "asc" else truth.reverse())
    for page in found:
        assert page["queryCount"] == page["resultsCount"] == page["count"] == len(page["results"])
    assert len({page["request_id"] for page in found}) == len(found)


def test_next_url_is_absolute_and_keyless(ask):
    asker = ask()
    url = RANGE.format("SPY", "minute", "2026-03-02", "2026-03-06") + "&limit=10&apiKey=sandbox-key"
    page = decoded(asker.get(url, key=None))
    assert page["next_url"].startswith("http://vendor.test/v2/aggs/ticker/SPY/range/1/minute/")
    assert "sandbox-key" not in page["next_url"]
    assert asker.get(page["next_url"], key=None).status == 401


def test_limit_counts_base_minutes_and_defaults_to_5000(ask, market):
    start, end = date(2026, 2, 2), date(2026, 3, 6)
    page = decoded(ask().get(RANGE.format("SPY", "minute", start, end)))
    assert page["resultsCount"] == 5000 and "next_url" in page
    url = f"/v2/aggs/ticker/SPY/range/5/minute/{start}/{end}?limit=600&adjusted=false"
    page = decoded(ask().get(url))
    assert page["queryCount"] == 600 and page["resultsCount"] < 400
    base = truth_minutes(market, "SPY", start, end).head(600)
    assert page["resultsCount"] == (base["t"] // 300_000).n_unique()
    assert (
        page["results"][0]["v"]
        == base.filter(pl.col("t") < base["t"][0] // 300_000 * 300_000 + 300_000)["v"].sum()
    )


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (RANGE.format("SPY", "minute", "2026-03-02", "2026-03-06") + "&limit=50001", "limit must"),
        (RANGE.format("SPY", "minute", "2026-03-06", "2026-03-02"), "'from' must be before"),
        (RANGE.format("SPY", "minute", "yesterday", "2026-03-02"), "Could not parse"),
        (RANGE.format("SPY", "lustrum", "2026-03-02", "2026-03-06"), "not supported"),
        ("/v2/aggs/grouped/locale/us/market/stocks/03-02-2026", "Could not parse"),
        ("/v3/reference/splits?colour=red", "Unknown query parameter"),
        ("/v3/reference/dividends?ex_dividend_date.gte=soon", "Invalid isoformat"),
    ],
)
def test_bad_requests_answer_400_in_the_vendors_shape(ask, url, text):
    reply = ask().get(url)
    body = msgspec.json.decode(reply.body)
    assert reply.status == 400 and body["status"] == "ERROR" and text in body["error"]


def test_results_are_omitted_when_there_are_none(ask):
    for symbol in ("spy", "ZZZZ"):
        page = decoded(ask().get(RANGE.format(symbol, "minute", "2026-03-02", "2026-03-06")))
        assert "results" not in page and "next_url" not in page
        assert page["resultsCount"] == 0 and page["status"] == "OK"
    assert "results" not in decoded(
        ask().get("/v2/aggs/grouped/locale/us/market/stocks/2026-03-08")
    )


def test_keys(ask):
    url = "/v3/reference/splits"
    for key, text in ((None, "not provided"), ("guess", "Unknown API Key")):
        reply = ask().get(url, key=key)
        assert reply.status == 401 and text in msgspec.json.decode(reply.body)["error"]
    assert ask().get(f"{url}?apiKey=sandbox-key", key=None).status == 200
    assert ask(api_keys=["other"]).get(url, key="other").status == 200


def test_free_plan_ends_yesterday_and_reaches_back_730_days(ask):
    today = date(2026, 3, 20)
    oldest = today - timedelta(days=730)
    yesterday = today - timedelta(days=1)
    cases = [
        (oldest, yesterday, 200),
        (oldest - timedelta(days=1), yesterday, 403),
        (yesterday, today, 403),
        (yesterday, today + timedelta(days=1), 403),
    ]
    for start, end, status in cases:
        reply = ask().get(RANGE.format("SPY", "day", start, end))
        assert reply.status == status, (start, end)
        if status == 403:
            body = msgspec.json.decode(reply.body)
            assert body["status"] == "NOT_AUTHORIZED" and "upgrade" in body["message"]
    assert ask().get(f"/v2/aggs/grouped/locale/us/market/stocks/{today}").status == 403
    paid = ask(plan="paid").get(RANGE.format("SPY", "day", "2015-01-02", today))
    assert msgspec.json.decode(paid.body)["status"] == "DELAYED"


def test_paid_plan_lags_by_fifteen_minutes(ask, market):
    today = date(2026, 3, 18)
    now = eastern_ns(today, 11)
    asker = ask(plan="paid", now_ns=now)
    page = decoded(asker.get(RANGE.format("SPY", "minute", today, today)))
    assert page["results"][-1]["t"] == (now - 16 * 60 * 10**9) // 10**6
    assert "results" not in decoded(asker.get(RANGE.format("SPY", "day", today, today)))
    asker.sandbox.now_ns = eastern_ns(today, 21)
    later = decoded(asker.get(RANGE.format("SPY", "day", today, today)))
    truth = market.daily_bar("SPY", today).row(0, named=True)
    assert later["results"] == [pytest.approx(truth)]


def test_grouped_daily_is_the_whole_market(ask, market):
    day = date(2026, 3, 4)
    page = decoded(ask().get(f"/v2/aggs/grouped/locale/us/market/stocks/{day}?adjusted=false"))
    truth = market.grouped(day)
    assert pl.DataFrame(page["results"], schema=truth.schema).equals(truth)
    assert {row["t"] for row in page["results"]} == {eastern_ns(day, 16) // 10**6}


def test_adjusted_restates_earlier_bars_only(ask, market):
    split = market.splits().row(by_predicate=pl.col("ticker") == "NVDA", named=True)
    day = split["execution_date"]
    start, end = day - timedelta(days=7), day + timedelta(days=7)
    raw = market.daily_bars("NVDA", start, end)
    url = f"/v2/aggs/ticker/NVDA/range/1/day/{start}/{end}"
    got = rows_of(pages(ask(), url), raw.schema)
    before = raw["t"] < eastern_ns(day, 0) // 10**6
    ratio = pl.select(pl.when(before).then(10.0).otherwise(1.0)).to_series()
    assert (got["c"] - raw["c"] / ratio).abs().max() < 1e-6
    assert (got["v"] / (raw["v"] * ratio) - 1).abs().max() < 1e-9
    grouped = decoded(ask().get(f"/v2/aggs/grouped/locale/us/market/stocks/{start}"))["results"]
    bar = market.daily_bar("NVDA", start).row(0, named=True)
    assert next(r for r in grouped if r["T"] == "NVDA")["c"] == pytest.approx(bar["c"] / 10)


def test_reference_listings_page_and_filter(ask, market):
    everything = pages(ask(), "/v3/reference/dividends?limit=3&order=asc")
    assert len(everything) == -(-market.dividends().height // 3)
    rows = [row for page in everything for row in page["results"]]
    assert len({row["id"] for row in rows}) == market.dividends().height
    assert [r["ex_dividend_date"] for r in rows] == sorted(r["ex_dividend_date"] for r in rows)
    assert any("declaration_date" not in row for row in rows)
    url = "/v3/reference/dividends?ticker=KO&ex_dividend_date.gte=2026-01-01&limit=1000"
    truth = market.dividends().filter(
        (pl.col("ticker") == "KO") & (pl.col("ex_dividend_date") >= date(2026, 1, 1))
    )
    assert len(decoded(ask().get(url))["results"]) == truth.height
    assert [
        r["ticker"]
        for r in decoded(ask().get("/v3/reference/splits?reverse_split=true"))["results"]
    ] == ["GNUS"]


def test_tickers_follow_the_symbol_change(ask):
    def names(query):
        return [
            r["ticker"]
            for page in pages(ask(), f"/v3/reference/tickers?{query}")
            for r in page["results"]
        ]

    now = names("limit=3")
    assert "META" in now and "FB" not in now and "BACpL" in now and now == sorted(now)
    assert names("active=false") == ["FB"]
    assert "FB" in names("date=2025-11-03") and "META" not in names("date=2025-11-03")


@pytest.mark.parametrize(
    ("hour", "market_state", "early", "after"),
    [
        (3, "closed", False, False),
        (8, "extended-hours", True, False),
        (10, "open", False, False),
        (18, "extended-hours", False, True),
        (21, "closed", False, False),
    ],
)
def test_market_status(ask, hour, market_state, early, after):
    body = decoded(ask(now_ns=eastern_ns(date(2026, 3, 18), hour)).get("/v1/marketstatus/now"))
    assert (body["market"], body["earlyHours"], body["afterHours"]) == (market_state, early, after)
    assert body["serverTime"] == f"2026-03-18T{hour:02}:00:00-04:00"


def test_upcoming_holidays(ask):
    found = decoded(ask().get("/v1/marketstatus/upcoming"))
    dates = {(row["date"], row["status"]) for row in found}
    assert ("2026-04-03", "closed") in dates and ("2026-11-27", "early-close") in dates


def test_data_faults_do_not_reach_the_cache(ask):
    asker = ask()
    url = RANGE.format("SPY", "minute", "2026-03-02", "2026-03-06")
    clean = decoded(asker.get(url))["results"]
    asker.sandbox.faults.replace([Fault(kind="bars_end_at_noon", sessions=[date(2026, 3, 4)])])
    assert len(decoded(asker.get(url))["results"]) < len(clean)
    asker.sandbox.faults.replace([])
    assert decoded(asker.get(url))["results"] == clean


def test_corporate_actions_are_not_known_before_they_are_announced(ask, market):
    split = market.splits().row(by_predicate=pl.col("ticker") == "GNUS", named=True)
    dividend = market.dividends().drop_nulls().row(-1, named=True)

    def tickers(day, url):
        asker = ask(now_ns=eastern_ns(day, 12))
        return [row["ticker"] for row in decoded(asker.get(url))["results"]]

    ahead = split["execution_date"] - timedelta(days=30)
    assert "GNUS" in tickers(ahead, "/v3/reference/splits")
    assert "GNUS" not in tickers(ahead - timedelta(days=1), "/v3/reference/splits")
    ex_date = f"/v3/reference/dividends?ex_dividend_date={dividend['ex_dividend_date']}&limit=50"
    declared = dividend["declaration_date"]
    assert dividend["ticker"] in tickers(declared, ex_date)
    assert dividend["ticker"] not in tickers(declared - timedelta(days=1), ex_date)


def test_an_announced_split_does_not_adjust_yet(ask, market):
    split = market.splits().row(by_predicate=pl.col("ticker") == "GNUS", named=True)
    eve = market.session_dates(None, split["execution_date"])[-2]
    url = f"/v2/aggs/ticker/GNUS/range/1/day/{eve}/{eve}"
    raw = market.daily_bar("GNUS", eve)["c"].item()
    before = ask(now_ns=eastern_ns(split["execution_date"], 0) - 10**9, plan="paid")
    after = ask(now_ns=eastern_ns(split["execution_date"], 1), plan="paid")
    assert decoded(before.get(url))["results"][0]["c"] == raw
    assert decoded(after.get(url))["results"][0]["c"] == pytest.approx(raw * 10)
