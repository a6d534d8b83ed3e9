"""Plans: cells, calls and hours before a single call; routes; the Query API with its tokens."""

from datetime import date

import msgspec
import pytest

from intake.bench import END, START
from tapemill.clock import calendar
from tapemill.errors import ConfigError, DateError, UnknownNameError, UsageError
from tapemill.lake.control import CellState
from tapemill.secrets import Secret
from tapemill.world import SANDBOX_CLIENT

SESSIONS = calendar("XNYS").session_dates(START, END)
SHORT = "bronze.finra_short_volume"


def with_client(place, identity=SANDBOX_CLIENT):
    finra = msgspec.structs.replace(
        place.settings.finra,
        client_id=Secret(identity[0], "id"),
        client_secret=Secret(identity[1], "secret"),
    )
    place.settings = msgspec.structs.replace(place.settings, finra=finra)


def test_a_plan_calls_nothing_and_writes_nothing(bench):
    place = bench()
    plan = place.plan("bars_1m", ["SPY", "KO"])
    assert (plan.calls, plan.pending, plan.complete) == (2, 48, 0)
    assert not place.wire.calls
    assert not place.lake.control.ledger.symbols("bronze.massive_bars_1m")
    assert plan.summary()["calls"] == 2


def test_the_same_state_gives_the_same_plan(bench):
    place = bench()
    first = place.plan("bars_1d", ["KO", "SPY", "KO"])
    second = place.plan("bars_1d", ["SPY", "KO"])
    assert [task.key for task in first.tasks] == [task.key for task in second.tasks]
    assert first.symbols == ("KO", "SPY")


def test_resume_asks_for_the_holes_alone(bench):
    """Defect ssot 3.6: with every session present, 0 of 314 windows were skipped."""
    place = bench()
    place.run("bars_1m", ["SPY"], START, date(2026, 1, 16))
    place.run("bars_1m", ["SPY"], date(2026, 1, 26), date(2026, 1, 30))
    plan = place.plan("bars_1m", ["SPY"])
    (task,) = plan.tasks  # one call spans both holes: it costs less than two
    assert (task.first.start, task.first.end) == (date(2026, 1, 20), END)
    assert len(task.sessions) == plan.pending == 9
    place.fetch(plan)
    assert place.plan("bars_1m", ["SPY"]).calls == 0


def test_cells_of_the_market_stand_for_every_symbol(bench):
    place = bench()
    place.run("bars_1d", None)
    assert place.plan("bars_1d", ["SPY", "KO"]).calls == 0


def test_hours_follow_the_tighter_cap(bench):
    place = bench(settings={"massive.calls_per_minute": 5, "massive.calls_per_day": 10})
    assert place.plan("bars_1d", None).hours == 48  # 24 calls: ten today, ten tomorrow, four then
    place = bench(settings={"massive.calls_per_minute": 5})
    assert place.plan("bars_1d", None).hours == pytest.approx(4 * 61.5 / 3600)


def test_sessions_of_tomorrow_wait(bench):
    place = bench()
    plan = place.plan("bars_1d", None, START, date(2026, 2, 20))
    assert plan.not_yet == 9
    assert plan.pending == 24
    assert place.fetch(plan).remaining == 0


def test_the_default_is_the_newest_session(bench):
    place = bench()
    plan = place.plan("bars_1d", None, None, None)
    assert [task.sessions for task in plan.tasks] == [(date(2026, 2, 6),)]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("bars_1n", ["SPY"]), UnknownNameError, "bars_1m"),
        (("bars_1m", None), UsageError, "tapemill fetch bars_1m SPY"),
        (("bars_1d", None, END, START), DateError, "swap"),
    ],
)
def test_wrong_asks_say_what_to_do(bench, arguments, error, words):
    with pytest.raises(error) as raised:
        bench().plan(*arguments)
    assert words in raised.value.next_step


def test_a_missing_key_is_named_before_a_call_is_made_and_a_plan_needs_none(bench):
    place = bench()
    massive = msgspec.structs.replace(place.settings.massive, api_key=None)
    place.settings = msgspec.structs.replace(place.settings, massive=massive)
    plan = place.plan("bars_1d", None)
    assert plan.calls > 0
    with pytest.raises(ConfigError) as raised:
        place.fetch(plan)
    assert "MASSIVE_API_KEY" in raised.value.next_step
    assert place.sandbox.calls.count() == 0
    assert place.plan("short_volume", None).calls == 24


def test_a_route_that_does_not_exist_is_refused(bench):
    with pytest.raises(UsageError, match="no route 'pigeon'"):
        bench().plan("short_volume", None, via="pigeon")
    with pytest.raises(UsageError, match="no route 'api'"):
        bench().plan("bars_1d", None, via="api")


def test_the_query_api_brings_the_same_volumes_as_the_files(bench):
    import polars as pl

    place = bench()
    place.run("short_volume", None, START, SESSIONS[2], via="api")
    rows = place.lake.tables.scan(SHORT).collect()
    assert rows.get_column("source").unique().to_list() == ["finra.api.synthetic"]
    assert (place.states(SHORT, ["*"], SESSIONS[:3]) == CellState.DATA).all()
    files = bench()
    files.run("short_volume", None, START, SESSIONS[2])
    expected = files.lake.tables.scan(SHORT).collect()
    by = ["symbol", "session"]
    total = pl.col("total_volume").sum()
    assert rows.group_by(by).agg(total).sort(by).equals(expected.group_by(by).agg(total).sort(by))


def test_one_token_serves_many_calls_and_is_charged(bench):
    place = bench(require_oauth=True)
    with_client(place)
    report = place.run("short_volume", None, START, SESSIONS[3], via="api")
    tokens = [call for call in place.wire.calls if call.base == "finra_token"]
    assert report.remaining == 0
    assert len(tokens) == 1
    assert report.calls == len(place.wire.calls)
    assert all("secret" not in str(call.params) for call in place.wire.calls)


def test_a_refused_client_is_not_asked_again(bench):
    place = bench(require_oauth=True, settings={"finra.max_in_flight": 1})
    with_client(place, ("wrong", "pair"))
    place.run("short_volume", None, START, START, via="api")
    assert [call.base for call in place.wire.calls] == ["finra_token"]
    assert place.states(SHORT, ["*"], [START])[0, 0] == CellState.NOT_ENTITLED
