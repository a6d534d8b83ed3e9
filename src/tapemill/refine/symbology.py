"""One instrument under several spellings: FINRA, the exchange tapes, Nasdaq, and the house's own.

The house writes as Massive does, which is the exchange tape's way with dots: `BRK.B`, `ACIC.WS`,
`AAICpC` (preferred C), `PFHr` (right), `NEEw` (when issued).

========  =====================  =========================================================
style     example                who
========  =====================  =========================================================
massive   BRK.B, ACIC.WS         the house; CTA symbology with dots
finra     BRK/B, ACIC/WS         daily short sale volume files; CTA symbology with slashes
cms       BRK B, BAC PRL         FINRA's Query API: root, a space, and the CMS suffix
cta       BRK.B or BRK/B         consolidated tape
nasdaq    BRK.B, ACIC+, BAC-L    Nasdaq's integrated platform
any       all but nasdaq         a space tells CMS, a slash FINRA
========  =====================  =========================================================

Suffixes and their order are those of Nasdaq's published convention table (CQS, CMS, integrated).
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import polars as pl

from tapemill.errors import UnknownNameError, did_you_mean

__all__ = [
    "STYLES",
    "TEST_SYMBOLS",
    "cms_symbol",
    "fifth_letter_class",
    "finra_symbol",
    "is_test_symbol",
    "massive_symbol",
    "nasdaq_symbol",
    "root_symbol",
    "security_class",
    "security_classes",
]

_NASDAQ_MARKS = {
    ".WD": "$",
    ".CL": "*",
    ".CV": "%",
    ".EC": "!",
    ".PP": "@",
    ".TEST": "~",
}

TEST_SYMBOLS = (
    "ATEST",
    "CBO",
    "CBX",
    "CTEST",
    "IBO",
    "IGZ",
    "MTEST",
    "NTEST",
    "PTEST",
    "ZBZX",
    "ZBZZT",
    "ZEXIT",
    "ZIEXT",
    "ZJZZT",
    "ZTEST",
    "ZTST",
    "ZVV",
    "ZVZZC",
    "ZVZZT",
    "ZWZZT",
    "ZXIET",
    "ZXYZ",
    "ZXZZT",
    "ZZK",
)
"""Symbols that exchanges reserve for tests, beside Nasdaq's Z?ZZT. ZZZ was one: a fund has it."""

_HOUSE = r"^([A-Z0-9]+)(?:(p)([A-Z])?|(r))?((?:\.[A-Z]+)*)(w)?$"
_CMS = (
    r"^([A-Z0-9]+) (?:(PR)([A-Z])?|(WS)([A-Z])?|(RT)|([A-Z]))?"
    r"(WD|CL|CV|EC|PP|TEST)?(CL)?(WI)?$"
)
_NASDAQ = r"^([A-Z0-9]+)(?:(-)([A-Z])?|(\+)([A-Z])?|(\^)|(=)|\.([A-Z]))?([$*%!@~]*)(#)?$"
_FIFTH_LETTER = {
    "W": "warrant",
    "R": "right",
    "U": "unit",
    "V": "when_issued",
    "P": "preferred",
    "O": "preferred",
    "N": "preferred",
    "M": "preferred",
}
"""Nasdaq's fifth letters that name one kind of security; the others have several meanings."""


def _text(group: pl.Expr) -> pl.Expr:
    return group.fill_null("")


def _if_given(group: pl.Expr, text: str) -> pl.Expr:
    return pl.when(_text(group) != "").then(pl.lit(text)).otherwise(pl.lit(""))


def _dotted(group: pl.Expr) -> pl.Expr:
    return pl.when(_text(group) != "").then(pl.lit(".") + group).otherwise(pl.lit(""))


def _from_slashes(column: pl.Expr) -> pl.Expr:
    return column.str.replace_all("/", ".", literal=True)


