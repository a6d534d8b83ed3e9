"""Weeks and settlement dates: what closes their cells, when they rest, what is asked again."""

from __future__ import annotations

import json
from datetime import date, timedelta

import polars as pl
import pytest

from intake.bench import Bench
from intake.test_outcomes import ScriptedWire, answer
from intake.test_plan import with_client
from tapemill.clock import eastern_ns
from tapemill.errors import DateError, UsageError
from tapemill.intake.catalogue import offer
from tapemill.lake.control import CellState
from tapemill.refine.build import build
from tapemill.world import Market

WEEKLY, INTEREST = "bronze.finra_otc_weekly", "bronze.finra_short_interest"
WEEK = date(2026, 1, 5)
TIER_1, TIER_2 = date(2026, 1, 26), date(2026, 2, 9)
FINAL = date(2026, 2, 12)


@pytest.fixture(scope="module")
def market():
    """Eight names, two of them Tier 2 (GNUS, BACpL)."""
    return Market(7, symbols=8, start=date(2025, 11, 3), end=date(2026, 3, 27))


@pytest.fixture
def at(tmp_path, market):
    """A bench whose clock can be set to an evening."""
    made = []

    def make(day, hour=19, **more):
        place = Bench(tmp_path / f"bench-{len(made)}", market, **more)
        made.append(place)
        go(place, day, hour)
        return place

    yield make
    for place in made:
        place.lake.control.close()


def go(place, day, hour=19):
    """Let time pass to an hour of a day, at the vendor and here."""
    place.clock.advance((eastern_ns(day, hour) - place.clock.now_ns()) / 1e9)
    place.sandbox.now_ns = eastern_ns(day, hour)


def rows_of(place, dataset=WEEKLY):
    return place.lake.tables.scan(dataset).collect()


def bodies(place):
    return [json.loads(call.body) for call in place.wire.calls if call.body]


def state(place, symbol="*", cell=WEEK, dataset=WEEKLY):
    return place.lake.control.ledger.cell(dataset, symbol, cell)


# --- weeks: Tier 1 now, the rest later -----------------------------------------------------------


def test_tier_1_first_and_the_rest_two_weeks_later(at, market):
    place = at(TIER_1)
    report = place.run("otc_weekly", None, WEEK, WEEK)
    assert (report.remaining, report.calls) == (0, 1)
    first = rows_of(place)
    truth = market.otc_week(WEEK).filter(pl.col("mpid").is_null())
    names = {tier: set(of["symbol"]) for (tier,), of in truth.group_by("tier")}
    assert set(first["tier"]) == {"T1"} and set(first["symbol"]) == names["T1"]
    assert names["T2"] == {"GNUS", "BACpL"}
    cell = state(place)
    assert cell.state is CellState.PARTIAL and "2026-02-09" in cell.reason
    # Nothing new is due: the cell rests, and the same command costs nothing.
    go(place, TIER_2, 17)
    plan = place.plan("otc_weekly", None, WEEK, WEEK)
    assert (plan.calls, plan.waiting, plan.complete, plan.pending) == (0, 1, 0, 0)
    # Tier 2 is out: all is asked again, and the cell stays open until a holiday cannot matter.
    go(place, TIER_2, 18)
    report = place.run("otc_weekly", None, WEEK, WEEK)
    assert (report.remaining, state(place).state) == (0, CellState.PARTIAL)
    assert set(rows_of(place)["symbol"]) == names["T1"] | names["T2"]
    go(place, FINAL, 18)
    place.run("otc_weekly", None, WEEK, WEEK)
    assert state(place).state is CellState.DATA
    assert place.plan("otc_weekly", None, WEEK, WEEK).calls == 0
    # What had landed early is the same fact as what came again.
    facts = ["symbol", "summary_type", "shares", "last_update_date", "known_at"]
    again = rows_of(place).unique(facts)
    assert again.height == 2 * len(market.symbols)
    assert again.join(first, on=facts, how="semi").height == first.height


