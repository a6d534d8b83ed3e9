"""One instrument, one symbol: how FINRA, Massive and the exchanges spell the same share class.

===============  ===========  ==================  ==============  =========================
what             Massive      FINRA, daily files  FINRA, weekly   Nasdaq's integrated suffix
===============  ===========  ==================  ==============  =========================
class share      BRK.B        BRK/B               BRK B           BRK.B
preferred        ABRpA        ABRpA               ABRpA, ABR PRA  ABR-A
warrant          ACIC.WS      ACIC/WS             ACIC WS         ACIC+
unit             ACIC.U       ACIC/U              ACIC U          ACIC=
right            ACICr        ACICr               ACICr           ACIC^
when-issued      ABCw         ABCw                ABCw            ABC#
===============  ===========  ==================  ==============  =========================

The house writes Massive's form. Nasdaq's own listings carry the class in a fifth letter instead
(AACQW); that letter says so only when the four before it are listed too (GOOGL is not of GOOG).
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from tapemill.errors import UnknownNameError, did_you_mean

__all__ = [
    "SYMBOL_STYLES",
    "finra_symbol",
    "is_test_symbol",
    "massive_symbol",
    "root_symbol",
    "security_class",
]

SYMBOL_STYLES = ("massive", "finra", "finra_weekly", "nasdaq")

_TEST = (
    r"^(?:Z[A-Z]ZZT|ZZ[A-Z]{0,2}ZT|ZTEST|ZTST|ZTEST[.].*|ZZK|ZZZ|[ANPC]TEST(?:[.][A-Z]+)?"
    r"|IGZ|CBX|ZIEXT|ZIET|ZBZX|ZBZZT|ZXIET|ZEXIT|ZBZY)$"
)
"""Test symbols of the exchanges: Nasdaq Z?ZZT, NYSE ATEST CTEST NTEST PTEST, Cboe ZBZX ZTEST …"""

_FIFTH = {"W": "warrant", "R": "right", "U": "unit", **dict.fromkeys("PONM", "preferred")}
"""Nasdaq's fifth letters that name no share of common stock."""


def massive_symbol(symbol: pl.Expr, style: str = "finra") -> pl.Expr:
    """The house's spelling of a symbol.

    Parameters
    ----------
    symbol : pl.Expr
        String column.
    style : str
        One of :data:`SYMBOL_STYLES`: how the column is spelled.

    Raises
    ------
    UnknownNameError
        No such style.
    """
    if style not in SYMBOL_STYLES:
        raise UnknownNameError(
            f"there is no symbol style {style!r}",
            next_step=did_you_mean(style, SYMBOL_STYLES) or f"known: {', '.join(SYMBOL_STYLES)}",
        )
    if style == "massive":
        return symbol
    if style == "finra":
        return symbol.str.replace_all("/", ".", literal=True)
    if style == "finra_weekly":
        spaced = symbol.str.strip_chars().str.replace(r"^(\w+) PR ?(\w?)$", "${1}p${2}")
        return spaced.str.replace_all(r"[ /]", ".")
    suffix = symbol.str.replace(r"^([A-Z]+)-([A-Z]?)$", "${1}p${2}")
    for mark, written in (("+", ".WS"), ("=", ".U"), ("^", "r"), ("#", "w")):
        suffix = suffix.str.replace(mark, written, literal=True)
    return suffix.str.replace(r"[.]WS([A-Z])$", ".WS.${1}")


def finra_symbol(symbol: pl.Expr) -> pl.Expr:
    """The spelling of FINRA's daily files; the inverse of :func:`massive_symbol`."""
    return symbol.str.replace_all(".", "/", literal=True)


def security_class(symbol: pl.Expr, listed: Collection[str] | None = None) -> pl.Expr:
    """What kind of security a symbol (house spelling) is, as far as its spelling tells.

    Parameters
    ----------
    symbol : pl.Expr
    listed : collection of str, optional
        Symbols of the same market: Nasdaq's fifth letter counts where the first four are among
        them.

    Returns
    -------
    pl.Expr
        ``test``, ``warrant``, ``unit``, ``right``, ``when_issued``, ``called``, ``convertible``,
        ``preferred``, ``class_share``, ``other`` or ``common`` (shares and funds alike).
    """
    told = (
        pl.when(is_test_symbol(symbol))
        .then(pl.lit("test"))
        .when(symbol.str.contains(r"[.]WS(?:[.][A-Z]+)?$"))
        .then(pl.lit("warrant"))
        .when(symbol.str.contains(r"[.]U(?:[.][A-Z]+)?$|[.]UN$"))
        .then(pl.lit("unit"))
        .when(symbol.str.contains(r"[A-Z]r(?:w)?$|[.]R(?:T|W)$"))
        .then(pl.lit("right"))
        .when(symbol.str.contains(r"[a-zA-Z]w$|[.]W[DI]$"))
        .then(pl.lit("when_issued"))
        .when(symbol.str.contains(r"[.]CL$"))
        .then(pl.lit("called"))
        .when(symbol.str.contains(r"[.]CV$"))
        .then(pl.lit("convertible"))
        .when(symbol.str.contains(r"^[A-Z]+p[A-Z]?(?:[.][A-Z]+)*$"))
        .then(pl.lit("preferred"))
        .when(symbol.str.contains(r"^[A-Z]+[.][A-Z]$"))
        .then(pl.lit("class_share"))
        .when(symbol.str.contains(r"^[A-Z]+$"))
        .then(pl.lit("common"))
        .otherwise(pl.lit("other"))
    )
    if listed is None:
        return told
    five = symbol.str.contains(r"^[A-Z]{5}$") & symbol.str.slice(0, 4).is_in(sorted(listed))
    letter = symbol.str.slice(4, 1).replace_strict(_FIFTH, default=None, return_dtype=pl.String)
    return pl.when(five & letter.is_not_null() & (told == "common")).then(letter).otherwise(told)


def is_test_symbol(symbol: pl.Expr) -> pl.Expr:
    """Whether a symbol is one that exchanges send for tests."""
    return symbol.str.contains(_TEST)


def root_symbol(symbol: pl.Expr) -> pl.Expr:
    """Symbol of the company's common stock as far as the spelling tells: BRK of BRK.B."""
    return symbol.str.replace(r"(?:p[A-Z]?|r|w)?(?:[.].*)?$", "")
