"""Files: by their content, exactly once, with the cells they settle."""

import gzip
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from intake.bench import Bench
from tapemill.clock import calendar
from tapemill.errors import UnknownNameError, UsageError
from tapemill.intake import file_parts as parts_module
from tapemill.intake import import_files, parse_column_map
from tapemill.lake.control import CellState

SHORT = "bronze.finra_short_volume"
IMPORTED = "bronze.imported_bars_1m"
CNMS = """Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market
20201201|AAA|10|1|30|B,Q,N
20201201|BBB|20|0|25|Q
20201201|CCC|30|0|25|Q
3
"""


@pytest.fixture
def place(tmp_path, market):
    place = Bench(tmp_path, market)
    yield place
    place.lake.control.close()


def take_in(place, kind, *paths, options=None, progress=None):
    return import_files(
        place.lake, place.settings, place.clock, kind, list(paths), options, progress=progress
    )


def short_file(folder, name="CNMSshvol20201201.txt", text=CNMS):
    path = folder / name
    path.write_text(text)
    return path


def bar_file(folder, rows=100, name="bars.csv"):
    opening = datetime(2025, 6, 3, 13, 30, tzinfo=UTC)
    stamps = [opening + timedelta(minutes=n) for n in range(rows)]
    frame = pl.DataFrame(
        {
            "time": [stamp.strftime("%Y-%m-%d %H:%M:%S") for stamp in stamps],
            "ticker": ["SPY" if n % 2 else "KO" for n in range(rows)],
            "open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5, "volume": 7.0,
        }
    )  # fmt: skip
    path = folder / name
    frame.write_csv(path)
    return path


MAP = {"symbol_column": "ticker", "time": "time", "zone": "UTC", "volume": "volume"}


def test_importing_twice_changes_nothing(place, tmp_path):
    path = short_file(tmp_path)
    first = take_in(place, "finra-short", path)
    assert (first.files, first.known, first.rows, first.quarantined) == (1, 0, 2, 1)
    digest = place.lake.tables.digest(SHORT)
    again = take_in(place, "finra-short", path, short_file(tmp_path, "copy-of-CNMSshvol.txt"))
    assert (again.files, again.known, again.rows) == (0, 2, 0)
    assert place.lake.tables.digest(SHORT) == digest
    assert again.first_session == again.last_session == date(2020, 12, 1)


def test_a_consolidated_file_settles_its_session(place, tmp_path):
    take_in(place, "finra-short", short_file(tmp_path))
    cell = place.lake.control.ledger.cell(SHORT, "*", date(2020, 12, 1))
    assert (cell.state, cell.rows) == (CellState.DATA, 2)
    assert place.plan("short_volume", None, date(2020, 12, 1), date(2020, 12, 1)).calls == 0
    row = place.lake.tables.scan(SHORT).collect().row(0, named=True)
    assert row["known_at"] == datetime(2020, 12, 1, 23, tzinfo=UTC)  # 18:00 in New York
    assert row["source"] == "finra.file"


def test_one_facilitys_file_does_not_stand_for_the_market(place, tmp_path):
    text = CNMS.replace("|B,Q,N", "|Q")
    take_in(place, "finra-short", short_file(tmp_path, "FNSQshvol20201201.txt", text))
    cell = place.lake.control.ledger.cell(SHORT, "*", date(2020, 12, 1))
    assert cell.state == CellState.PENDING
    fingerprints = place.lake.control.contents.fingerprint(SHORT)
    assert list(fingerprints) == [date(2020, 12, 1)]


def test_the_bad_row_is_in_quarantine_with_its_reason(place, tmp_path):
    take_in(place, "finra-short", short_file(tmp_path))
    bad = place.lake.tables.scan("ops.quarantine").collect().row(0, named=True)
    assert bad["reasons"] == "short_exceeds_total"
    assert "CCC" in bad["row"]


def test_a_cut_file_is_named_and_the_others_are_imported(place, tmp_path):
    cut = short_file(tmp_path, "CNMSshvol20201202.txt", CNMS.replace("\n3\n", "\n4\n"))
    seen = []
    report = take_in(
        place,
        "finra-short",
        cut,
        short_file(tmp_path),
        progress=lambda done, total, name: seen.append((done, total, name)),
    )
    assert report.rows == 2
    assert len(report.failed) == 1
    assert report.failed[0].startswith("CNMSshvol20201202.txt")
    assert seen == [(1, 2, cut.name), (2, 2, "CNMSshvol20201201.txt")]


def test_a_file_in_parts_lands_each_row_once(place, tmp_path, monkeypatch):
    path = bar_file(tmp_path)
    reading = parts_module.FileReading("bars", MAP, path.name, part_rows=30)
    monkeypatch.setattr("tapemill.intake.files.FileReading", lambda *_: reading)
    sizes = []
    append = place.lake.tables.append

    def watched(dataset, frame, **more):
        sizes.append(frame.height)
        return append(dataset, frame, **more)

    monkeypatch.setattr(place.lake.tables, "append", watched)
    report = take_in(place, "bars", path, options=MAP)
    assert report.rows == 100
    assert sizes == [30, 30, 30, 10]
    matrix = place.lake.control.ledger.matrix(IMPORTED, ["KO", "SPY"], [date(2025, 6, 3)])
    assert matrix.rows[:, 0].tolist() == [50, 50]


