"""Incidents, builds, imports, calls, tasks and contents."""

from datetime import date, timedelta

import pytest

from tapemill.errors import ConflictError, LakeError
from tapemill.lake.control import ContentRecord, TaskCounts, TaskState, open_control
from tapemill.lake.control.calls import path_without_secrets

BARS = "bronze.massive_bars_1m"
DAYS = [date(2024, 3, 1) + timedelta(days=n) for n in range(3)]


def test_an_open_incident_is_counted_not_opened_again(control, clock):
    first = control.incidents.open("drift", BARS, "volume", "retyped", "warning")
    clock.advance(10)
    again = control.incidents.open("drift", BARS, "volume", "gone", "error", blocks_lane=True)
    assert again == first
    (incident,) = control.incidents.open_incidents()
    assert (incident.times, incident.detail, incident.severity) == (2, "gone", "error")
    assert incident.last_ns - incident.opened_ns == 10 * 10**9
    assert control.incidents.open("drift", BARS, "vwap", "gone") != first


def test_only_the_lane_of_a_blocking_incident_stops(control):
    control.incidents.open("coverage", BARS, "AAPL", "few bars")
    assert not control.incidents.lane_blocked(BARS)
    blocking = control.incidents.open("drift", BARS, "volume", "gone", blocks_lane=True)
    assert control.incidents.lane_blocked(BARS)
    assert not control.incidents.lane_blocked("bronze.finra_short_volume")
    control.incidents.resolve(blocking, "the vendor put it back")
    control.incidents.resolve(blocking, "twice")
    assert not control.incidents.lane_blocked(BARS)
    assert control.incidents.history(BARS)[1].resolution == "the vendor put it back"
    assert control.incidents.open("drift", BARS, "volume", "gone") != blocking
    with pytest.raises(LakeError, match="no incident 99"):
        control.incidents.resolve(99)


def test_the_newest_build_of_a_unit_counts(control):
    assert control.builds.get("silver.x", "2024-03-01") is None
    control.builds.record("silver.x", "2024-03-01", "f1", 10, ns=5)
    control.builds.record_many("silver.x", [("2024-03-01", "f2", 11), ("2024-03-02", "g", 12)])
    control.builds.record_many("silver.x", [])
    assert control.builds.get("silver.x", "2024-03-01") == "f2"
    assert control.builds.fingerprints("silver.x") == {"2024-03-01": "f2", "2024-03-02": "g"}
    assert control.builds.fingerprints("silver.y") == {}
    history = control.builds.history("silver.x", "2024-03-01")
    assert [(b.fingerprint, b.rows, b.took_ns) for b in history] == [("f1", 10, 5), ("f2", 11, 0)]


def test_a_file_is_imported_once_per_way_of_reading(control):
    first = control.imports.record("ab", "bars", "/home/me/spy.csv", 5, 1, dataset=BARS)
    assert control.imports.record("ab", "bars", "copy.csv", 5, 1) == first
    seen = control.imports.seen("ab", "bars")
    assert (seen.name, seen.rows, seen.quarantined) == ("spy.csv", 5, 1)
    assert control.imports.seen("ab", "bars", "other map") is None
    assert control.imports.seen("ab", "finra-short") is None
    control.imports.record("ab", "bars", "spy.csv", 5, 1, options_hash="other map")
    assert len(control.imports.history()) == 2


