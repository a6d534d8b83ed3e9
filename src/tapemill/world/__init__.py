"""A synthetic market with known truth, and a sandbox that serves it as the vendors would.

In: a seed, symbols and a window of dates. Out: bars, corporate actions and short volumes whose
every event is known (:class:`Market`), and a loopback server with the vendors' protocols and a
switchboard of faults (:mod:`tapemill.world.sandbox`). Only the command line and tests use it; the
pipeline cannot tell it from the vendors.
"""

from __future__ import annotations

from tapemill.world.market import Market
from tapemill.world.specs import SymbolSpec

__all__ = ["Market", "SymbolSpec"]
