"""What a metric is: a column that also knows how it is computed, written and drawn.

Schema, table heading, plot panel, help text and documentation of a metric come from its one
declaration (see :mod:`tapemill.contracts.flow_metrics`).
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from tapemill.contracts.dataset import Column

__all__ = ["Form", "Metric"]

Form = Literal["text", "date", "flag", "count", "volume", "dollars", "price", "ratio", "frac", "z"]
"""How a value is written: 12.3M, 45.6 %, +2.31 …"""


@dataclasses.dataclass(frozen=True, slots=True)
class Metric(Column):
    """A column of a gold table with its meaning for people.

    Parameters
    ----------
    block : str
        Group of columns it stands in: ``"short"``, ``"tape"``, ``"lit"``, ``"trf"``, ``"otc"``,
        ``"price"``, ``"interest"``, ``"signal"``, ``"status"``.
    label : str
        Heading in tables and axes.
    formula : str
        How it follows from other columns, in plain signs; the source of the formula where it has
        one.
    form : str
        How its values are written.
    table : bool
        Whether the grouped table of `tapemill report flow` shows it.
    guides : tuple of float
        Values at which plots draw a line.
    """

    block: str = ""
    label: str = ""
    formula: str = ""
    form: Form = "text"
    table: bool = False
    guides: tuple[float, ...] = ()
