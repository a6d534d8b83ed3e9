"""Who takes part in the ranking of an evening, and the first rule that keeps a name out.

Warrants, rights, units, preferred stock, when-issued lines and test symbols never take part: their
other side is often empty, and they would fill every list. The other rules ask for a past to compare
with and for enough trading that a move means something. Prices of an evening's own session are
never looked at: its bar is not final by then.

Nasdaq writes warrants, rights, units and preferred stock as a fifth letter: AACQW. That letter
means so only while the first four are a symbol of their own: AACQ has a row on the evening or in
the sessions of its baseline. GOOGL stays common whether GOOG trades or not: L has several meanings.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import polars as pl
from numba import njit

from tapemill.flow.panel import Matrix, Panel
from tapemill.flow.robust import BoolMatrix, in_blocks, prior_median
from tapemill.flow.surprise import MEDIAN_MIN_DAYS
from tapemill.refine.symbology import fifth_letter_class
from tapemill.settings.declaration import FlowSettings

__all__ = ["REASONS", "SCANNED_CLASSES", "Eligibility", "classes_of", "eligibility", "lettered"]

SCANNED_CLASSES = frozenset({"common", "class_share"})
"""Common stock, depositary receipts and funds (their symbols look alike), and class shares."""

REASONS = (
    "",
    "class",
    "no_volume",
    "history",
    "presence",
    "price",
    "dollar_volume",
    "off_exchange_volume",
)
"""Rules in their order; the code of a rule is its place. Empty: eligible."""

_SPLIT_JUMP = 1.8
_SPLIT_MISMATCH = 2.5


@dataclasses.dataclass(frozen=True)
class Eligibility:
    """Rules and the figures they were decided on, shape (symbols, sessions).

    Attributes
    ----------
    reason : ndarray
        int8 place in :data:`REASONS`; 0 = eligible.
    last_close : ndarray
        Newest close of the sessions before, at most `median_sessions` old; as traded, USD.
    dollar_volume : ndarray
        Median close times consolidated volume of the sessions before, USD.
    split : ndarray
        int8: 0 none, 1 listed for this session, 2 suspected in the session before.
    letters : dict of int to (str, ndarray of bool)
        Row of the panel → class that its fifth letter tells, and the sessions on which it does.
    """

    reason: npt.NDArray[np.int8]
    last_close: Matrix
    dollar_volume: Matrix
    split: npt.NDArray[np.int8]
    letters: dict[int, tuple[str, npt.NDArray[np.bool_]]]

    @property
    def members(self) -> BoolMatrix:
        """Where no rule excludes."""
        return np.equal(self.reason, 0)


def classes_of(panel: Panel, symbols: pl.DataFrame) -> pl.Series:
    """Security class of each symbol of the panel, null where unknown; ``test`` for test symbols."""
    known = symbols.select(
        "symbol",
        security_class=pl.when(pl.col("is_test"))
        .then(pl.lit("test"))
        .otherwise(pl.col("security_class")),
    ).unique(subset="symbol", keep="first", maintain_order=True)
    names = pl.DataFrame({"symbol": panel.symbols}, schema={"symbol": pl.String()})
    return names.join(known, on="symbol", how="left", maintain_order="left")["security_class"]


def lettered(
    panel: Panel, classes: pl.Series, window: int
) -> dict[int, tuple[str, npt.NDArray[np.bool_]]]:
    """Symbols of the panel whose fifth letter names a class, and the sessions on which it does.

    Parameters
    ----------
    panel : Panel
    classes : pl.Series
        :func:`classes_of` the panel: only a common symbol's letter is read.
    window : int
        A root counts on session t if it has a row of FINRA on any of t − window … t.

    Returns
    -------
    dict of int to (str, ndarray of bool)
        Row of the panel → class and, shape (sessions,), where it holds.
    """
    place = {symbol: row for row, symbol in enumerate(panel.symbols)}
    named = (
        pl.DataFrame(
            {"symbol": panel.symbols, "kind": classes}, schema_overrides={"kind": pl.String()}
        )
        .with_row_index("row")
        .filter(pl.col("kind") == "common", pl.col("symbol").str.len_bytes() == 5)
        .with_columns(told=fifth_letter_class(pl.col("symbol"), pl.lit(value=True)))
        .filter(pl.col("told").is_not_null())
    )
    found = {}
    for row, symbol, told in named.select("row", "symbol", "told").iter_rows():
        root = place.get(symbol[:4])
        if root is None:
            continue
        seen = np.concatenate([[0], np.cumsum(np.isfinite(panel.total_volume[root]))])
        until = np.arange(1, len(seen))
        found[row] = (told, seen[until] > seen[np.maximum(until - 1 - window, 0)])
    return found


def eligibility(
    panel: Panel, flow: FlowSettings, symbols: pl.DataFrame, usual: Matrix
) -> Eligibility:
    """Apply the rules to every symbol and session.

    Presence is asked of the baseline's sessions that have a file at all; of a name without a row
    in the `median_sessions` before the baseline, from its first row on. A name with fewer rows
    than `baseline_min_days` is excluded for its history.
    Where the close and the dollar volume are known the price rules hold, else the rule of usual
    off-exchange volume.

    Parameters
    ----------
    panel : Panel
    flow : FlowSettings
    symbols : pl.DataFrame
        ``symbol``, ``security_class``, ``is_test``; a symbol without a class is not scanned.
    usual : ndarray
        :func:`tapemill.flow.surprise.median_volume` of the panel.

    Returns
    -------
    Eligibility
    """
    shape = panel.total_volume.shape
    classes = classes_of(panel, symbols)
    scanned = classes.is_in(list(SCANNED_CLASSES)).fill_null(value=False)
    published = np.isfinite(panel.total_volume).any(axis=0)
    dollars = np.full(shape, np.nan)
    if panel.priced:
        dollars = prior_median(panel.close * panel.volume, flow.median_sessions, MEDIAN_MIN_DAYS)
    reason = np.empty(shape, dtype=np.int8)
    split = np.zeros(shape, dtype=np.int8)
    last = np.full(shape, np.nan)
    rules = np.array(
        [
            flow.baseline_sessions,
            flow.baseline_min_days,
            flow.median_sessions,
            flow.min_presence_frac,
            flow.min_price,
            flow.min_dollar_volume,
            flow.min_off_exchange_volume,
        ]
    )
    facts = (panel.total_volume, panel.close, panel.share_factor, usual, dollars)

    def work(start: int, stop: int) -> None:
        _judge(*facts, published, scanned.to_numpy(), rules, start, stop, reason, last)
        _find_splits(*facts[:4], _SPLIT_JUMP, _SPLIT_MISMATCH, start, stop, panel.priced, split)

    in_blocks(shape[0], work)
    letters = lettered(panel, classes, flow.baseline_sessions)
    for row, (_, where) in letters.items():
        reason[row, where] = REASONS.index("class")
    return Eligibility(reason, last, dollars, split, letters)


@njit(cache=True, nogil=True)
def _judge(total, close, factor, usual, dollars, filed, scanned, rules, start, stop, reason, last):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    window, least, stale = int(rules[0]), int(rules[1]), int(rules[2])
    sessions = total.shape[1]
    files = np.zeros(sessions + 1, dtype=np.int64)
    for t in range(sessions):
        files[t + 1] = files[t] + filed[t]
    seen = np.zeros(sessions + 1, dtype=np.int64)
    for row in range(start, stop):
        first = 0
        newest, since = -1, 1.0
        for t in range(sessions):
            seen[t + 1] = seen[t] + (total[row, t] == total[row, t])
            if t > 0 and close[row, t - 1] == close[row, t - 1]:
                newest, since = t - 1, 1.0
            if factor[row, t] > 0:
                since *= factor[row, t]
            price = np.nan
            if newest >= 0 and t - newest <= stale:
                last[row, t] = close[row, newest]
                price = close[row, newest] / since
            first = max(first, t - window - stale)
            while first < t and total[row, first] != total[row, first]:
                first += 1
            since_then = max(first, t - window)
            present, possible = seen[t] - seen[since_then], files[t] - files[since_then]
            code = 0
            if not scanned[row]:
                code = 1
            elif not total[row, t] > 0:
                code = 2
            elif present < least:
                code = 3
            elif present < rules[3] * possible - 1e-9:
                code = 4
            elif price == price and price < rules[4]:
                code = 5
            elif price == price and dollars[row, t] == dollars[row, t]:
                if dollars[row, t] < rules[5]:
                    code = 6
            elif not usual[row, t] >= rules[6]:
                code = 7
            reason[row, t] = code


@njit(cache=True, nogil=True)
def _find_splits(total, close, factor, usual, jump, mismatch, start, stop, priced, split):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Volume and price jump inversely by about the same factor, and no split is listed."""
    for row in range(start, stop):
        for t in range(total.shape[1]):
            if factor[row, t] > 0 and factor[row, t] != 1.0:
                split[row, t] = 1
            elif priced and t > 1 and factor[row, t - 1] == 1.0:
                more = total[row, t - 1] / usual[row, t - 1]
                fell = close[row, t - 2] / close[row, t - 1]
                known = more > 0 and fell > 0
                inverse = known and max(more / fell, fell / more) <= mismatch
                if inverse and (min(more, fell) >= jump or max(more, fell) <= 1 / jump):
                    split[row, t] = 2
