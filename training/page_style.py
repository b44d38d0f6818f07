"""The style of a backtest's page: light, dark and on paper, from a phone's width up. `training.page` puts it into the page."""

from __future__ import annotations

__all__ = ["CSS"]

_LIGHT = """
--paper:#fff;--card:#f6f7f9;--ink:#1a1f27;--soft:#566070;--grid:#d9dee5;--accent:#1f6feb;--second:#b35900;--alarm:#b3261e;
--good:#14733b;--m1:#3b7dd8;--m2:#e08a1e;--m3:#3fa37c;--m4:#b3588f;--m5:#8a8f2e;--m6:#7a6fd0;"""

_DARK = """
--paper:#12161c;--card:#1b2129;--ink:#e8ecf1;--soft:#a3aebb;--grid:#343d49;--accent:#6ea8ff;--second:#f0a35a;--alarm:#ff8a80;
--good:#6bd394;--m1:#6ea8ff;--m2:#f0a35a;--m3:#63c9a0;--m4:#dd8abd;--m5:#c3c860;--m6:#a79df0;"""

CSS = f"""
:root{{color-scheme:light dark;{_LIGHT}}}
@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}}}}}
*{{box-sizing:border-box}}
body{{margin:0 auto;max-width:70rem;padding:2rem 1.25rem 4rem;background:var(--paper);color:var(--ink);
font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;-webkit-text-size-adjust:100%}}
h1{{font-size:clamp(1.5rem,4.5vw,2.2rem);line-height:1.2;margin:.2rem 0 .8rem;text-wrap:balance}}
h2{{font-size:1.35rem;margin:0 0 1rem}}
h3{{font-size:1.05rem;margin:1.6rem 0 .5rem}}
p,li,dd{{max-width:46rem}}
p{{margin:.6rem 0}}
a{{color:var(--accent)}}
small{{color:var(--soft);font-size:.85em;white-space:nowrap}}
code{{font:.85em ui-monospace,"DejaVu Sans Mono",monospace;color:var(--soft)}}
section{{margin-top:2.6rem;padding-top:1.6rem;border-top:1px solid var(--grid)}}
.brand{{margin:0;color:var(--accent);font-weight:600}}
.lead{{font-size:1.08rem;color:var(--soft)}}
nav{{display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;margin-top:1rem;font-size:.92rem}}
.tiles{{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(11rem,100%),1fr));gap:.8rem;margin:0 0 1.2rem}}
.tiles div{{background:var(--card);border-radius:.6rem;padding:.8rem 1rem}}
.tiles dt{{color:var(--soft);font-size:.9rem}}
.tiles dd{{margin:0;font-size:1.7rem;font-weight:650;line-height:1.25;font-variant-numeric:tabular-nums}}
.tiles small{{display:block;font-size:.85rem;font-weight:400}}
.verdicts{{list-style:none;padding:0;margin:0}}
.verdicts li{{border-left:4px solid var(--grid);padding:.15rem 0 .15rem .8rem;margin:.7rem 0}}
.verdicts strong{{display:block}}
.verdicts .better{{border-color:var(--good)}}.verdicts .worse{{border-color:var(--alarm)}}
.verdicts .better strong,td .better,.told .better{{color:var(--good)}}
.verdicts .worse strong,td .worse{{color:var(--alarm)}}
.verdicts .even strong,td .even,.told .missed{{color:var(--soft)}}
.told .better{{font-weight:600}}
.scroll{{overflow-x:auto;margin:.8rem 0 1.4rem}}
.scroll:focus-visible{{outline:2px solid var(--accent);outline-offset:2px}}
table{{border-collapse:separate;border-spacing:0;min-width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}}
caption{{text-align:left;font-weight:600;padding-bottom:.4rem}}
th,td{{padding:.4rem .8rem .4rem 0;text-align:right;vertical-align:top;border-bottom:1px solid var(--grid);white-space:nowrap}}
td small{{display:block}}
thead th{{color:var(--soft);font-weight:500;vertical-align:bottom}}
th:first-child{{text-align:left;position:sticky;left:0;background:var(--paper)}}
tbody th{{font-weight:600}}
th[scope=rowgroup]{{font-weight:500;color:var(--soft);padding-top:1rem}}
th[scope=rowgroup] span,caption span{{display:inline-block;position:sticky;left:0;max-width:calc(100vw - 2rem);white-space:normal}}
td:has(.words),th:has(.words){{text-align:left;padding-left:1rem}}
.words{{display:block;min-width:16rem;white-space:normal;text-align:left}}
.charts{{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr));gap:1.2rem;align-items:start}}
figure{{margin:0;background:var(--card);border-radius:.6rem;padding:1rem;min-width:0}}
figure th:first-child{{background:var(--card)}}
figcaption{{font-size:.9rem;color:var(--soft);margin-top:.4rem}}
details{{margin-top:.6rem}}
summary{{cursor:pointer;color:var(--accent);font-size:.9rem}}
.chart{{display:block;width:100%;max-width:34rem;height:auto;stroke-linejoin:round;stroke-linecap:butt;overflow:visible}}
.spark{{width:150px;height:30px;background:var(--card);border-radius:.3rem}}
.spark line{{stroke:var(--soft);stroke-dasharray:3 3}}
.spark polyline{{fill:none;stroke:var(--accent);stroke-width:1.5}}
.spark circle{{fill:var(--alarm)}}
.told{{list-style:none;padding:0;margin:0}}
.told li{{display:grid;grid-template-columns:9.5rem minmax(0,1fr) 13rem 150px 7.5rem;gap:.2rem 1rem;align-items:center;max-width:none;
padding:.45rem 0;border-bottom:1px solid var(--grid);font-size:.9rem;font-variant-numeric:tabular-nums;break-inside:avoid}}
.whose{{overflow-wrap:anywhere;font-weight:600}}
.most{{color:var(--soft)}}
.terms{{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr));gap:.9rem 2rem;margin:0}}
.terms dt{{font-weight:600}}.terms dd{{margin:0;color:var(--soft);font-size:.93rem}}
@media (max-width:52rem){{body{{padding:1.2rem 1rem 3rem}}
.told li{{grid-template-columns:1fr 120px}}.told .spark{{width:120px}}.told time{{grid-column:1}}.whose{{grid-column:1/-1;grid-row:1}}
.told .spark{{grid-column:2;grid-row:2/4}}.told li>.better,.told li>.missed{{grid-column:1;grid-row:3}}.most{{grid-column:2;grid-row:4}}}}
@media print{{@page{{margin:14mm}}body{{max-width:none;padding:0;font-size:9.5pt}}nav,summary{{display:none}}
.scroll{{overflow:visible}}table{{font-size:7.5pt}}th,td{{padding-right:.35rem}}th:first-child{{position:static}}
.charts{{grid-template-columns:1fr 1fr}}figure,tr,.tiles div,.verdicts li{{break-inside:avoid}}h2,h3{{break-after:avoid}}
section{{margin-top:1rem;padding-top:.8rem}}.words{{min-width:0}}details::details-content{{content-visibility:visible;display:block}}
.told li{{grid-template-columns:8rem 1fr 8rem 150px 6rem}}}}
"""
"""What goes between the style tags."""
