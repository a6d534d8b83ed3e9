"""One live holder per task, and tokens that only rise."""

import os
import subprocess
import sys
import time

import pytest

from tapemill.errors import ConflictError
from tapemill.lake.control import open_control, this_process
from tapemill.lake.control.owners import is_dead

SLEEPER = "import sys,time; from tapemill.lake.control import this_process; "
SLEEPER += "print(this_process(), flush=True); time.sleep(60)"


def test_a_held_task_is_nobody_elses_not_even_ones_own(control):
    token = control.claims.claim("t", control.owner, 60)
    assert token is not None
    assert control.claims.claim("t", "other-host", 60) is None
    assert control.claims.claim("t", control.owner, 60) is None
    assert control.claims.verify("t", token).owner == control.owner


def test_an_expired_lease_is_taken_over_and_its_token_is_stale(control, clock):
    first = control.claims.claim("t", "other-host/1", 60)
    clock.advance(59.9)
    assert control.claims.claim("t", "other-host/2", 60) is None
    clock.advance(0.1)
    second = control.claims.claim("t", "other-host/2", 60)
    assert second > first
    for late in (
        lambda: control.claims.verify("t", first),
        lambda: control.claims.renew("t", first, 60),
    ):
        with pytest.raises(ConflictError, match="held by other-host/2"):
            late()
    assert not control.claims.release("t", first)
    assert control.claims.verify("t", second).token == second


def test_renewing_keeps_a_task(control, clock):
    token = control.claims.claim("t", "other-host/1", 60)
    for _ in range(5):
        clock.advance(40)
        control.claims.renew("t", token, 60)
    assert control.claims.claim("t", "other-host/2", 60) is None


def test_tokens_rise_across_tasks_releases_and_restarts(location, clock):
    tokens = []
    for task in ("a", "b", "a", "c"):
        with open_control(location, clock) as control:
            token = control.claims.claim(task, control.owner, 60)
            assert control.claims.release(task, token)
            with pytest.raises(ConflictError, match="held by nobody"):
                control.claims.verify(task, token)
            assert control.claims.held() == []
        tokens.append(token)
    assert tokens == sorted(set(tokens))


def test_a_killed_process_of_this_host_loses_its_claim_at_once(control):
    child = subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, text=True)
    owner = child.stdout.readline().strip()
    token = control.claims.claim("t", owner, 3600)
    assert not is_dead(owner)
    assert control.claims.claim("t", control.owner, 60) is None
    child.kill()
    for _ in range(500):  # a zombie, not yet waited for, counts as dead
        if is_dead(owner):
            break
        time.sleep(0.01)
    assert is_dead(owner)
    assert control.claims.claim("t", control.owner, 60) > token
    child.wait()
    child.stdout.close()
    assert is_dead(owner)


def test_a_reused_process_id_is_another_process():
    kind, host, boot, pid, started, label = this_process().split("|")
    assert pid == str(os.getpid())
    assert not is_dead("|".join((kind, host, boot, pid, started, "worker-2")))
    assert is_dead("|".join((kind, host, boot, pid, "1", label)))
    assert is_dead("|".join((kind, host, "rebooted", pid, started, label)))


@pytest.mark.parametrize("owner", ["somebody", "process|other-host|boot|1|1|", ""])
def test_nobody_can_judge_a_process_of_another_host(owner):
    assert not is_dead(owner)
