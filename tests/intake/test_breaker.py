"""The breaker: when it opens, how it probes, what processes share."""

from tapemill.intake.breaker import BreakerPolicy, BreakerState

POLICY = BreakerPolicy()


def call(state: BreakerState, now: float, *, failed: bool, name: str = "a") -> bool:
    assert state.wait(now, POLICY) == 0
    probe = state.enter(name, now)
    state.settle(name, now, POLICY, failed=failed, retry_after=0.0)
    return probe


def test_five_failures_in_a_row_open_it():
    state = BreakerState()
    for second in range(4):
        call(state, second, failed=True)
    assert not state.open
    call(state, 4, failed=True)
    assert state.open
    assert state.wait(5, POLICY) == 59


def test_a_success_breaks_the_row():
    state = BreakerState()
    for second in range(40):
        call(state, second, failed=second % 5 == 4)
    assert not state.open


def test_more_than_a_fifth_of_the_last_fifty_opens_it():
    state = BreakerState()
    pattern = [False, True, False, True]
    calls = 0
    while not state.open:
        call(state, calls, failed=pattern[calls % 4])
        calls += 1
    # The eleventh error among the last fifty calls is the first above 20 %.
    assert calls == 22


def test_exactly_a_fifth_does_not_open_it():
    state = BreakerState()
    for second in range(500):
        call(state, second, failed=second % 5 == 0)
    assert not state.open


def test_probes_double_from_one_to_fifteen_minutes():
    state = BreakerState()
    for _ in range(5):
        call(state, 0, failed=True)
    now, moments = 0.0, []
    while len(moments) < 8:
        wait = state.wait(now, POLICY)
        if wait:
            now += wait
            continue
        moments.append(now)
        assert call(state, now, failed=True)
    gaps = [b - a for a, b in zip([0, *moments], moments, strict=False)]
    assert gaps == [60, 120, 240, 480, 900, 900, 900, 900]


def test_only_one_probe_is_out_and_a_good_one_closes():
    state = BreakerState()
    for _ in range(5):
        call(state, 0, failed=True)
    assert state.enter("probe", 60.0)
    assert state.wait(61, POLICY) > 0
    state.settle("probe", 62, POLICY, failed=False, retry_after=0)
    assert not state.open
    assert state.wait(62, POLICY) == 0
    assert state.failures == []


def test_the_probe_of_a_dead_process_is_forgotten():
    state = BreakerState()
    for _ in range(5):
        call(state, 0, failed=True)
    state.enter("killed", 60.0)
    assert state.wait(179, POLICY) > 0
    assert state.wait(181, POLICY) == 0


def test_a_straggler_cannot_close_an_open_breaker():
    state = BreakerState()
    state.enter("slow", 0)
    for _ in range(5):
        state.enter("x", 0)
        state.settle("x", 0, POLICY, failed=True, retry_after=0)
    assert state.open
    state.settle("slow", 1, POLICY, failed=False, retry_after=0)
    assert state.open


def test_calls_in_flight_together_cannot_exceed_what_opens_it():
    state = BreakerState()
    for number in range(5):
        assert state.wait(0, POLICY) == 0
        state.enter(f"c{number}", 0)
    assert state.wait(0, POLICY) > 0
    state.settle("c0", 1, POLICY, failed=True, retry_after=0)
    assert state.wait(1, POLICY) > 0


def test_retry_after_pauses_everybody_but_never_longer_than_the_cap():
    state = BreakerState()
    state.enter("a", 0)
    state.settle("a", 0, POLICY, failed=True, retry_after=17)
    assert state.wait(0, POLICY) == 17
    state.enter("b", 20)
    state.settle("b", 20, POLICY, failed=True, retry_after=1e12)
    assert state.wait(20, POLICY) == 900


def test_times_of_before_a_restart_of_the_machine_do_not_stick():
    state = BreakerState()
    for _ in range(5):
        call(state, 1_000_000, failed=True)
    assert state.wait(10, POLICY) <= POLICY.longest_probe_seconds
