from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapemill.refine.versions import resolve_versions

START = datetime(2026, 1, 5, tzinfo=UTC)
LANES = ("massive.rest", "massive.flatfile", "import:a")
KNOWN = ("key", "source", "version", "price", "known_at", "superseded_at", "conflict")

row = st.tuples(st.integers(0, 3), st.sampled_from(LANES), st.integers(0, 8), st.integers(1, 3))
one_lane = st.tuples(st.integers(0, 3), st.just(LANES[0]), st.integers(0, 8), st.integers(1, 3))


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def frame(rows: list[tuple[int, str, int, int]], rule: int = 0) -> pl.DataFrame:
    """Rows (key, lane, hour of arrival, price) of one group; prices are whole dollars."""
    return pl.DataFrame(
        {
            "group": ["g"] * len(rows),
            "key": [r[0] for r in rows],
            "source": [r[1] for r in rows],
            "raw_sha256": [f"{r[1]}{r[2]}" for r in rows],
            "ordinal": range(len(rows)),
            "ts_recv": [at(r[2]) for r in rows],
            "price": [float(r[3]) for r in rows],
            "rule_known_at": [at(rule)] * len(rows),
        },
        schema_overrides={name: pl.Datetime("us", "UTC") for name in ("ts_recv", "rule_known_at")},
    )


def resolved(rows: pl.DataFrame) -> pl.DataFrame:
    return resolve_versions(
        rows,
        key=["key"],
        group=["group"],
        values=["price"],
        compared=["price"],
        tolerance=0.005,
    )


def seen(versions: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    alive = pl.col("superseded_at").is_null() | (pl.col("superseded_at") > moment)
    return versions.filter((pl.col("known_at") <= moment) & alive).select(
        "key", "source", "price", "conflict"
    )


@given(st.lists(one_lane, min_size=1, max_size=12), st.integers(0, 9))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_one_lane_equals_the_story_told_row_by_row(
    rows: list[tuple[int, str, int, int]], hour: int
) -> None:
    ordered = sorted(enumerate(rows), key=lambda r: (r[1][2], r[0]))
    expected, arrivals = {}, {}
    for _, (key, _, arrived, _) in ordered:
        arrivals.setdefault(key, arrived)
    # An answer that repeats a key is a second one: what else it holds is known once it is here.
    second = {arrived for _, (key, _, arrived, _) in ordered if arrivals[key] < arrived}
    for _, (key, _, arrived, price) in ordered:
        first = arrivals[key] == arrived and arrived not in second
        if (first and key not in expected) or arrived <= hour:
            expected[key] = float(price)
    found = seen(resolved(frame(rows)), at(hour))
    assert dict(found.select("key", "price").rows()) == expected
    assert found.height == len(expected)


def test_a_fact_that_only_a_second_answer_brought_was_not_known_before() -> None:
    lane = LANES[0]
    second = resolved(frame([(0, lane, 1, 5), (0, lane, 6, 5), (1, lane, 6, 5)]))
    assert seen(second, at(5))["key"].to_list() == [0]
    assert seen(second, at(6))["key"].to_list() == [0, 1]
    next_page = resolved(frame([(0, lane, 1, 5), (1, lane, 6, 5)]))
    assert seen(next_page, at(5))["key"].to_list() == [0, 1], "a backfill goes on"


@given(st.lists(row, min_size=1, max_size=14), st.integers(0, 8))
@settings(max_examples=400, derandomize=True, deadline=None)
def test_what_arrives_later_never_changes_an_earlier_read(
    rows: list[tuple[int, str, int, int]], hour: int
) -> None:
    everything = frame(rows)
    by_then = everything.filter(pl.col("ts_recv") <= at(hour))
    if by_then.is_empty():
        return
    then = seen(resolved(by_then), at(hour))
    # A first value counts by the rule, whenever it was fetched: only such keys may appear anew.
    keys = then["key"].to_list()
    with_future = seen(resolved(everything), at(hour)).filter(pl.col("key").is_in(keys))
    assert with_future.equals(then)


@given(st.lists(row, min_size=1, max_size=14), st.randoms(use_true_random=False))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_row_order_and_repeats_do_not_matter(
    rows: list[tuple[int, str, int, int]], shuffler: object
) -> None:
    base = frame(rows)
    order = list(range(len(rows)))
    shuffler.shuffle(order)  # type: ignore[attr-defined]
    twice = pl.concat([base[order], base])
    assert resolved(twice).equals(resolved(base))


@given(st.lists(row, min_size=1, max_size=14))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_versions_of_a_key_follow_each_other(rows: list[tuple[int, str, int, int]]) -> None:
    for versions in resolved(frame(rows, rule=3)).partition_by("key"):
        assert versions["version"].to_list() == list(range(1, versions.height + 1))
        ends, begins = versions["superseded_at"][:-1], versions["known_at"][1:]
        assert ends.to_list() == begins.to_list()
        assert versions["known_at"].min() >= at(3)


def test_restatement_is_known_when_it_arrived_and_the_first_value_by_the_rule() -> None:
    rows = [(1, LANES[0], 5, 1), (1, LANES[0], 7, 2)]
    found = resolved(frame(rows, rule=2))
    assert found["known_at"].to_list() == [at(2), at(7)]
    assert found["superseded_at"].to_list() == [at(7), None]


def test_a_value_that_comes_back_is_a_third_version() -> None:
    rows = [(1, LANES[0], 1, 1), (1, LANES[0], 2, 2), (1, LANES[0], 3, 1)]
    assert resolved(frame(rows))["price"].to_list() == [1.0, 2.0, 1.0]


def test_better_lane_takes_the_whole_group_over() -> None:
    """Key 2 is only in the import: it ends when the vendor's own lane arrives."""
    rows = [(1, "import:a", 1, 1), (2, "import:a", 1, 1), (1, LANES[0], 4, 2)]
    found = resolved(frame(rows))
    assert found.select("key", "source", "superseded_at").rows() == [
        (1, "import:a", at(4)),
        (1, LANES[0], None),
        (2, "import:a", at(4)),
    ]


def test_weaker_lane_beside_only_objects() -> None:
    rows = [(1, LANES[0], 1, 1), (2, LANES[0], 1, 1), (1, "import:a", 4, 2), (2, "import:a", 4, 1)]
    found = resolved(frame(rows)).select("key", "source", "price", "conflict", "known_at")
    assert found.rows() == [
        (1, LANES[0], 1.0, False, at(0)),
        (1, LANES[0], 1.0, True, at(4)),
        (2, LANES[0], 1.0, False, at(0)),
    ]


@pytest.mark.parametrize("difference", [0.004, 0.006])
def test_lanes_may_differ_by_less_than_the_tolerance(difference: float) -> None:
    rows = frame([(1, LANES[0], 1, 1), (1, "import:a", 1, 1)])
    rows = rows.with_columns(price=pl.Series([1.0, 1.0 + difference]))
    assert resolved(rows)["conflict"][-1] is (difference > 0.005)
