"""Proof: whether a signal predicts anything, judged without knowing what it is.

In: dated events or scores and prices. Out: estimates with their uncertainty, controls beside the
real thing, and a plain null when it is null.
"""

from __future__ import annotations

__all__: list[str] = []
