"""Off-exchange volume and short sales per reporting facility, as FINRA publishes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tapemill.world.daily import MICRO
from tapemill.world.specs import Tier

__all__ = ["FACILITIES", "FacilityVolume", "draw_short_volume"]

FACILITIES = {"B": ("FNQC", "NCTRF"), "Q": ("FNSQ", "NQTRF"), "N": ("FNYX", "NYTRF")}
"""Market code to file prefix and Query API code: Nasdaq Chicago, Nasdaq Carteret, NYSE."""

_ABSENCE = {"mega": {"B": 0.0, "N": 0.0}, "mid": {"B": 0.3, "N": 0.0}}
_ABSENCE["illiquid"] = {"B": 0.95, "N": 0.5}


@dataclass(frozen=True)
class FacilityVolume:
    """Millionths of a share reported to one facility; `short` includes `exempt`."""

    facility: str
    short: int
    exempt: int
    total: int


def draw_short_volume(
    draw: np.random.Generator, tier: Tier, volume_micro: int, *, fractional: bool
) -> list[FacilityVolume]:
    """Draw the facility rows of one symbol and session; facilities without a trade are left out.

    Parameters
    ----------
    volume_micro : int
        Consolidated volume of the day in millionths of a share.
    fractional : bool
        Whether quantities may carry fractions of a share.
    """
    unit = 1 if fractional else MICRO
    off_exchange = draw.uniform(0.32, 0.52) * volume_micro
    share = {"Q": draw.uniform(0.68, 0.8), "B": draw.uniform(0.002, 0.01)}
    share["N"] = 1.0 - share["Q"] - share["B"]
    rows = []
    for facility in FACILITIES:
        absent = draw.random() < _ABSENCE[tier].get(facility, 0.0)
        ratio, exempt_ratio = draw.uniform(0.3, 0.6), draw.uniform(0.0, 0.012)
        total = int(off_exchange * share[facility]) // unit * unit
        if absent or total == 0:
            continue
        short = int(total * ratio) // unit * unit
        exempt = int(short * exempt_ratio) // MICRO * MICRO
        rows.append(FacilityVolume(facility, short, exempt, total))
    return rows