def test_an_import_that_died_between_parts_goes_on_without_doubles(place, tmp_path, monkeypatch):
    """The same page appended twice after a failed state commit (must show 7)."""
    path = bar_file(tmp_path)
    reading = parts_module.FileReading("bars", MAP, path.name, part_rows=30)
    monkeypatch.setattr("tapemill.intake.files.FileReading", lambda *_: reading)
    control = place.lake.control
    finish, finished = control.batches.finish, []

    class Killed(BaseException):
        pass

    def die_at_the_third(*arguments, **more):
        finished.append(1)
        if len(finished) == 3:
            raise Killed  # the rows are in the table, the control state does not know it
        return finish(*arguments, **more)

    monkeypatch.setattr(control.batches, "finish", die_at_the_third)
    with pytest.raises(Killed):
        take_in(place, "bars", path, options=MAP)
    assert place.lake.tables.rows(IMPORTED) == 90
    monkeypatch.setattr(control.batches, "finish", finish)
    take_in(place, "bars", path, options=MAP)
    rows = place.lake.tables.scan(IMPORTED).collect()
    assert rows.height == rows.n_unique(["raw_sha256", "ordinal"]) == 100
    cell = control.ledger.cell(IMPORTED, "SPY", date(2025, 6, 3))
    assert (cell.state, cell.rows) == (CellState.DATA, 50)
    assert take_in(place, "bars", path, options=MAP).known == 1


def test_a_flat_file_of_the_whole_market_settles_its_session(place, tmp_path):
    lines = ["ticker,volume,open,close,high,low,window_start,transactions"]
    start = 1748957400 * 10**9  # 2025-06-03 09:30 New York
    lines += [f"S{n},100,10,10,11,9,{start + n % 7 * 60 * 10**9},5" for n in range(40)]
    path = tmp_path / "2025-06-03.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    report = take_in(place, "massive-minute", path)
    assert (report.rows, report.symbols, report.failed) == (40, 40, [])
    day = [date(2025, 6, 3)]
    assert place.states("bronze.massive_bars_1m", ["S1", "*"], day).tolist() == [[1], [1]]
    sources = place.lake.tables.scan("bronze.massive_bars_1m").select("source").collect()
    assert sources.to_series().unique().to_list() == ["massive.flatfile"]


def test_wrong_kinds_maps_and_paths_say_what_to_do(place, tmp_path):
    with pytest.raises(UnknownNameError, match="finra-shrot") as wrong:
        parse_column_map("finra-shrot", [])
    assert "finra-short" in wrong.value.next_step
    with pytest.raises(UsageError, match="cannot read"):
        take_in(place, "finra-short", tmp_path / "missing.txt")
    with pytest.raises(UsageError):
        take_in(place, "bars", bar_file(tmp_path), options={**MAP, "time": "tiem"})
    assert not place.lake.tables.exists(IMPORTED)


def test_pairs_win_over_the_map_file(tmp_path):
    file = tmp_path / "map.toml"
    file.write_text('time = "when"\nzone = "UTC"\n')
    options = parse_column_map("bars", ["zone=America/New_York"], file)
    assert options == {"time": "when", "zone": "America/New_York"}


@pytest.mark.real
@pytest.mark.acceptance
def test_a_month_of_consolidated_files(place, real_data):
    """Must show 2: 32 sessions of CNMS files."""
    files = sorted((real_data / "finra/regsho-cnms").glob("CNMSshvol*.txt"))
    report = take_in(place, "finra-short", *files)
    assert not report.failed
    assert report.files == len(files) == 32
    counts = [int(file.read_text().split()[-1]) for file in files]
    assert report.rows + report.quarantined == sum(counts)
    sessions = calendar("XNYS").session_dates(report.first_session, report.last_session)
    states = place.states(SHORT, ["*"], sessions)
    assert (states == CellState.DATA).sum() == 32
    assert take_in(place, "finra-short", *files).known == 32


@pytest.mark.real
def test_a_year_of_spy(place, real_data):
    options = {
        "symbol": "SPY", "time": "timestamp", "zone": "UTC", "volume": "volume",
        "hours": "extended",
    }  # fmt: skip
    path = real_data / "bars/spy-1m-2024-2025/SPY_1m.parquet"
    report = take_in(place, "bars", path, options=options)
    assert not report.failed
    assert report.rows + report.quarantined == 102_236
    sessions = calendar("XNYS").session_dates(report.first_session, report.last_session)
    matrix = place.lake.control.ledger.matrix(IMPORTED, ["SPY"], sessions)
    assert (matrix.states == CellState.DATA).sum() == 256
    assert (matrix.rows == 391).sum() == 247
