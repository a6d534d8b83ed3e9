"""Sale conditions: which prints speak of the market now, which are auctions, which do neither.

One table for both spellings: Massive's numbers and the letters of the two tapes (CTA for tapes A
and B, UTP for tape C). What an unknown code means is unknown: its print is ineligible and counted.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
import polars as pl

from tapemill.tape.prints import Bools

__all__ = ["CONDITIONS", "TRF_EXCHANGE_ID", "TRF_LETTER", "Condition", "correction_stands"]
__all__ += ["massive_flags", "print_flags", "tape_flags", "trf_print"]

Meaning = Literal["now", "auction", "not_now"]
Plan = Literal["CTA", "UTP"]

TRF_EXCHANGE_ID = 4
"""Massive's exchange id of all FINRA facilities; with a ``trf_id`` it is an off-exchange print."""
TRF_LETTER = "D"
"""FINRA's letter as an exchange on the tape and in TAQ."""


@dataclasses.dataclass(frozen=True, slots=True)
class Condition:
    """One sale condition.

    Attributes
    ----------
    number : int
        Massive's id.
    name : str
    meaning : str
        ``now``: a price made now, between a buyer and a seller. ``auction``: nobody was the
        aggressor. ``not_now``: price or time belong elsewhere, or the print is not a trade.
    cta, utp : str
        Letter on tapes A and B, letter on tape C; empty where the plan has none.
    """

    number: int
    name: str
    meaning: Meaning
    cta: str = ""
    utp: str = ""


# Numbers, names and letters: the vendor's conditions endpoint and its glossary "Conditions &
# Indicators"; letters checked against the CTS and UTDF binary output specifications. The meaning
# follows the plans' processing rules: what may not update the consolidated last (average price,
# derivatively priced, out of sequence, prior reference, contingent, seller's option, cash and
# next-day settlement, late) was not agreed now at the market's price. Two are ours: a stopped
# print's price was guaranteed earlier; a cross pairs orders at one price.
CONDITIONS = (
    Condition(0, "Regular sale", "now", "@", "@"),
    Condition(1, "Acquisition", "now", "", "A"),
    Condition(2, "Average price trade", "not_now", "B", "W"),
    Condition(3, "Automatic execution", "now", "E"),
    Condition(4, "Bunched trade", "now", "", "B"),
    Condition(5, "Bunched sold trade", "not_now", "", "G"),
    Condition(6, "CAP election", "now"),
    Condition(7, "Cash sale", "not_now", "C", "C"),
    Condition(8, "Closing prints", "auction", "6", "6"),
    Condition(9, "Cross trade", "auction", "X", "X"),
    Condition(10, "Derivatively priced", "not_now", "4", "4"),
    Condition(11, "Distribution", "now", "", "D"),
    Condition(12, "Form T: extended hours", "now", "T", "T"),
    Condition(13, "Extended hours, sold out of sequence", "not_now", "U", "U"),
    Condition(14, "Intermarket sweep", "now", "F", "F"),
    Condition(15, "Market center official close", "not_now", "M", "M"),
    Condition(16, "Market center official open", "not_now", "Q", "Q"),
    Condition(17, "Market center opening trade", "auction", "O"),
    Condition(18, "Market center reopening trade", "auction", "5"),
    Condition(19, "Market center closing trade", "auction"),
    Condition(20, "Next day settlement", "not_now", "N", "N"),
    Condition(21, "Price variation trade", "not_now", "H", "H"),
    Condition(22, "Prior reference price", "not_now", "P", "P"),
    Condition(23, "Rule 155 trade", "now", "K", "K"),
    Condition(24, "Rule 127 trade", "now"),
    Condition(25, "Opening prints", "auction", "", "O"),
    Condition(26, "Opened", "auction"),
    Condition(27, "Stopped stock, regular trade", "not_now", "", "1"),
    Condition(28, "Reopening prints", "auction", "", "5"),
    Condition(29, "Seller's option", "not_now", "R", "R"),
    Condition(30, "Sold last: late report", "not_now", "L", "L"),
    Condition(32, "Sold out", "not_now"),
    Condition(33, "Sold out of sequence", "not_now", "Z", "Z"),
    Condition(34, "Split trade", "now", "", "S"),
    Condition(35, "Stock option", "not_now"),
    Condition(36, "Yellow flag regular trade", "now", "", "Y"),
    Condition(37, "Odd lot trade", "now", "I", "I"),
    Condition(38, "Corrected consolidated close", "not_now", "9", "9"),
    Condition(39, "Unknown", "not_now"),
    Condition(40, "Held", "not_now"),
    Condition(41, "Trade-through exempt", "now"),
    Condition(42, "Not eligible", "not_now"),
    Condition(43, "Not eligible, extended hours", "not_now"),
    Condition(44, "Cancelled", "not_now"),
    Condition(45, "Recovery", "not_now"),
    Condition(46, "Correction", "not_now"),
    Condition(47, "As of", "not_now"),
    Condition(48, "As-of correction", "not_now"),
    Condition(49, "As-of cancel", "not_now"),
    Condition(50, "Out of bounds", "not_now"),
    Condition(51, "Summary", "not_now"),
    Condition(52, "Contingent trade", "not_now", "V", "V"),
    Condition(53, "Qualified contingent trade", "not_now", "7", "7"),
    Condition(54, "Errored", "not_now"),
    Condition(55, "Opening or reopening trade detail", "auction"),
    Condition(59, "Rule 611 exempt", "now", "8", "8"),
)