def test_the_same_bytes_again_are_the_same_facts_in_silver(at):
    """An unchanged page lands anew: it witnesses what the vendor still held on a later day."""
    place, once = at(TIER_2, 18), at(FINAL, 18)
    place.run("otc_firms", None, WEEK, WEEK)
    before = rows_of(place)
    go(place, FINAL, 18)
    place.run("otc_firms", None, WEEK, WEEK)
    after = rows_of(place)
    assert set(after["raw_sha256"]) == set(before["raw_sha256"])
    assert after.height == 2 * before.height
    assert after.unique(["raw_sha256", "ordinal", "ts_recv"]).height == after.height
    once.run("otc_firms", None, WEEK, WEEK)
    silver = []
    for bench in (place, once):
        build(bench.lake, bench.settings, bench.clock, ["silver.otc_weekly"])
        silver.append(bench.lake.tables.scan("silver.otc_weekly").collect())
    own = ["ts_recv", "raw_sha256", "ordinal"]
    kept = [frame.drop([name for name in own if name in frame.columns]) for frame in silver]
    assert kept[0].equals(kept[1])
    assert kept[0]["version"].max() == 1
    # Asked for by --again nothing lands, and once complete nothing is asked.
    report = place.run("otc_firms", None, WEEK, WEEK, again=True)
    assert (report.calls, report.rows, rows_of(place).height) == (1, 0, after.height)


def test_a_week_is_known_from_its_publication_on(at):
    place = at(FINAL)
    place.run("otc_weekly", None, WEEK, WEEK)
    known = rows_of(place).group_by("tier").agg(pl.col("known_at").min()).sort("tier")
    moments = [moment.timestamp() * 1e9 for moment in known["known_at"]]
    assert moments == [eastern_ns(TIER_1, 18), eastern_ns(TIER_2, 18)]


def test_totals_are_what_the_market_traded(at, market):
    place = at(FINAL)
    place.run("otc_weekly", None, WEEK, WEEK)
    assert set(rows_of(place)["summary_type"]) == {"ATS_W_SMBL", "OTC_W_SMBL"}
    weekly = rows_of(place).group_by("symbol").agg(pl.col("shares").cast(pl.Float64).sum())
    days = pl.concat([market.short_volume(WEEK + timedelta(days=n)) for n in range(5)])
    daily = days.group_by("symbol").agg(pl.col("total").sum() / 1e6)
    ratio = weekly.join(daily, on="symbol").select(pl.col("shares") / pl.col("total")).to_series()
    assert len(ratio) == 8 and ratio.is_between(1.0, 1.06).all()


def test_a_revised_week_becomes_more_rows(at, market):
    weeks = [WEEK + timedelta(days=7 * n) for n in range(-7, 1)]
    frame = pl.concat([market.otc_week(week) for week in weeks])
    late = frame.filter(pl.col("published") > pl.col("first_published"), pl.col("mpid").is_null())
    assert late.height, "no revision is planted in these weeks"
    symbol, week, out = (
        late.row(0, named=True)["symbol"],
        late["week_start"][0],
        late["published"][0],
    )
    place = at(out - timedelta(days=1))
    place.run("otc_weekly", [symbol], week, week)
    go(place, out)
    place.run("otc_weekly", [symbol], week, week, again=True)
    found = rows_of(place).filter(pl.col("summary_type") == late["summary_type"][0])
    assert found.sort("known_at")["last_update_date"].to_list() == [
        late["first_published"][0],
        out,
    ]
    assert found["shares"].n_unique() == 2


def test_one_symbol_is_one_call_for_all_weeks(at):
    place = at(FINAL)
    place.run("otc_weekly", ["KO", "GNUS"], date(2025, 12, 1), FINAL)
    assert len(place.wire.calls) == 2
    body = bodies(place)[0]
    assert body["compareFilters"][0]["fieldValue"] == "GNUS"
    # Tier 1 closes at once; Tier 2 of a young week may still come.
    young = date(2026, 1, 19)
    assert state(place, "KO", young).state is CellState.DATA
    assert state(place, "GNUS", young).state is CellState.PARTIAL
    assert state(place, "GNUS", WEEK).state is CellState.DATA
    assert place.plan("otc_weekly", ["KO", "GNUS"], date(2025, 12, 1), FINAL).calls == 0