def _from_cms(column: pl.Expr) -> pl.Expr:
    parts = [column.str.extract(_CMS, group) for group in range(1, 11)]
    root, pr, series, ws, warrant, right, letter, tail, called, issued = parts
    spelled = (
        root
        + _if_given(pr, "p")
        + _text(series)
        + _if_given(ws, ".WS")
        + _dotted(warrant)
        + _if_given(right, "r")
        + _dotted(letter)
        + _dotted(tail)
        + _dotted(called)
        + _if_given(issued, "w")
    )
    return pl.coalesce(spelled, column)


def _from_nasdaq(column: pl.Expr) -> pl.Expr:
    parts = [column.str.extract(_NASDAQ, group) for group in range(1, 11)]
    root, dash, series, plus, warrant, right, unit, letter, marks, issued = parts
    tail = _text(marks)
    for word, mark in _NASDAQ_MARKS.items():
        tail = tail.str.replace_all(mark, word, literal=True)
    spelled = (
        root
        + _if_given(dash, "p")
        + _text(series)
        + _if_given(plus, ".WS")
        + _dotted(warrant)
        + _if_given(right, "r")
        + _if_given(unit, ".U")
        + _dotted(letter)
        + tail
        + _if_given(issued, "w")
    )
    return pl.coalesce(spelled, column)


def _from_any(column: pl.Expr) -> pl.Expr:
    spaced = column.str.contains(" ", literal=True)
    return pl.when(spaced).then(_from_cms(column)).otherwise(_from_slashes(column))


STYLES: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "massive": lambda column: column,
    "finra": _from_slashes,
    "cms": _from_cms,
    "cta": _from_slashes,
    "nasdaq": _from_nasdaq,
    "any": _from_any,
}
"""Style → how its symbols become the house's."""


def massive_symbol(column: pl.Expr, style: str = "finra") -> pl.Expr:
    """House spelling of symbols in another style; what does not fit the style stays as it is.

    Parameters
    ----------
    column : pl.Expr
        String.
    style : str
        One of :data:`STYLES`.

    Raises
    ------
    UnknownNameError
        There is no such style.
    """
    if style not in STYLES:
        raise UnknownNameError(
            f"there is no symbol style {style!r}",
            next_step=did_you_mean(style, STYLES) or f"styles: {', '.join(STYLES)}",
        )
    return STYLES[style](column)


def finra_symbol(symbol: pl.Expr) -> pl.Expr:
    """Spelling of FINRA's daily files: `BRK/B` for the house's `BRK.B`."""
    return symbol.str.replace_all(".", "/", literal=True)


def cms_symbol(symbol: pl.Expr) -> pl.Expr:
    """Spelling of FINRA's Query API: `BRK B`, `BAC PRL`, `ACIC WS`; bare roots stay as they are."""
    root, preferred, series, right, dotted, issued = _house_parts(symbol)
    suffix = (
        _if_given(preferred, "PR")
        + _text(series)
        + _if_given(right, "RT")
        + _text(dotted).str.replace_all(".", "", literal=True)
        + _if_given(issued, "WI")
    )
    spelled = pl.when(suffix != "").then(root + " " + suffix).otherwise(root)
    return pl.coalesce(spelled, symbol)


def nasdaq_symbol(symbol: pl.Expr) -> pl.Expr:
    """Spelling of Nasdaq's integrated platform: `BAC-L`, `ACIC+`, `ACIC=`, `BRK.B`."""
    root, preferred, series, right, dotted, issued = _house_parts(symbol)
    marked = _text(dotted).str.replace(r"^\.WS\.([A-Z])\b", "+${1}").str.replace(r"^\.WS\b", "+")
    marked = marked.str.replace(r"^\.U\b", "=")
    for word, mark in _NASDAQ_MARKS.items():
        marked = marked.str.replace_all(rf"\{word}\b", mark.replace("$", "$$"))
    spelled = (
        root
        + _if_given(preferred, "-")
        + _text(series)
        + _if_given(right, "^")
        + marked
        + _if_given(issued, "#")
    )
    return pl.coalesce(spelled, symbol)


