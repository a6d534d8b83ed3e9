"""The vendors on loopback: Massive REST, FINRA CDN and Query API, Databento; faults on demand.

In: a :class:`~tapemill.world.Market`, a moment, a plan and faults. Out: real HTTP answers in the
vendors' own shapes, a count of every call that reached the wire, and the truth of what was spoiled.
``/_sandbox/calls``, ``/_sandbox/faults``, ``/_sandbox/truth`` and ``/_sandbox/reset`` look behind
the stage.
"""

from __future__ import annotations

from tapemill.world.sandbox.blocking import SandboxThread, run_sandbox
from tapemill.world.sandbox.faults import FAULTS, Fault, FaultKind, FaultPlan
from tapemill.world.sandbox.server import SANDBOX_CLIENT, SANDBOX_KEY, Sandbox
from tapemill.world.sandbox.wire import Call, Reply

__all__ = [
    "FAULTS",
    "SANDBOX_CLIENT",
    "SANDBOX_KEY",
    "Call",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "Reply",
    "Sandbox",
    "SandboxThread",
    "run_sandbox",
]
