"""What must hold in every row of gold: one rule a pattern, judged row by row.

Ranges are relative to what was declared or to the row itself; no price, spread or threshold of one
market is written down here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import polars as pl
from polars import selectors as cs

from tapemill.contracts import contract
from tapemill.contracts.level_features import LEVEL_FEATURES
from tapemill.contracts.level_physics import TOUCH_WINDOW, WINDOWS
from tapemill.levels.episodes import DELAYS, END_REASONS
from tapemill.levels.outcomes import CENSORED_BY, OUTCOMES, barrier_names
from tapemill.levels.registry import KIND_WEIGHTS
from tapemill.refine.detectors import Finding
from tapemill.refine.detectors.findings import Severity, by_session
from tapemill.settings import LevelsSettings

__all__ = ["EPISODES", "FEATURES", "LEVELS", "OUTCOME_ROWS", "Rule", "broken_rows", "check_rows"]

LEVELS = "gold.levels"
EPISODES = "gold.episodes"
FEATURES = "gold.episode_features"
OUTCOME_ROWS = "gold.episode_outcomes"
FAMILIES = ("real", "placebo_random", "placebo_shifted")

_SECOND = 1_000_000_000
_NEAR = 1e-6
_STATES = 6


class Rule(NamedTuple):
    """A pattern: its name, which rows show it (null: they do not), what to say of them."""

    kind: str
    broken: pl.Expr
    text: str
    severity: Severity = "error"


def broken_rows(dataset: str, frame: pl.DataFrame, rules: Sequence[Rule]) -> list[Finding]:
    """One finding a rule and trade date.

    Parameters
    ----------
    dataset : str
    frame : pl.DataFrame
        Has ``symbol`` and ``session``.
    rules : sequence of Rule
    """
    verdicts = frame.select(
        rule.broken.fill_null(value=False).alias(str(place)) for place, rule in enumerate(rules)
    )
    found: list[Finding] = []
    for place, rule in enumerate(rules):
        broken = verdicts[str(place)]
        if broken.any():
            rows = frame.filter(broken)
            text = "{rows} rows: " + rule.text
            found += by_session(rule.kind, dataset, rows, text, severity=rule.severity)
    return found


def check_rows(dataset: str, frame: pl.DataFrame, settings: LevelsSettings) -> list[Finding]:
    """Judge the rows of one table of gold.

    Parameters
    ----------
    dataset : str
        ``"gold.levels"``, ``"gold.episodes"``, ``"gold.episode_features"`` or
        ``"gold.episode_outcomes"``.
    frame : pl.DataFrame
        Rows of one or more trade dates, in the order of the table.
    settings : LevelsSettings
        As the rows were made with.
    """
    rules = [*_every(dataset), *_OWN[dataset](settings)]
    return _shape(dataset, frame) or broken_rows(dataset, frame, rules)


def _shape(dataset: str, frame: pl.DataFrame) -> list[Finding]:
    """Columns that are not those of the contract: nothing else can be judged then."""
    declared = contract(dataset).schema
    wrong = [name for name in declared if frame.schema.get(name) != declared[name]]
    wrong += [name for name in frame.columns if name not in declared]
    if not wrong:
        return []
    text = f"columns differ from the contract: {', '.join(wrong)}; build the table again"
    rows = pl.DataFrame({"column": wrong})
    return [Finding("columns_differ", "error", dataset, ", ".join(wrong[:5]), None, text, rows)]


def _every(dataset: str) -> list[Rule]:
    """Rules of all tables, from their contract."""
    declared = contract(dataset)
    required = [column.name for column in declared.columns if not column.nullable]
    moment = pl.col(declared.event_column if dataset != EPISODES else "end_ns")
    known_ns = pl.col("known_at").dt.epoch("us") * 1_000
    order = pl.struct(declared.order)
    return [
        Rule(
            "value_missing",
            pl.any_horizontal(pl.col(name).is_null() for name in required),
            "a column that is always known is null",
        ),
        Rule(
            "not_a_number",
            pl.any_horizontal(cs.float().is_infinite() | cs.float().is_nan()),
            "an infinity or no number; what is unknown is null",
        ),
        Rule("row_twice", pl.struct(declared.key).is_duplicated(), "another row has the same key"),
        Rule(
            "out_of_order",
            order.rank("dense") < order.rank("dense").shift(1),
            "rows are not in the order of the table",
            "warning",
        ),
        Rule(
            "known_at_wrong",
            (known_ns < moment) | (known_ns > moment + 999),
            f"known_at is not {declared.event_column} rounded up to the microsecond"
            if dataset != EPISODES
            else "known_at is not the end of the approach rounded up to the microsecond",
        ),
    ]


def _strange(**known: Sequence[object]) -> list[Rule]:
    """Values that nobody declared, column by column."""
    return [
        Rule("category_unknown", ~pl.col(name).is_in(list(values)), f"a strange value of {name}")
        for name, values in known.items()
    ]


def _of_levels(_: LevelsSettings) -> list[Rule]:
    placebo = pl.col("family") != "real"
    return [
        *_strange(family=FAMILIES, kind=list(KIND_WEIGHTS)),
        Rule("valid_backwards", pl.col("valid_from_ns") >= pl.col("valid_to_ns"), "from >= to"),
        Rule("error_negative", pl.col("error_ticks") < 0, "an error band below zero"),
        Rule(
            "placebo_unmatched",
            placebo != pl.col("placebo_of").is_not_null(),
            "placebos name the level that they match, and real levels none",
        ),
    ]


def _of_episodes(_: LevelsSettings) -> list[Rule]:
    touched = pl.col("touch_ns").is_not_null()
    before = pl.col("end_ns").shift(1).over("symbol", "session", "zone", order_by="enter_ns")
    return [
        *_strange(family=FAMILIES, direction=(-1, 1), end_reason=END_REASONS),
        Rule(
            "times_backwards",
            (pl.col("enter_ns") > pl.col("end_ns"))
            | ~pl.col("touch_ns").is_between("enter_ns", "end_ns"),
            "an approach is entered, touched and ended in this order",
        ),
        Rule("edges_crossed", pl.col("low_ticks") > pl.col("high_ticks"), "low above high"),
        Rule("sigma_not_positive", ~(pl.col("sigma_ticks") > 0), "no volatility, no bands"),
        Rule(
            "attempts_wrong",
            (touched & (pl.col("attempt") < 1)) | (~touched & (pl.col("attempt") != 0)),
            "attempts count touches from 1; without touch there is none",
        ),
        Rule(
            "chain_wrong",
            (pl.col("attempt") <= 1) != (pl.col("chain") == pl.col("episode_id")),
            "the first of a chain, and only it, names itself",
        ),
        Rule(
            "episodes_overlap",
            pl.col("enter_ns") < before,
            "a zone is approached anew before the approach before has ended",
        ),
    ]


def _of_features(_: LevelsSettings) -> list[Rule]:
    sign = pl.col("direction")
    rules = [
        *_strange(family=FAMILIES, direction=(-1, 1), delay_seconds=DELAYS),
        *_ranges(),
    ]
    for suffix in (*(f"{seconds}s" for seconds in WINDOWS), TOUCH_WINDOW):
        added, canceled, filled = (
            pl.col(f"barrier_{name}_{suffix}") for name in ("added", "canceled", "filled")
        )
        bought, sold = (pl.col(f"tape_{name}_volume_{suffix}") for name in ("buy", "sell"))
        imbalance = (bought - sold) / (bought + sold)
        rules += [
            _formula(f"barrier_net_{suffix}", added - canceled - filled),
            _formula(f"barrier_churn_{suffix}", added + canceled + filled),
            _formula(f"barrier_replenishment_{suffix}", added / (canceled + filled)),
            _formula(f"tape_imbalance_{suffix}", imbalance),
            _formula(f"tape_pressure_{suffix}", sign * imbalance),
        ]
    grow = ("barrier_added", "barrier_canceled", "barrier_filled", "tape_buy_volume")
    rules += [
        Rule(
            "windows_not_nested",
            pl.col(f"{name}_{short}s") > pl.col(f"{name}_{long}s"),
            f"{name}: more in {short} s than in {long} s",
        )
        for name in (*grow, "tape_sell_volume")
        for short, long in itertools.pairwise(WINDOWS)
    ]
    return rules


def _formula(name: str, expected: pl.Expr) -> Rule:
    """A feature that is not what its formula makes of other features of its row."""
    given = pl.col(name)
    off = (given - expected).abs() > _NEAR * (1.0 + expected.abs())
    return Rule("feature_contradicts", off & expected.is_finite(), f"{name} is not its formula")


_SIGNED = ("tape_imbalance", "tape_pressure", "queue_pressure")
_SOME_SIGN = ("barrier_net_", "distance_ticks", "penetration_ticks", "microprice_ticks")


def _ranges() -> list[Rule]:
    """Values beyond what the unit of a feature allows."""
    rules = []
    for feature in LEVEL_FEATURES:
        value, unit = pl.col(feature.name), feature.unit
        if feature.family == "fuel":
            continue
        if unit == "fraction":
            least = -1.0 if feature.name.startswith(_SIGNED) else 0.0
            broken = ~value.is_between(least - _NEAR, 1.0 + _NEAR)
        elif unit == "flag":
            broken = ~value.is_in([0.0, 1.0])
        elif unit == "code":
            broken = ~value.is_between(1, _STATES)
        elif unit == "count":
            broken = (value < 0) | (value != value.floor())
        elif unit in ("contracts", "ticks", "1/s", "weight") and not feature.name.startswith(
            _SOME_SIGN
        ):
            broken = value < 0
        else:
            continue
        rules.append(Rule("range_left", broken, f"{feature.name} is no {unit}"))
    return rules


def _of_outcomes(settings: LevelsSettings) -> list[Rule]:
    outcome, seconds = pl.col("outcome"), pl.col("seconds")
    passed, censored = outcome.is_in(["break", "bounce"]), outcome == "censored"
    deadline = pl.col("decision_ns") + pl.col("horizon_seconds").cast(pl.Int64) * _SECOND
    # Moves are whole ticks: a barrier below half of one is passed by the first move.
    least = pl.max_horizontal("barrier_ticks", 0.5) - _NEAR
    up, down = pl.col("favourable_ticks"), pl.col("adverse_ticks")
    waited_ns = pl.col("resolved_ns") - pl.col("decision_ns")
    net_known = pl.col("net_ticks").is_not_null() & pl.col("net_ticks").is_finite()
    names = barrier_names(settings)
    return [
        *_strange(
            family=FAMILIES,
            direction=(-1, 1),
            delay_seconds=DELAYS,
            outcome=OUTCOMES,
            censored_by=[name for name in CENSORED_BY if name],
            barrier=names,
            horizon_seconds=settings.horizons_seconds,
        ),
        Rule(
            "label_before_decision",
            waited_ns < 0,
            "an outcome is known before its decision was made",
        ),
        Rule(
            "outcome_contradicts",
            (passed != seconds.is_not_null())
            | (censored != pl.col("censored_by").is_not_null())
            | (~passed & pl.col("net_ticks").is_not_null())
            | (censored & pl.col("tradeable").is_not_null()),
            "outcome, time, reason of censoring and net result do not belong together",
        ),
        Rule(
            "passage_outside_horizon",
            ~seconds.is_between(0, pl.col("horizon_seconds"))
            | ((seconds * _SECOND - waited_ns).abs() > _SECOND // 1_000_000)
            | ((outcome == "neither") & (pl.col("resolved_ns") != deadline)),
            "the passage does not lie where its time says, within the horizon",
        ),
        Rule(
            "excursion_contradicts",
            ((outcome == "break") & (up < least))
            | ((outcome == "bounce") & (down < least))
            | ((outcome == "neither") & (pl.max_horizontal(up, down) >= least + 2 * _NEAR))
            | (pl.min_horizontal(up, down) < 0),
            "the furthest trades are not on the sides of the barriers that the outcome says",
        ),
        Rule(
            "net_contradicts",
            net_known & (pl.col("tradeable") != (pl.col("net_ticks") > 0)),
            "tradeable is not whether something is left",
        ),
    ]


_OWN: dict[str, Callable[[LevelsSettings], list[Rule]]] = {
    LEVELS: _of_levels,
    EPISODES: _of_episodes,
    FEATURES: _of_features,
    OUTCOME_ROWS: _of_outcomes,
}
