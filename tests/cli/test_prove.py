"""`tapemill prove flow`: events of a lake against its prices; a null, a signal, and too little."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from acceptance.shell import Shell
from proof.worlds import World
from tapemill.cli import main
from tapemill.contracts import Dataset, contract
from tapemill.contracts.silver import Quality
from tapemill.flow.evening import evening_of
from tapemill.flow.events import label_events, scan_events
from tapemill.flow.signals import register_version
from tapemill.lake import Lake
from tapemill.settings.declaration import FlowSettings


def fill(declared: Dataset, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of a contract; what a test does not care about is null, or empty where it may not be."""
    empty = {pl.String: "", pl.Boolean: False, pl.Int32: 0, pl.Int16: 1, pl.Int64: 0}
    made = []
    for column in declared.columns:
        if column.name in rows.columns:
            made.append(pl.col(column.name).cast(column.dtype))
        else:
            value = None if column.nullable else empty[type(column.dtype)]
            made.append(pl.lit(value, dtype=column.dtype).alias(column.name))
    return rows.select(made)


def write(lake: Lake, dataset: str, rows: pl.DataFrame) -> None:
    lake.tables.replace(dataset, fill(contract(dataset), rows), predicate=None)


def put_prices(lake: Lake, world: World) -> None:
    known = [evening_of(day) + timedelta(hours=2) for day in world.sessions]
    stamps = pl.DataFrame(
        {
            "session": pl.Series(world.sessions, dtype=pl.Date),
            "known_at": pl.Series(known, dtype=pl.Datetime("us", "UTC")),
        }
    )
    bars = world.prices().join(stamps, on="session")
    stamp = pl.col("session").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    bars = bars.with_columns(
        high=pl.max_horizontal("open", "close"),
        low=pl.min_horizontal("open", "close"),
        ts=stamp,
        ts_event=stamp.dt.epoch("us") * 1000,
        year=pl.col("session").dt.year(),
    )
    write(lake, "silver.equity_bars_1d", bars)


def put_scan(lake: Lake, world: World, row, column, side) -> None:
    """Every name eligible on every evening; the events with a q of 1 %."""
    names, sessions = world.moves.shape
    everyone = pl.DataFrame(
        {
            "symbol": np.repeat(world.symbols, sessions),
            "session": pl.Series(world.sessions * names, dtype=pl.Date),
        }
    )
    said = world.events(row, column, side).with_columns(
        direction=pl.when(pl.col("side") > 0).then(pl.lit("buying")).otherwise(pl.lit("selling")),
        q_value=pl.lit(0.01),
        rank=pl.lit(1),
        otc_tier=pl.lit("T1"),
    )
    evenings = {day: evening_of(day) for day in world.sessions}
    moment = pl.col("session").replace_strict(evenings, return_dtype=pl.Datetime("us", "UTC"))
    rows = everyone.join(said.drop("known_at"), on=["symbol", "session"], how="left").with_columns(
        eligible=pl.lit(value=True),
        as_of=moment,
        known_at=moment,
        year=pl.col("session").dt.year(),
    )
    write(lake, "gold.flow_scan", rows)


def put_labels(lake: Lake, rows: list[tuple]) -> None:
    version = register_version(lake, "gold.composite_signal", "code", FlowSettings())
    frame = pl.DataFrame(
        rows,
        schema={"symbol": pl.String, "session": pl.Date, "final_label": pl.String},
        orient="row",
    )
    moments = {day: evening_of(day) for day in frame["session"].unique()}
    moment = pl.col("session").replace_strict(moments, return_dtype=pl.Datetime("us", "UTC"))
    write(
        lake,
        "gold.composite_signal",
        frame.with_columns(
            as_of=moment,
            known_at=moment,
            year=pl.col("session").dt.year(),
            inference_version=pl.lit(version),
            revision=pl.lit(1),
        ),
    )


@pytest.fixture
def lake(tmp_path):
    opened = Lake.open(tmp_path / "lake", create=True)
    yield opened
    opened.close()


@pytest.fixture
def shell(tmp_path, lake):
    return Shell(tmp_path / "lake")


def horizons(study: dict) -> dict[int, dict]:
    return {one["sessions"]: one for one in study["horizons"]}


def test_an_empty_lake_is_insufficient_and_no_failure(shell):
    facts = shell.ok("prove", "flow")
    assert "there are no daily bars" in facts["warnings"][0]
    for name in ("scan", "labels"):
        assert facts[name]["verdict"]["outcome"] == "insufficient"
        assert "0 events, 0 priced names" in facts[name]["verdict"]["words"]


def test_a_planted_drift_is_a_signal_and_no_drift_is_a_null(shell, lake):
    world = World(21)
    placed = world.signal(beyond=2.2)
    put_scan(lake, world, *placed)
    put_prices(lake, world)
    null = shell.ok("prove", "flow")["scan"]
    assert null["verdict"]["outcome"] == "null"
    assert null["verdict"]["words"].startswith("null: no horizon survives; ")
    world.plant(*placed, drift=0.005, length=5)
    put_prices(lake, world)
    facts = shell.ok("prove", "flow", "--horizon", 5, "--horizon", 1)["scan"]
    assert list(horizons(facts)) == [1, 5]
    assert facts["verdict"]["outcome"] == "signal"
    assert "placebo" in facts["verdict"]["words"]
    five = horizons(facts)[5]
    assert five["net_low"] > 0 and five["other_dates"]["p_value"] <= 0.05
    assert {part["kind"] for part in facts["slices"]} == {"regime", "side", "tier"}
    free = shell.ok("prove", "flow", "--horizon", 5, "--cost-bps", 0)["scan"]["horizons"][0]
    assert free["net"] == pytest.approx(five["net"] + 0.001)


