"""Off-exchange flow: what was unusual on an evening, in which direction, and how sure.

In: silver short volume, OTC weeks, short interest, tape sums and daily bars of a lake. Out: the
gold tables of flow, each row computed from what was known by its evening. FINRA publishes no
direction of trades: every number about buying and selling is an inference.
"""

from __future__ import annotations

__all__: list[str] = []
