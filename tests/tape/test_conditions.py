from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tapemill.tape import correction_stands, massive_flags, tape_flags, trf_print
from tapemill.tape.conditions import CONDITIONS, print_flags


def test_each_number_once_and_each_letter_once_a_plan() -> None:
    numbers = [c.number for c in CONDITIONS]
    assert len(set(numbers)) == len(numbers)
    for plan in ("cta", "utp"):
        letters = [letter for c in CONDITIONS if (letter := getattr(c, plan))]
        assert len(set(letters)) == len(letters)


@pytest.mark.real
def test_agrees_with_the_vendors_own_list(real_data: Path) -> None:
    mock = real_data / "polygon/mocks/v3/reference/conditions&asset_class=stocks.json"
    declared = {c.number: c for c in CONDITIONS}
    for row in json.loads(mock.read_text())["results"]:
        ours = declared[row["id"]]
        for plan, letter in row["sip_mapping"].items():
            # CAP election lost its letter to the odd lot.
            assert row.get("legacy") or getattr(ours, plan.lower()) == letter, row
        rules = row["update_rules"]["consolidated"]
        # What may set neither last nor high and low is not a price of now.
        if not rules["updates_open_close"] and not rules["updates_high_low"]:
            assert ours.meaning == "not_now"
        if ours.meaning == "now":
            assert rules["updates_open_close"]


@pytest.mark.real
def test_agrees_with_the_exchanges_names_of_letters(real_data: Path) -> None:
    names = json.loads(
        (real_data / "alpaca/examples/v2_stocks_meta_conditions_type.json").read_text()
    )
    by_letter = {c.cta: c for c in CONDITIONS if c.cta}
    for letter in ("4", "7", "B", "C", "H", "L", "N", "P", "R", "U", "V", "Z", "M", "Q", "9"):
        assert letter in names
        assert by_letter[letter].meaning == "not_now", letter
    for letter in ("5", "6", "O", "X"):
        assert by_letter[letter].meaning == "auction", letter
    for letter in ("E", "F", "I", "K", "T"):
        assert by_letter[letter].meaning == "now", letter


def test_massive_lists() -> None:
    lists = pl.Series([[14, 37, 41], None, [], [2], [12], [8, 14], [10, 8], [999]])
    eligible, auction = massive_flags(lists)
    assert eligible.tolist() == [True, True, True, False, True, True, False, False]
    assert auction.tolist() == [False, False, False, False, False, True, True, False]


def test_letters_differ_between_the_tapes() -> None:
    text = pl.Series([" F I", None, "4 B", "B", "W", "@O X", "", "?"])
    cta, cta_auction = tape_flags(text, "CTA")
    utp, _ = tape_flags(text, "UTP")
    assert cta.tolist() == [True, True, False, False, False, True, True, False]
    assert utp.tolist() == [True, True, False, True, False, True, True, False]
    assert cta_auction.tolist() == [False] * 5 + [True, False, False]


def test_no_code_is_a_regular_sale() -> None:
    assert print_flags([], "massive") == (True, False)
    assert print_flags("", "UTP") == (True, False)


def test_only_untouched_prints_stand() -> None:
    assert correction_stands(pl.Series([0, None, 1, 8, 12])).tolist() == [True, True] + [False] * 3
    text = pl.Series(["00", "01", None, "x"])
    assert correction_stands(text).tolist() == [True, False, True, False]


def test_trf_prints_of_both_spellings() -> None:
    ids, trf = pl.Series([4, 4, 11, None]), pl.Series([201, None, None, 202])
    assert trf_print(ids, trf).tolist() == [True, False, False, False]
    assert trf_print(ids).tolist() == [True, True, False, False]
    assert trf_print(pl.Series(["D", "N", None])).tolist() == [True, False, False]