def test_a_symbol_without_rows_is_empty_only_once_all_is_out(at):
    place = at(TIER_1)
    report = place.run("otc_weekly", ["ZZZZ"], WEEK, WEEK)
    assert (state(place, "ZZZZ").state, report.remaining) == (CellState.PARTIAL, 0)
    go(place, FINAL, 18)
    place.run("otc_weekly", ["ZZZZ"], WEEK, WEEK)
    assert state(place, "ZZZZ").state is CellState.EMPTY


def test_nothing_for_the_whole_market_is_never_believed(at):
    place = at(TIER_1, settings={"retry.attempts": 1})
    place.wire = ScriptedWire(place.clock, answer(204, body=b""))
    report = place.run("otc_weekly", None, WEEK, WEEK)
    assert (state(place).state, report.remaining) == (CellState.TRANSIENT, 1)
    go(place, FINAL, 18)
    place.run("otc_weekly", None, WEEK, WEEK)
    cell = state(place)
    assert cell.state is CellState.BAD_ANSWER and "cannot be believed" in cell.reason


# --- planning ------------------------------------------------------------------------------------


def test_weeks_of_a_range_are_those_with_a_day_in_it(at):
    place = at(FINAL)
    plan = place.plan("otc_weekly", None, date(2026, 1, 7), date(2026, 2, 4))
    assert plan.sessions == (WEEK, date(2026, 1, 12), date(2026, 1, 19))
    assert plan.not_yet == 2  # 2026-01-26 comes out on 2026-02-16, which is a holiday anyway
    old = place.plan("otc_weekly", None, date(2020, 12, 1), date(2021, 3, 1))
    assert old.out_of_window > 0 and old.sessions and min(old.sessions) >= date(2021, 2, 8)


def test_without_a_range_the_newest_eight_weeks_are_looked_at(at):
    place = at(FINAL)
    plan = place.plan("otc_weekly", None, None, None)
    assert len(plan.sessions) == 8 and plan.sessions[-1] == date(2026, 1, 19)
    assert place.plan("short_interest", None, None, None).sessions == (
        date(2026, 1, 15),
        date(2026, 1, 30),
    )


def test_what_the_api_cannot_know_is_refused(at):
    place = at(FINAL)
    with pytest.raises(UsageError, match=r"BRK\.B"):
        place.plan("otc_weekly", ["BRK.B"])
    with pytest.raises(DateError, match="no settlement date"):
        place.plan("short_interest", None, date(2026, 1, 5), date(2026, 1, 9))
    with pytest.raises(UsageError, match="no route"):
        place.plan("otc_weekly", via="api")
    with pytest.raises(DateError, match="after its end"):
        place.plan("otc_weekly", None, FINAL, WEEK)


def test_the_bronze_name_means_the_totals():
    assert offer(WEEKLY).name == "otc_weekly"
    assert offer("otc_firms").dataset == WEEKLY


# --- firms ---------------------------------------------------------------------------------------


def test_firm_rows_have_cells_of_their_own(at):
    place = at(FINAL)
    place.run("otc_weekly", None, WEEK, WEEK)
    assert place.plan("otc_firms", None, WEEK, WEEK).calls > 0
    place.run("otc_firms", None, WEEK, WEEK)
    assert state(place, "*firms").state is CellState.DATA
    assert place.plan("otc_firms", None, WEEK, WEEK).pending == 0
    rows = rows_of(place)
    sums = rows.group_by("symbol", pl.col("summary_type").str.slice(0, 3)).agg(
        firms=pl.col("shares").filter(pl.col("mpid").is_not_null()).sum(),
        total=pl.col("shares").filter(pl.col("mpid").is_null()).sum(),
    )
    assert sums.height == 16 and (sums["firms"] == sums["total"]).all()
    asked = [body["domainFilters"][0]["values"] for body in bodies(place)]
    assert asked == [["ATS_W_SMBL", "OTC_W_SMBL"], ["ATS_W_SMBL_FIRM", "OTC_W_SMBL_FIRM"]]


