"""What a futures symbol says by itself: product, delivery month, outright, spread or option.

The grammar of CME Globex: ``ESH4`` and ``ESH24`` (product, month letter, year), ``ESH4-ESM4`` and
``ES:BF H4-M4-U4`` (combinations), ``ESH4 C4800`` (options on futures). One digit names the year
within a decade, so a symbol comes back every ten years: the contract meant on a date is the next
one to be delivered, or one delivered just before (three-month rates trade on past their month).
"""

from __future__ import annotations

import dataclasses
import datetime
import re

__all__ = ["FuturesSymbol", "maturity", "read_symbol"]

MONTHS = "FGHJKMNQUVXZ"
"""January to December."""
_OUTRIGHT = re.compile(rf"([A-Z0-9]{{1,6}}?)([{MONTHS}])(\d{{1,2}})")
_OPTION = re.compile(rf"([A-Z0-9]{{1,6}}?)([{MONTHS}])(\d{{1,2}}) [CP]-?\d+(\.\d+)?")
_COMBINATION = re.compile(r"([A-Z0-9]{1,6})\s*:.*")
_TRADES_ON_MONTHS = 4
"""A contract may trade this long after its month: SR3H4, named by March, ends in June."""


@dataclasses.dataclass(frozen=True, slots=True)
class FuturesSymbol:
    """A symbol taken apart.

    Attributes
    ----------
    root : str
        Product, e.g. ``ES``.
    kind : str
        ``outright``, ``spread`` or ``option``.
    month : int
        Month of delivery, 1 to 12; of a spread its first leg's; 0 where the symbol names none.
    year_digits : str
        As written: one or two digits; empty where the symbol names none.
    """

    root: str
    kind: str
    month: int = 0
    year_digits: str = ""


def read_symbol(symbol: str) -> FuturesSymbol | None:
    """The symbol by its grammar; None if it is none of futures."""
    if ":" in symbol:
        combination = _COMBINATION.fullmatch(symbol)
        return FuturesSymbol(combination[1], "spread") if combination else None
    if "-" in symbol and " " not in symbol:
        legs = [_OUTRIGHT.fullmatch(leg) for leg in symbol.split("-")]
        first = legs[0]
        return _taken(first, "spread") if first is not None and all(legs) else None
    outright = _OUTRIGHT.fullmatch(symbol)
    if outright:
        return _taken(outright, "outright")
    option = _OPTION.fullmatch(symbol)
    return _taken(option, "option") if option else None


def _taken(match: re.Match[str], kind: str) -> FuturesSymbol:
    return FuturesSymbol(match[1], kind, MONTHS.index(match[2]) + 1, match[3])


def maturity(symbol: str, day: datetime.date) -> tuple[int, int] | None:
    """Year and month of delivery of the contract that a symbol means on a date.

    Parameters
    ----------
    symbol : str
    day : date
        On which it traded.

    Returns
    -------
    tuple of int, or None
        The first such month that was not over long before `day`; None if the symbol names none.
    """
    read = read_symbol(symbol)
    if read is None or not read.month:
        return None
    cycle = 10 ** len(read.year_digits)
    year = day.year - day.year % cycle + int(read.year_digits)
    months_ahead = 12 * (year - day.year) + read.month - day.month
    if months_ahead < -_TRADES_ON_MONTHS:
        year += cycle
    elif months_ahead - 12 * cycle >= -_TRADES_ON_MONTHS:
        year -= cycle
    return year, read.month
