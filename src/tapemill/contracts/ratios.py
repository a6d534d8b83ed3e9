"""The direction of a split as a type, so that no float can be read the wrong way round."""

from __future__ import annotations

import dataclasses
import math
import re

from tapemill.errors import ContractError

__all__ = ["SplitRatio"]

_TEXT = re.compile(r"\s*([0-9.]+)\s*(?::|/|-?\s*for\s*-?)\s*([0-9.]+)\s*", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class SplitRatio:
    """`split_from` old shares become `split_to` new ones: Apple's 7-for-1 is (1, 7).

    Parameters
    ----------
    split_from : float
        Old shares, above zero.
    split_to : float
        New shares, above zero.

    Raises
    ------
    ContractError
        A side is zero, negative or not finite.
    """

    split_from: float
    split_to: float

    def __post_init__(self) -> None:
        for side in (self.split_from, self.split_to):
            if not (math.isfinite(side) and side > 0):
                raise ContractError(
                    f"a split of {self.split_from} old into {self.split_to} new shares is none",
                    next_step="both sides must be finite and above zero",
                )

    @classmethod
    def parse(cls, text: str) -> SplitRatio:
        """Read ``7:1``, ``7/1`` or ``7-for-1``: new shares first, as announcements write it.

        Raises
        ------
        ContractError
            The text is not a ratio.
        """
        match = _TEXT.fullmatch(text)
        try:
            new, old = (float(side) for side in match.groups()) if match else (0.0, 0.0)
        except ValueError:
            new = old = 0.0
        if not (new and old):
            raise ContractError(
                f"{text!r} is not a split ratio", next_step='write new for old, e.g. "7:1"'
            )
        return cls(split_from=old, split_to=new)

    @classmethod
    def from_price_factor(cls, factor: float) -> SplitRatio:
        """The split behind a factor that multiplies earlier prices: 1/7 for a 7-for-1."""
        return cls(split_from=factor, split_to=1.0)

    @property
    def price_factor(self) -> float:
        """Multiply prices before the ex-date by it: old over new shares."""
        return self.split_from / self.split_to

    @property
    def volume_factor(self) -> float:
        """Multiply volumes before the ex-date by it: new over old shares."""
        return self.split_to / self.split_from

    @property
    def reverse(self) -> bool:
        """Whether shares were consolidated: fewer after than before."""
        return self.split_to < self.split_from

    def __str__(self) -> str:
        return f"{self.split_to:g}-for-{self.split_from:g}"
