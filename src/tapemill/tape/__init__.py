"""The tape: who was the aggressor of a print, told from quotes, prices and venues.

In: arrays of trades and quotes (nanoseconds UTC, dollars, shares), or minute bars. Out: a side and
the rung that told it for each print, and sums. The kernels carry their state: any chunking of the
input gives the same output.
"""

from __future__ import annotations

from tapemill.tape.classify import Classified, TapeState, classify
from tapemill.tape.prints import Quotes, Trades
from tapemill.tape.rules import Method, RetailRule, Rules, Rung, classifier_digest

__all__ = [
    "Classified",
    "Method",
    "Quotes",
    "RetailRule",
    "Rules",
    "Rung",
    "TapeState",
    "Trades",
    "classifier_digest",
    "classify",
]
