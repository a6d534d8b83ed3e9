"""Off-exchange flow: what was unusual on an evening, in which direction, and how sure.

In: silver short volume, OTC weeks, short interest, tape sums and daily bars of a lake. Out: the
gold tables of flow, each row computed from what was known by its evening. FINRA publishes no
direction of trades: every number about buying and selling is an inference.
"""

from __future__ import annotations

from tapemill.flow.recipes import GOLD_RECIPES
from tapemill.flow.signals import current_signals
from tapemill.flow.view import LISTS, ScanView, scan_evening

__all__ = ["GOLD_RECIPES", "LISTS", "ScanView", "current_signals", "scan_evening"]
