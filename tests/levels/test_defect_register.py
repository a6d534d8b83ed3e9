"""The register of the earlier systems' defects in levels and physics, each with its guard.

A guard is a test that would turn red (checked to exist); what has none says why: it belongs to
options, learning or the live services, which are not built here. Defects without a test beside
their module are tried in this file.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import msgspec
import pytest

import tapemill
from tapemill.contracts import contract
from tapemill.contracts.level_features import LEVEL_FEATURES
from tapemill.lake import Lake
from tapemill.settings import LevelsSettings

TESTS = Path(__file__).parents[1]
SOURCES = Path(str(tapemill.__file__)).parent

_OPTIONS = "needs option data; slots for fuel stay null until they come: "
_LEARNING = "no model is trained here; a matter of the learning stage: "
_LIVE = "there is no message bus and no live gateway here: "

LEAKS = {
    "L1 gamma at the day's last price": _OPTIONS + "spot must be that of each trade",
    "L2 whole-day option flow": _OPTIONS + "accumulators must stop at the decision",
    "L3 labels among the features": "levels/test_defect_register.py::features_cannot_reach_labels",
    "L4 window overlaps the label": "levels/test_outcomes.py::labels_begin_after_the_record",
    "L5 rows stamped with the bar's start": "levels/test_checks.py::planted_pattern_is_found",
    "L6 a state where a stage may not see it": _LEARNING + "a feature says when it is known",
    "L7 relative volume to the end of the hour": "levels/test_context.py::stops_at_the_minute",
    "L8 mean depth of the whole day": "levels/test_physics.py::no_answer_depends_on_what_comes",
    "L9 joined at the start of a bar": "levels/test_kinds.py::stamped_by_their_end",
    "L10 index fitted on test days": _LEARNING + "nothing is fitted on days that are judged",
    "L11 rows that overlap": "proof/test_placebo_effect.py::make_no_interval_narrower",
}

BUGS = {
    "shared trigger and latch": "levels/test_episodes.py::next_needs_a_leave",
    "runway always clear": "levels/test_context.py::runway_passes_weak_levels",
    "strike label never used": "levels/test_zones.py::stacked_levels_do",
    "walls mean opposite things": _OPTIONS + "one meaning must be picked and named",
    "static ratio": "levels/test_projected.py::no_multiple_is_fixed_anywhere",
    "option handler signature": _OPTIONS + "no handler of option trades is there",
    "missing wall_ratio": "levels/test_physics.py::equals_its_declaration_computed_slowly",
    "reach-model file collision": _LEARNING + "no model is kept in a file",
    "missing-column check tautological": "levels/test_checks.py::planted_pattern_is_found",
    "unordered prior_touches": "levels/test_context.py::touches_count_from_both",
    "misaligned confluence join": "levels/test_context.py::confluence_is_that_of_the_golden",
    "UTC bars since open": "levels/test_kinds.py::after_clock_changes_the_windows",
    "session state never reset live": "acceptance/test_orders_real_hour.py::live_gives_what",
    "tiny sweep threshold": "levels/test_golden_physics.py::two_contracts_are_no_sweep",
    "sentinel prices": "book/test_orders.py::undefined_is_no_number",
    "partition by contract in the live writer": "levels/test_feed.py::other_contracts",
    "data root mismatch": "levels/test_defect_register.py::one_place",
    "ack before durable": "intake/test_orders_crash.py::resume_to_the_same_rows",
    "swallow and drop on write errors": "lake/test_tables.py::a_full_disk_commits_nothing",
    "manifest schema snapshot": "levels/test_checks.py::planted_pattern_is_found",
    "manifests' parameters ignored": "levels/test_recipes.py::makes_a_date_stale",
    "names the labeller never emits": "levels/test_checks.py::planted_pattern_is_found",
    "daylight-saving constants": "acceptance/test_orders_hostile.py::hours_are_those_of_new_york",
    "prefix matches other tickers": "refine/test_futures_contracts.py::a_symbol_says_what_it_is",
}
"""Section 11.2."""

SECTIONS = {
    "2 LATENESS_BUFFER is dead": "levels/test_defect_register.py::no_key_of_levels_is_dead",
    "2.3 partition key of the event": "levels/test_feed.py::what_was_imported_comes_out",
    "2.4 absent level as a price": "book/test_ladder.py::levels_are_those_of_a_feed",
    "2.6 greeks are never written": _OPTIONS + "no table of greeks is declared",
    "2.8 the join in prose was never written": _OPTIONS + "it was that of trades and greeks",
    "2.11 nested data root": "levels/test_defect_register.py::one_place",
    "2.12 acked before durable": "intake/test_orders_crash.py::resume_to_the_same_rows",
    "2.14 manifest that nobody makes": "levels/test_recipes.py::makes_a_date_stale",
    "3.2 rows counted instead of contracts": "refine/test_futures_rolls.py::do_not_outvote",
    "3.2 regular hours in UTC": "refine/test_futures_minutes.py::change_of_clocks",
    "3.2 bronze rewritten in place": "refine/test_futures_minutes.py::contracts_and_spreads",
    "3.2 price range of one month": "refine/test_futures_checks.py::its_successor_or_a_reason",
    "3.2 spliced contracts": "levels/test_continuous.py::have_no_jump_at_the_roll",
    "3.3 checks of one hour of one file": "refine/test_futures_checks.py::planted_pattern",
    "4.1 session extremes touch themselves": "levels/test_kinds.py::does_not_touch_itself",
    "4.1 VWAP since process start": "levels/test_kinds.py::volume_weighted_prices",
    "4.1 averages cleared at midnight": "levels/test_kinds.py::moving_averages",
    "4.1 strikes of whole-day volume": _OPTIONS + "strikes come through the same registry",
    "4.1 GAMMA_FLIP is dead": _OPTIONS + "no such kind is declared before it can be made",
    "4.1 zones of the user collide": "levels/test_registry.py::two_levels_of_one_id",
    "4.2 valid_from is now": "levels/test_registry.py::do_not_depend_on_what_comes_after",
    "4.3 ROUND hides STRIKE": "levels/test_zones.py::stacked_levels_do",
    "4.6 price filter 3000 to 10000": "levels/test_defect_register.py::no_literal_of_one_market",
    "4.6 two-minute bar of the future": "levels/test_kinds.py::stamped_by_their_end",
    "4.7 touch at the bar's own extreme": "levels/test_checks.py::known_after_its_touch",
    "4.7 twenty touches of one approach": "levels/test_episodes.py::for_an_hour_is_one_approach",
    "4.7 capped at 5000 rows": "levels/test_episodes.py::full_output_go_on",
    "4.9 quality always CLEAR": "levels/test_context.py::runway_passes_weak_levels",
    "5.1 one name, after and before": "levels/test_physics.py::any_chunks_give_the_same_bits",
    "5.1 fuel window is dead": _OPTIONS + "windows of fuel are declared with its features",
    "5.2 vacuum never looks at fills": "levels/test_states.py::first_rule_that_holds",
    "5.2 percentile rule of WEAK is dead": "levels/test_states.py::every_state_is_reached",
    "5.2 ratio of unlike units": "levels/test_physics.py::equals_its_declaration_computed_slowly",
    "5.2 replenishment is all zeros": "levels/test_checks.py::a_constant_and_a_doubled_feature",
    "5.2 live wall ratio of shares": "acceptance/test_orders_real_hour.py::live_gives_what",
    "5.2 the window on the book slides": "levels/test_physics_real.py::where_the_zone_is_in_view",
    "5.3 sweep is always False": "levels/test_physics.py::reach_every_feature_and_every_state",
    "5.3 seconds as floats": "levels/test_golden_physics.py::a3_velocity",
    "5.4 spot is the last of the date": _OPTIONS + "spot must be that of each trade",
    "5.4 handler that raises": _OPTIONS + "no handler of option trades is there",
    "5.5 prior touches in row order": "levels/test_context.py::touches_count_from_both",
    "5.5 minutes since the UTC file began": "levels/test_context.py::those_of_the_moment",
    "5.6 clusters of attempts collide": "levels/test_episodes.py::the_other_side_has_its_own",
    "5.8 live and batch confluence differ": "acceptance/test_orders_real_hour.py::live_gives",
    "5.8 volume to the end of the hour": "levels/test_context.py::stops_at_the_minute",
    "5.8 results by position": "levels/test_context.py::any_chunks_and_any_future",
    "5.11 one trigger for all levels": "levels/test_episodes.py::what_the_plain_machine_does",
    "5.11 a break is for ever": "levels/test_episodes.py::next_needs_a_leave",
    "6.1 delays taken for horizons": "levels/test_outcomes.py::horizons_are_true",
    "6.2 anchored before the decision": "levels/test_checker.py::agrees_with_the_kernel",
    "6.2 magnitude decides, not order": "levels/test_outcomes.py::golden_a17",
    "6.3 price at the decision left out": "levels/test_context.py::penetration_counts",
    "6.1 undefined looks untradeable": "levels/test_checker.py::leaves_net_and_tradeable_unknown",
    "7 constant columns pass": "levels/test_checks.py::a_constant_and_a_doubled_feature",
    "7 no recomputation of labels": "levels/test_checks.py::turns_the_check_red",
    "7 no level before its touch": "levels/test_checks.py::known_after_its_touch",
    "7 no counts of kinds": "levels/test_checks.py::kinds_are_counted",
}
"""Marks BUG, LEAK, DRIFT and DEAD of sections 2 to 6, and what section 7 lacked."""

_MODEL = "a value of the model that is not built here"
GOLDEN = {
    "A1": "levels/test_golden_physics.py::a1_imbalance",
    "A2": "no feature is smoothed, so no such average exists; volatility has its own tests",
    "A3": "levels/test_golden_physics.py::a3_velocity",
    "A4": _OPTIONS + "Black-Scholes gamma",
    "A5": _OPTIONS + "Black-Scholes gamma",
    "A6": _OPTIONS + "Black-Scholes gamma",
    "A7": _OPTIONS + "dealer gamma of a customer's trade",
    "A8": "levels/test_states.py::first_rule_that_holds",
    "A9": "levels/test_states.py::first_rule_that_holds",
    "A10": "levels/test_states.py::first_rule_that_holds",
    "A11": "levels/test_context.py::confluence_is_that_of_the_golden",
    "A12": _LIVE + "relevance in the viewport",
    "A13": _LEARNING + _MODEL,
    "A14": _LEARNING + _MODEL,
    "A15": _LEARNING + _MODEL,
    "A16": _LIVE + "the composite score was no measurement and is not made",
    "A17": "levels/test_outcomes.py::golden_a17",
    "A18": "levels/test_outcomes.py::golden_a18",
    "A19": "levels/test_outcomes.py::golden_a19",
    "A20": "levels/test_episodes.py::golden_a20",
    "A21": "levels/test_golden_physics.py::a21_two_contracts",
    "A22": "levels/test_basis.py::golden_error_of_the_ratio",
}

ACCEPTANCE = {
    "B1 scramble": "acceptance/test_orders_real_hour.py::depends_on_what_comes_after",
    "B1 labels unreachable": "levels/test_defect_register.py::features_cannot_reach_labels",
    "B2 batch and live agree": "acceptance/test_orders_real_hour.py::live_gives_what",
    "B3 kinds are documented": "levels/test_registry.py::the_document_names_every_kind",
    "B3 placebo-controlled effect": "acceptance/test_levels_planted.py::from_files_to_a_proof",
    "B4 projection error": "levels/test_projected.py::the_band_holds",
    "B5 absent levels and sentinels": "book/test_ladder.py::levels_are_those_of_a_feed",
    "B5 gaps": "levels/test_outcomes.py::a_gap_censors",
    "B5 rolls": "levels/test_recipes.py::the_date_after_a_roll",
    "B5 half days": "acceptance/test_orders_hostile.py::a_half_day_ends_early",
    "B5 clock changes": "acceptance/test_orders_hostile.py::hours_are_those_of_new_york",
    "B6 every state reachable": "levels/test_episodes.py::walks_reach_every_end",
    "B7 labels recomputed": "levels/test_checks.py::turns_the_check_red",
    "B8 against base rates": "proof/test_placebo_effect.py::too_little_is_called_so",
    "B9 seconds a day": "measured by the benchmarks, whose results name the machine; no test",
    "B10 killed and replayed": "acceptance/test_orders_hostile.py::killed_midway_resumes",
    "B11 numbers link to definitions": "report/test_docs.py::committed_page_equals",
    "B12 no constant feature": "levels/test_checks.py::a_constant_and_a_doubled_feature",
    "B12 no dead key": "levels/test_defect_register.py::no_key_of_levels_is_dead",
    "B12 no literal threshold": "levels/test_defect_register.py::no_literal_of_one_market",
}
"""Appendix B, 1 to 12."""

REGISTER = LEAKS | BUGS | SECTIONS | GOLDEN | ACCEPTANCE


@pytest.mark.parametrize("defect", REGISTER)
def test_the_register_names_tests_that_exist_or_says_why_not(defect: str) -> None:
    file, guarded, name = REGISTER[defect].partition("::")
    if not guarded:
        assert len(file) > 40
        return
    assert len(name) > 8
    text = (TESTS / file).read_text(encoding="utf-8")
    assert any(name in line for line in text.splitlines() if line.lstrip().startswith("def test"))


def test_the_register_is_whole() -> None:
    assert [name.partition(" ")[0] for name in LEAKS] == [f"L{n}" for n in range(1, 12)]
    assert list(GOLDEN) == [f"A{n}" for n in range(1, 23)]
    assert {name.partition(" ")[0] for name in ACCEPTANCE} == {f"B{n}" for n in range(1, 13)}
    applies = {"A1", "A3", "A8", "A9", "A10", "A11", "A17", "A18", "A19", "A20", "A21", "A22"}
    assert {name for name, guard in GOLDEN.items() if "::" in guard} == applies


def _reached(start: str) -> set[str]:
    """Modules of the package that a module imports, and those that they import."""
    seen, ahead = set(), [start]
    while ahead:
        name = ahead.pop()
        path = SOURCES.parent / (name.replace(".", "/") + ".py")
        if name in seen or not path.is_file():
            continue
        seen.add(name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tapemill"):
                ahead += [str(node.module), *(f"{node.module}.{one.name}" for one in node.names)]
            elif isinstance(node, ast.Import):
                ahead += [one.name for one in node.names if one.name.startswith("tapemill")]
    return seen


def test_defect_l3_what_makes_features_cannot_reach_labels() -> None:
    reached = _reached("tapemill.levels.day")
    assert {"tapemill.levels.physics", "tapemill.levels.context"} <= reached
    labels = {f"tapemill.levels.{name}" for name in ("outcomes", "outcomes_rows", "labels")}
    assert labels <= _reached("tapemill.levels.recipes")
    assert not labels & reached
    outcomes = {
        column.name
        for column in contract("gold.episode_outcomes").columns
        if column.name not in contract("gold.episodes").schema
    }
    features = {feature.name for feature in LEVEL_FEATURES}
    # The spread at a decision was known at it: outcomes repeat it, for their net result.
    assert outcomes & features == {"spread_ticks"}


def test_no_key_of_levels_is_dead() -> None:
    """Settings were declared, recorded, and applied to nothing."""
    text = "".join(
        path.read_text(encoding="utf-8")
        for room in ("levels", "refine", "report", "proof", "cli")
        for path in sorted((SOURCES / room).rglob("*.py"))
        if path.name != "checks.py"
    )
    # Bands of the approach are read by their common ending.
    by_name = {f"{band}_sigma" for band in ("approach", "touch", "leave")}
    by_name |= {f"{band}_min_ticks" for band in ("approach", "touch", "leave")}
    for field in msgspec.structs.fields(LevelsSettings):
        used = re.search(rf"settings\b[\w.]*\.{field.name}\b", text)
        assert field.name in by_name or used, field.name
    assert 'f"{band}_sigma"' in text
    assert 'f"{band}_min_ticks"' in text


def test_readers_and_writers_of_a_relative_lake_have_one_place(tmp_path, monkeypatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    lake = Lake.open("lake", create=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    empty = contract("gold.levels").empty()
    lake.tables.append("gold.levels", empty, writer="test", sequence=0)
    lake.close()
    assert not list((tmp_path / "elsewhere").iterdir())
    assert Lake.open(tmp_path / "lake").datasets() == ["gold.levels"]


_MARKET = re.compile(r"(?<![\w.])(?:0\.25|12\.5|50\.0|3_?000|10_?000|6_?[78]\d0)(?![\w.])")


@pytest.mark.parametrize("room", ["book", "levels"])
def test_no_literal_of_one_market_stands_in_the_code(room: str) -> None:
    """Tick sizes, multipliers and price ranges come from definitions, thresholds from settings."""
    for path in sorted((SOURCES / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
                assert not _MARKET.fullmatch(repr(node.value)), f"{path.name}:{node.lineno}"
