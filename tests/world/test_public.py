"""What the room offers, pinned."""

from __future__ import annotations

import tapemill.world
import tapemill.world.sandbox


def test_public_names():
    assert tapemill.world.__all__ == [
        "FAULTS",
        "SANDBOX_CLIENT",
        "SANDBOX_KEY",
        "Call",
        "Fault",
        "FaultPlan",
        "Market",
        "Reply",
        "Sandbox",
        "SandboxThread",
        "SymbolSpec",
        "run_sandbox",
    ]
    for room in (tapemill.world, tapemill.world.sandbox):
        assert all(getattr(room, name) is not None for name in room.__all__)
        assert sorted(room.__all__) == sorted(set(room.__all__))