def test_every_attempt_is_charged_and_found(control, clock):
    for attempt, outcome in enumerate(("rate-limited", "transient", "data"), start=1):
        control.calls.record_attempt(
            "massive", BARS, "/v2/aggs", status=200, outcome=outcome, attempt=attempt,
            symbol="AAPL", start=DAYS[0], end=DAYS[1], size_bytes=100, retry_after=1.5,
        )  # fmt: skip
        clock.advance(1)
    control.calls.record_attempt("finra", "bronze.f", "/x", status=0, outcome="transient")
    covering = control.calls.covering(BARS, "AAPL", DAYS[1])
    assert [call.attempt for call in covering] == [1, 2, 3]
    assert covering[0].retry_after_ms == 1500
    assert control.calls.covering(BARS, "AAPL", DAYS[2]) == []
    assert control.calls.covering(BARS, "MSFT", DAYS[1]) == []
    totals = {(t.vendor, t.outcome): t.calls for t in control.calls.totals()}
    assert totals == {
        ("finra", "transient"): 1,
        ("massive", "data"): 1,
        ("massive", "rate-limited"): 1,
        ("massive", "transient"): 1,
    }
    assert len(control.calls.totals(since_ns=clock.now_ns() + 1)) == 0
    assert [c.call_id for c in control.calls.recent("massive", limit=2)] == [2, 3]
    assert control.calls.forget_before(clock.now_ns() - 10**9) == 2
    assert len(control.calls.recent()) == 2


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://api.massive.com/v2/aggs?limit=5&apiKey=CANARY", "/v2/aggs?limit=5"),
        ("/v2/aggs?adjusted=false", "/v2/aggs?adjusted=false"),
        ("https://me:CANARY@host/path", "/path"),
        ("https://x/y?X-Amz-Signature=CANARY&X-Amz-Credential=CANARY", "/y"),
        ("/y?access_token=CANARY&client_secret=CANARY&b=", "/y?b="),
    ],
)
def test_a_stored_path_has_no_host_and_no_key(control, location, url, kept):
    assert path_without_secrets(url) == kept
    reason = "failed: password=CANARY42x"
    control.calls.record_attempt("v", "d", url, status=0, outcome="transient", reason=reason)
    control.incidents.open("k", "d", "s", reason)
    assert control.calls.recent()[0].path == kept
    control.close()
    assert b"CANARY" not in location.read_bytes()


def test_a_run_conserves_its_tasks(control):
    control.tasks.generate("run", ["a", "b", "c", "d", "a"])
    control.tasks.generate("run", ["d", "e"])
    control.tasks.end("run", "a", TaskState.DONE)
    control.tasks.end("run", "a", TaskState.DONE, "again")
    control.tasks.end("run", "b", TaskState.DEFERRED, "quota")
    control.tasks.end("run", "c", TaskState.FAILED, "not entitled")
    counts = control.tasks.counts("run")
    assert counts == TaskCounts(generated=5, open=2, done=1, deferred=1, failed=1)
    assert control.tasks.open_tasks("run") == ["d", "e"]
    assert control.tasks.counts("other").generated == 0


def test_a_task_ends_once_in_one_way(control):
    control.tasks.generate("run", ["a"])
    with pytest.raises(LakeError, match="open is no end"):
        control.tasks.end("run", "a", TaskState.OPEN)
    with pytest.raises(LakeError, match="did not generate"):
        control.tasks.end("run", "z", TaskState.DONE)
    control.tasks.end("run", "a", TaskState.DONE)
    with pytest.raises(ConflictError, match="ended as done and cannot end as failed"):
        control.tasks.end("run", "a", TaskState.FAILED)


def members(order):
    return [
        ContentRecord("d", DAYS[: 1 + n % 3], f"raw{n}", rows=[n] * (1 + n % 3), symbol=f"S{n}")
        for n in order
    ]


def test_a_fingerprint_knows_no_order_and_no_repetition(tmp_path, clock):
    seen = []
    for name, order in (("a", [0, 1, 2, 3]), ("b", [3, 1, 0, 2, 1, 3]), ("c", [2, 0, 3, 1])):
        with open_control(tmp_path / name, clock) as control:
            for record in members(order):
                control.contents.add([record])
            control.contents.add(members(order))
            seen.append(control.contents.fingerprint("d"))
            assert control.verify() == []
    assert seen[0] == seen[1] == seen[2]
    assert sorted(seen[0]) == DAYS


def test_a_fingerprint_changes_with_object_rows_and_session(control):
    control.contents.add(members([0]))
    before = control.contents.fingerprint("d")
    control.contents.add([ContentRecord("d", [DAYS[0]], "late", rows=[1])])
    after = control.contents.fingerprint("d")
    assert after != before
    control.contents.add([ContentRecord("d", [DAYS[0]], "late", rows=[2])])
    assert control.contents.fingerprint("d") != after
    control.contents.add([ContentRecord("d", [DAYS[0]], "late", rows=[1])])
    assert control.contents.fingerprint("d") == after
    control.contents.add([ContentRecord("d", [DAYS[2]], "late", rows=[1])])
    assert control.contents.fingerprint("d", DAYS[:2]) == after
    assert control.contents.fingerprint("d", [DAYS[1]]) == {}
    assert control.contents.fingerprint("d", []) == {}
    assert control.verify() == []
