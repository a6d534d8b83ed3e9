"""What every figure can do: change as an object, be written as HTML and as PNG."""

from __future__ import annotations

import abc
import html
import io
from pathlib import Path
from typing import TYPE_CHECKING

from tapemill.errors import FaultError
from tapemill.report.palette import FONT

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

__all__ = ["DPI", "Drawing", "plotly_script", "write_bytes"]

DPI = 100
"""Layout pixels per inch of the Matplotlib figures."""
_SHARPNESS = 1.5

_CONFIG = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtons": [["toImage"]],
    "toImageButtonOptions": {"scale": 2},
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body{{margin:0;background:#fff;font-family:{font}}}
main{{max-width:1280px;margin:0 auto;overflow-x:auto}}
main>div{{min-width:980px}}
</style>
{script}
</head>
<body><main>{body}</main></body>
</html>
"""


class Drawing(abc.ABC):
    """One figure with two renderers: Plotly for pages, Matplotlib for pictures."""

    title: str

    @abc.abstractmethod
    def figure(self) -> go.Figure:
        """A new Plotly figure, free to be changed."""

    @abc.abstractmethod
    def matplotlib_figure(self) -> Figure:
        """A new Matplotlib figure (no pyplot state), free to be changed."""

    def div(self, name: str) -> str:
        """The figure as an HTML fragment with the element id `name`.

        The page must hold :func:`plotly_script` once, before the fragment.
        """
        import plotly.io

        return str(
            plotly.io.to_html(
                self.figure(),
                full_html=False,
                include_plotlyjs=False,
                div_id=name,
                config=_CONFIG,
            )
        )

    def write_html(self, path: str | Path) -> Path:
        """Write one self-contained page that needs no network.

        Raises
        ------
        FaultError
            The file cannot be written.
        """
        page = _PAGE.format(
            title=html.escape(self.title),
            font=FONT,
            script=plotly_script(),
            body=self.div("figure"),
        )
        return write_bytes(path, page.encode())

    def write_png(self, path: str | Path) -> Path:
        """Write a picture; the same figure gives the same bytes.

        Raises
        ------
        FaultError
            The file cannot be written.
        """
        from matplotlib import style

        buffer = io.BytesIO()
        # A user's matplotlibrc must not change what a report looks like.
        with style.context("default", after_reset=True):
            self.matplotlib_figure().savefig(
                buffer, format="png", dpi=DPI * _SHARPNESS, metadata={"Software": None}
            )
        return write_bytes(path, buffer.getvalue())


def plotly_script() -> str:
    """The whole of plotly.js as an inline script, so that pages open without a network."""
    import plotly.offline

    return f"<script>{plotly.offline.get_plotlyjs()}</script>"


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write `content`, making parent folders.

    Raises
    ------
    FaultError
        The file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise FaultError(
            f"cannot write the figure or page: {error.strerror or error}",
            where=str(path),
            next_step="choose a folder that can be written and has room",
        ) from error
    return path
