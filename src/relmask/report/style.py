"""How the page looks."""

STYLE = """
:root{--bg:#fbfbfa;--card:#fff;--ink:#1c1d1f;--soft:#62666d;--line:#e1e2e5;--accent:#0b62c4;--warn:#9a4a00;
--s0:#0b62c4;--s1:#d9730d;--s2:#2a8f5c;--s3:#a63fa0;--s4:#b3261e;--s5:#7a6a00}
@media (prefers-color-scheme:dark){:root{--bg:#131416;--card:#1c1e21;--ink:#e8e9eb;--soft:#9aa0a8;
--line:#33363b;--accent:#7db4ff;--warn:#ffb366;--s0:#7db4ff;--s1:#ffab5c;--s2:#6bd19c;--s3:#e08cda;--s4:#ff8a80;--s5:#e0cf5a}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1080px;margin:0 auto;padding:24px 16px 64px}
h1{font-size:1.6rem;line-height:1.2;margin:.4em 0 .6em}
h2{font-size:1.1rem;margin:0 0 .7em}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px;margin:0 0 16px}
p{margin:.4em 0;max-width:75ch}
.note,figcaption,small{color:var(--soft);font-size:.85rem}
.warning{color:var(--warn);font-weight:600}
dl{display:grid;grid-template-columns:minmax(8em,max-content) 1fr;gap:4px 16px;margin:0}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px}
.card{border:1px solid var(--line);border-radius:8px;padding:10px 12px;display:flex;flex-direction:column}
.card span{font-size:.85rem;color:var(--soft)}
.card b{font-size:1.6rem;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;padding:5px 12px 5px 0;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:600}
td.n{font-variant-numeric:tabular-nums}
tr.strong td{font-weight:700}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));gap:16px}
figure{margin:0}
.chart{width:100%;height:auto;display:block;font-size:11px}
.chart text{fill:var(--soft)}
.chart .tick{text-anchor:middle}
.chart .side{text-anchor:end}
.chart .grid{stroke:var(--line)}
.chart .mark{stroke:var(--ink);stroke-dasharray:4 3}
.chart polyline{fill:none;stroke-width:2}
.chart rect{fill-opacity:.55}
.chart rect.key{fill-opacity:1}
polyline.s0{stroke:var(--s0)}polyline.s1{stroke:var(--s1)}polyline.s2{stroke:var(--s2)}
polyline.s3{stroke:var(--s3)}polyline.s4{stroke:var(--s4)}polyline.s5{stroke:var(--s5)}
rect.s0{fill:var(--s0)}rect.s1{fill:var(--s1)}rect.s2{fill:var(--s2)}
rect.s3{fill:var(--s3)}rect.s4{fill:var(--s4)}rect.s5{fill:var(--s5)}
.chip{margin-right:14px;white-space:nowrap}
.chip i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:5px}
.row{border-top:1px solid var(--line);padding:10px 0}
.row p{font-size:.9rem;overflow-wrap:anywhere}
.strip{display:grid;grid-template-columns:repeat(4,1fr);gap:8px}
.small{grid-template-columns:repeat(auto-fill,minmax(112px,1fr))}
.small figcaption{font-size:.75rem;overflow-wrap:anywhere;line-height:1.2}
.strip img{width:100%;height:auto;display:block;border-radius:4px;image-rendering:auto;background:#000}
@media (max-width:560px){.strip:not(.small){grid-template-columns:repeat(2,1fr)}
main{padding:12px 8px 48px}section{padding:12px}}
@media print{section{break-inside:avoid}}
""".strip()
