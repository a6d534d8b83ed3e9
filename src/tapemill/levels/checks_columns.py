"""What shows only over many rows: features that never change or say the same, uneven samples.

A few hours of data leave many features constant and say nothing by that. So the more decisions and
trade dates there are, the graver the finding.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from typing import Any

import numpy as np
import polars as pl

from tapemill.contracts.level_features import LEVEL_FEATURES
from tapemill.levels.checks_rows import EPISODES, FEATURES, OUTCOME_ROWS
from tapemill.refine.detectors import Finding
from tapemill.refine.detectors.findings import Severity

__all__ = ["Sample"]

_JUDGED = tuple(feature.name for feature in LEVEL_FEATURES if feature.family != "fuel")
"""Features for fuel are null until there are option data."""
_MAY_STAND = {"barrier_visible_frac", "spread_ticks"}
"""Features that may be constant in good data: a feed of every order shows every price, and a busy
contract trades at a spread of one tick for days."""
_MANY_DECISIONS, _MANY_DATES = 1_000, 5
_SOME_DECISIONS = 100
_SILENT = 0.97
_RARE_SIDE = 0.05
_UNEVEN = 0.5


@dataclasses.dataclass
class _Column:
    """What is known of a feature after some trade dates."""

    known: int = 0
    zeros: int = 0
    low: float = np.inf
    high: float = -np.inf
    content: Any = dataclasses.field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    def take(self, values: pl.Series) -> None:
        numbers = values.cast(pl.Float64).fill_null(np.nan).to_numpy() + 0.0
        self.content.update(numbers.tobytes())
        there = numbers[~np.isnan(numbers)]
        self.known += len(there)
        self.zeros += int((there == 0).sum())
        if len(there):
            self.low = min(self.low, float(there.min()))
            self.high = max(self.high, float(there.max()))

    @property
    def constant(self) -> bool:
        return self.known > 0 and self.low == self.high


class Sample:
    """Gathers trade dates one by one, in bounded memory, and judges them together."""

    def __init__(self) -> None:
        self._columns = {name: _Column() for name in _JUDGED}
        self._decisions: dict[Any, int] = {}
        self._touched: Counter[tuple[str, bool]] = Counter()
        self._passed: Counter[tuple[str, str]] = Counter()

    def take(
        self,
        session: object,
        episodes: pl.DataFrame,
        features: pl.DataFrame,
        outcomes: pl.DataFrame,
    ) -> None:
        """Take one trade date.

        Parameters
        ----------
        session : date
        episodes, features, outcomes : pl.DataFrame
            Its rows of gold.
        """
        for name, column in self._columns.items():
            column.take(features[name])
        self._decisions[session] = self._decisions.get(session, 0) + features.height
        touched = episodes.filter(pl.col("touch_ns").is_not_null()).select(
            pl.col("kinds").str.split("+").list.unique().alias("kind"),
            (pl.col("family") == "real").alias("real"),
        )
        counts = touched.explode("kind").group_by("kind", "real").len()
        self._touched.update({(kind, real): n for kind, real, n in counts.iter_rows()})
        sides = outcomes.filter(pl.col("outcome").is_in(["break", "bounce"]))
        both = sides.group_by("barrier", "outcome").len()
        self._passed.update({(name, side): n for name, side, n in both.iter_rows()})

    def findings(self) -> list[Finding]:
        """Findings over all that was taken; none without a trade date."""
        if not self._decisions:
            return []
        return [
            *self._size(),
            *self._constant(),
            *self._same(),
            *self._silent(),
            *self._sides(),
            *self._kinds(),
            *self._dates(),
        ]

    @property
    def _rows(self) -> int:
        return sum(self._decisions.values())

    def _gravity(self) -> Severity:
        if self._rows >= _MANY_DECISIONS and len(self._decisions) >= _MANY_DATES:
            return "error"
        return "warning" if self._rows >= _SOME_DECISIONS else "info"

    def _size(self) -> list[Finding]:
        if self._rows >= _SOME_DECISIONS:
            return []
        text = f"{self._rows} decisions on {len(self._decisions)} trade dates say nothing yet"
        rows = pl.DataFrame({"decisions": [self._rows]})
        return [Finding("sample_small", "info", FEATURES, "all", None, text, rows)]

    def _constant(self) -> list[Finding]:
        names = [
            name for name, one in self._columns.items() if one.constant and name not in _MAY_STAND
        ]
        return self._named("feature_constant", names, "have one value in all rows")

    def _same(self) -> list[Finding]:
        twins: dict[bytes, list[str]] = {}
        for name, one in self._columns.items():
            if one.known and not one.constant:
                twins.setdefault(one.content.digest(), []).append(name)
        pairs = [" = ".join(names) for names in twins.values() if len(names) > 1]
        return self._named("feature_duplicated", pairs, "say the same in all rows")

    def _silent(self) -> list[Finding]:
        """Features without evidence, or next to always zero."""
        null = [name for name, one in self._columns.items() if not one.known]
        zero = [
            name
            for name, one in self._columns.items()
            if one.known and not one.constant and one.zeros >= _SILENT * one.known
        ]
        found = self._named("feature_unknown", null, "are null in all rows", at_most="warning")
        more = f"are zero in {_SILENT:.0%} of their rows or more"
        return found + self._named("feature_mostly_zero", zero, more, at_most="warning")

    def _named(
        self, kind: str, names: list[str], text: str, at_most: Severity = "error"
    ) -> list[Finding]:
        if not names or not self._rows:
            return []
        gravity = self._gravity()
        severity = at_most if gravity == "error" else gravity
        rows = pl.DataFrame({"feature": names})
        subject = names[0] if len(names) == 1 else f"{len(names)} features"
        told = f"{', '.join(names)}: {text} ({self._rows} decisions)"
        return [Finding(kind, severity, FEATURES, subject, None, told, rows)]

    def _sides(self) -> list[Finding]:
        """Barriers that are passed on one side only, or next to it."""
        found = []
        for barrier in sorted({name for name, _ in self._passed}):
            counts = [self._passed[barrier, side] for side in ("break", "bounce")]
            if sum(counts) < _SOME_DECISIONS or min(counts) >= _RARE_SIDE * sum(counts):
                continue
            text = f"{barrier}: {counts[0]} breaks, {counts[1]} bounces; nothing can be told apart"
            rows = pl.DataFrame({"barrier": [barrier], "break": counts[:1], "bounce": counts[1:]})
            found.append(
                Finding("outcomes_one_sided", "warning", OUTCOME_ROWS, barrier, None, text, rows)
            )
        return found

    def _kinds(self) -> list[Finding]:
        """Touched approaches of each kind, real and placebo: what a statement could rest on."""
        kinds = sorted({kind for kind, _ in self._touched})
        if not kinds:
            return []
        rows = pl.DataFrame(
            {
                "kind": kinds,
                "real": [self._touched[kind, True] for kind in kinds],
                "placebo": [self._touched[kind, False] for kind in kinds],
            }
        )
        few = rows.filter(pl.col("real") < _SOME_DECISIONS).height
        counted = ", ".join(f"{kind} {real}/{placebo}" for kind, real, placebo in rows.rows())
        text = f"touched, real/placebo: {counted}; {few} kinds have under {_SOME_DECISIONS}"
        return [Finding("kind_counts", "info", EPISODES, f"{len(kinds)} kinds", None, text, rows)]

    def _dates(self) -> list[Finding]:
        """Trade dates with very different numbers of decisions."""
        counts = np.array(list(self._decisions.values()), np.float64)
        if len(counts) < _MANY_DATES or not counts.any():
            return []
        spread = float(counts.std(ddof=1) / counts.mean())
        if spread <= _UNEVEN:
            return []
        text = f"decisions a trade date vary by {spread:.0%} of their mean; are all dates whole?"
        rows = pl.DataFrame({"session": list(self._decisions), "decisions": counts})
        return [Finding("dates_uneven", "warning", FEATURES, "all", None, text, rows)]
