"""The tape: who was the aggressor of a print, told from quotes, prices and venues.

In: arrays of trades and quotes (nanoseconds UTC, dollars, shares), or minute bars. Out: a side and
the rung that told it for each print, and sums. The kernels carry their state: any chunking of the
input gives the same output.
"""

from __future__ import annotations

from tapemill.tape.alignment import alignment, best_lag_ns
from tapemill.tape.bulk import BulkRules, BulkState, bulk_buy_share
from tapemill.tape.classify import Classified, TapeState, classify
from tapemill.tape.conditions import (
    correction_stands,
    massive_flags,
    tape_flags,
    trf_print,
)
from tapemill.tape.national import NationalBest, national_best
from tapemill.tape.prints import Quotes, Trades
from tapemill.tape.rules import Method, RetailRule, Rules, Rung, ThroughRule, classifier_digest
from tapemill.tape.sums import OpenBucket, close_bucket, five_minute_sums, running_sums

__all__ = [
    "BulkRules",
    "BulkState",
    "Classified",
    "Method",
    "NationalBest",
    "OpenBucket",
    "Quotes",
    "RetailRule",
    "Rules",
    "Rung",
    "TapeState",
    "ThroughRule",
    "Trades",
    "alignment",
    "best_lag_ns",
    "bulk_buy_share",
    "classifier_digest",
    "classify",
    "close_bucket",
    "correction_stands",
    "five_minute_sums",
    "massive_flags",
    "national_best",
    "running_sums",
    "tape_flags",
    "trf_print",
]
