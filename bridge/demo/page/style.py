"""The page's style sheet. Colours are variables, so that dark mode and print change them in one place."""

CSS = """
:root { color-scheme: light dark; --paper: #fbfaf6; --card: #ffffff; --ink: #1b2225; --soft: #566167; --line: #d9d6cc;
  --mainland: #0f6661; --mainland-wash: #e6f0ee; --border: #855700; --border-wash: #f8efdb; --hong-kong: #37489a;
  --hong-kong-wash: #e9ecf7; --energy: #9ccbc3; --flagged: #b26a00; --refused: #b3261e; --missing: #6f777b; }
@media (prefers-color-scheme: dark) { :root { --paper: #14191b; --card: #1b2225; --ink: #e8e6df; --soft: #a5b0b4;
  --line: #343e42; --mainland: #6fc7bd; --mainland-wash: #17302f; --border: #e0b155; --border-wash: #332a17;
  --hong-kong: #a3b2f2; --hong-kong-wash: #20263f; --energy: #2f6a64; --flagged: #e8a33d; --refused: #ff8a80; --missing: #939da1; } }
@media print { :root { color-scheme: light; --paper: #fff; --card: #fff; --ink: #111; --soft: #444; --line: #bbb;
  --mainland: #0f6661; --mainland-wash: #e6f0ee; --border: #855700; --border-wash: #f8efdb; --hong-kong: #37489a;
  --hong-kong-wash: #e9ecf7; --energy: #9ccbc3; --flagged: #b26a00; --refused: #b3261e; --missing: #6f777b; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto,
  "Helvetica Neue", Arial, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; font-variant-numeric: tabular-nums; }
main, header, footer { max-width: 1080px; margin: 0 auto; padding: 0 32px; }
h1, h2, h3, .figure { font-family: "Iowan Old Style", "Palatino Linotype", Palatino, "Book Antiqua", Georgia, "Songti SC",
  "Noto Serif CJK SC", serif; font-weight: 600; line-height: 1.2; letter-spacing: -0.005em; }
header { padding-top: 56px; }
h1 { font-size: 44px; margin: 0; } h1 span { font-weight: 400; color: var(--mainland); margin-left: 8px; }
.lead { font-size: 19px; color: var(--soft); margin: 8px 0 0; max-width: 72ch; }
.meta { font-size: 14px; color: var(--soft); margin: 16px 0 0; }
nav { margin: 28px 0 0; padding: 10px 0; border-block: 1px solid var(--line); font-size: 14px; display: flex; flex-wrap: wrap;
  gap: 4px 22px; }
nav a { color: var(--soft); text-decoration: none; } nav a:hover, nav a:focus { color: var(--ink); text-decoration: underline; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); margin: 32px 0 0; padding: 0; }
.facts div { padding: 2px 18px; border-left: 1px solid var(--line); } .facts div:first-child { border-left: 0; padding-left: 0; }
.facts dt { font-size: 14px; color: var(--soft); line-height: 1.35; } .facts dd { margin: 0 0 4px; font-size: 34px; white-space: nowrap; }
.facts dd.long { font-size: 24px; line-height: 40px; }
.facts div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
section { margin: 64px 0 0; } h2 { font-size: 28px; margin: 0 0 6px; } h3 { font-size: 21px; margin: 40px 0 2px; }
h2 .number { color: var(--soft); font-weight: 400; margin-right: 12px; }
p { margin: 0 0 14px; max-width: 76ch; } .note, figcaption { font-size: 14px; color: var(--soft); max-width: 96ch; }
a { color: var(--hong-kong); } figure { margin: 18px 0 0; }
svg { display: block; width: 100%; height: auto; } svg text { font-family: inherit; fill: var(--ink); }
.picture { overflow-x: auto; } .picture svg { min-width: 760px; } .tree svg { min-width: 620px; max-width: 820px; margin: 0 auto; }
.scroll { overflow-x: auto; margin: 22px 0 0; } .scroll:focus-visible { outline: 2px solid var(--hong-kong); }
table { border-collapse: collapse; width: 100%; font-size: 14.5px; line-height: 1.45; }
caption { text-align: left; font-weight: 600; padding: 0 0 6px; font-size: 14.5px; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 13px; border-bottom: 1.5px solid var(--ink);
  vertical-align: bottom; }
th, td { padding: 7px 16px 7px 0; } td { border-bottom: 1px solid var(--line); vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; } .n { text-align: right; white-space: nowrap; }
tr.total td { font-weight: 600; border-bottom: 0; } tbody.group tr:not(:last-child) td:not([rowspan]) { border-bottom-style: dotted; }
code, .hash { font-family: ui-monospace, "SF Mono", SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 0.88em; }
.hash { white-space: nowrap; } .code { overflow-wrap: anywhere; }
.when { white-space: nowrap; } .days td { padding-block: 3.5px; white-space: nowrap; }
.refusals table { table-layout: fixed; min-width: 640px; } .refusals td { overflow-wrap: anywhere; }
.refusals th:nth-child(1) { width: 25%; } .refusals th:nth-child(2) { width: 17%; } .refusals th:nth-child(3) { width: 24%; }
.quiet { color: var(--soft); } .strong { font-weight: 600; }
.pill { display: inline-block; font-size: 12.5px; line-height: 1.5; padding: 0 8px; border-radius: 9px; border: 1px solid currentColor;
  white-space: nowrap; }
.flagged { color: var(--flagged); } .refused { color: var(--refused); } .missing { color: var(--missing); }
  .ok { color: var(--mainland); }
.high { color: var(--refused); } .medium { color: var(--flagged); } .low { color: var(--mainland); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 22px; margin: 10px 0 0; padding: 0; list-style: none; font-size: 13.5px;
  color: var(--soft); }
.legend i { display: inline-block; width: 22px; height: 10px; margin-right: 7px; vertical-align: baseline; }
.legend .k-line { height: 0; border-top: 2px solid var(--ink); vertical-align: 4px; } .legend .k-area { background: var(--energy); }
.legend .k-plate { height: 0; border-top: 1.5px dashed var(--soft); vertical-align: 4px; }
.legend .k-flag { background: var(--flagged); height: 7px; } .legend .k-miss { background: var(--missing); height: 7px; }
.legend .k-stop { width: auto; height: auto; color: var(--refused); font-style: normal; font-weight: 700; }
.bar { height: 13px; min-width: 2px; background: var(--mainland); border-radius: 1px; } .gas .bar { background: var(--hong-kong); }
.track { width: 100%; min-width: 330px; padding: 5px 0 0; }
details { margin: 12px 0 0; } summary { cursor: pointer; font-size: 14px; color: var(--soft); } summary:hover { color: var(--ink); }
details .scroll { max-height: 420px; overflow-y: auto; } details table { font-size: 13px; } details td { padding-block: 3px; }
ol.walk { list-style: none; margin: 22px 0 0; padding: 0; counter-reset: step; }
ol.walk > li { counter-increment: step; position: relative; padding: 0 0 26px 58px; border-left: 2px solid var(--line);
  margin-left: 16px; }
ol.walk > li:last-child { border-color: transparent; padding-bottom: 0; }
ol.walk > li::before { content: counter(step); position: absolute; left: -17px; top: -3px; width: 32px; height: 32px; border-radius: 50%;
  background: var(--paper); border: 2px solid var(--zone); color: var(--zone); text-align: center; line-height: 28px; font-size: 15px;
  font-weight: 600; }
.mainland { --zone: var(--mainland); } .border { --zone: var(--border); } .hong_kong { --zone: var(--hong-kong); }
ol.walk h3 { font-size: 18px; margin: 0; } ol.walk h3 small { font: 600 12.5px/1.5 system-ui, sans-serif; color: var(--zone);
  margin-left: 10px; }
ol.walk p { margin: 2px 0 8px; } dl.values { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 1px 18px;
  margin: 0; font-size: 14px; }
dl.values dt { color: var(--soft); } dl.values dd { margin: 0; overflow-wrap: anywhere; }
dl.values.full { margin-top: 6px; font-size: 13px; }
ul.limits { margin: 12px 0 0; padding: 0 0 0 20px; max-width: 84ch; } ul.limits li { margin: 0 0 8px; padding-left: 4px; }
footer { margin-top: 72px; padding-block: 20px 48px; font-size: 13.5px; color: var(--soft); }
  footer > div { border-top: 1px solid var(--line); padding-top: 16px; }
@media (max-width: 640px) { main, header, footer { padding-inline: 18px; } h1 { font-size: 34px; }
  .facts { grid-template-columns: 1fr 1fr; gap: 18px 0; }
  .facts div { padding-left: 0; border: 0; } dl.values { grid-template-columns: 1fr; } dl.values dd { margin-bottom: 4px; } }
@media print { @page { margin: 15mm 13mm; } body { font-size: 10.5pt; } header { padding-top: 0; }
  main, header, footer { max-width: none; padding-inline: 0; }
  nav { display: none; } details:not([open]) { display: none; } section { margin-top: 32px; }
  figure, tr, ol.walk > li, h3 { break-inside: avoid; }
  h2, h3 { break-after: avoid; } .scroll, .picture { overflow: visible; } .picture svg, .tree svg { min-width: 0; }
  .track { min-width: 200px; } .refusals table { min-width: 0; }
  .facts { grid-template-columns: repeat(auto-fit, minmax(108px, 1fr)); } .facts dd { font-size: 26px; } .facts dd.long { font-size: 18px; }
  td code { overflow-wrap: anywhere; } th, td { padding-right: 10px; }
  table { font-size: 9pt; } }
""".strip()
