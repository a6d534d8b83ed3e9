"""Storms on a virtual clock: bounded calls, other vendors unharmed, nothing lost."""

import pytest

from intake.bench import END, START
from tapemill.clock import calendar
from tapemill.intake import Progress
from tapemill.lake.control import CellState
from tapemill.world import Fault

SESSIONS = calendar("XNYS").session_dates(START, END)
THIRTY_MINUTES = 1800.0
# Probes at 60, 180, 420 and 900 seconds fall into the storm; the one after that closes it.
PROBES_IN_STORM = 4
OPENS_AFTER = 5


def storm(**more):
    return Fault(kind="storm_429", vendor="massive", for_seconds=THIRTY_MINUTES, **more)


@pytest.mark.acceptance
@pytest.mark.parametrize("retry_after", ["absent", "int", "date", "absurd"])
def test_thirty_minutes_of_429_cost_few_calls_and_lose_nothing(bench, retry_after):
    """Must show 4; ssot A2/A12: calls bounded by probes, the job completes when the storm ends."""
    place = bench(faults=[storm(options={"retry_after": retry_after})])
    report = place.run("bars_1d", None)
    in_storm = [r for r in place.sandbox.calls.records if r.at < THIRTY_MINUTES]
    assert len(in_storm) <= OPENS_AFTER + PROBES_IN_STORM + 1
    assert report.remaining == 0
    assert report.completed == len(SESSIONS)
    assert report.tasks == {"done": len(SESSIONS)}
    rows = place.lake.tables.scan("bronze.massive_bars_1d").collect()
    assert rows.height == len(SESSIONS) * 4
    assert rows.n_unique(["symbol", "session"]) == rows.height


def test_a_long_pause_is_said_once_when_it_begins(bench, caplog):
    bench(faults=[storm()]).run("bars_1d", None)
    said = [r for r in caplog.records if "vendor paused" in r.getMessage()]
    assert 1 <= len(said) <= PROBES_IN_STORM + 1
    assert {record.levelname for record in said} == {"WARNING"}


@pytest.mark.acceptance
def test_a_storm_at_one_vendor_leaves_the_other_its_speed(bench):
    """Defect ssot 3.3: one blocking pool coupled fast vendors to slow ones."""
    settings = {"finra.calls_per_minute": 6}

    def finra_calls(faults):
        place = bench(faults=faults, settings=settings)
        report = place.fetch(place.plan("bars_1d", None), place.plan("short_volume", None))
        assert report.remaining == 0
        return [r.at for r in place.sandbox.calls.records if r.vendor == "finra_cdn"]

    calm, stormy = finra_calls([]), finra_calls([storm()])
    assert len(calm) == len(stormy) == len(SESSIONS)
    assert max(calm) - min(calm) >= 0.95 * (max(stormy) - min(stormy))


@pytest.mark.acceptance
def test_a_vendor_that_stays_down_ends_the_run_with_everything_still_open(bench):
    place = bench(faults=[Fault(kind="error_5xx", vendor="massive")])
    report = place.run("bars_1d", None)
    assert report.calls == OPENS_AFTER + place.settings.retry.attempts
    assert report.remaining == len(SESSIONS)
    assert "not recovered" in report.stopped[0]
    states = place.states("bronze.massive_bars_1d", ["*"], SESSIONS)
    assert set(states.ravel().tolist()) <= {CellState.PENDING, CellState.TRANSIENT}
    place.sandbox.faults.replace([])
    # The pause outlives the run that saw the errors: the next one starts with a single probe.
    begun = place.clock.monotonic()
    assert place.run("bars_1d", None).remaining == 0
    later = [r.at for r in place.sandbox.calls.records if r.at >= begun]
    assert later[1] - later[0] < 5
    assert later[0] - begun > 60


def test_one_request_that_always_fails_does_not_hold_up_the_others(bench):
    poison = SESSIONS[3].isoformat()
    place = bench(faults=[Fault(kind="error_5xx", path=f"*{poison}")])
    report = place.run("bars_1d", None)
    states = place.states("bronze.massive_bars_1d", ["*"], SESSIONS)[0]
    assert states[3] == CellState.TRANSIENT
    assert (states == CellState.DATA).sum() == len(SESSIONS) - 1
    assert report.remaining == 1


@pytest.mark.acceptance
def test_the_free_plan_is_used_to_the_full_and_never_exceeded(bench):
    """Defect options 4: token bucket burst. Five calls in any sixty seconds at the vendor."""
    place = bench(settings={"massive.calls_per_minute": 5}, rate_per_minute=5)
    plan = place.plan("bars_1d", None)
    report = place.fetch(plan)
    assert report.outcomes == {"data": 24}
    assert place.sandbox.calls.busiest("massive") == 5
    moments = [record.at for record in place.sandbox.calls.records]
    optimum = (24 - 1) // 5 * 60.0
    assert moments[-1] - moments[0] <= 1.2 * optimum
    assert plan.hours * 3600 == pytest.approx(optimum, rel=0.05)


def test_retries_are_charged_like_any_call(bench):
    """Defect ssot 11.3: up to twelve wire calls per logical call, unpaced and unbudgeted."""
    place = bench(
        settings={"massive.calls_per_minute": 5, "breaker.consecutive": 50},
        faults=[Fault(kind="error_5xx", every=2)],
    )
    report = place.run("bars_1d", None)
    assert report.remaining == 0
    assert report.calls == len(place.wire.calls) > 24
    assert place.sandbox.calls.busiest("massive") <= 5


def test_slow_answers_do_not_let_the_window_slip(bench):
    place = bench(settings={"massive.calls_per_minute": 5})
    place.wire.latency = 11.0
    place.run("bars_1d", None)
    assert place.sandbox.calls.busiest("massive") <= 5


def test_progress_tells_rate_and_time_to_go(bench):
    seen: list[Progress] = []
    place = bench(settings={"massive.calls_per_day": 500})
    place.fetch(place.plan("bars_1d", None), progress=seen.append)
    assert [event.done for event in seen] == sorted(event.done for event in seen)
    assert seen[-1].done == seen[-1].total == 24
    assert seen[-1].quota_left == 500 - 24
    assert seen[3].eta_seconds > 0
    assert seen[-1].rate > 0


def test_memory_stays_bounded_while_landing_is_slow(bench, monkeypatch):
    from tapemill.intake import landing

    queued = []

    class Watched(landing.Lander):
        async def put(self, receipt):
            queued.append(self._queue.qsize())
            return await super().put(receipt)

    monkeypatch.setattr("tapemill.intake.fetching.Lander", Watched)
    place = bench(settings={"massive.max_in_flight": 16})
    place.run("bars_1d", None)
    assert max(queued) <= landing.Lander.QUEUED_RECEIPTS
    assert place.wire.most_in_flight <= 16
