"""`tapemill config`: what is set, where it came from, what there is to set."""

from __future__ import annotations

import typer

from tapemill.cli.options import Config, Json, LakePath, load
from tapemill.cli.output import print_json, print_line, print_table

app = typer.Typer(
    help="Show the configuration and what can be set.", no_args_is_help=True, rich_markup_mode=None
)


@app.command()
def show(as_json: Json = False, lake: LakePath = None, config: Config = None) -> None:
    """Print every value with its origin; secrets are masked.

    \b
    Example:
      tapemill config show
    """
    from tapemill.settings import describe

    rows = describe(load(config, lake))
    if as_json:
        print_json([{"key": r.key, "value": r.value, "origin": r.origin} for r in rows])
        return
    styles = {i: "bold" for i, r in enumerate(rows) if r.origin != "default"}
    print_table(
        "Configuration",
        ["key", "value", "origin", "meaning"],
        [(r.key, r.value, r.origin, r.description) for r in rows],
        styles=styles,
    )


@app.command()
def keys() -> None:
    """Print the reference of all keys as Markdown.

    \b
    Example:
      tapemill config keys > keys.md
    """
    from tapemill.settings import render_markdown

    print_line(render_markdown())