def _house_parts(symbol: pl.Expr) -> list[pl.Expr]:
    """Root, preferred mark, series, right mark, dotted suffixes, when-issued mark."""
    return [symbol.str.extract(_HOUSE, group) for group in range(1, 7)]


def root_symbol(symbol: pl.Expr) -> pl.Expr:
    """The house symbol without its suffix: `ACIC` of `ACIC.WS`. Fifth letters are no suffix."""
    return pl.coalesce(symbol.str.extract(_HOUSE, 1), symbol)


def is_test_symbol(symbol: pl.Expr) -> pl.Expr:
    """Whether an exchange reserves the house symbol for tests."""
    named = root_symbol(symbol).is_in(TEST_SYMBOLS)
    return named | symbol.str.contains(r"^Z[A-Z]ZZT$") | symbol.str.ends_with(".TEST")


def security_class(symbol: pl.Expr, listed: Collection[str] | None = None) -> pl.Expr:
    """Kind of security that a house symbol's spelling tells.

    Parameters
    ----------
    symbol : pl.Expr
    listed : collection of str, optional
        Symbols of the same market and time: Nasdaq's fifth letter counts where the first four are
        among them.

    Returns
    -------
    pl.Expr
        common (ETFs too), class_share, preferred, warrant, right, unit, when_issued (when
        distributed too), called, convertible, test or other; null where the symbol is.
    """
    told = _class_by_suffix(symbol)
    if listed is None:
        return told
    rooted = symbol.str.slice(0, 4).is_in(sorted(set(listed)))
    return pl.coalesce(fifth_letter_class(symbol, rooted), told)


def _class_by_suffix(symbol: pl.Expr) -> pl.Expr:
    _, preferred, _, right, dotted, issued = _house_parts(symbol)
    tail = _text(dotted)
    return (
        pl.when(symbol.is_null())
        .then(None)
        .when(is_test_symbol(symbol))
        .then(pl.lit("test"))
        .when(~symbol.str.contains(_HOUSE))
        .then(pl.lit("other"))
        .when((_text(issued) != "") | tail.str.contains(r"\.WD\b"))
        .then(pl.lit("when_issued"))
        .when(tail.str.contains(r"\.CL\b"))
        .then(pl.lit("called"))
        .when(tail.str.contains(r"\.CV\b"))
        .then(pl.lit("convertible"))
        .when(_text(preferred) != "")
        .then(pl.lit("preferred"))
        .when(_text(right) != "")
        .then(pl.lit("right"))
        .when(tail.str.contains(r"^\.WS\b"))
        .then(pl.lit("warrant"))
        .when(tail == ".U")
        .then(pl.lit("unit"))
        .when(tail == "")
        .then(pl.lit("common"))
        .when(tail.str.contains(r"^\.[A-Z]$"))
        .then(pl.lit("class_share"))
        .otherwise(pl.lit("other"))
    )


def fifth_letter_class(symbol: pl.Expr, root_listed: pl.Expr) -> pl.Expr:
    """Class that the fifth letter of a Nasdaq symbol tells; null where it tells nothing.

    Parameters
    ----------
    symbol : pl.Expr
        House spelling.
    root_listed : pl.Expr
        Whether the first four letters are themselves a symbol of the same time. Without them a
        fifth letter is part of a name: no rule reads `SCHWW`'s letter but that `SCHW` trades.
    """
    letter = symbol.str.extract(r"^[A-Z]{4}([A-Z])$", 1)
    told = letter.replace_strict(_FIFTH_LETTER, default=None, return_dtype=pl.String)
    return pl.when(root_listed & (_class_by_suffix(symbol) == "common")).then(told)


def security_classes(symbols: pl.Series) -> pl.Series:
    """Classes of all symbols of one day, Nasdaq's fifth letters read against the day's own set.

    Parameters
    ----------
    symbols : pl.Series
        House spelling, all symbols of the day.

    Returns
    -------
    pl.Series
        String, in the order of `symbols`.
    """
    told = security_class(pl.col("symbol"), symbols.drop_nulls().to_list())
    return symbols.rename("symbol").to_frame().select(security_class=told).to_series()
