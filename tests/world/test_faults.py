"""Every switch of the sandbox does what its line says, and nothing else."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec
import polars as pl
import pytest

from tapemill.clock import eastern_ns
from tapemill.errors import UnknownNameError, UsageError
from tapemill.world import FAULTS, Fault, FaultPlan

DAY, OTHER = date(2026, 3, 4), date(2026, 3, 5)
MINUTES = "/v2/aggs/ticker/{}/range/1/minute/{}/{}?adjusted=false&limit=50000"
WEEK = MINUTES.format("SPY", "2026-03-02", "2026-03-06")
CNMS = "/equity/regsho/daily/CNMSshvol20260304.txt"
API = "/data/group/otcMarket/name/regShoDaily"


def fault(kind, **settings):
    return Fault(kind=kind, **settings)


def bars(asker, symbol="SPY", start=DAY, end=DAY):
    page = msgspec.json.decode(asker.get(MINUTES.format(symbol, start, end)).body)
    return page, {row["t"]: row for row in page.get("results", [])}


def truth(market, symbol="SPY", day=DAY):
    return {row["t"]: row for row in market.minute_bars(symbol, day).iter_rows(named=True)}


def ms(hour, minute=0, day=DAY):
    return eastern_ns(day, hour, minute) // 10**6


# -- on the wire


@pytest.mark.parametrize(
    ("style", "header"),
    [
        ("int", "7"),
        ("date", "Sat, 21 Mar 2026 01:00:07 GMT"),
        ("absent", None),
        ("absurd", "864000000"),
    ],
)
def test_storm(ask, style, header):
    asker = ask(fault("storm_429", options={"retry_after": style, "seconds": 7}))
    reply = asker.get(WEEK)
    assert reply.status == 429 and reply.headers.get("retry-after") == header
    assert "exceeded the maximum requests" in msgspec.json.decode(reply.body)["error"]


def test_storm_on_one_vendor_spares_the_others(ask):
    asker = ask(fault("storm_429", vendor="massive"))
    assert asker.get(WEEK).status == 429 and asker.get(CNMS, key=None).status == 200


def test_server_errors(ask):
    reply = ask(fault("error_5xx", options={"status": 502})).get(WEEK)
    assert reply.status == 502 and b"<html>" in reply.body


def test_timeout_and_reset(ask):
    assert ask(fault("timeout", options={"seconds": 3})).get(WEEK).wire == "timeout"
    assert ask(fault("reset")).get(WEEK).wire == "reset"


# -- in the answer


def test_truncated_json(ask):
    reply = ask(fault("truncated_json")).get(WEEK)
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(reply.body)


def test_cut_transfer(ask):
    whole = ask().get(WEEK)
    reply = ask(fault("cut_transfer", options={"keep_frac": 0.25})).get(WEEK)
    assert (reply.wire, reply.declared) == ("cut", len(whole.body))
    assert reply.body == whole.body[: len(whole.body) // 4]


def test_html_body(ask):
    reply = ask(fault("html_body")).get(WEEK)
    assert (
        reply.status == 200
        and reply.body.startswith(b"<!DOCTYPE")
        and "text/html" in reply.headers["content-type"]
    )


def test_ok_that_carries_an_error(ask):
    reply = ask(fault("ok_with_error_body")).get(WEEK)
    assert reply.status == 200 and msgspec.json.decode(reply.body)["status"] == "ERROR"


def test_ok_that_carries_a_throttle_message(ask):
    reply = ask(fault("ok_with_throttle_message")).get(WEEK)
    assert reply.status == 200 and "maximum requests" in msgspec.json.decode(reply.body)["Note"]


@pytest.mark.parametrize(
    "url",
    [
        WEEK.replace("50000", "900"),
        WEEK.replace("50000", "900") + "&sort=desc",
        "/v3/reference/dividends?limit=3",
    ],
)
def test_duplicated_page_repeats_once_then_goes_on(ask, url):
    def all_rows(asker, first):
        found, url = [], first
        while url:
            page = msgspec.json.decode(asker.get(url).body)
            found.append([msgspec.json.encode(row) for row in page["results"]])
            url = page.get("next_url")
        return found

    clean = all_rows(ask(), url)
    doubled = all_rows(ask(fault("duplicated_page", count=1)), url)
    assert len(clean) > 1
    assert doubled == [clean[0], *clean]


@pytest.mark.parametrize("url", [WEEK, "/v3/reference/tickers?limit=2"])
def test_cursor_loop_never_moves(ask, url):
    asker = ask(fault("cursor_loop"))
    first = msgspec.json.decode(asker.get(url).body)
    second = msgspec.json.decode(asker.get(first["next_url"]).body)
    third = msgspec.json.decode(asker.get(second["next_url"]).body)
    assert second["next_url"] == third["next_url"]
    assert first["results"] == second["results"] == third["results"]


def test_paging_faults_of_the_query_api(ask):
    def page(asker, offset):
        body = msgspec.json.encode({"limit": 3, "offset": offset})
        return msgspec.json.decode(asker.post(API, body, accept="application/json").body)

    clean = ask()
    assert page(ask("duplicated_page"), 3) == page(clean, 0)
    assert page(ask("cursor_loop"), 30) == page(clean, 0)


DRIFTS = {
    "schema_new_column": lambda row: row.get("dv2") == "1",
    "schema_missing_column": lambda row: "v" not in row,
    "schema_retyped": lambda row: row["v"].endswith(" shares"),
    "schema_all_null": lambda row: row["v"] is None,
    "schema_unit_change": lambda row: row["v"] > 5e5,
}


@pytest.mark.parametrize("kind", DRIFTS)
def test_schema_drift(ask, kind):
    clean, spoiled = ask(), ask(fault(kind))
    before = msgspec.json.decode(clean.get(WEEK).body)["results"]
    after = msgspec.json.decode(spoiled.get(WEEK).body)["results"]
    assert all(DRIFTS[kind](row) for row in after)
    assert [row["c"] for row in before] == [row["c"] for row in after]


@pytest.mark.parametrize("kind", DRIFTS)
def test_schema_drift_of_files(ask, kind):
    def lines(asker):
        return asker.get(CNMS, key=None).body.decode().splitlines()

    clean, spoiled = lines(ask()), lines(ask(fault(kind)))
    header = clean[0].split("|")
    total = header.index("TotalVolume")
    assert spoiled[-1] == clean[-1] and len(spoiled) == len(clean)
    rows = [line.split("|") for line in spoiled[1:-1]]
    old = [line.split("|") for line in clean[1:-1]]
    if kind == "schema_new_column":
        assert spoiled[0].split("|") == [*header, "dv2"]
    elif kind == "schema_missing_column":
        assert spoiled[0].split("|") == [name for name in header if name != "TotalVolume"]
    elif kind == "schema_all_null":
        assert {row[total] for row in rows} == {""}
    elif kind == "schema_retyped":
        assert all(row[total].endswith("shares") for row in rows)
    else:
        for new, was in zip(rows, old, strict=True):
            assert float(new[total]) == pytest.approx(float(was[total]) * 1000)


def test_a_named_column_drifts(ask):
    spoiled = ask(fault("schema_missing_column", options={"column": "vw"}))
    assert all("vw" not in row and "v" in row for row in bars(spoiled)[1].values())


def test_clock_skew(ask):
    assert ask().get(WEEK).headers["date"] == "Sat, 21 Mar 2026 01:00:00 GMT"
    assert ask(fault("clock_skew")).get(WEEK).headers["date"] == "Fri, 20 Mar 2026 23:00:00 GMT"


# -- in the data


def test_session_cut_reaches_the_largest_names_only(ask, market):
    asker = ask(fault("session_cut_1530", sessions=[DAY]))
    hit = asker.sandbox.truth_of("session_cut_1530")
    assert set(hit["symbol"]) == {"SPY", "NVDA", "AAPL"} and set(hit["session"]) == {DAY}
    _, got = bars(asker)
    assert got == {t: row for t, row in truth(market).items() if t < ms(15, 30)}
    assert bars(asker, "KO")[1] == truth(market, "KO")
    assert bars(asker, "SPY", OTHER, OTHER)[1] == truth(market, "SPY", OTHER)


def test_minute_file_absent_while_the_daily_bar_exists(ask, market):
    asker = ask(fault("minute_file_absent", sessions=[DAY]))
    assert "results" not in bars(asker)[0]
    daily = msgspec.json.decode(asker.get(f"/v2/aggs/grouped/locale/us/market/stocks/{DAY}").body)
    assert daily["resultsCount"] == market.grouped(DAY).height
    assert set(asker.sandbox.truth_of("minute_file_absent")["symbol"]) >= set(market.symbols)


def test_closing_bar_missing(ask, market):
    for day, close in ((DAY, ms(15, 59)), (date(2025, 11, 28), ms(12, 59, date(2025, 11, 28)))):
        asker = ask(fault("closing_bar_missing", sessions=[day], options={"names": 2}))
        _, got = bars(asker, "SPY", day, day)
        assert set(truth(market, "SPY", day)) - set(got) == {close}
    assert asker.sandbox.truth_of("closing_bar_missing").height == 2


def test_replay_incomplete_claims_what_it_does_not_deliver(ask, market):
    asker = ask(fault("replay_incomplete", sessions=[DAY]))
    page, got = bars(asker)
    whole = truth(market)
    assert page["resultsCount"] == page["queryCount"] == len(whole)
    assert 0.03 * len(whole) < len(whole) - len(got) < 0.07 * len(whole)
    for prefix in ("CNMS", "FNSQ"):
        lines = asker.get(CNMS.replace("CNMS", prefix), key=None).body.decode().splitlines()
        assert int(lines[-1]) == len(lines) - 2 + 1
    on_day = {"fieldName": "tradeReportDate", "fieldValue": str(DAY), "compareType": "EQUAL"}
    reply = asker.post(
        API, msgspec.json.encode({"compareFilters": [on_day]}), accept="application/json"
    )
    assert int(reply.headers["record-total"]) == len(msgspec.json.decode(reply.body)) + 1


def test_start_anchor_ignored(ask, market):
    asker = ask(fault("start_anchor_ignored", options={"sessions": 10}))
    page, got = bars(asker)
    older = market.session_dates(None, DAY)[-11]
    assert got == truth(market, "SPY", older)
    assert page["ticker"] == "SPY" and page["resultsCount"] == len(got)
    assert f"{older:%Y%m%d}|" in asker.get(CNMS, key=None).body.decode()


@pytest.mark.parametrize(("field", "columns"), [("price", "ohlc"), ("volume", "v")])
def test_sentinel(ask, market, field, columns):
    asker = ask(fault("sentinel_999_99", sessions=[DAY], options={"field": field}))
    (symbol,) = asker.sandbox.truth_of("sentinel_999_99")["symbol"]
    _, got = bars(asker, symbol)
    whole = truth(market, symbol)
    changed = [t for t in whole if got[t] != whole[t]]
    assert len(changed) == 3 and got.keys() == whole.keys()
    assert all(got[t][name] == 999.99 for t in changed for name in columns)


def test_old_window_empty_instead_of_an_error(ask, market):
    url = "/v2/aggs/ticker/SPY/range/1/day/2026-01-05/2026-01-30?adjusted=false"
    assert ask(history_days=30).get(url).status == 403
    asker = ask(fault("old_window_empty"), history_days=30)
    reply = asker.get(url)
    assert reply.status == 200 and "results" not in msgspec.json.decode(reply.body)
    grouped = msgspec.json.decode(
        asker.get("/v2/aggs/grouped/locale/us/market/stocks/2026-01-05").body
    )
    assert grouped["resultsCount"] == 0
    assert bars(asker)[1] == truth(market)


def test_ticks_not_entitled_though_bars_are(ask, market):
    asker = ask(fault("ticks_not_entitled"), plan="paid")
    assert asker.get("/v3/trades/SPY?timestamp.gte=2026-03-10").status == 403
    assert bars(asker)[1] == truth(market)


def test_bars_end_at_noon(ask, market):
    _, got = bars(ask(fault("bars_end_at_noon", sessions=[DAY])))
    assert got == {t: row for t, row in truth(market).items() if t < ms(12)}


def test_split_unadjusted(ask, market):
    day = market.splits().row(by_predicate=pl.col("ticker") == "NVDA", named=True)["execution_date"]
    before = market.session_dates(None, day)[-2]
    asker = ask(fault("split_unadjusted"))
    assert ("NVDA", day) in asker.sandbox.truth_of("split_unadjusted").select(
        "symbol", "session"
    ).rows()
    url = f"/v2/aggs/ticker/NVDA/range/1/day/{before}/{day}"
    rows = msgspec.json.decode(asker.get(url).body)["results"]
    honest = msgspec.json.decode(ask().get(url).body)["results"]
    assert rows[0]["c"] == pytest.approx(honest[0]["c"] * 10)
    assert rows[1]["c"] == pytest.approx(honest[1]["c"] * 10)
    assert rows[1]["v"] == pytest.approx(honest[1]["v"] / 10, abs=1)
    _, got = bars(asker, "NVDA", day, day)
    whole = truth(market, "NVDA", day)
    assert all(got[t]["c"] == pytest.approx(whole[t]["c"] * 10) for t in whole)


def test_off_exchange_prints_are_isolated_extremes(ask, market):
    asker = ask(fault("off_exchange_prints", sessions=[DAY]))
    _, got = bars(asker)
    whole = truth(market)
    changed = [t for t in whole if got[t] != whole[t]]
    assert len(changed) == 3
    for t in changed:
        assert ms(9, 30) <= t < ms(16)
        assert (got[t]["o"], got[t]["c"], got[t]["v"]) == tuple(whole[t][k] for k in "ocv")
        assert got[t]["h"] > whole[t]["h"] * 1.07 or got[t]["l"] < whole[t]["l"] * 0.93


def test_late_data_arrives_on_the_second_fetch(ask, market):
    asker = ask(fault("late_data", sessions=[DAY]))
    _, first = bars(asker)
    assert max(first) == ms(15, 29)
    assert bars(asker)[1] == truth(market)
    early, late = (asker.get(CNMS, key=None).body.decode().splitlines() for _ in range(2))
    assert int(early[-1]) == len(early) - 2 < len(late) - 2 == int(late[-1])


def test_revised_data_changes_on_the_second_fetch(ask, market):
    asker = ask(fault("revised_data", sessions=[DAY]))
    whole = truth(market)
    assert bars(asker)[1] == whole
    _, revised = bars(asker)
    changed = [t for t in whole if revised[t] != whole[t]]
    assert len(changed) == pytest.approx(len(whole) / 20, abs=1)
    assert all(revised[t]["l"] <= revised[t]["c"] <= revised[t]["h"] for t in whole)
    first, second = (asker.get(CNMS, key=None) for _ in range(2))
    assert first.body != second.body and len(first.body.splitlines()) == len(
        second.body.splitlines()
    )
    assert first.headers["last-modified"] != second.headers["last-modified"]


# -- the plan


def test_counts_windows_and_chances_decide(ask):
    def statuses(calls=6, **settings):
        asker = ask(fault("error_5xx", **settings))
        return [asker.get(WEEK).status for _ in range(calls)]

    assert statuses(every=3) == [200, 200, 503] * 2
    assert statuses(count=2) == [503, 503, 200, 200, 200, 200]
    assert statuses(path="/v3/*") == [200] * 6
    assert statuses(after_seconds=3600) == [200] * 6
    assert statuses(for_seconds=3600) == [503] * 6
    some = statuses(60, probability=0.25)
    assert 5 <= some.count(503) <= 27 and some == statuses(60, probability=0.25)


def test_default_session_is_recent_and_known(ask, market):
    asker = ask("bars_end_at_noon")
    days = set(asker.sandbox.truth_of("bars_end_at_noon")["session"])
    assert days == {market.session_dates()[-6]}


def test_wrong_faults_are_named(ask):
    with pytest.raises(UnknownNameError) as wrong:
        FaultPlan("storm_428")
    assert "did you mean 'storm_429'" in str(wrong.value)
    with pytest.raises(UnknownNameError, match="no option 'colour'"):
        FaultPlan(Fault(kind="reset", options={"colour": 1}))
    with pytest.raises(UsageError, match="every >= 1"):
        FaultPlan(Fault(kind="reset", every=0))
    with pytest.raises(UnknownNameError, match="not a fault of the data"):
        ask().sandbox.truth_of("reset")


def test_every_switch_is_tested_and_documented():
    source = Path(__file__).read_text()
    for name, kind in FAULTS.items():
        assert f'fault("{name}"' in source or name in DRIFTS, name
        assert kind.name == name and len(kind.doc) > 20
