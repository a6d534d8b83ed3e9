"""The clocks that can be injected."""

from __future__ import annotations

import asyncio

from tapemill.clock import SYSTEM_CLOCK, FixedClock, VirtualClock


def test_virtual_time_passes_only_while_all_wait() -> None:
    clock = VirtualClock(now_ns=1_000)
    woken: list[tuple[str, float]] = []

    async def nap(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    async def night() -> None:
        await asyncio.gather(nap("long", 1800), nap("short", 60), nap("also", 60), nap("none", -1))

    asyncio.run(night())
    assert woken == [("none", 0.0), ("short", 60.0), ("also", 60.0), ("long", 1800.0)]
    assert clock.now_ns() == 1_000 + 1800 * 10**9


def test_virtual_time_can_be_moved_by_hand() -> None:
    clock = VirtualClock()
    clock.advance(2.5)
    assert (clock.monotonic(), clock.now_ns()) == (2.5, 2_500_000_000)


def test_a_cancelled_sleeper_does_not_stop_the_clock() -> None:
    clock = VirtualClock()

    async def night() -> None:
        sleeper = asyncio.create_task(clock.sleep(10))
        await asyncio.sleep(0)
        sleeper.cancel()
        await clock.sleep(20)

    asyncio.run(night())
    assert clock.monotonic() == 20.0


def test_fixed_clock_stands_still_while_waiting_is_real() -> None:
    clock = FixedClock(42)
    before = clock.monotonic()
    asyncio.run(clock.sleep(0.01))
    assert clock.now_ns() == 42
    assert clock.monotonic() - before >= 0.009


def test_system_clock_moves() -> None:
    before = SYSTEM_CLOCK.now_ns(), SYSTEM_CLOCK.monotonic()
    asyncio.run(SYSTEM_CLOCK.sleep(0.005))
    assert SYSTEM_CLOCK.now_ns() > before[0]
    assert SYSTEM_CLOCK.monotonic() >= before[1] + 0.004