def test_a_split_is_no_return(shell, lake):
    world = World(22)
    placed = world.signal(beyond=2.2)
    put_scan(lake, world, *placed)
    put_prices(lake, world)
    before = shell.ok("prove", "flow")["scan"]["horizons"]
    day = world.sessions[150]
    halved = World(22)
    halved.prices = lambda: world.prices().with_columns(  # type: ignore[method-assign]
        pl.when((pl.col("symbol") == "W003") & (pl.col("session") >= day))
        .then(pl.col("open", "close") / 2)
        .otherwise(pl.col("open", "close"))
    )
    put_prices(lake, halved)
    facts = shell.ok("prove", "flow")
    assert facts["scan"]["horizons"] != before
    assert "no splits were ever looked up" in facts["warnings"][0]
    split = pl.DataFrame(
        {
            "symbol": ["W003"],
            "ex_date": [day],
            "kind": ["split"],
            "split_from": [1.0],
            "split_to": [2.0],
            "price_factor_frac": [0.5],
            "volume_factor_frac": [2.0],
            "known_at": [evening_of(day)],
        }
    )
    write(lake, "reference.adjustments", split)
    facts = shell.ok("prove", "flow")
    after = facts["scan"]["horizons"]
    assert not facts["warnings"]
    for a, b in zip(after, before, strict=True):
        assert a["net"] == pytest.approx(b["net"], abs=1e-12)


def test_dates_q_top_and_as_of_choose_the_events(shell, lake):
    world = World(23)
    placed = world.signal(beyond=2.2)
    put_scan(lake, world, *placed)
    put_prices(lake, world)
    first, last = world.sessions[100], world.sessions[199]
    inside = int(((placed[1] >= 100) & (placed[1] <= 199)).sum())
    found = shell.ok("prove", "flow", "--start", first, "--end", last)["scan"]
    assert found["events"] == inside
    # Prices reach beyond the evenings asked for, so that every one of them has its exit.
    assert horizons(found)[20]["gross"]["events"] == inside
    assert shell.ok("prove", "flow", "--q", 0.01)["scan"]["events"] == 0
    assert shell.ok("prove", "flow", "--q", 0.0, "--top", 1)["scan"]["events"] == len(placed[0])
    then = shell.ok("prove", "flow", "--as-of", world.sessions[150])["scan"]
    assert then["events"] == int((placed[1] <= 150).sum())
    assert horizons(then)[20]["gross"]["events"] == int((placed[1] + 20 <= 150).sum())


def test_prices_that_their_source_adjusted_are_not_called_as_traded(shell, lake):
    world = World(26)
    put_scan(lake, world, *world.signal(beyond=2.2))
    put_prices(lake, world)
    assert "are as traded" in shell.ok("prove", "flow")["warnings"][0]
    rows = lake.tables.scan("silver.equity_bars_1d").collect()
    done = rows.with_columns(quality=pl.lit(int(Quality.ADJUSTED), dtype=rows["quality"].dtype))
    lake.tables.replace("silver.equity_bars_1d", done, predicate=None)
    assert shell.ok("prove", "flow")["warnings"] == []
    mixed = pl.concat([done.filter(pl.col("symbol") != "W001"), rows.filter(symbol="W001")])
    lake.tables.replace("silver.equity_bars_1d", mixed, predicate=None)
    (warning,) = shell.ok("prove", "flow")["warnings"]
    assert "prices of 1 names are as traded" in warning


def test_an_event_of_a_label_is_its_beginning(lake):
    world = World(24)
    days = world.sessions
    words = ["neutral", "accumulate", "accumulate", "divergent", "distribute", "distribute"]
    rows = [("W001", days[k], word) for k, word in enumerate(words)]
    rows += [("W002", days[0], "accumulate")]
    put_labels(lake, rows)
    found = label_events(lake)
    assert found.select("symbol", "session", "side").rows() == [
        ("W002", days[0], 1),
        ("W001", days[1], 1),
        ("W001", days[4], -1),
    ]
    # A label that began before the range does not begin in it.
    assert label_events(lake, start=days[2])["session"].to_list() == [days[4]]
    assert scan_events(lake).is_empty()


def test_people_get_tables_and_the_verdict(shell, lake, capsys):
    world = World(25)
    put_scan(lake, world, *world.signal(beyond=2.2))
    put_prices(lake, world)
    with pytest.raises(SystemExit) as end:
        main(["prove", "flow", "--lake", shell.lake])
    out = capsys.readouterr().out
    assert not end.value.code
    assert "null: no horizon survives" in out
    assert "insufficient: 0 events" in out
    assert "FINRA publishes no direction" in out
