import datetime as dt
import subprocess
import sys

import polars as pl
import pytest

from lake.rows import DAILY, MINUTE, bars, weekdays
from tapemill.errors import UsageError

DAYS = weekdays(dt.date(2025, 1, 30), 3)


@pytest.fixture
def filled(lake):
    rows = bars(["AAA", "BBB"], DAYS)
    superseded = rows.head(5).with_columns(superseded_at=pl.col("known_at"))
    lake.tables.append(MINUTE, pl.concat([rows, superseded]), writer="w", sequence=1)
    return lake


def test_a_dataset_is_a_view_of_current_rows(filled):
    found = filled.sql(
        f"select symbol, count(*) n, sum(volume) v from {MINUTE} group by 1 order by 1"
    )
    expected = bars(["AAA", "BBB"], DAYS).group_by("symbol").agg(pl.col("volume").sum())
    assert found["n"].to_list() == [90, 90]
    assert found["v"].to_list() == expected.sort("symbol")["volume"].to_list()
    assert filled.sql(f"select count(*) n from {MINUTE}_versions").item() == 185


def test_columns_come_typed_and_in_order(filled):
    found = filled.sql(f"from {MINUTE} limit 1")
    assert found.schema["session"] == pl.Date
    assert found.schema["ts_event"] == pl.Int64
    assert found.columns == filled.scan(MINUTE).collect_schema().names()
    assert filled.sql(f"select month from {MINUTE} limit 1").item() == "2025-01"


@pytest.mark.parametrize(
    "statement",
    [
        "with a as (select * from silver.equity_bars_1m) select count(*) from a",
        f"describe {MINUTE}",
        f"summarize {MINUTE}",
        "explain select 1",
        "show all tables",
        "select 1 as one;",
        "select count(*) from silver.\"equity_bars_1m\" where symbol = 'AAA'",
    ],
)
def test_reading_statements(filled, statement):
    assert filled.sql(statement).height > 0


def test_every_dataset_and_control_table_is_listed_and_can_be_read(filled):
    listed = filled.sql("SHOW TABLES")["name"].to_list()
    assert {MINUTE, f"{MINUTE}_versions", DAILY, "ops.quarantine", "ops.calls"} <= set(listed)
    for name in listed:
        filled.sql(f"select * from {name} limit 1")
    assert filled.sql(f"select count(*) n from {DAILY}").item() == 0


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("", "one SELECT at a time"),
        ("select 1; select 2", "one SELECT at a time"),
        ("drop table x", "DROP"),
        ("create table x as select 1", "CREATE"),
        ("insert into x values (1)", "INSERT"),
        ("copy (select 1) to '/tmp/x.csv'", "COPY"),
        ("attach '/tmp/x.db'", "ATTACH"),
        ("install httpfs", "LOAD"),
        ("pragma version", "PRAGMA"),
        ("set threads = 1", "SET"),
        ("selec 1", "syntax error"),
        ("select nope from silver.equity_bars_1m", "nope"),
        ("select * from read_csv('/etc/passwd')", "disabled"),
        ("select * from '/etc/passwd'", "does not exist"),
        ("select * from read_text('/proc/self/environ')", "disabled"),
        ("select * from glob('/*')", "disabled"),
    ],
)
def test_everything_else_is_refused(filled, statement, words):
    with pytest.raises(UsageError, match=words) as caught:
        filled.sql(statement)
    assert caught.value.next_step


def test_a_misspelt_table_gets_a_hint(filled):
    with pytest.raises(UsageError, match="equity_bar_1m") as caught:
        filled.sql("select * from silver.equity_bar_1m")
    assert caught.value.next_step == f"did you mean '{MINUTE}'?"


def test_it_needs_no_pyarrow_and_leaves_no_noise(filled):
    script = f"""
import sys
sys.modules["pyarrow"] = None
from tapemill import Lake
lake = Lake.open({filled.location!r})
print(lake.sql("select count(*) n from {MINUTE}").item(), lake.sql("from ops.calls").height)
lake.control.close()
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["180", "0"]
    assert run.stderr == ""
