from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tapemill.errors import UnknownNameError
from tapemill.refine.symbology import (
    STYLES,
    cms_symbol,
    finra_symbol,
    is_test_symbol,
    massive_symbol,
    nasdaq_symbol,
    root_symbol,
    security_class,
    security_classes,
)

# Nasdaq's published convention table: suffix of the tape, CMS suffix, integrated suffix.
CONVENTION = [
    ("p", "PR", "-"),
    ("pA", "PRA", "-A"),
    ("pB", "PRB", "-B"),
    (".A", "A", ".A"),
    (".B", "B", ".B"),
    ("p.WD", "PRWD", "-$"),
    (".WD", "WD", "$"),
    (".WS", "WS", "+"),
    (".WS.A", "WSA", "+A"),
    (".WS.B", "WSB", "+B"),
    (".CL", "CL", "*"),
    (".A.CL", "ACL", ".A*"),
    ("p.CL", "PRCL", "-*"),
    ("pA.CL", "PRACL", "-A*"),
    ("pAw", "PRAWI", "-A#"),
    (".EC", "EC", "!"),
    (".PP", "PP", "@"),
    (".CV", "CV", "%"),
    (".CV.CL", "CVCL", "%*"),
    (".A.CV", "ACV", ".A%"),
    ("pA.CV", "PRACV", "-A%"),
    ("pA.WD", "PRAWD", "-A$"),
    ("r", "RT", "^"),
    (".U", "U", "="),
    ("w", "WI", "#"),
    ("rw", "RTWI", "^#"),
    ("pw", "PRWI", "-#"),
    (".Aw", "AWI", ".A#"),
    (".WSw", "WSWI", "+#"),
    (".TEST", "TEST", "~"),
]


def one(expression: pl.Expr, *values: str | None) -> list[str]:
    frame = pl.DataFrame({"s": list(values)}, schema={"s": pl.String})
    return frame.select(expression).to_series().to_list()


S = pl.col("s")


@pytest.mark.parametrize(("tape", "cms", "nasdaq"), CONVENTION)
def test_the_published_table_holds_both_ways(tape: str, cms: str, nasdaq: str) -> None:
    house = f"XYZ{tape}"
    assert one(massive_symbol(S, "cms"), f"XYZ {cms}") == [house]
    assert one(massive_symbol(S, "any"), f"XYZ {cms}") == [house]
    assert one(massive_symbol(S, "nasdaq"), f"XYZ{nasdaq}") == [house]
    assert one(massive_symbol(S, "finra"), f"XYZ{tape.replace('.', '/')}") == [house]
    assert one(cms_symbol(S), house) == [f"XYZ {cms}"]
    assert one(nasdaq_symbol(S), house) == [f"XYZ{nasdaq}"]
    assert one(root_symbol(S), house) == ["XYZ"]


def test_known_names_in_every_style() -> None:
    assert one(massive_symbol(S, "cms"), "BRK B", "AAPL", "BAC PRL") == ["BRK.B", "AAPL", "BACpL"]
    assert one(massive_symbol(S), "BRK/B", "AAICpC", "ACIC/WS") == ["BRK.B", "AAICpC", "ACIC.WS"]
    assert one(finra_symbol(S), "BRK.B", "AAICpC", None) == ["BRK/B", "AAICpC", None]


def test_an_unknown_spelling_stays_itself() -> None:
    assert one(massive_symbol(S, "cms"), "FOO BARBAZ") == ["FOO BARBAZ"]
    assert one(security_class(S), "FOO BARBAZ", "x") == ["other", "other"]


@pytest.mark.parametrize(
    ("symbol", "kind"),
    [
        ("SPY", "common"),
        ("BRK.B", "class_share"),
        ("AAICpC", "preferred"),
        ("ACIC.WS", "warrant"),
        ("ACIC.WS.A", "warrant"),
        ("BMYr", "right"),
        ("ACIC.U", "unit"),
        ("NEEw", "when_issued"),
        ("XYZ.WD", "when_issued"),
        ("XYZpA.CL", "called"),
        ("XYZ.CV", "convertible"),
        ("ZVZZT", "test"),
        ("XYZ.TEST", "test"),
        ("ATEST.A", "test"),
        ("XYZ.PP", "other"),
    ],
)
def test_class_by_spelling(symbol: str, kind: str) -> None:
    assert one(security_class(S), symbol) == [kind]


def test_a_fifth_letter_speaks_only_beside_its_root() -> None:
    day = pl.Series(["AACQ", "AACQU", "AACQW", "HOWLR", "ZVZZT", "SNOWW", "AGNC", "AGNCP", "GOOGL"])
    found = dict(zip(day, security_classes(day), strict=True))
    assert found["AACQU"] == "unit"
    assert found["AACQW"] == "warrant"
    assert found["AGNCP"] == "preferred"
    assert found["HOWLR"] == found["SNOWW"] == found["GOOGL"] == "common"
    assert found["ZVZZT"] == "test"


def test_listed_symbols_may_be_given_beside_the_expression() -> None:
    told = one(security_class(S, ["AACQ", "AACQU"]), "AACQU", "SNOWW", "AACQ", None)
    assert told == ["unit", "common", "common", None]


def test_tests_are_told() -> None:
    assert one(is_test_symbol(S), "ZWZZT", "NTEST.A", "TEST", "SPY") == [True, True, False, False]


def test_a_wrong_style_is_named() -> None:
    with pytest.raises(UnknownNameError, match="finr"):
        massive_symbol(S, "finr")
    assert set(STYLES) >= {"finra", "cms", "nasdaq", "massive"}


@pytest.mark.real
def test_every_real_symbol_goes_there_and_back(real_data: Path) -> None:
    names: set[str] = set()
    for path in sorted((real_data / "finra" / "regsho-cnms").glob("*.txt")):
        names |= {line.split("|")[1] for line in path.read_text().splitlines()[1:-1]}
    assert len(names) == 9754
    frame = pl.DataFrame({"s": sorted(names)}).with_columns(house=massive_symbol(S))
    house = pl.col("house")
    assert frame["house"].n_unique() == frame.height
    back = frame.select(
        "s",
        "house",
        finra=finra_symbol(house),
        cms=massive_symbol(cms_symbol(house), "cms"),
        nasdaq=massive_symbol(nasdaq_symbol(house), "nasdaq"),
        cms_names=cms_symbol(house),
        nasdaq_names=nasdaq_symbol(house),
    )
    assert back["finra"].equals(back["s"], check_names=False)
    assert back["cms"].equals(back["house"], check_names=False)
    assert back["nasdaq"].equals(back["house"], check_names=False)
    assert back["cms_names"].n_unique() == back["nasdaq_names"].n_unique() == frame.height
    kinds = dict(frame.group_by(security_class(house).alias("kind")).len().iter_rows())
    # Counted with grep over the spellings of these 32 files.
    marks = {kind: kinds.get(kind, 0) for kind in ("warrant", "unit", "right", "class_share")}
    assert marks == {"warrant": 148, "unit": 141, "right": 3, "class_share": 34}
    assert kinds.get("other", 0) == 0
