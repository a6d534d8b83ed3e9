"""The dark page around flow figures and tables: self-contained, stamped, cautions on top."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tapemill.report.drawing import plotly_script
from tapemill.report.flow_style import DISCLAIMER, STYLE, plain

__all__ = ["Fact", "PageSection", "facts_html", "flow_page"]


@dataclasses.dataclass(frozen=True)
class Fact:
    """One number in large type, with what it means below."""

    label: str
    value: str
    remark: str = ""


@dataclasses.dataclass(frozen=True)
class PageSection:
    """A part of the page; `body` is HTML that is safe already."""

    key: str
    title: str
    body: str


def facts_html(facts: Sequence[Fact]) -> str:
    """Numbers side by side."""
    cards = "".join(
        f'<div class="card"><dt>{plain(fact.label)}</dt><dd>{plain(fact.value)}'
        + (f"<small>{plain(fact.remark)}</small>" if fact.remark else "")
        + "</dd></div>"
        for fact in facts
    )
    return f'<dl class="facts">{cards}</dl>'


def flow_page(
    title: str,
    stamped: str,
    sections: Sequence[PageSection],
    *,
    cautions: Sequence[str] = (),
    command: str = "",
    figures: bool = True,
) -> bytes:
    """One self-contained page.

    Parameters
    ----------
    title : str
    stamped : str
        What was known when.
    sections : sequence of PageSection
    cautions : sequence of str
        What makes it less sure; said on top.
    command : str
        What to type to see it again.
    figures : bool
        Whether a section holds a Plotly figure.
    """
    links = "".join(f'<a href="#{plain(one.key)}">{plain(one.title)}</a>' for one in sections)
    body = "".join(
        f'<section id="{plain(one.key)}"><h2>{plain(one.title)}</h2>{one.body}</section>\n'
        for one in sections
    )
    careful = "".join(f'<p class="note careful">Careful: {plain(one)}.</p>' for one in cautions)
    again = f" Made by <code>{plain(command)}</code>." if command else ""
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{plain(title)}</title>
<style>{STYLE}</style>
{plotly_script() if figures else ""}
</head>
<body>
<header><h1>{plain(title)}</h1><p class="lead">{plain(stamped)}</p>
<p class="note">{plain(DISCLAIMER)}</p>{careful}<nav>{links}</nav></header>
<main>
{body}</main>
<footer>Written by Tapemill from the gold tables of one lake.{again} The folder's name is the hash
of what is shown; run.json holds the hash of every file.</footer>
</body>
</html>
"""
    return page.encode()
