"""Look of the report page: one style sheet and the script that repaints figures in the dark."""

from __future__ import annotations

from tapemill.report.palette import FONT, STATES

__all__ = ["SCRIPT", "STYLE"]

_STATES = "\n".join(f".dot-{state.name}{{background:{state.colour}}}" for state in STATES)

STYLE = f"""
:root{{color-scheme:light dark;--paper:#f6f7f9;--card:#fff;--ink:#1c2430;--muted:#5f6b7a;
--line:#dfe4ea;--accent:#1f5fbf;--banner:#f5c445;--banner-ink:#3d2c00}}
@media (prefers-color-scheme:dark){{:root{{--paper:#0f1318;--card:#171d25;--ink:#e4e9f0;
--muted:#97a3b3;--line:#2a3340;--accent:#7fb0ff;--banner:#caa02c;--banner-ink:#1d1500}}}}
*{{box-sizing:border-box}}
body{{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 {FONT}}}
.banner{{background:var(--banner);color:var(--banner-ink);padding:10px 24px;text-align:center;
font-weight:700;letter-spacing:.06em;position:sticky;top:0;z-index:5}}
.banner span{{font-weight:400;letter-spacing:0}}
header,main,footer{{max-width:1328px;margin:0 auto;padding:0 24px}}
header{{padding-top:34px}}
h1{{font-size:28px;line-height:1.2;margin:0 0 6px}}
.lead,.note,footer{{color:var(--muted)}}
nav{{display:flex;flex-wrap:wrap;gap:6px 18px;margin:16px 0 0;font-size:14px}}
a{{color:var(--accent);text-decoration:none}}a:hover{{text-decoration:underline}}
section{{margin:38px 0;scroll-margin-top:60px}}
h2{{font-size:20px;margin:0 0 2px}}
h3{{font-size:15px;margin:0}}
.note{{margin:0 0 12px;max-width:80ch}}
.facts{{display:grid;grid-template-columns:repeat(auto-fill,minmax(210px,1fr));gap:12px;
margin:14px 0}}
.card{{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px}}
.facts dt{{color:var(--muted);font-size:13px}}
.facts dd{{margin:0}}
.value{{font-size:24px;font-weight:650;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}}
.origin{{color:var(--muted);font-size:12px;margin:6px 0 0;overflow-wrap:anywhere}}
code{{font:12px/1.45 ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}}
.table,.figure{{margin:14px 0}}
.scroll{{overflow-x:auto}}
.figure>.scroll>div{{min-width:980px}}
table{{border-collapse:collapse;width:100%;font-size:14px;margin-top:10px}}
th{{text-align:left;font-weight:600;color:var(--muted);font-size:12.5px;white-space:nowrap}}
th,td{{padding:6px 14px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}}
tr:last-child td{{border-bottom:0}}
.number{{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}}
.dot{{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:7px}}
.dot-error{{background:#c22f1e}}.dot-warning{{background:#f5c445}}.dot-info{{background:#8a94a6}}
{_STATES}
footer{{padding-top:10px;padding-bottom:40px;font-size:13px}}
@media print{{.banner{{position:static}}.card{{break-inside:avoid}}}}
"""

SCRIPT = """
(function(){
  var dark=window.matchMedia('(prefers-color-scheme: dark)');
  function paint(){
    var ink=getComputedStyle(document.body).color;
    document.querySelectorAll('.plotly-graph-div').forEach(function(figure){
      Plotly.relayout(figure,{'font.color':ink,'paper_bgcolor':'rgba(0,0,0,0)'});
    });
  }
  window.addEventListener('load',paint);
  dark.addEventListener('change',paint);
})();
"""
