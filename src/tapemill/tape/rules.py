"""What a classifier is: its rule, its alignment of trades and quotes, the rungs it can stop at."""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import importlib.resources
from typing import Literal, get_args

from tapemill.errors import ConfigError

__all__ = ["TICK_RUNGS", "Method", "RetailRule", "Rules", "Rung", "ThroughRule"]
__all__ += ["classifier_digest"]

Method = Literal["ladder", "lee_ready", "quote", "tick", "emo", "clnv"]
RetailRule = Literal["subpenny", "midpoint"]
ThroughRule = Literal["quote", "tick"]


class Rung(enum.IntEnum):
    """What told the side of a print, or why there is none. Stored as int8 beside each side."""

    UNKNOWN = 0
    """No rule could tell: no earlier price in this session, or a midpoint under the quote rule."""
    QUOTE = 1
    """At or through the prevailing bid or ask."""
    MIDPOINT = 2
    """Inside the quote, on one side of its midpoint (CLNV: in its outer 30 %)."""
    TICK = 3
    """By the last different price: at the midpoint, or where the method asks for no quote."""
    TICK_LOCKED = 4
    """By the last different price, because bid and ask were equal."""
    TICK_CROSSED = 5
    """By the last different price, because the bid was above the ask."""
    TICK_NO_QUOTE = 6
    """By the last different price, because there was no two-sided quote in force."""
    AUCTION = 7
    """An auction print: nobody crossed a spread. No side."""
    INELIGIBLE = 8
    """Its conditions say nothing of now. No side, and it moves no other print's."""
    TICK_THROUGH = 9
    """By the last different price, because the print lies outside the quote."""


TICK_RUNGS = (
    Rung.TICK,
    Rung.TICK_LOCKED,
    Rung.TICK_CROSSED,
    Rung.TICK_NO_QUOTE,
    Rung.TICK_THROUGH,
)
"""Rungs whose side comes from the tick rule."""


@dataclasses.dataclass(frozen=True)
class Rules:
    """How prints are classified. Only the past is read: the prevailing quote is an earlier one.

    Parameters
    ----------
    method : str
        ``ladder`` (default) and ``lee_ready``: at or through the quote, then side of the midpoint,
        then tick rule (Lee & Ready 1991). The ladder keeps exchange and TRF prices apart in the
        tick rule, so that a late or sub-penny TRF print moves no exchange print's side; Lee-Ready
        runs one chain through all prints, as published. ``quote``: side of the midpoint, no tick
        rule. ``tick``: prices alone. ``emo``: exactly at the ask or bid, else tick (Ellis,
        Michaely & O'Hara 2000). ``clnv``: in the outer 30 % of the spread, else tick (Chakrabarty,
        Li, Nguyen & Van Ness 2007).
    inclusive : bool
        Take quotes of the trade's own nanosecond as earlier. Off: on one stream a quote of the same
        time is most often the trade's effect.
    lag_ns : int
        The prevailing quote is the last one before (trade time − lag). Never negative.
    max_quote_age_ns : int
        A quote older than this is no longer in force; 0 = any age within the session.
    through : str
        Prints outside the quote, for ``ladder`` and ``lee_ready``. ``quote`` (as published): above
        the ask a buy, below the bid a sale. ``tick``: by the tick rule, and by the quote where that
        is silent. Take ``tick`` where quotes arrive ahead of trades, as on streams joined by time
        of receipt: such prints are then the ones whose quote has already moved (docs give figures).
    retail : str
        ``subpenny``: the fraction of the cent tells the side of a retail TRF print (Boehmer, Jones,
        Zhang & Zhang 2021). ``midpoint``: the fraction tells that it is retail, the side of the
        midpoint tells the side, nothing is said within the middle fifth of the spread (Barber,
        Huang, Jorion, Odean & Schwarz 2024).
    """

    method: Method = "ladder"
    inclusive: bool = False
    lag_ns: int = 0
    max_quote_age_ns: int = 0
    through: ThroughRule = "quote"
    retail: RetailRule = "subpenny"

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name, value, accepted in (
            ("method", self.method, get_args(Method)),
            ("through", self.through, get_args(ThroughRule)),
            ("retail", self.retail, get_args(RetailRule)),
        ):
            if value not in accepted:
                raise ConfigError(
                    f"{name} of the tape's rules is {value!r}",
                    next_step=f"take one of {', '.join(accepted)}",
                )
        if self.lag_ns < 0 or self.max_quote_age_ns < 0:
            raise ConfigError(
                f"lag_ns {self.lag_ns}, max_quote_age_ns {self.max_quote_age_ns}: below zero",
                next_step="a negative lag would read quotes of the future: use 0 or more",
            )

    @property
    def code(self) -> int:
        """Place of the method in the kernels' order."""
        return get_args(Method).index(self.method)

    @property
    def pooled(self) -> bool:
        """One price chain through exchange and TRF prints."""
        return self.method != "ladder"


_DECIDING = (
    "_ladder.py",
    "_sums.py",
    "classify.py",
    "conditions.py",
    "prints.py",
    "rules.py",
    "sums.py",
)
"""Sources that decide what a print's side, rung and sum are."""


@functools.cache
def _code_digest() -> str:
    """SHA-256 of the deciding sources: a changed kernel is another classifier."""
    digest = hashlib.sha256()
    room = importlib.resources.files("tapemill.tape")
    for name in _DECIDING:
        digest.update(name.encode() + b"\0" + room.joinpath(name).read_bytes())
    return digest.hexdigest()


def classifier_digest(rules: Rules) -> str:
    """16 hex digits that name the code and the options behind a side (column ``classifier``)."""
    text = f"{_code_digest()}|{dataclasses.astuple(rules)!r}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
