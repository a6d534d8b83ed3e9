"""`next_url` is absolute, foreign until proven, and may lead in circles."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest

from tapemill.vendors import Outcome, is_cursor_loop
from tapemill.vendors.massive import minute_bars, splits

MINUTES = minute_bars("SPY", date(2024, 1, 2), date(2024, 1, 3))
PATH = "/v2/aggs/ticker/SPY/range/1/minute/1704205860000/1704412800000"


@pytest.mark.parametrize("host", ["api.massive.com", "api.polygon.io", "127.0.0.1:8765", "[::1]:9"])
def test_the_cursor_is_taken_and_the_host_is_not(ask, page, bar, host) -> None:
    answer = ask(MINUTES, page([bar()], next_url=f"https://{host}{PATH}?cursor=bGltaXQ9Mg%3D%3D"))
    assert answer.outcome is Outcome.DATA
    assert answer.next.path == PATH
    assert answer.next.params == (("cursor", "bGltaXQ9Mg=="),)
    assert (answer.next.page, answer.next.symbol, answer.next.start) == (2, "SPY", MINUTES.start)
    assert answer.next.key != MINUTES.key


def test_a_configured_proxy_may_answer(ask, page, bar) -> None:
    url = f"https://proxy.example/massive{PATH}?cursor=x"
    refused = ask(MINUTES, page([bar()], next_url=url))
    assert refused.outcome is Outcome.BAD_ANSWER and "proxy.example" in refused.reason
    taken = ask(MINUTES, page([bar()], next_url=url), base_url="https://proxy.example/massive")
    assert taken.next.path == PATH


@pytest.mark.parametrize(
    "url",
    [
        f"https://api.massive.com.evil.example{PATH}?cursor=x",
        f"https://evil.example{PATH}?cursor=x",
        f"https://api.massive.com@evil.example{PATH}?cursor=x",
        f"{PATH}?cursor=x",
        f"ftp://api.massive.com{PATH}?cursor=x",
        "https://api.massive.com/v2/aggs/ticker/QQQ/range/1/minute/1/2?cursor=x",
    ],
)
def test_a_foreign_next_page_is_refused(ask, page, bar, url) -> None:
    answer = ask(MINUTES, page([bar()], next_url=url))
    assert answer.outcome is Outcome.BAD_ANSWER
    assert answer.next is None and answer.frame is None


@pytest.mark.parametrize("name", ["apiKey", "apikey", "APIKEY", "token"])
def test_a_key_inside_next_url_is_dropped(ask, page, bar, name) -> None:
    url = f"https://api.massive.com{PATH}?cursor=x&{name}=CANARY-KEY"
    answer = ask(MINUTES, page([bar()], next_url=url))
    assert b"CANARY-KEY" not in answer.next.to_json()
    assert answer.next.params == (("cursor", "x"),)


def test_a_page_that_names_itself_is_a_loop(ask, page, bar) -> None:
    url = f"https://api.massive.com{PATH}?cursor=x"
    second = ask(MINUTES, page([bar(0)], next_url=url)).next
    answer = ask(second, page([bar(1)], next_url=url))
    assert answer.outcome is Outcome.BAD_ANSWER and "cursor loop" in answer.reason


def test_a_longer_loop_is_seen_from_the_keys(ask, page, bar) -> None:
    base = f"https://api.massive.com{PATH}?cursor="
    second = ask(MINUTES, page([bar(0)], next_url=base + "a")).next
    third = ask(second, page([bar(1)], next_url=base + "b")).next
    again = ask(third, page([bar(2)], next_url=base + "a")).next
    assert is_cursor_loop({MINUTES.key, second.key, third.key}, again)


def test_a_page_that_repeats_the_page_before_is_refused(ask, page, bar) -> None:
    url = f"https://api.massive.com{PATH}?cursor=a"
    rows = [bar(0), bar(1)]
    second = ask(MINUTES, page(rows, next_url=url)).next
    answer = ask(second, page(rows, next_url=url.replace("=a", "=b")))
    assert answer.outcome is Outcome.BAD_ANSWER and "page 2 repeats" in answer.reason
    overlapping = ask(second, page([bar(1), bar(2)]))
    assert overlapping.outcome is Outcome.DATA and "overlaps" in overlapping.notes[0]


def test_promises_are_carried_over_an_empty_page(ask, page, bar) -> None:
    url = f"https://api.massive.com{PATH}?cursor="
    second = ask(MINUTES, page([bar(5)], next_url=url + "a")).next
    third = ask(second, page([], next_url=url + "b")).next
    assert ask(third, page([bar(5)])).outcome is Outcome.BAD_ANSWER


def test_listings_may_continue_under_another_path(ask) -> None:
    body = (
        b'{"status":"OK","next_url":"https://api.massive.com/v3/splits/AAPL?cursor=q","results":'
        b'[{"ticker":"AAPL","execution_date":"2020-08-31","split_from":1,"split_to":4}]}'
    )
    request = splits(date(2020, 1, 1), date(2020, 12, 31), "AAPL")
    following = ask(request, body).next
    assert dataclasses.replace(following, path="", params=(), page=1) == dataclasses.replace(
        request, path="", params=()
    )
