"""One control state per test, on a clock that only moves by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tapemill.clock.injected import VirtualClock
from tapemill.lake.control import ControlState, open_control

START_NS = 1_700_000_000_000_000_000


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START_NS)


@pytest.fixture
def location(tmp_path: Path) -> Path:
    return tmp_path / "control.sqlite"


@pytest.fixture
def control(location: Path, clock: VirtualClock) -> Iterator[ControlState]:
    with open_control(location, clock) as state:
        yield state