def test_firm_rows_of_one_symbol(at):
    place = at(FINAL)
    place.run("otc_firms", ["KO"], WEEK, WEEK)
    assert set(rows_of(place)["symbol"]) == {"KO"}
    assert state(place, "*firmsKO").state is CellState.DATA
    assert state(place, "KO").state is CellState.PENDING


# --- pages ---------------------------------------------------------------------------------------


def week_row(symbol, kind):
    return {
        "issueSymbolIdentifier": symbol, "weekStartDate": WEEK.isoformat(),
        "summaryTypeCode": kind, "tierIdentifier": "T2" if symbol > "S2000" else "T1",
        "totalWeeklyShareQuantity": 1000, "totalWeeklyTradeCount": 10,
        "lastUpdateDate": TIER_2.isoformat(), "initialPublishedDate": TIER_2.isoformat(),
    }  # fmt: skip


LISTING = [
    week_row(f"S{number:04d}", kind)
    for number in range(2501)
    for kind in ("ATS_W_SMBL", "OTC_W_SMBL")
][:5001]


def page(rows, total=5001):
    return answer(200, rows, {"record-total": str(total)})


def test_5001_rows_are_fetched_in_two_pages(at):
    place = at(FINAL)
    place.wire = ScriptedWire(place.clock, page(LISTING[:5000]), page(LISTING[5000:]))
    report = place.run("otc_weekly", None, WEEK, WEEK)
    assert [json.loads(call.body)["offset"] for call in place.wire.calls] == [0, 5000]
    assert all(json.loads(call.body)["limit"] == 5000 for call in place.wire.calls)
    assert (report.rows, state(place).state, state(place).rows) == (5001, CellState.DATA, 5001)


def test_pages_that_overlap_do_not_close_a_week(at):
    """The total is right, yet one row came twice and another one never."""
    place = at(FINAL, settings={"retry.attempts": 1})
    place.wire = ScriptedWire(place.clock, page(LISTING[:5000]), page(LISTING[4999:5000]))
    report = place.run("otc_weekly", None, WEEK, WEEK)
    assert report.remaining == 1
    cell = state(place)
    assert cell.state is CellState.BAD_ANSWER and "1 rows came twice" in cell.reason


def test_an_interrupted_listing_goes_on_at_its_page_while_it_is_fresh(at):
    place = at(FINAL, settings={"retry.attempts": 1})
    down = answer(500, body=b"down")
    place.wire = ScriptedWire(place.clock, page(LISTING[:5000]), down)
    assert place.run("otc_weekly", None, WEEK, WEEK).remaining == 1
    place.wire = ScriptedWire(place.clock, page(LISTING[5000:]))
    place.run("otc_weekly", None, WEEK, WEEK)
    assert [json.loads(call.body)["offset"] for call in place.wire.calls] == [5000]
    assert (state(place).state, state(place).rows) == (CellState.DATA, 5001)


def test_a_listing_interrupted_days_ago_begins_anew(at):
    """Its rows have moved since: offsets of then would skip some."""
    place = at(TIER_1, settings={"retry.attempts": 1})
    place.wire = ScriptedWire(place.clock, page(LISTING[:5000]), answer(500, body=b"down"))
    place.run("otc_weekly", None, WEEK, WEEK)
    go(place, FINAL)
    moved = [week_row("AAAA", "ATS_W_SMBL"), *LISTING]
    place.wire = ScriptedWire(place.clock, page(moved[:5000], 5002), page(moved[5000:], 5002))
    place.run("otc_weekly", None, WEEK, WEEK)
    assert [json.loads(call.body)["offset"] for call in place.wire.calls] == [0, 5000]
    assert (state(place).state, state(place).rows) == (CellState.DATA, 5002)


def test_a_short_page_and_a_changed_total_leave_the_week_open(at):
    for pages in (
        [page(LISTING[:3000])],
        [page(LISTING[:5000]), page(LISTING[5000:], 5003)],
        [page(LISTING[:5000]), answer(204, headers={"record-total": "5001"}, body=b"")],
    ):
        place = at(FINAL, settings={"retry.attempts": 1})
        place.wire = ScriptedWire(place.clock, *pages)
        assert place.run("otc_weekly", None, WEEK, WEEK).remaining == 1
        assert state(place).state is CellState.BAD_ANSWER


