"""How the page looks."""

STYLE = """
:root{--bg:#f6f7f8;--card:#fff;--ink:#17191c;--soft:#5b626b;--line:#dfe2e6;--accent:#0b5cb8;--tint:#eef3fa;
--warn:#8a4200;--warnbg:#fff5e8;--good:#17693f;--goodbg:#e6f4ec;--bad:#a3211a;--badbg:#fcebea;
--s0:#0b62c4;--s1:#d9730d;--s2:#2a8f5c;--s3:#a63fa0;--s4:#b3261e;--s5:#7a6a00}
@media (prefers-color-scheme:dark){:root{--bg:#111315;--card:#1a1d20;--ink:#e9ebee;--soft:#a0a7b0;
--line:#31353a;--accent:#83b7ff;--tint:#20293a;--warn:#ffbd7a;--warnbg:#33260f;--good:#7fd6a4;--goodbg:#15301f;
--bad:#ff9a92;--badbg:#3a1b1a;
--s0:#7db4ff;--s1:#ffab5c;--s2:#6bd19c;--s3:#e08cda;--s4:#ff8a80;--s5:#e0cf5a}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:56px}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--bg);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header,main,nav{max-width:1120px;margin:0 auto;padding:0 16px}
header{padding-top:28px}
main{padding-bottom:64px}
h1{font-size:1.7rem;line-height:1.2;margin:0;overflow-wrap:anywhere}
h2{font-size:1.12rem;margin:0 0 .8em}
.about{color:var(--soft);margin:.3em 0 0}
.skip{position:absolute;left:-999px}
.skip:focus{left:16px;top:8px;background:var(--card);padding:8px;z-index:3}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:4px}
nav{position:sticky;top:0;z-index:2;background:var(--bg);display:flex;gap:6px;overflow-x:auto;
padding-top:12px;padding-bottom:12px;margin-bottom:4px;scrollbar-width:none;
mask-image:linear-gradient(90deg,#000 calc(100% - 48px),transparent)}
nav a{flex:none;color:var(--soft);text-decoration:none;font-size:.85rem;padding:3px 11px;
border:1px solid var(--line);border-radius:99px;background:var(--card)}
nav a:hover{color:var(--accent);border-color:var(--accent)}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:18px 20px;
margin:0 0 16px}
p{margin:.4em 0;max-width:75ch}
.note,figcaption,small,caption{color:var(--soft);font-size:.85rem}
.warning{color:var(--warn);background:var(--warnbg);border-radius:8px;padding:8px 12px;max-width:none}
dl{display:grid;grid-template-columns:minmax(8em,max-content) 1fr;gap:5px 20px;margin:0}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(135px,1fr));gap:12px;margin-bottom:10px}
.card{border:1px solid var(--line);border-radius:10px;padding:10px 14px;display:flex;flex-direction:column}
.card span{font-size:.85rem;color:var(--soft)}
.card b{font-size:1.6rem;line-height:1.3;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
caption{text-align:left;padding-bottom:8px}
th,td{text-align:left;padding:6px 14px 6px 0;border-bottom:1px solid var(--line);white-space:nowrap}
thead th{color:var(--soft);font-weight:600}
tbody th{font-weight:400}
td.n{font-variant-numeric:tabular-nums}
tr.strong td,tr.strong th{font-weight:700}
tbody tr:last-child td,tbody tr:last-child th{border-bottom:0}
.matrix{width:auto}
.matrix td,.matrix thead th{text-align:center;
min-width:64px;padding:6px 10px;font-variant-numeric:tabular-nums}
.matrix tbody td{border:2px solid var(--card);border-radius:6px}
.matrix tbody th{padding-right:16px;border:0}
.matrix .hit{background:color-mix(in srgb,var(--s2) calc(var(--share)*.55),transparent)}
.matrix .miss{background:color-mix(in srgb,var(--s4) calc(var(--share)*.55),transparent)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,310px),1fr));gap:20px}
figure{margin:0}
.chart{width:100%;height:auto;max-width:520px;display:block;font-size:11.5px}
.chart text{fill:var(--soft)}
.chart .tick{text-anchor:middle}
.chart .side{text-anchor:end}
.chart .grid{stroke:var(--line)}
.chart .mark{stroke:var(--ink);stroke-dasharray:4 3}
.chart polyline{fill:none;stroke-width:2}
.chart rect{fill-opacity:.6}
.chart rect.key{fill-opacity:1}
polyline.s0{stroke:var(--s0)}polyline.s1{stroke:var(--s1)}polyline.s2{stroke:var(--s2)}
polyline.s3{stroke:var(--s3)}polyline.s4{stroke:var(--s4)}polyline.s5{stroke:var(--s5)}
rect.s0{fill:var(--s0)}rect.s1{fill:var(--s1)}rect.s2{fill:var(--s2)}
rect.s3{fill:var(--s3)}rect.s4{fill:var(--s4)}rect.s5{fill:var(--s5)}
.chip{margin-right:14px;white-space:nowrap}
.chip i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:5px}
.tag{display:inline-block;font-size:.8rem;border-radius:5px;padding:0 7px;margin:3px 5px 0 0;
background:var(--tint);
color:var(--ink);overflow-wrap:anywhere}
.tag.good{background:var(--goodbg);color:var(--good)}
.tag.bad{background:var(--badbg);color:var(--bad)}
.shots{display:grid;gap:18px}
.shot figcaption{margin-top:6px;overflow-wrap:anywhere;line-height:1.4}
.shot b{color:var(--ink);font-weight:600}
.views{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:8px}
.view{font-size:.8rem;color:var(--soft)}
.view img{width:100%;height:auto;display:block;border-radius:6px;background:#000}
.stacked .shots{grid-template-columns:repeat(auto-fill,minmax(min(100%,235px),1fr))}
.stacked .views{display:block;position:relative}
.stacked .view span{display:none}
.stacked .view+.view{position:absolute;inset:0}
.gallery:not(.stacked) .view{opacity:1!important}
.tools{position:sticky;top:52px;z-index:1;background:var(--card);padding:8px 0 10px;margin-bottom:10px;
display:grid;grid-template-columns:minmax(0,520px) auto;gap:4px 24px;align-items:center;
border-bottom:1px solid var(--line)}
.tools[hidden]{display:none}
.tools input[type=range]{width:100%;margin:0;accent-color:var(--accent);height:24px}
.tools label{font-size:.88rem;color:var(--soft);white-space:nowrap;grid-row:1/3;grid-column:2}
.stops{display:flex;justify-content:space-between}
.stops button{font:inherit;font-size:.85rem;color:var(--soft);background:none;border:0;padding:2px 4px;
min-height:24px;cursor:pointer;border-radius:4px}
.stops button[aria-pressed=true]{color:var(--accent);font-weight:600}
@media (max-width:600px){header,main,nav{padding-left:10px;padding-right:10px}section{padding:14px 12px}
header{padding-top:16px}h1{font-size:1.35rem}.views{grid-template-columns:1fr 1fr}
dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:8px}
.cards{grid-template-columns:1fr 1fr;gap:8px}.card{padding:8px 10px}.card b{font-size:1.35rem}
.tools{grid-template-columns:1fr}.tools label{grid-row:auto;grid-column:auto}}
@media print{nav,.tools,.skip{display:none}section{border:0;break-inside:avoid-page}
.stacked .views{display:grid}.stacked .view{position:static!important;opacity:1!important}
.stacked .view span{display:inline}}
""".strip()
