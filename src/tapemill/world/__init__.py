"""A synthetic market with known truth, and a sandbox that serves it as the vendors would.

In: a seed, symbols and a window of dates. Out: bars, corporate actions and short volumes whose
every event is known (:class:`Market`), and a loopback server with the vendors' protocols and a
switchboard of faults (:class:`Sandbox`). Only the command line and tests use this room; the
pipeline cannot tell it from the vendors.
"""

from __future__ import annotations

from tapemill.world.market import Market
from tapemill.world.sandbox import (
    FAULTS,
    SANDBOX_CLIENT,
    SANDBOX_KEY,
    Call,
    Fault,
    FaultPlan,
    Reply,
    Sandbox,
    SandboxThread,
    run_sandbox,
)
from tapemill.world.specs import SymbolSpec

__all__ = [
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