# --- short interest ------------------------------------------------------------------------------


def test_positions_of_a_settlement_date(at, market):
    place = at(FINAL)
    report = place.run("short_interest", None, date(2026, 1, 1), date(2026, 2, 4))
    settled = [date(2026, 1, 15), date(2026, 1, 30)]
    assert (report.remaining, report.calls) == (0, 2)
    for cell in settled:
        assert state(place, "*", cell, INTEREST).state is CellState.DATA
    rows = rows_of(place, INTEREST).sort("settlement_date", "symbol")
    truth = pl.concat([market.short_interest(cell) for cell in settled])
    assert rows["short_interest"].cast(pl.Int64).to_list() == truth["short_interest"].to_list()
    before, after = (rows.filter(pl.col("settlement_date") == cell) for cell in settled)
    both = after.join(before, on="symbol")  # FB became META in between
    assert both.height == 7
    assert (both["previous_short_interest"] == both["short_interest_right"]).all()
    assert rows_of(place, INTEREST)["known_at"].is_not_null().all()


def test_positions_that_are_not_out_wait(at):
    place = at(date(2026, 1, 27), 17)
    plan = place.plan("short_interest", None, date(2026, 1, 15), date(2026, 1, 30))
    assert (plan.not_yet, plan.pending) == (2, 0)
    go(place, date(2026, 1, 27), 18)
    plan = place.plan("short_interest", None, date(2026, 1, 15), date(2026, 1, 30))
    assert (plan.not_yet, plan.pending) == (1, 1)


def test_a_settlement_that_was_moved_by_a_day_is_found_all_the_same(at):
    place = at(FINAL)
    row = {
        "symbolCode": "KO", "settlementDate": "2026-01-14",
        "currentShortPositionQuantity": 5, "previousShortPositionQuantity": None,
    }  # fmt: skip
    place.wire = ScriptedWire(place.clock, answer(200, [row], {"record-total": "1"}))
    place.run("short_interest", None, date(2026, 1, 15), date(2026, 1, 15))
    assert state(place, "*", date(2026, 1, 15), INTEREST).state is CellState.DATA


# --- log-in --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", ["otc_weekly", "short_interest"])
def test_one_token_serves_all(at, dataset):
    place = at(FINAL, require_oauth=True)
    with_client(place)
    place.run(dataset, None, date(2026, 1, 5), date(2026, 1, 20))
    logins = [call for call in place.wire.calls if call.base == "finra_token"]
    assert len(logins) == 1
    cell = WEEK if dataset == "otc_weekly" else date(2026, 1, 15)
    assert state(place, "*", cell, f"bronze.finra_{dataset}").state is CellState.DATA


def test_a_withdrawn_token_is_renewed_once(at):
    place = at(FINAL)
    with_client(place)
    refused = answer(401, {"statusCode": 401})
    tokens = [answer(200, {"access_token": f"t{n}", "expires_in": 1800}) for n in range(2)]
    place.wire = ScriptedWire(
        place.clock, tokens[0], refused, tokens[1], page(LISTING[:5000]), page(LISTING[5000:])
    )
    assert place.run("otc_weekly", None, WEEK, WEEK).remaining == 0
    sent = [call.headers.get("authorization") for call in place.wire.calls if call.body]
    assert sent == ["Bearer t0", "Bearer t1", "Bearer t1"]


def test_a_client_that_stays_refused_is_not_asked_for_ever(at):
    place = at(FINAL)
    with_client(place)
    token = answer(200, {"access_token": "t", "expires_in": 1800})
    refused = answer(401, {"statusCode": 401})
    place.wire = ScriptedWire(place.clock, token, refused, token, refused)
    assert place.run("otc_weekly", None, WEEK, WEEK).remaining == 1
    assert len(place.wire.calls) == 4
    assert state(place).state is CellState.NOT_ENTITLED
