"""The command line in this process, on one lake."""

from __future__ import annotations

import contextlib
import io
import json

import polars as pl

from tapemill.cli import main
from tapemill.lake import Lake


class Shell:
    """The command line in this process, on one lake."""

    def __init__(self, lake) -> None:
        self.lake = str(lake)

    def run(self, *words: object) -> tuple[int, dict, str]:
        """Exit code, first JSON document on stdout, stderr."""
        out, err = io.StringIO(), io.StringIO()
        arguments = [*map(str, words), "--json", "--lake", self.lake]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(arguments)
                code = 0
            except SystemExit as left:
                code = int(left.code or 0)
        lines = [line for line in out.getvalue().splitlines() if line.startswith("{")]
        return code, json.loads(lines[0]) if lines else {}, err.getvalue()

    def ok(self, *words: object) -> dict:
        code, facts, complaint = self.run(*words)
        assert code == 0, complaint
        return facts

    def scan(self, dataset: str, *arguments, **more) -> pl.DataFrame:
        lake = Lake.open(self.lake)
        try:
            return lake.scan(dataset, *arguments, **more).collect()
        finally:
            lake.close()
