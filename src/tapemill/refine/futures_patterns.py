"""Patterns of bad order data within one source, symbol and trade date, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tapemill.refine.detectors.findings import Finding, Severity
from tapemill.refine.futures_facts import SourceFacts

__all__ = ["CHECKS", "FuturesCheck"]

_SECOND = 10**9
_ENOUGH = 1_000
"""Contracts or records under which a share says nothing."""
_UNUSUAL = 10.0
"""Multiple of the usual spread that is wide."""
_REPEATED, _EQUAL = 0.001, 0.01
_SIDE_LOW, _SIDE_HIGH = 0.3, 0.7
_JUMPS = 100_000
"""Multiples of the usual step of the sequence that are a gap of the whole channel."""


@dataclasses.dataclass(frozen=True)
class FuturesCheck:
    """A pattern: its name, how bad it is, when it is there, what is said then.

    Attributes
    ----------
    present : callable
        Facts of one source, symbol and trade date → whether the pattern is there.
    detail : callable
        The numbers as text.
    next_step : str
    """

    kind: str
    severity: Severity
    present: Callable[[SourceFacts], bool]
    detail: Callable[[SourceFacts], str]
    next_step: str

    def of(self, facts: SourceFacts) -> Finding | None:
        """The finding, if the pattern is there."""
        if not self.present(facts):
            return None
        text = f"{facts.source.name}: {self.detail(facts)}; {self.next_step}"
        dataset = facts.source.dataset
        return Finding(
            self.kind, self.severity, dataset, facts.symbol, facts.session, text, facts.row()
        )


_AGAIN = "fetch the file again, or ask the vendor"


def _buy_share(facts: SourceFacts) -> float:
    sided = facts.buy_volume + facts.sell_volume
    return facts.buy_volume / sided if sided else 0.5


def _share(count: int, facts: SourceFacts) -> float:
    return count / facts.records if facts.records else 0.0


def _wide(facts: SourceFacts) -> bool:
    usual = max(facts.spread_ticks(0.5), 1)
    return facts.event_ends >= _ENOUGH and facts.spread_ticks(0.95) > _UNUSUAL * usual


CHECKS = (
    FuturesCheck(
        "book_crossed",
        "error",
        lambda facts: facts.crossed > 0,
        lambda facts: (
            f"the best bid is at or above the best ask after {facts.crossed} of"
            f" {facts.event_ends} events, first at record {facts.first_crossed}"
        ),
        "records are missing before it: " + _AGAIN,
    ),
    FuturesCheck(
        "ladder_impossible",
        "error",
        lambda facts: facts.negative_levels + facts.too_deep > 0,
        lambda facts: (
            f"{facts.negative_levels} levels of negative size, {facts.too_deep} events after which"
            f" a ladder has more than {facts.source.book_levels} levels"
        ),
        "import the file again; if it stays, report it with the file's hash",
    ),
    FuturesCheck(
        "receipts_backwards",
        "error",
        lambda facts: facts.receipts_backwards > 0,
        lambda facts: f"the gateway's time runs back at {facts.receipts_backwards} records",
        "decisions would see what came later: " + _AGAIN,
    ),
    FuturesCheck(
        "received_before_event",
        "warning",
        lambda facts: facts.received_before > 0,
        lambda facts: (
            f"{facts.received_before} of {facts.records} records have a receipt before the venue's"
            " own time"
        ),
        "one of the clocks is wrong: trust minutes more than milliseconds on this date",
    ),
    FuturesCheck(
        "receipt_late",
        "warning",
        lambda facts: facts.records >= _ENOUGH and facts.lag_ns(0.99) >= _SECOND,
        lambda facts: (
            f"one record in a hundred reached the gateway {facts.lag_ns(0.99) / _SECOND:.1f} s or"
            " more after the event"
        ),
        "decisions on this date are made on late data, as they would have been",
    ),
    FuturesCheck(
        "sequence_backwards",
        "warning",
        lambda facts: facts.sequence_backwards > 0,
        lambda facts: f"message numbers run back at {facts.sequence_backwards} records",
        "the venue restarted its channel, or the file is not in order: compare the times",
    ),
    FuturesCheck(
        "sequence_gap",
        "info",
        lambda facts: facts.largest_jump > _JUMPS * max(facts.median_jump, 1.0),
        lambda facts: (
            f"message numbers jump by {facts.largest_jump} at record {facts.jump_ordinal}, usually"
            f" by {facts.median_jump:g}"
        ),
        "numbers count the whole channel; compare with another feed of the same hour",
    ),
    FuturesCheck(
        "trades_outside_hours",
        "warning",
        lambda facts: facts.outside_hours > 0,
        lambda facts: (
            f"{facts.outside_hours} of {facts.trades} trades lie outside of the hours of the trade"
            " date, New York time"
        ),
        "check the venue's notice of the date; the calendar takes overrides",
    ),
    FuturesCheck(
        "size_not_positive",
        "warning",
        lambda facts: facts.sizeless > 0,
        lambda facts: f"{facts.sizeless} orders or trades of no size",
        "they count for nothing; " + _AGAIN,
    ),
    FuturesCheck(
        "price_undefined",
        "info",
        lambda facts: facts.unpriced > 0,
        lambda facts: f"{facts.unpriced} trades without a price",
        "they are in quarantine under silver.futures_minutes",
    ),
    FuturesCheck(
        "records_repeated",
        "error",
        lambda facts: facts.records >= _ENOUGH and _share(facts.repeated, facts) > _REPEATED,
        lambda facts: (
            f"{facts.repeated} of {facts.records} records repeat a record of another message"
        ),
        "the file was put together from parts that overlap: " + _AGAIN,
    ),
    FuturesCheck(
        "records_equal",
        "info",
        lambda facts: facts.records >= _ENOUGH and _share(facts.equal, facts) > _EQUAL,
        lambda facts: (
            f"{facts.equal} of {facts.records} records look like another of their message"
        ),
        "all are kept: records are told apart by their place in the file",
    ),
    FuturesCheck(
        "one_sided_trades",
        "warning",
        lambda facts: (
            facts.buy_volume + facts.sell_volume >= _ENOUGH
            and not _SIDE_LOW < _buy_share(facts) < _SIDE_HIGH
        ),
        lambda facts: f"{_buy_share(facts):.0%} of the sided volume are buys",
        "sides may be turned or lost: compare with another feed of the date",
    ),
    FuturesCheck(
        "price_frozen",
        "warning",
        lambda facts: facts.trades >= _ENOUGH and facts.prices <= 1,
        lambda facts: f"{facts.trades} trades at one price",
        "the market was halted, or prices were lost: " + _AGAIN,
    ),
    FuturesCheck(
        "spread_wide",
        "warning",
        _wide,
        lambda facts: (
            f"one event in twenty ends with a spread of {facts.spread_ticks(0.95)} ticks or more,"
            f" usually {facts.spread_ticks(0.5)}"
        ),
        "look at when: openings are wide; else levels are missing from the feed",
    ),
)
"""Patterns within one source, symbol and trade date."""
