"""Rows of a frame by the value of their partition column, taken out one partition at a time.

Cutting the whole frame up at once would hold it twice, and the numbers of the rows
are a fraction of it.
"""

from __future__ import annotations

import dataclasses

import polars as pl

__all__ = ["Part", "parts"]


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One partition: its value as text (empty if there is none) and where its rows are."""

    value: str
    numbers: pl.Series | None = None

    def of(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of `frame` that are in this part, in their order."""
        if self.numbers is None or self.numbers.is_empty():
            return frame
        first, last = self.numbers[0], self.numbers[-1]
        if last - first + 1 == len(self.numbers):
            return frame.slice(first, len(self.numbers))  # a view, not a copy
        return frame[self.numbers]


def parts(frame: pl.DataFrame, partition: str) -> list[Part]:
    """Every partition that `frame` has rows of, by value."""
    if frame.is_empty():
        return []
    if not partition:
        return [Part("")]
    values = frame.get_column(partition)
    if values.n_unique() == 1:
        return [Part(str(values[0]))]
    numbered = frame.select(partition).with_row_index("number")
    groups = numbered.group_by(partition).agg("number").sort(partition)
    return [
        Part(str(value), numbers)
        for value, numbers in zip(groups[partition], groups["number"], strict=True)
    ]
