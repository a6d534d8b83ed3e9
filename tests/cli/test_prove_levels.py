"""`tapemill prove levels`: outcomes of a lake by kind; something, nothing, and too little."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from acceptance.shell import Shell
from tapemill.cli import main
from tapemill.clock import calendar
from tapemill.contracts import contract
from tapemill.lake import Lake


@pytest.fixture
def shell(tmp_path):
    Lake.open(tmp_path / "lake", create=True).close()
    return Shell(tmp_path / "lake")


def put(shell, dates: int, held: float) -> pl.DataFrame:
    """Approaches on some dates: at ROUND as at placebos, at VWAP (half with ROUND) as told."""
    rng = np.random.default_rng(dates)
    rows = []
    for day in calendar("CMES").session_dates(date(2024, 1, 8), date(2024, 4, 1))[:dates]:
        for number in range(90):
            family = "real" if number % 3 == 0 else "placebo_random"
            kinds = ("ROUND", "VWAP", "ROUND+VWAP")[number % 9 // 3]
            chance = held if family == "real" and "VWAP" in kinds else 0.4
            outcome = "bounce" if rng.random() < chance else "break"
            if number % 30 == 29:
                outcome = "censored"
            moment = datetime(day.year, day.month, day.day, 15, tzinfo=UTC)
            moment += timedelta(minutes=int(rng.integers(0, 300)))
            rows.append((f"{day}-{number:03d}", day, family, kinds, outcome, moment))
    names = ["episode_id", "session", "family", "kinds", "outcome", "known_at"]
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.col("known_at").cast(pl.Datetime("us", "UTC")),
        month=pl.col("session").dt.strftime("%Y-%m"),
        symbol=pl.lit("ESH4"),
        horizon_seconds=pl.lit(240),
        barrier=pl.lit("k1"),
        delay_seconds=pl.lit(0),
        decision_ns=pl.col("known_at").dt.epoch("us") * 1000,
    )
    lake = Lake.open(shell.lake)
    for name in ("gold.episodes", "gold.episode_outcomes"):
        declared = contract(name)
        empty = {pl.String: "", pl.Int64: 0, pl.Int32: 0, pl.Int8: 1, pl.Float64: 0.0}
        lake.tables.replace(
            name,
            frame.select(
                pl.col(column.name).cast(column.dtype)
                if column.name in frame.columns
                else pl.lit(
                    None if column.nullable else empty[type(column.dtype)], column.dtype
                ).alias(column.name)
                for column in declared.columns
            ),
            predicate=None,
        )
    lake.close()
    return frame


def kinds(facts: dict) -> dict[str, dict]:
    return {row["kind"]: row for row in facts["kinds"]}


def test_a_lake_without_episodes_is_insufficient_and_no_failure(shell):
    facts = shell.ok("prove", "levels")
    assert facts["verdict"]["outcome"] == "insufficient" and facts["kinds"] == []
    assert "there are no outcomes" in facts["warnings"][0]


def test_a_kind_that_differs_is_shown_and_one_that_does_not_is_not(shell):
    frame = put(shell, 15, 0.85)
    facts = shell.ok("prove", "levels")
    assert facts["dates"] == 15 and facts["warnings"] == []
    assert facts["verdict"]["outcome"] == "shown" and "VWAP" in facts["verdict"]["kinds"]
    rows = kinds(facts)
    assert rows["VWAP"]["low"] > 0.2 and rows["VWAP"]["units"] == 15
    # A zone of both kinds counts for both, and once in the whole.
    for kind in ("VWAP", "ROUND"):
        own = frame.filter(pl.col("kinds").str.contains(kind))
        row = rows[kind]
        told = row["n_real"] + row["n_placebo"] + row["left_out"] + row["unmatched"]
        assert told == own.height
        assert row["left_out"] == own.filter(pl.col("outcome") == "censored").height
    (every,) = facts["together"]
    told = sum(every[name] for name in ("n_real", "n_placebo", "left_out", "unmatched"))
    assert told == frame.height
    broke = kinds(shell.ok("prove", "levels", "--outcome", "break", "--kind", "vwap"))
    assert broke["VWAP"]["high"] < -0.2 and set(broke) == {"VWAP"}
    early = shell.ok("prove", "levels", "--as-of", "2024-01-12")
    assert early["dates"] == 5 and early["warnings"]
    assert shell.ok("prove", "levels", "--start", "2024-01-10", "--end", "2024-01-12")["dates"] == 3


def test_no_difference_is_a_null_and_a_day_is_too_little(shell):
    put(shell, 15, 0.4)
    facts = shell.ok("prove", "levels")
    assert facts["verdict"]["outcome"] == "null"
    assert facts["verdict"]["words"].startswith("null: nothing is shown")
    facts = shell.ok("prove", "levels", "--end", "2024-01-08")
    assert facts["verdict"]["outcome"] == "null"  # by half hours, and it says what that is worth
    assert facts["warnings"] == ["so few trade dates tell nothing of other dates"]
    assert kinds(facts)["ROUND"]["difference"] is None or kinds(facts)["ROUND"]["units"] <= 11


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--kind", "vwapp"), "did you mean 'VWAP'"),
        (("--barrier", "k3"), "has k1"),
        (("--horizon", 241), "has 240"),
        (("--outcome", "bounced"), "did you mean 'bounce'"),
    ],
)
def test_what_is_not_there_is_named(shell, words, named):
    put(shell, 2, 0.4)
    code, _, complaint = shell.run("prove", "levels", *words)
    assert code == 2 and named in complaint


def test_the_table_says_what_it_is_worth(shell, capsys):
    put(shell, 15, 0.85)
    with pytest.raises(SystemExit) as end:
        main(["prove", "levels", "--lake", shell.lake])
    out = capsys.readouterr().out
    assert end.value.code == 0
    assert "shown: " in out and "any level" in out and "95 % of it" in out
    assert "units are dates" in out
