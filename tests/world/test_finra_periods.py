"""FINRA's weekly volumes and short interest in the sandbox: levels, tiers, revisions, filters."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import polars as pl
import pytest

from tapemill.clock import eastern_ns
from tapemill.world import Fault, Market

WEEK = date(2026, 1, 5)
NAMES = "/data/group/otcMarket/name/"
MIXED = {
    "ATS_W_SMBL", "OTC_W_SMBL", "ATS_W_SMBL_FIRM", "OTC_W_SMBL_FIRM",
    "ATS_W_VOL_STATS", "OTC_W_VOL_STATS",
}  # fmt: skip


def query(asker, name="weeklySummary", **body):
    reply = asker.post(NAMES + name, msgspec.json.encode(body), accept="application/json")
    return reply, msgspec.json.decode(reply.body) if reply.status == 200 else []


def weeks(first=WEEK, last=WEEK):
    return {"fieldName": "weekStartDate", "startDate": str(first), "endDate": str(last)}


def only(*values, field="summaryTypeCode"):
    return {"fieldName": field, "values": list(values)}


def totals(asker, **more):
    filters = {"dateRangeFilters": [weeks()], "domainFilters": [only("ATS_W_SMBL", "OTC_W_SMBL")]}
    return query(asker, **filters, limit=5000, **more)[1]


def test_without_a_filter_all_levels_come_mixed(ask):
    _, rows = query(ask(), dateRangeFilters=[weeks()], limit=5000)
    assert {row["summaryTypeCode"] for row in rows} == MIXED
    assert all(row["issueSymbolIdentifier"] is None for row in rows if "STATS" in row["summaryTypeCode"])  # fmt: skip  # noqa: E501


def test_a_misspelt_filter_is_ignored_without_a_word(ask):
    asker = ask()
    wrong = {"fieldName": "summaryTypeCode", "fieldValue": "ATS_W_SMBL", "compareType": "EQUAL"}
    reply, rows = query(asker, dateRangeFilters=[weeks()], orFilters=[wrong], limit=5000)
    assert reply.status == 200 and {row["summaryTypeCode"] for row in rows} == MIXED


def test_more_than_the_largest_page_is_cut_without_a_word(ask):
    reply, _ = query(ask(), limit=10_000)
    assert int(reply.headers["record-limit"]) == 5000
    reply, rows = query(ask())
    assert len(rows) == 1000 < int(reply.headers["record-total"])


def test_totals_are_the_sums_of_firm_rows(ask):
    _, rows = query(ask(), dateRangeFilters=[weeks()], limit=5000)
    frame = pl.DataFrame(rows, infer_schema_length=None).filter(
        pl.col("issueSymbolIdentifier").is_not_null()
    )
    firm = pl.col("MPID").is_not_null()
    shares = pl.col("totalWeeklyShareQuantity")
    sums = frame.group_by("issueSymbolIdentifier", pl.col("summaryTypeCode").str.slice(0, 3)).agg(
        firms=shares.filter(firm).sum(), total=shares.filter(~firm).sum()
    )
    assert sums.height == 16 and (sums["firms"] == sums["total"]).all()
    crd = frame.filter(firm)["firmCRDNumber"]
    assert crd.null_count() == 0 and crd.n_unique() == 9


def test_a_week_is_larger_than_its_daily_files_and_smaller_than_the_tape(ask, market):
    sums: dict[str, int] = {}
    for row in totals(ask()):
        symbol = row["issueSymbolIdentifier"]
        sums[symbol] = sums.get(symbol, 0) + row["totalWeeklyShareQuantity"]
    days = [WEEK + timedelta(days=n) for n in range(5)]
    daily = pl.concat([market.short_volume(day) for day in days])
    for symbol, total in daily.group_by("symbol").agg(pl.col("total").sum()).iter_rows():
        tape = market.daily_bars(symbol, days[0], days[-1])["v"].sum()
        assert total / 1e6 * 0.999 <= sums[symbol] < tape, symbol


@pytest.mark.parametrize(
    ("day", "hour", "tiers"),
    [
        (date(2026, 1, 26), 17, set()),
        (date(2026, 1, 26), 18, {"T1"}),
        (date(2026, 2, 9), 17, {"T1"}),
        (date(2026, 2, 9), 18, {"T1", "T2"}),
    ],
)
def test_tiers_come_out_one_after_the_other(ask, day, hour, tiers):
    rows = totals(ask(now_ns=eastern_ns(day, hour)))
    assert {row["tierIdentifier"] for row in rows} == tiers
    assert {row["lastUpdateDate"] for row in rows} == {
        {"T1": "2026-01-26", "T2": "2026-02-09"}[tier] for tier in tiers
    } or any(row["lastUpdateDate"] != row["initialPublishedDate"] for row in rows)


def test_nothing_comes_out_on_a_holiday(market):
    # The Monday five weeks after 2026-01-12 is Presidents' Day.
    out = market.otc_week(date(2026, 1, 12)).filter(pl.col("tier") == "T2")
    assert out["first_published"].unique().to_list() == [date(2026, 2, 17)]


def test_some_weeks_are_revised_later(ask, market):
    found = pl.concat(
        [market.otc_week(date(2025, 10, 6) + timedelta(days=7 * n)) for n in range(12)]
    )
    late = found.filter(pl.col("published") > pl.col("first_published"))
    assert 0 < late.select("symbol", "week_start").n_unique() < 15
    row = late.filter(pl.col("mpid").is_null()).row(0, named=True)
    seen = {}
    for day in (row["published"] - timedelta(days=1), row["published"]):
        asker = ask(now_ns=eastern_ns(day, 19))
        ask_for = {
            "dateRangeFilters": [weeks(row["week_start"], row["week_start"])],
            "domainFilters": [
                only(row["summary_type"]),
                only(row["symbol"], field="issueSymbolIdentifier"),
            ],
        }
        _, (only_row,) = query(asker, **ask_for)
        seen[day] = only_row
    before, after = seen.values()
    assert before["lastUpdateDate"] == before["initialPublishedDate"]
    assert after["lastUpdateDate"] == str(row["published"])
    assert after["initialPublishedDate"] == before["initialPublishedDate"]
    assert after["totalWeeklyShareQuantity"] > before["totalWeeklyShareQuantity"]


def test_a_week_without_rows_is_a_204(ask):
    reply, _ = query(ask(), dateRangeFilters=[weeks(date(2030, 1, 7), date(2030, 1, 7))])
    assert (reply.status, reply.body, reply.headers["record-total"]) == (204, b"", "0")


@pytest.mark.parametrize(("hour", "status"), [(17, 204), (18, 200)])
def test_positions_come_out_seven_sessions_later(ask, market, hour, status):
    asker = ask(now_ns=eastern_ns(date(2026, 1, 27), hour))
    between = {
        "fieldName": "settlementDate",
        "startDate": "2026-01-15",
        "endDate": "2026-01-15",
    }
    reply, rows = query(asker, "consolidatedShortInterest", dateRangeFilters=[between])
    assert reply.status == status
    if status == 200:
        truth = market.short_interest(date(2026, 1, 15))
        told = [row["currentShortPositionQuantity"] for row in rows]
        assert told == truth["short_interest"].to_list()
        for row in rows:
            cover = row["currentShortPositionQuantity"] / row["averageDailyVolumeQuantity"]
            assert row["daysToCoverQuantity"] == pytest.approx(cover, abs=0.006)


def test_positions_follow_each_other(market):
    before, after = (market.short_interest(day) for day in (date(2025, 12, 31), date(2026, 1, 15)))
    both = after.join(before, on="symbol")
    assert both.height and (both["previous"] == both["short_interest_right"]).all()
    assert market.short_interest(date(2026, 1, 14)).height  # a truth of any session
    assert market.short_interest(date(2030, 1, 15)).is_empty()


def test_equal_markets_have_equal_weeks(market):
    twin = Market(11, symbols=8, start=date(2025, 10, 1), end=date(2026, 3, 20))
    assert twin.otc_week(WEEK).equals(market.otc_week(WEEK))
    assert twin.otc_week(date(2026, 1, 8)).equals(market.otc_week(WEEK))
    assert not twin.otc_week(WEEK).equals(Market(12, symbols=8, start=date(2025, 10, 1), end=date(2026, 3, 20)).otc_week(WEEK))  # noqa: E501 # fmt: skip


def test_rows_that_are_counted_and_not_delivered(ask):
    fault = Fault(kind="replay_incomplete", vendor="finra_api", sessions=[WEEK])
    reply, rows = query(ask(fault), dateRangeFilters=[weeks()], limit=5000)
    assert len(rows) < int(reply.headers["record-total"])
