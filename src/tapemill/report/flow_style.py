"""Look of the flow report: dark paper, one colour scale for surprises, values as people read them.

Colour follows the surprise (z) of a name against its own past, never a fixed ratio: 50 % sold short
is ordinary for one name and extreme for the next.
"""

from __future__ import annotations

import html
from datetime import date, datetime

from tapemill.contracts.metrics import Form
from tapemill.report.palette import FONT

__all__ = [
    "ACCENT",
    "AMBER",
    "BUY",
    "CARD",
    "DISCLAIMER",
    "INK",
    "LABEL_COLOURS",
    "LINE",
    "MUTED",
    "NEUTRAL",
    "PAPER",
    "SELL",
    "STYLE",
    "blend",
    "plain",
    "write_value",
    "z_colour",
]

PAPER, CARD, INK, MUTED, LINE = "#0F1318", "#171D25", "#E4E9F0", "#97A3B3", "#2A3340"
ACCENT, AMBER = "#7FB0FF", "#E3B341"
BUY, SELL, NEUTRAL = "#2FC39A", "#FF7A59", "#5C6878"
"""Green-blue and orange stay apart for colour-blind readers; signs and words repeat them."""

LABEL_COLOURS = {
    "accumulate": BUY,
    "buying": BUY,
    "distribute": SELL,
    "selling": SELL,
    "divergent": AMBER,
    "neutral": MUTED,
    "insufficient": NEUTRAL,
}

DISCLAIMER = (
    "FINRA publishes no direction of trades. Buying and selling are inferred from the share of "
    "off-exchange volume sold short, against each name's own past. Short volume is not short "
    "interest."
)

STYLE = f"""
:root{{color-scheme:dark}}
*{{box-sizing:border-box}}
body{{margin:0;background:{PAPER};color:{INK};font:14px/1.5 {FONT}}}
header,main,footer{{max-width:1900px;margin:0 auto;padding:0 22px}}
header{{padding-top:26px}}
h1{{font-size:25px;line-height:1.2;margin:0 0 4px}}
h2{{font-size:19px;margin:0 0 2px}}
h3{{font-size:14px;margin:0 0 6px}}
section{{margin:28px 0;scroll-margin-top:12px}}
.lead,.note,footer{{color:{MUTED}}}
.lead{{margin:0 0 8px;max-width:110ch}}
.note{{margin:0 0 8px;font-size:12.5px;max-width:120ch}}
.careful{{color:{AMBER}}}
nav{{display:flex;flex-wrap:wrap;gap:4px 16px;margin:10px 0 0}}
a{{color:{ACCENT};text-decoration:none}}a:hover{{text-decoration:underline}}
.card{{background:{CARD};border:1px solid {LINE};border-radius:10px;padding:12px 14px;
margin:12px 0}}
.facts{{display:grid;grid-template-columns:repeat(auto-fill,minmax(190px,1fr));gap:10px;
margin:12px 0}}
.facts .card{{margin:0}}
.facts dt{{color:{MUTED};font-size:12px}}
.facts dd{{margin:0;font-size:20px;font-weight:650;font-variant-numeric:tabular-nums}}
.facts small{{display:block;color:{MUTED};font-size:11.5px;font-weight:400}}
.scroll{{overflow-x:auto}}
.scroll>div{{margin:0 auto;width:fit-content}}
table{{border-collapse:collapse;width:100%;font-size:13px}}
th{{color:{MUTED};font-weight:600;font-size:11.5px;white-space:nowrap;text-align:right}}
th[title]{{cursor:help}}
.blocks th{{text-align:center;color:{INK};border-bottom:2px solid {LINE};font-size:11px;
letter-spacing:.05em;text-transform:uppercase}}
th,td{{padding:4px 7px;border-bottom:1px solid {LINE};white-space:nowrap}}
td{{text-align:right;font-variant-numeric:tabular-nums}}
td.first,th.first{{border-left:1px solid {LINE}}}
td.text,th.text,th.prose,th.spark{{text-align:left}}
td.prose{{white-space:normal;min-width:30ch;color:{MUTED};font-size:12px;text-align:left}}
tr.summary td{{font-weight:700;background:#1D2530;border-bottom:2px solid {LINE}}}
tbody tr:hover td{{background:#1B222C}}
.dot{{display:inline-block;width:8px;height:8px;border-radius:50%;background:{BUY}}}
.dot.no{{background:transparent;border:1px solid {NEUTRAL}}}
.dictionary td{{white-space:normal;text-align:left;vertical-align:top}}
.dictionary th{{text-align:left}}
code{{font:12px/1.45 ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}}
footer{{padding-top:8px;padding-bottom:36px;font-size:12.5px}}
@media print{{.card{{break-inside:avoid}}}}
"""


def blend(colour: str, other: str, part: float) -> str:
    """A colour `part` of the way (0 to 1) from one ``#RRGGBB`` to another."""
    part = min(1.0, max(0.0, part))
    mixed = (
        round(int(colour[i : i + 2], 16) * (1 - part) + int(other[i : i + 2], 16) * part)
        for i in (1, 3, 5)
    )
    return "#" + "".join(f"{value:02X}" for value in mixed)


def z_colour(z: float | None, *, quiet: str = NEUTRAL, full: float = 3.0) -> str:
    """Colour of a surprise: quiet at 0, whole at `full` robust standard deviations."""
    if z is None or z != z:
        return quiet
    return blend(quiet, BUY if z > 0 else SELL, abs(z) / full)


def write_value(value: object, form: Form) -> str:
    """A value as its form is written; unknown values are blank, never 0.

    Volumes as 12.34M or 345K, parts of one as percent, surprises with their sign.
    """
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, bool):
        return "●" if value else "○"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, int | float):
        return str(value)
    # A value that rounds to nothing has no sign.
    number = float(value) if abs(float(value)) >= 5e-5 else 0.0
    written = {
        "volume": lambda: _magnitude(number),
        "dollars": lambda: f"${_magnitude(number)}",
        "price": lambda: f"{number:,.2f}",
        "ratio": lambda: f"{number:.2f}",
        "frac": lambda: f"{100 * number if abs(number) >= 0.0005 else 0.0:.1f} %",
        "z": lambda: f"{number:+.2f}" if abs(number) >= 0.005 else "0.00",
        "count": lambda: f"{number:,.0f}",
    }.get(form)
    return written() if written else str(value)


def _magnitude(number: float) -> str:
    size = abs(number)
    if size >= 1e9:
        return f"{number / 1e9:.2f}B"
    if size >= 1e6:
        return f"{number / 1e6:.2f}M"
    return f"{number / 1e3:.0f}K" if size >= 1e3 else f"{number:.0f}"


def plain(text: object) -> str:
    """Text that is safe inside HTML."""
    return html.escape(str(text))
