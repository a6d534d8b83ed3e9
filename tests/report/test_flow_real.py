"""The report of real files: the table's numbers are those of FINRA's text."""

from __future__ import annotations

import polars as pl
import pytest

from tapemill.cli.app import main
from tapemill.lake import Lake
from tapemill.report.flow_report import write_flow_report


@pytest.mark.real
def test_a_share_in_the_table_is_the_one_in_finras_file(real_data, tmp_path, capsys):
    files = sorted((real_data / "finra" / "regsho-cnms").glob("CNMSshvol202101*.txt"))[-3:]
    lake = ["--lake", str(tmp_path / "lake"), "--json"]
    for words in (["import", "finra-short", *map(str, files)], ["build", "gold.flow_daily"]):
        with pytest.raises(SystemExit) as end:
            main([*words, *lake])
        assert end.value.code == 0
    report = write_flow_report(
        Lake.open(tmp_path / "lake"), ["GME", "BRK.B"], tmp_path / "out", days=3, each=False
    )
    table = pl.read_parquet(report.run.folder / "table.parquet")
    for path in files:
        for line in path.read_text().splitlines():
            day, symbol, short, _, total = (line.split("|") + [""] * 5)[:5]
            if symbol not in ("GME", "BRK/B"):
                continue
            row = table.filter(
                pl.col("symbol") == symbol.replace("/", "."),
                pl.col("session").dt.strftime("%Y%m%d") == day,
            )
            assert row["short_share"].item() == pytest.approx(float(short) / float(total))
            assert row["total_volume"].item() == float(total)
    assert table.height == 6
    page = (report.run.folder / "index.html").read_text()
    assert "gold.composite_signal is not built" in page
