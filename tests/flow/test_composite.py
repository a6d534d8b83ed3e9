"""The composite signal: formula, labels across chunks, versions."""

from __future__ import annotations

import math
from datetime import date

import msgspec
import numpy as np
import polars as pl
import pytest

from flow.daily_rows_made import daily, row
from flow.market_files import sessions
from tapemill.contracts import contract
from tapemill.flow.composite import composite_rows, inference_version, parameters_json
from tapemill.settings.declaration import FlowSettings

FLOW = FlowSettings()
DAYS = sessions(date(2024, 3, 25), 12)
NONE = pl.DataFrame(
    schema={
        name: contract("gold.composite_signal").schema[name]
        for name in ("symbol", "session", "final_label", "pending_label", "pending_evenings")
    }
)


def one(**facts) -> dict:
    rows = composite_rows(daily([row("AAA", DAYS[0], **facts)]), NONE, FLOW)
    return rows.row(0, named=True)


WHOLE = {
    "has_tape": True,
    "has_otc": True,
    "has_price": True,
    "tape_mode": "tick",
    "otc_status": "latest_known",
    "otc_participation_percentile": 0.8,
}


def test_score_is_the_formula():
    found = one(**WHOLE, pressure_score=0.7, lit_z=1.0, trf_z=-0.4)
    d = (math.tanh(0.5) + math.tanh(-0.2)) / 2
    sure = 60 / (60 + math.pi / 2 + 1.36)
    assert found["directional_score"] == pytest.approx(d, abs=1e-12)
    assert found["confidence"] == pytest.approx(sure, abs=1e-12)
    expected = (0.4 * d + 0.6 * 0.7) * (0.75 + 0.5 * 0.8) * sure
    assert found["composite_score"] == pytest.approx(expected, abs=1e-12)
    assert found["data_quality"] == "short+tick+otc+price"


def test_weights_are_of_what_is_known_and_unknown_participation_is_no_middle():
    alone = one(pressure_score=0.9)
    assert alone["composite_score"] == pytest.approx(0.9 * alone["confidence"], abs=1e-12)
    assert alone["participation_score"] is None
    assert alone["data_quality"] == "short"
    assert alone["final_label"] == "accumulate"
    ranked = one(
        pressure_score=0.9,
        has_otc=True,
        otc_status="latest_known",
        otc_participation_percentile=0.5,
    )
    assert ranked["confidence"] > alone["confidence"]


def test_minute_mode_reads_the_whole_tape_and_ticks_only_their_parts():
    assert one(tape_mode="minute", tape_z=1.2, lit_z=9.0, pressure_score=0.1)[
        "directional_score"
    ] == pytest.approx(math.tanh(0.6))
    assert one(tape_mode="tick", tape_z=1.2, pressure_score=0.1)["directional_score"] is None
    assert one(tape_mode="tick", lit_z=1.2, pressure_score=0.1)["directional_score"] == (
        pytest.approx(math.tanh(0.6))
    )


def test_an_expired_week_is_not_used():
    found = one(pressure_score=0.9, otc_status="expired", otc_participation_percentile=0.9)
    assert found["participation_score"] is None


def test_no_short_data_is_insufficient_never_neutral():
    for facts in (
        {"has_short": False, "pressure_score": 0.9, "status": "no_short"},
        {"pressure_score": None, "status": "warming", "baseline_days": 3},
        {"pressure_score": 0.0, "baseline_days": 15},
    ):
        found = one(**{**facts, "lit_z": 5.0 if facts["pressure_score"] is None else None})
        assert found["final_label"] == "insufficient", facts
    assert one(has_short=False)["composite_score"] is None


def test_opposite_signs_are_divergent_only_beyond_the_bound():
    assert one(**WHOLE, pressure_score=0.9, lit_z=-2.0)["final_label"] == "divergent"
    assert one(**WHOLE, pressure_score=-0.9, lit_z=2.0)["final_label"] == "divergent"
    assert one(**WHOLE, pressure_score=0.24, lit_z=-2.0)["final_label"] == "neutral"


def wandering(flow=FLOW) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    rows = []
    for n in range(40):
        score = 0.0
        for day in DAYS:
            score = float(np.clip(0.7 * score + rng.normal(0, 0.5), -1, 1))
            if rng.random() < 0.93:
                rows.append(row(f"S{n:02d}", day, **WHOLE, pressure_score=score, lit_z=2 * score))
    return daily(rows)


@pytest.mark.parametrize("evenings", [1, 2, 3])
@pytest.mark.property
def test_evening_by_evening_is_bit_identical_to_all_at_once(evenings):
    flow = msgspec.structs.replace(FLOW, persistence_evenings=evenings)
    rows = wandering()
    whole = composite_rows(rows, NONE, flow)
    assert {"accumulate", "distribute", "neutral"} <= set(whole["final_label"])
    if evenings > 1:
        assert whole["pending_label"].null_count() < whole.height
    for size in (1, 5):
        stored = whole.clear()
        for start in range(0, len(DAYS), size):
            part = rows.filter(pl.col("session").is_in(DAYS[start : start + size]))
            stored = pl.concat([stored, composite_rows(part, stored, flow)])
        assert stored.equals(whole)


def test_the_future_changes_no_earlier_row():
    rows = wandering()
    cut = DAYS[6]
    spoiled = rows.with_columns(
        pressure_score=pl.when(pl.col("session") > cut)
        .then(-pl.col("pressure_score"))
        .otherwise("pressure_score")
    )
    early = [
        composite_rows(x, NONE, FLOW).filter(pl.col("session") <= cut) for x in (rows, spoiled)
    ]
    assert early[0].equals(early[1])


def test_a_label_does_not_outlive_a_missing_evening():
    facts = [(DAYS[0], 0.9), (DAYS[1], 0.5), (DAYS[3], 0.5)]
    other = [row("ZZZ", day, pressure_score=0.0) for day in DAYS[:4]]
    made = daily([row("AAA", day, pressure_score=p) for day, p in facts] + other)
    labels = composite_rows(made, NONE, FLOW).filter(pl.col("symbol") == "AAA")["final_label"]
    assert labels.to_list() == ["accumulate", "accumulate", "neutral"]


def test_a_label_does_not_outlive_a_missing_evening_of_the_whole_market():
    facts = [(DAYS[0], 0.9), (DAYS[2], 0.5)]
    made = daily([row("AAA", day, pressure_score=p) for day, p in facts])
    labels = composite_rows(made, NONE, FLOW)["final_label"].to_list()
    assert labels == ["accumulate", "neutral"]


def test_contract_and_order():
    made = composite_rows(wandering(), NONE, FLOW)
    schema = contract("gold.composite_signal").schema
    stamped = {"inference_version", "revision", "input_digest"}
    assert dict(made.schema) == {k: v for k, v in schema.items() if k not in stamped}
    assert made.equals(made.sort("session", "symbol"))
    assert composite_rows(wandering().clear(), NONE, FLOW).height == 0


def test_a_version_names_code_and_every_parameter():
    base = inference_version("code", FLOW)
    assert len(base) == 12 and int(base, 16) >= 0
    assert inference_version("code", FlowSettings()) == base
    assert inference_version("other", FLOW) != base
    for name in FlowSettings.__struct_fields__:
        moved = msgspec.structs.replace(FLOW, **{name: getattr(FLOW, name) + 1})
        assert inference_version("code", moved) != base, name
    keys = list(msgspec.json.decode(parameters_json(FLOW)))
    assert keys == sorted(keys)
