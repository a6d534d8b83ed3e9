"""Made-up prints: they add up to the bars, their sides are known, and the sandbox serves them."""

from __future__ import annotations

import json
from datetime import date

import polars as pl
import pytest

from tapemill.clock import eastern_ns
from tapemill.world import Fault
from tapemill.world.ticks import QUOTE_SCHEMA, TRADE_SCHEMA, draw_tape

DAY = date(2026, 3, 10)
START, END = eastern_ns(DAY, 4), eastern_ns(DAY, 20)
MINUTE_NS = 60_000_000_000


@pytest.fixture(scope="module")
def tape(market):
    return draw_tape(market, "KO", DAY)


def test_prints_add_up_to_the_minute_bars(market, tape):
    bars = market.minute_bars("KO", DAY).with_columns(minute=pl.col("t") * 1_000_000)
    counted = tape.trades.filter(pl.col("correction") == 0).with_columns(
        minute=pl.col("sip_timestamp") // MINUTE_NS * MINUTE_NS
    )
    sums = counted.group_by("minute").agg(pl.col("size").sum())
    both = bars.join(sums, on="minute", how="left")
    assert (both["v"] - both["size"]).abs().max() < 1e-6
    assert set(sums["minute"]) == set(bars["minute"])


def test_prints_at_the_market_stay_inside_the_bars(market, tape):
    bars = market.minute_bars("KO", DAY).with_columns(minute=pl.col("t") * 1_000_000)
    placed = (
        tape.trades.filter(~pl.col("kind").is_in(["off_market", "cancelled"]))
        .with_columns(minute=pl.col("sip_timestamp") // MINUTE_NS * MINUTE_NS)
        .join(bars, on="minute")
    )
    assert placed.filter(~pl.col("price").is_between("l", "h")).is_empty()


def test_every_sort_of_print_occurs_and_the_same_arguments_give_the_same(market, tape):
    assert set(tape.trades["kind"]) == {
        "quote",
        "midpoint",
        "retail",
        "auction",
        "off_market",
        "cancelled",
    }
    assert draw_tape(market, "KO", DAY).trades.equals(tape.trades)
    assert not draw_tape(market, "KO", date(2026, 3, 11)).trades.equals(tape.trades)
    off = tape.trades["exchange"] == 4
    assert (tape.trades["trf_id"].is_not_null() == off).all()
    assert 0.3 < off.mean() < 0.55
    assert tape.trades.filter(pl.col("kind") == "auction").height == 2


def test_aggressors_trade_at_the_side_of_the_quote_that_stood_before(tape):
    placed = tape.trades.filter(pl.col("kind") == "quote").join_asof(
        tape.quotes.select(pl.col("sip_timestamp"), "bid_price", "ask_price"),
        on="sip_timestamp",
        allow_exact_matches=False,
    )
    buys, sells = (placed.filter(pl.col("side") == side) for side in (1, -1))
    assert (buys["price"] == buys["ask_price"]).mean() > 0.93
    assert (sells["price"] == sells["bid_price"]).mean() > 0.93


def pages(asker, stream, limit):
    url = (
        f"https://vendor.test/v3/{stream}/KO?timestamp.gte={START}&timestamp.lt={END}"
        f"&order=asc&limit={limit}"
    )
    found = []
    while url:
        document = json.loads(asker.get(url).body)
        found.append(document["results"])
        url = document.get("next_url")
    return found


@pytest.mark.parametrize(("stream", "schema"), [("trades", TRADE_SCHEMA), ("quotes", QUOTE_SCHEMA)])
def test_the_sandbox_serves_every_tick_once(ask, tape, stream, schema):
    found = pages(ask(plan="paid"), stream, 400)
    assert [len(page) for page in found[:-1]] == [400] * (len(found) - 1)
    served = pl.DataFrame([row for page in found for row in page], schema=schema)
    assert served.equals(getattr(tape, stream).select(schema.names()))


def test_the_truth_is_not_served(ask):
    row = pages(ask(plan="paid"), "trades", 10)[0][0]
    assert not {"side", "kind"} & set(row)


def test_plans_without_ticks_are_refused(ask):
    url = f"https://vendor.test/v3/{{}}/KO?timestamp.gte={START}&timestamp.lt={END}"
    assert ask(plan="free").get(url.format("trades")).status == 403
    half = ask(Fault(kind="ticks_not_entitled", options={"what": "quotes"}), plan="paid")
    assert half.get(url.format("trades")).status == 200
    assert half.get(url.format("quotes")).status == 403


def test_what_is_not_out_yet_is_not_served(ask):
    noon = eastern_ns(DAY, 12)
    found = pages(ask(plan="paid", now_ns=noon), "trades", 50_000)
    assert 0 < max(row["sip_timestamp"] for row in found[0]) <= noon - 15 * MINUTE_NS


@pytest.mark.parametrize("query", ["limit=50001", "limit=0", "timestamp.gte=soon"])
def test_questions_that_the_vendor_refuses(ask, query):
    assert ask(plan="paid").get(f"https://vendor.test/v3/trades/KO?{query}").status == 400
