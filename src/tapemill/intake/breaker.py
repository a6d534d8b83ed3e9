"""When to stop asking a vendor, and how to find out that it answers again.

A pure state machine over seconds of a monotonic clock; `governor` keeps its state where all
processes see it. Too many errors open it. While it is open one single probe is allowed, after 60 s,
then 120 s, doubling to 15 minutes; a good probe closes it.
"""

from __future__ import annotations

import msgspec

__all__ = ["BreakerPolicy", "BreakerState"]

_POLL_SECONDS = 0.25


class BreakerPolicy(msgspec.Struct, frozen=True):
    """When to open and how to probe.

    Parameters
    ----------
    window, error_fraction : int, float
        Open when more than this fraction of the last `window` calls failed.
    consecutive : int
        Open after so many failures in a row.
    first_probe_seconds, longest_probe_seconds : float
        Waits before probes; each failed one doubles the wait.
    forget_seconds : float
        After this a call whose process died no longer counts as in flight.
    """

    window: int = 50
    error_fraction: float = 0.20
    consecutive: int = 5
    first_probe_seconds: float = 60.0
    longest_probe_seconds: float = 900.0
    forget_seconds: float = 120.0


class BreakerState(msgspec.Struct):
    """What all processes know of one vendor's health. Times are monotonic seconds."""

    failures: list[bool] = []
    consecutive: int = 0
    open: bool = False
    open_until: float = 0.0
    probe_wait: float = 0.0
    probe: str = ""
    failed_probes: int = 0
    pause_until: float = 0.0
    in_flight: dict[str, float] = {}

    def wait(self, now: float, policy: BreakerPolicy) -> float:
        """Seconds until another call may be tried; 0.0 if one may go now."""
        self._mend(now, policy)
        pause = max(self.pause_until - now, 0.0)
        if self.open:
            if self.probe:
                return max(pause, _POLL_SECONDS * 4)
            return max(pause, self.open_until - now, 0.0)
        # With failures in a row, calls in flight may all fail too: together they must not exceed
        # what opens the breaker.
        if self.consecutive and self.consecutive + len(self.in_flight) >= policy.consecutive:
            return max(pause, _POLL_SECONDS)
        # Before the first answer nothing is known: no more may be risked than that either.
        if not self.failures and len(self.in_flight) >= policy.consecutive:
            return max(pause, _POLL_SECONDS)
        return pause

    def enter(self, name: str, now: float) -> bool:
        """Note that the call `name` goes out now; True if it is the probe."""
        self.in_flight[name] = now
        if self.open:
            self.probe = name
        return self.open

    def settle(
        self, name: str, now: float, policy: BreakerPolicy, *, failed: bool, retry_after: float
    ) -> None:
        """Take note of how the call `name` ended."""
        self.in_flight.pop(name, None)
        if retry_after > 0:
            pause = min(retry_after, policy.longest_probe_seconds)
            self.pause_until = max(self.pause_until, now + pause)
        if self.open:
            if name == self.probe:
                self._settle_probe(now, policy, failed=failed)
            return
        self.failures = [*self.failures, failed][-policy.window :]
        self.consecutive = self.consecutive + 1 if failed else 0
        too_many = sum(self.failures) > policy.error_fraction * policy.window
        if too_many or self.consecutive >= policy.consecutive:
            self.open = True
            self.failed_probes = 0
            self.probe_wait = policy.first_probe_seconds
            self.open_until = now + self.probe_wait

    def _settle_probe(self, now: float, policy: BreakerPolicy, *, failed: bool) -> None:
        self.probe = ""
        if failed:
            self.failed_probes += 1
            self.probe_wait = min(2 * self.probe_wait, policy.longest_probe_seconds)
            self.open_until = now + self.probe_wait
            return
        self.open = False
        self.failed_probes = 0
        self.consecutive = 0
        self.failures = []
        self.pause_until = min(self.pause_until, now)

    def _mend(self, now: float, policy: BreakerPolicy) -> None:
        """Forget calls of dead processes, and times of before the machine was restarted."""
        self.in_flight = {
            name: granted
            for name, granted in self.in_flight.items()
            if now - policy.forget_seconds < granted <= now
        }
        if self.probe and self.probe not in self.in_flight:
            self.probe = ""
        latest = now + policy.longest_probe_seconds
        self.open_until = min(self.open_until, latest)
        self.pause_until = min(self.pause_until, latest)
