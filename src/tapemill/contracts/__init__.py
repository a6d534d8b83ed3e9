"""What every dataset means: columns, keys, units, time, checks.

In: nothing. Out: :data:`DATASETS` and :func:`contract`, from which tables, checks, drift alarms and
the data dictionary are made. A dataset is declared here once and nowhere else.
"""

from __future__ import annotations

from tapemill.contracts.bronze import BRONZE
from tapemill.contracts.dataset import Column, Dataset, RowCheck
from tapemill.contracts.drift import Drift, compare_fields, unit_changes
from tapemill.contracts.gold import GOLD
from tapemill.contracts.levels import LEVEL_DATASETS
from tapemill.contracts.metrics import Metric
from tapemill.contracts.ops import OPS
from tapemill.contracts.orders import BRONZE_ORDERS, SILVER_ORDERS
from tapemill.contracts.ratios import SplitRatio
from tapemill.contracts.reference import REFERENCE
from tapemill.contracts.silver import SILVER, Quality
from tapemill.errors import UnknownNameError, did_you_mean

__all__ = [
    "DATASETS",
    "Column",
    "Dataset",
    "Drift",
    "Metric",
    "Quality",
    "RowCheck",
    "SplitRatio",
    "compare_fields",
    "contract",
    "unit_changes",
]

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        *BRONZE,
        *BRONZE_ORDERS,
        *SILVER,
        *SILVER_ORDERS,
        *REFERENCE,
        *GOLD,
        *LEVEL_DATASETS,
        *OPS,
    )
}


def contract(name: str) -> Dataset:
    """The contract of the dataset `name`.

    Raises
    ------
    UnknownNameError
        No dataset has that name; the message names the nearest one.
    """
    if name not in DATASETS:
        raise UnknownNameError(
            f"there is no dataset {name!r}",
            next_step=did_you_mean(name, DATASETS) or f"known datasets: {', '.join(DATASETS)}",
        )
    return DATASETS[name]
