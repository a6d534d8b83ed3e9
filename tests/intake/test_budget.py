"""The shared budget: caps hold in every sliding window, whatever the order of arrival."""

import random

import pytest

from tapemill.intake.budget import Budget, VendorFile

NOW = 1_790_000_000_000_000_000


@pytest.fixture
def file(tmp_path):
    file = VendorFile(tmp_path / "vendor.sqlite")
    yield file
    file.close()


def most_in_a_window(moments, seconds):
    moments = sorted(moments)
    return max(sum(1 for later in moments if first <= later < first + seconds) for first in moments)


def test_never_more_than_the_cap_in_a_minute_and_no_burst(file):
    """Defect options 4: a full bucket plus its refill let ten calls into the first minute."""
    budget = Budget(file, per_minute=5, margin_seconds=0)
    now, granted = 0.0, []
    while len(granted) < 40:
        wait = budget.take(f"c{len(granted)}", now, NOW)
        if wait:
            now += wait
        else:
            granted.append(now)
    assert most_in_a_window(granted, 60) == 5
    # 40 calls need seven full minutes, not more: the budget is used.
    assert 7 * 60 <= now < 7 * 61


@pytest.mark.property
@pytest.mark.parametrize("seed", range(15))
def test_the_cap_holds_where_the_vendor_counts_however_late_calls_arrive(file, seed):
    """Grants are stamped here, counted there: delays up to the time-out must not matter."""
    rng = random.Random(seed)
    budget = Budget(file, per_minute=5, margin_seconds=1.5)
    now, arrivals, flying, number = 0.0, [], [], 0
    while number < 120:
        name = f"c{number}"
        wait = budget.take(name, now, NOW)
        if not wait:
            delay = rng.choice([0.05, 0.5, 1.4, 4.0, 12.0, 29.0]) * rng.random()
            finish = now + delay
            arrivals.append(rng.uniform(now, finish))
            flying.append((finish, name, now))
            number += 1
            continue
        now += min(wait, 0.5)
        for finish, landed, granted in [f for f in flying if f[0] <= now]:
            budget.arrived(landed, granted, now)
            flying.remove((finish, landed, granted))
    assert most_in_a_window(arrivals, 60) <= 5


def test_two_owners_of_one_file_share_one_cap(tmp_path):
    files = [VendorFile(tmp_path / "vendor.sqlite") for _ in range(2)]
    budgets = [Budget(file, per_minute=5, margin_seconds=0) for file in files]
    granted = [budgets[n % 2].take(f"c{n}", 1.0, NOW) == 0 for n in range(12)]
    assert sum(granted) == 5
    for file in files:
        file.close()


def test_a_day_is_any_twenty_four_hours(file):
    budget = Budget(file, per_minute=0, per_day=3)
    hour = 3_600_000_000_000
    assert [budget.take(f"a{n}", 0, NOW + n * hour) for n in range(3)] == [0, 0, 0]
    wait = budget.take("b", 0, NOW + 3 * hour)
    assert wait == pytest.approx(21 * 3600, abs=1)
    assert budget.left(NOW + 3 * hour) == 0
    assert budget.take("b", 0, NOW + 24 * hour + hour // 2) == 0


def test_a_refused_call_costs_nothing(file):
    """A call that the minute refuses must not be charged to the day."""
    budget = Budget(file, per_minute=1, per_day=10)
    assert budget.take("a", 0.0, NOW) == 0
    for _ in range(5):
        assert budget.take("b", 1.0, NOW) > 0
    assert budget.left(NOW) == 9


def test_a_restarted_machine_stays_careful(file):
    budget = Budget(file, per_minute=2, margin_seconds=0)
    assert budget.take("a", 90_000.0, NOW) == budget.take("b", 90_000.0, NOW) == 0
    again = Budget(file, per_minute=2, margin_seconds=0)
    assert again.take("c", 5.0, NOW) == pytest.approx(60, abs=1)
    assert again.take("c", 66.0, NOW) == 0
