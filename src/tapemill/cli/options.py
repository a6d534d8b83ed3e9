"""Options that several verbs share, and the opening of what they name."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tapemill.errors import DateError, UsageError

if TYPE_CHECKING:
    from tapemill.clock.injected import Clock
    from tapemill.lake import Lake
    from tapemill.settings import Settings

__all__ = [
    "Config",
    "End",
    "Json",
    "LakePath",
    "Start",
    "Symbols",
    "Workplace",
    "open_workplace",
    "parse_date",
    "parse_range",
    "parse_symbols",
]

LakePath = Annotated[
    str | None,
    typer.Option("--lake", help="Folder or URL of the lake.  [env: TAPEMILL_LAKE; else ./lake]"),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="Configuration file.  [default: ./tapemill.toml if present]"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Start = Annotated[
    str | None, typer.Option("--start", help="First session, YYYY-MM-DD.", metavar="DATE")
]
End = Annotated[str | None, typer.Option("--end", help="Last session, YYYY-MM-DD.", metavar="DATE")]
Symbols = Annotated[
    str | None,
    typer.Option("--symbols", help="Comma list, or @FILE with one ticker a line.", metavar="LIST"),
]

TICKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:/_\-=+^$*#]*")


class Workplace:
    """What a verb works with: settings, clock and, where it asked for one, a lake."""

    def __init__(self, settings: Settings, clock: Clock, lake: Lake) -> None:
        self.settings = settings
        self.clock = clock
        self.lake = lake


def load(config: Path | None, lake: str | None, *, quiet_logs: bool = False) -> Settings:
    """Settings from file and environment with the options of the command on top."""
    from tapemill.logs import configure
    from tapemill.settings import load_settings

    settings = load_settings(config, overrides={"lake.location": lake} if lake else None)
    configure(json=settings.logs.json, level="ERROR" if quiet_logs else settings.logs.level)
    return settings


def open_workplace(
    config: Path | None, lake: str | None, *, create: bool = False, clock: Clock | None = None
) -> Workplace:
    """Load the settings and open (or create) the lake they name.

    Raises
    ------
    ConfigError, LakeError
    """
    from tapemill.lake import Lake

    settings = load(config, lake)
    clock = clock or settings.clock.make()
    opened = Lake.open(
        settings.lake.location,
        create=create,
        control_url=settings.lake.control_url,
        storage_options=settings.lake.storage_options,
        clock=clock,
    )
    return Workplace(settings, clock, opened)


def parse_date(text: str, option: str) -> dt.date:
    """Read YYYY-MM-DD; DateError names the option and what was typed."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise DateError(
            f"{option} {text!r} is not a date",
            where=str(error),
            next_step="write it as YYYY-MM-DD, for example 2026-01-05",
        ) from error


def parse_range(start: str | None, end: str | None) -> tuple[dt.date | None, dt.date | None]:
    """Read --start and --end and refuse a range that runs backwards."""
    first = parse_date(start, "--start") if start else None
    last = parse_date(end, "--end") if end else None
    if first and last and last < first:
        raise DateError(
            f"--end {last} is before --start {first}",
            where="--start, --end",
            next_step="swap the two dates",
        )
    return first, last


def parse_symbols(text: str | None, more: list[str] | None = None) -> list[str]:
    """Tickers of a comma list, a list file (@FILE) and free arguments, in order, without repeats.

    Raises
    ------
    UsageError
        The file is missing or empty, or a word cannot be a ticker.
    """
    words = list(more or [])
    if text and text.startswith("@"):
        path = Path(text[1:])
        if not path.is_file():
            raise UsageError(
                "the symbol file does not exist", where=str(path), next_step="check --symbols @FILE"
            )
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise UsageError(
                "the symbol file is not text",
                where=str(path),
                next_step="write one ticker a line, as UTF-8 text",
            ) from error
        words += [line.split("#", 1)[0].strip() for line in lines]
        if not any(words):
            raise UsageError(
                "the symbol file is empty",
                where=str(path),
                next_step="write one ticker a line; text after # is a comment",
            )
    elif text:
        words += [word.strip() for word in text.split(",")]
    symbols = list(dict.fromkeys(word for word in words if word))
    for symbol in symbols:
        if symbol.isalpha() and symbol.islower():
            raise UsageError(
                f"{symbol!r} is lower case, and tickers are told apart by case",
                where="--symbols or [TICKER]",
                next_step=f"did you mean {symbol.upper()}?",
            )
        if not TICKER.fullmatch(symbol):
            raise UsageError(
                f"{symbol!r} cannot be a ticker",
                where="--symbols or [TICKER]",
                next_step="separate tickers by commas, for example SPY,QQQ",
            )
    return symbols
