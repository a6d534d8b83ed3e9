"""Where the scripted mistakes happen: a desk with files, a small lake, and vendors on loopback."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tapemill.cli import main

KEY = "mistaken-key-do-not-print-0123456789"
EVENING = "2026-01-30T21:00:00-05:00"
FINRA_HEADER = "Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market\n"
FLAT_HEADER = "ticker,volume,open,close,high,low,window_start,transactions\n"


@dataclass(frozen=True)
class Answer:
    """What a command left behind: exit code and both streams."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Both streams as one text, line breaks as spaces."""
        return " ".join((self.out + self.err).split())


def tapemill(arguments: list[str]) -> Answer:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def session_bars(day: dt.date, minutes: int = 390) -> pl.DataFrame:
    """Flat minute bars from 09:30 on, stamped in wall time without a zone."""
    begin = dt.datetime.combine(day, dt.time(9, 30))
    stamps = [(begin + dt.timedelta(minutes=n)).isoformat(sep=" ") for n in range(minutes)]
    prices = {name: [100.0] * minutes for name in ("open", "high", "low", "close")}
    return pl.DataFrame({"time": stamps, **prices, "volume": [1000.0] * minutes})


def finra_file(day: str, rows: int = 3, *, trailer: int | None = None) -> str:
    """A consolidated short sale volume file of `rows` symbols."""
    body = "".join(f"{day}|SYM{chr(65 + n)}|100|1|250|B,Q,N\n" for n in range(rows))
    return FINRA_HEADER + body + f"{rows if trailer is None else trailer}\n"


def lay_out_files(desk: Path) -> None:
    """Good files, and each of the broken ones."""
    (desk / "CNMSshvol20260105.txt").write_text(finra_file("20260105"))
    (desk / "truncated.txt").write_text(finra_file("20260106", trailer=9))
    (desk / "cut.txt").write_text(FINRA_HEADER + "20260106|SYMA|100|1|250|Q\n")
    (desk / "CNMSshvol20260107.txt").write_text(finra_file("20260108"))
    (desk / "exchange.txt").write_text("DATE|SYMBOL|VOLUME\n20260105|SYMA|10\n")
    (desk / "binary.txt").write_bytes(bytes(range(256)) * 40)
    (desk / "empty.txt").write_bytes(b"")
    (desk / "empty folder").mkdir()
    good = FLAT_HEADER + "AAPL,100,10,10,10,10,1767623400000000000,3\n"
    packed = gzip.compress(good.encode(), mtime=0)
    (desk / "good.csv.gz").write_bytes(packed)
    (desk / "cut.csv.gz").write_bytes(packed[:-9])
    (desk / "not.csv.gz").write_bytes(b"\x1f\x8b" + b"no gzip at all" * 9)
    (desk / "stamps.csv").write_text(FLAT_HEADER + "AAPL,100,10,10,10,10,17676234000000000,3\n")
    (desk / "trades.csv").write_text("ticker,price,size\nAAPL,10,100\n")
    bars = session_bars(dt.date(2026, 1, 5))
    bars.write_csv(desk / "bars.csv")
    bars.write_parquet(desk / "bars.parquet")
    whole = (desk / "bars.parquet").read_bytes()
    (desk / "corrupt.parquet").write_bytes(whole[: len(whole) // 2])
    bars.rename({"time": "when"}).write_csv(desk / "renamed.csv")
    epoch = pl.int_range(1_767_623_400_000, 1_767_623_460_000, 60_000, eager=True)
    bars.head(1).with_columns(time=epoch).write_csv(desk / "epoch.csv")
    (desk / "map.toml").write_text("symbol = [broken\n")
    (desk / "nested.toml").write_text('[columns]\nopen = "o"\n')
    (desk / "symbols.txt").write_text("# nothing but a comment\n\n")
    (desk / "symbols.bin").write_bytes(b"\xff\xfe\x00SPY")
    (desk / "file").write_text("a file where a lake should be")
    (desk / "foreign").mkdir()
    (desk / "foreign" / "holiday.jpg").write_bytes(b"jpg")
    (desk / "newer").mkdir()
    (desk / "newer" / "tapemill-lake.json").write_text('{"tapemill_lake": 99}')
    (desk / "damaged").mkdir()
    (desk / "damaged" / "tapemill-lake.json").write_text('{"tapemi')
    configs: Mapping[str, str] = {
        "key.toml": "[massive]\ncalls_per_minut = 5\n",
        "section.toml": "[masive]\nplan = 'free'\n",
        "type.toml": "[massive]\ntimeout_seconds = 'five'\n",
        "secret.toml": f"[massive]\napi_key = '{KEY}'\n",
        "syntax.toml": "[massive\nplan = free\n",
        "url.toml": "[finra]\ncdn_url = 'http://example.com'\n",
        "keyed.toml": f"[finra]\ncdn_url = 'https://example.com/?apiKey={KEY}'\n",
    }
    for name, text in configs.items():
        (desk / name).write_text(text)


def make_lake(folder: Path, desk: Path) -> None:
    """A lake with one session of bars, one of short volume, built."""
    mapped = ["--map", "symbol=SPY", "--map", "zone=America/New_York", "--map", "time=time"]
    for arguments in (
        ["import", "bars", str(desk / "bars.csv"), *mapped, "--map", "volume=volume"],
        ["import", "finra-short", str(desk / "CNMSshvol20260105.txt")],
        ["build"],
    ):
        answer = tapemill([*arguments, "--lake", str(folder)])
        assert answer.code == 0, answer.text


def copy_lake(lake: Path, target: Path) -> Path:
    """A lake of one's own to spoil."""
    shutil.copytree(lake, target)
    return target
