"""Real files through the command line: what the report says must agree with what was counted."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from acceptance.shell import Shell
from tapemill.lake import Lake

pytestmark = [pytest.mark.acceptance, pytest.mark.real]

MINUTES, FUTURES = "silver.equity_bars_1m", "silver.futures_bars_1m"
SPY = "bars/spy-1m-2024-2025/SPY_1m.parquet"
CROSS_SECTION = "bars/us-1m-xsec-2026-01/bars.parquet"
ES = "bars/es/lumibot-es-like-1m-rth-2020-01-02_2020-04-22.csv"
HALF_DAYS = [date(2024, 7, 3), date(2024, 11, 29), date(2024, 12, 24)]
BREAKER_DAYS = [date(2020, 3, day) for day in (9, 12, 16, 18)]
AS_NEW_YORK = ["symbol_column=symbol", "time=timestamp", "relabel_zone=America/New_York"]
ES_MAP = [
    "symbol=ES",
    "time=time",
    "zone=America/New_York",
    "stamp=end",
    "asset_class=future",
    "calendar=CMES",
    "hours=regular",
]


def maps(pairs: list[str]) -> list[str]:
    return [word for pair in pairs for word in ("--map", pair)]


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    return Shell(tmp_path_factory.mktemp("real") / "lake")


@pytest.fixture(scope="module")
def imports(shell, real_data):
    """Everything that was imported, with what the command said about it."""
    finra = real_data / "finra"
    return {
        "cnms": shell.ok("import", "finra-short", finra / "regsho-cnms"),
        "facility": shell.ok("import", "finra-short", finra / "regsho-facility"),
        "spy": shell.ok(
            "import",
            "bars",
            real_data / SPY,
            *maps(["symbol=SPY", "time=timestamp", "zone=UTC"]),
        ),
        "cross": shell.ok("import", "bars", real_data / CROSS_SECTION, *maps(AS_NEW_YORK)),
        "es": shell.ok("import", "bars", real_data / ES, *maps(ES_MAP)),
    }


@pytest.fixture(scope="module")
def built(shell, imports):
    return shell.ok("build")


@pytest.fixture(scope="module")
def checked(shell, built, tmp_path_factory):
    figure = tmp_path_factory.mktemp("figure") / "coverage"
    return *shell.run("check", "--figure", figure), figure


@pytest.fixture(scope="module")
def cells(shell, built):
    return shell.scan("silver.coverage")


def test_every_row_of_the_files_landed(imports):
    landed = {name: (facts["files"], facts["rows"]) for name, facts in imports.items()}
    assert landed["spy"] == (1, 102_236)
    assert landed["cross"] == (1, 886_036)
    assert landed["es"] == (1, 30_397)
    assert landed["cnms"] == (32, 288_585)
    # Nine rows of the FNYX file are exact repeats.
    assert landed["facility"] == (5, 131_672 + 92_998 + 7_828 + 377 + 3_994 - 9)
    assert all(facts["quarantined"] == 0 for facts in imports.values())
    assert imports["cross"]["symbols"] == 530


def test_thirty_two_consecutive_short_volume_files(shell, imports, built):
    assert (imports["cnms"]["first_session"], imports["cnms"]["last_session"]) == (
        "2020-12-01",
        "2021-01-15",
    )
    rows = shell.scan("silver.short_volume").filter(pl.col("facility") == "CNMS")
    per_session = rows.group_by("session").len()["len"]
    assert (per_session.len(), per_session.min(), per_session.max()) == (32, 8_833, 9_195)


def test_facility_sums_agree_with_the_consolidated_file_on_all_pairs(shell, built):
    rows = shell.scan("silver.short_volume")
    verdict = rows.filter((pl.col("facility") == "CNMS") & pl.col("reconciled").is_not_null())
    assert verdict.height == 2_256
    assert verdict["reconciled"].all()
    # By hand: the sum of the three facilities, without the column under test.
    parts = rows.filter(pl.col("facility").is_in(["FNSQ", "FNYX", "FNQC"]))
    pairs = parts.group_by("symbol", "session").agg(
        pl.col("short_volume", "total_volume").sum().name.suffix("_parts")
    )
    whole = rows.filter(pl.col("facility") == "CNMS")
    compared = whole.join(pairs, on=["symbol", "session"], how="inner")
    assert compared.height == 2_256
    for measure in ("short_volume", "total_volume"):
        assert (compared[measure] == compared[f"{measure}_parts"]).all()


def test_the_spy_year_day_by_day(shell, built):
    bars = shell.scan(MINUTES, ["SPY"], end="2025-12-31")
    assert bars.height == 102_236
    assert (bars["low"].min(), bars["high"].max()) == (493.86, 613.23)
    days = bars.group_by("session").agg(
        bars=pl.len(),
        first=pl.col("minute_of_session").min(),
        last=pl.col("minute_of_session").max(),
    )
    assert days.height == 256
    usual = days.filter(pl.col("bars") == 391)
    assert usual.height == 247
    assert usual.select((pl.col("first") == 0).all() & (pl.col("last") == 390).all()).item()
    extended = days.filter(pl.col("last") == 629).sort("session")
    assert extended["session"].to_list() == [
        date(2025, 3, 26),
        date(2025, 3, 27),
        date(2025, 3, 28),
        date(2025, 3, 31),
        date(2025, 4, 1),
    ]
    # 04:00 New York is 330 minutes before the open; the first of the five begins at 09:30.
    assert extended["first"].to_list() == [0, -330, -330, -330, -330]


def test_half_days_expect_210_minutes_and_may_run_on(cells):
    half = cells.filter((pl.col("symbol") == "SPY") & pl.col("session").is_in(HALF_DAYS))
    assert half["expected"].to_list() == [210] * 3
    assert half["present"].to_list() == [210] * 3
    assert half["state"].to_list() == ["green"] * 3
    assert (half["extended"] > 100).all(), "sparse bars after 13:00 are extended hours"


def test_the_last_day_cut_short_is_the_only_red_one(cells, checked):
    code, facts, _, _ = checked
    year = cells.filter((pl.col("symbol") == "SPY") & (pl.col("session") < date(2026, 1, 1)))
    assert year.height == 256
    assert year.filter(pl.col("state") != "green")["session"].to_list() == [date(2025, 4, 2)]
    assert year.filter(pl.col("state") == "red")["reasons"].item() == "long_run;missing_at_close"
    assert code == 1
    assert facts["red"] == 1, "one red cell in 4,045"


def test_two_files_of_spy_claim_nothing_of_the_time_between(cells):
    """The year ends in April 2025, the cross-section begins in January 2026."""
    between = cells.filter(
        (pl.col("symbol") == "SPY")
        & pl.col("session").is_between(date(2025, 4, 3), date(2026, 1, 13))
    )
    assert between.is_empty()


def test_the_cross_section_has_its_sessions_and_the_holiday_is_none(shell, cells):
    bars = shell.scan(MINUTES, start="2026-01-01")
    assert bars.height == 886_036
    sessions = sorted(bars["session"].unique().to_list())
    assert sessions == [date(2026, 1, day) for day in (14, 15, 16, 20, 21, 22, 23)]
    per_symbol = bars.group_by("symbol").len()["len"]
    assert (per_symbol.len(), per_symbol.min(), per_symbol.max()) == (530, 235, 2_730)
    assert per_symbol.median() == 1_710.5
    assert bars["minute_of_session"].is_between(0, 389).all()
    assert cells.filter(pl.col("session") == date(2026, 1, 19)).is_empty()


def test_es_bars_stamped_at_their_end_and_the_breaker_days(shell, cells, checked):
    bars = shell.scan(FUTURES, ["ES"])
    assert bars.height == 30_397
    es = cells.filter(pl.col("dataset") == FUTURES).sort("session")
    assert es.height == 79
    halted = es.filter(pl.col("session").is_in(BREAKER_DAYS))
    assert halted["state"].to_list() == ["halt"] * 4
    assert halted["present"].is_between(376, 377).all()
    assert (halted["missing"] == 0).all(), "halted minutes are no gap"
    usual = es.filter(~pl.col("session").is_in(BREAKER_DAYS))
    assert usual["state"].unique().to_list() == ["green"]
    counts = dict(usual.group_by("present").len().rows())
    assert counts == {390: 73, 210: 2}
    short = usual.filter(pl.col("present") == 210)
    assert short["session"].to_list() == [date(2020, 1, 20), date(2020, 2, 17)]
    assert short["expected"].to_list() == [210, 210]
    # The first bar of the file says 09:31: it began at 09:30.
    first = bars.filter(pl.col("session") == date(2020, 1, 2))["ts"].min()
    assert first.strftime("%H:%M") == "14:30"


def test_a_wrong_time_zone_is_refused_with_the_right_one(shell, imports, built, real_data):
    wrong = ["symbol_column=symbol", "time=timestamp", "zone=UTC"]
    code, facts, complaint = shell.run("import", "bars", real_data / CROSS_SECTION, *maps(wrong))
    assert code != 0
    assert facts["rows"] == 0
    said = " ".join([complaint, *facts["failed"]])
    assert "UTC and New York" in said
    assert "relabel_zone=America/New_York" in said
    code, _, complaint = shell.run(
        "import",
        "bars",
        real_data / SPY,
        *maps(["symbol=SPY", "time=timestamp", "relabel_zone=America/New_York"]),
    )
    assert code != 0


def test_importing_and_building_twice_changes_nothing(shell, imports, built, checked, real_data):
    lake = Lake.open(shell.lake)
    names = [MINUTES, FUTURES, "silver.short_volume", "bronze.imported_bars_1m"]
    before = {name: lake.digest(name) for name in names}
    rows = {name: lake.tables.rows(name) for name in names}
    lake.close()
    again = [
        shell.ok("import", "finra-short", real_data / "finra" / "regsho-cnms"),
        shell.ok("import", "bars", real_data / CROSS_SECTION, *maps(AS_NEW_YORK)),
        shell.ok("import", "bars", real_data / ES, *maps(ES_MAP)),
    ]
    assert [facts["known"] for facts in again] == [32, 1, 1]
    assert [facts["rows"] for facts in again] == [0, 0, 0]
    second = shell.ok("build")
    assert second["builds"] == 0
    lake = Lake.open(shell.lake)
    assert {name: lake.digest(name) for name in names} == before
    assert {name: lake.tables.rows(name) for name in names} == rows
    lake.close()


def test_real_clean_days_raise_no_error_and_few_warnings(shell, cells, checked, capsys):
    """A single name without its closing bar is a warning; BTC and ETH really have wild prints."""
    _, facts, _, _ = checked
    findings = facts["findings"]
    assert [f for f in findings if f["severity"] == "error"] == []
    from tapemill.clock import SYSTEM_CLOCK
    from tapemill.refine import check
    from tapemill.settings import default_settings

    lake = Lake.open(shell.lake)
    report = check(lake, default_settings(), SYSTEM_CLOCK)
    lake.close()
    alarmed = {
        cell
        for finding in report.findings
        for cell in finding.evidence.select("symbol", "session").iter_rows()
    }
    with capsys.disabled():
        print(f"\nalarms on real days: {len(alarmed)} of {cells.height:,} cells")
    assert len(alarmed) <= 0.01 * cells.height


def test_the_coverage_calendar_was_drawn(checked):
    *_, figure = checked
    page = figure.with_suffix(".html").read_text()
    assert "ES" in page
    assert "SPY" in page
    assert figure.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


# -- other real files, each in a lake of its own ------------------------------------------------


def test_windows_of_alpaca_bars_are_utc(tmp_path, real_data):
    shell = Shell(tmp_path / "lake")
    path = real_data / "bars/us-1m-windows-2022-2024/SPY_1min.parquet"
    facts = shell.ok("import", "bars", path, *maps(["symbol_column=symbol", "time=ts", "zone=UTC"]))
    assert facts["rows"] == 30_000
    shell.ok("build")
    bars = shell.scan(MINUTES, ["SPY"])
    regular = bars.filter(pl.col("segment") == "rth")
    assert regular.height >= 0.98 * bars.height, "SPY of this set is regular hours only"
    opens = bars.group_by("session").agg(pl.col("minute_of_session").min())
    assert (opens["minute_of_session"] == 0).mean() > 0.95
    code, _, _ = shell.run(
        "import",
        "bars",
        path,
        *maps(["symbol_column=symbol", "time=ts", "zone=America/New_York"]),
    )
    assert code != 0, "the same stamps read as New York time would open at 14:30"


def test_five_symbols_of_november_2025(tmp_path, real_data):
    shell = Shell(tmp_path / "lake")
    for path in sorted((real_data / "bars/us-1m-2025-11").iterdir()):
        symbol = path.stem.split("_")[0]
        pairs = [f"symbol={symbol}", "time=date", "vwap=average", "zone=America/New_York"]
        code, facts, complaint = shell.run("import", "bars", path, *maps(pairs))
        assert code == 0, complaint
        assert 11_147 <= facts["rows"] + facts["quarantined"] <= 11_150
    shell.ok("build")
    bars = shell.scan(MINUTES)
    assert bars["symbol"].n_unique() == 5
    assert (bars["session"].min(), bars["session"].max()) == (
        date(2025, 11, 6),
        date(2025, 12, 18),
    )