@functools.cache
def _meanings(spelling: Plan | Literal["massive"]) -> dict[int | str, Meaning]:
    if spelling == "massive":
        return {condition.number: condition.meaning for condition in CONDITIONS}
    letters = {getattr(c, spelling.lower()): c.meaning for c in CONDITIONS}
    letters.pop("", None)
    return {**letters, " ": "now"}


def print_flags(
    codes: Iterable[int | str], spelling: Plan | Literal["massive"]
) -> tuple[bool, bool]:
    """Whether a print with these codes is eligible, and whether it belongs to an auction.

    One code that says "not now" outweighs any other; a code nobody declared is "not now".
    """
    known = _meanings(spelling)
    meanings = {known.get(code, "not_now") for code in codes}
    return "not_now" not in meanings, "auction" in meanings


def massive_flags(conditions: pl.Series) -> tuple[Bools, Bools]:
    """Eligible and auction flags of Massive's condition lists.

    Parameters
    ----------
    conditions : pl.Series of List(Int)
        ``conditions`` of v3 trades; null or empty = a regular sale.

    Returns
    -------
    eligible, auction : ndarray of bool
    """
    return _flags_of_distinct(
        conditions.cast(pl.List(pl.Int64)),
        lambda codes: print_flags([] if codes is None else codes, "massive"),
    )


def tape_flags(conditions: pl.Series, plan: Plan) -> tuple[Bools, Bools]:
    """Eligible and auction flags of TAQ's condition strings (up to four letters, blanks pass).

    Parameters
    ----------
    conditions : pl.Series of String
        ``TR_SCOND``; null or blank = a regular sale.
    plan : str
        ``CTA`` for tapes A and B, ``UTP`` for tape C: some letters differ.
    """
    return _flags_of_distinct(
        conditions.cast(pl.String), lambda codes: print_flags(codes or "", plan)
    )


def _flags_of_distinct(
    column: pl.Series, judge: Callable[[Any], tuple[bool, bool]]
) -> tuple[Bools, Bools]:
    """Judge each distinct value once: a tape knows a few dozen of them."""
    distinct = column.unique()
    judged = [judge(value) for value in distinct.to_list()]
    rows = pl.DataFrame({"code": column}).join(
        pl.DataFrame(
            {
                "code": distinct,
                "eligible": [e for e, _ in judged],
                "auction": [a for _, a in judged],
            },
            schema_overrides={"eligible": pl.Boolean, "auction": pl.Boolean},
        ),
        on="code",
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    eligible = np.ascontiguousarray(rows["eligible"].to_numpy(), np.bool_)
    return eligible, np.ascontiguousarray(rows["auction"].to_numpy(), np.bool_)


def correction_stands(correction: pl.Series) -> Bools:
    """Whether a print counts, by its correction code (Massive's int, TAQ's ``TR_CORR``).

    0 (or null) is an untouched print. Everything else was corrected, cancelled or wrong, or is the
    record of a correction, sent later than the trade it corrects: none says anything of its moment.
    """
    codes = correction.cast(pl.Int64, strict=False) if correction.dtype != pl.Int64 else correction
    readable = codes.is_not_null() | correction.is_null()
    return np.ascontiguousarray(((codes.fill_null(0) == 0) & readable).to_numpy(), np.bool_)


def trf_print(exchange: pl.Series, trf_id: pl.Series | None = None) -> Bools:
    """Whether prints went through a FINRA facility.

    Parameters
    ----------
    exchange : pl.Series
        Massive's exchange ids (ints), or the tape's letters (strings).
    trf_id : pl.Series, optional
        Massive's ``trf_id``. With it, id 4 without a TRF (the display facility) is not counted.
    """
    if exchange.dtype == pl.String:
        found = exchange == TRF_LETTER
    else:
        found = exchange == TRF_EXCHANGE_ID
        if trf_id is not None:
            found = found & trf_id.is_not_null()
    return np.ascontiguousarray(found.fill_null(value=False).to_numpy(), np.bool_)
