"""Rows in words."""

from __future__ import annotations

import datetime

from tapemill.flow.explain import explain

ROW = {
    "short_share": 0.58,
    "baseline_share": 0.49,
    "volume_ratio": 1.4,
    "peer_share_points": 0.0104,
    "direction": "buying",
    "baseline_days": 60,
    "otc_next_publication": datetime.date(2021, 2, 8),
}


def test_a_whole_line() -> None:
    assert explain(ROW) == (
        "share +9 points on 1.4 × volume; peers +1; OTC unknown until 2021-02-08"
    )


def test_what_makes_it_less_sure_is_said() -> None:
    row = ROW | {
        "direction": "selling",
        "short_share": 0.381,
        "sector": "Energy",
        "baseline_days": 31,
        "run_length": 4,
        "p_source": "own_evening",
        "split": "suspected",
        "peer_share_points": -0.004,
    }
    assert explain(row) == (
        "share -11 points on 1.4 × volume;"
        " peers -0.4 (Energy); evening 4 in a row; baseline of 31 days only;"
        " compared with its own evening only, less sure; split suspected;"
        " OTC unknown until 2021-02-08"
    )


def test_a_history_as_short_as_everybodys_is_not_said_of_each() -> None:
    row = {"short_share": 0.4, "baseline_share": 0.3, "baseline_days": 26}
    assert explain(row, usual_days=26) == "share +10 points"
    assert explain(row, usual_days=27) == "share +10 points; baseline of 26 days only"


def test_what_is_not_known_is_not_made_up() -> None:
    assert explain({}) == "no short share"
    row = {"short_share": 0.4, "ineligible_reason": "history", "baseline_days": 3}
    assert explain(row) == (
        "no usual share to compare with; baseline of 3 days only;"
        " not ranked: too little history to compare with"
    )


def test_every_reason_has_words() -> None:
    from tapemill.flow.eligibility import REASONS

    for reason in REASONS[1:]:
        assert "_" not in explain({"ineligible_reason": reason})
