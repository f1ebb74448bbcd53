-- The style sheet of the development error page.
return [[
:root{color-scheme:light dark;--paper:#f6f8f7;--card:#fff;--ink:#15232a;--soft:#52636b;
--line:#dce4e2;--bad:#b3372f;--tint:#fbeae8;--accent:#0b6f79;
--mono:ui-monospace,"SF Mono","Cascadia Mono","JetBrains Mono",Menlo,Consolas,monospace}
@media (prefers-color-scheme:dark){:root{--paper:#0e1518;--card:#151f23;--ink:#e4ecec;
--soft:#9db0b5;--line:#25343a;--bad:#f08a7f;--tint:#3a1f1f;--accent:#66cdd2}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
header,main,footer{max-width:72rem;margin:0 auto;padding:0 clamp(1rem,4vw,2.5rem)}
header{padding-top:2.2rem;padding-bottom:1.6rem}
h1{margin:.4rem 0 .6rem;font-size:clamp(1.5rem,3.6vw,2.3rem);line-height:1.2;
letter-spacing:-.02em;white-space:pre-wrap;overflow-wrap:anywhere}
h2{margin:0 0 .8rem;font-size:1.05rem}
.status{margin:0;color:var(--bad);font-weight:700}
.status span{margin-left:.6rem;color:var(--soft);font:.9rem var(--mono);overflow-wrap:anywhere}
.place{margin:0;font-family:var(--mono);font-size:.95rem;color:var(--accent);
overflow-wrap:anywhere}
.place span{color:var(--bad);font-weight:700}
section{margin:0 0 2rem}
code,pre,small{font-family:var(--mono);font-size:.86rem}
small{color:var(--soft);overflow-wrap:anywhere}
.frame{margin:0 0 .5rem;border:1px solid var(--line);border-radius:.6rem;background:var(--card);
overflow:hidden}
summary{padding:.6rem 1rem;cursor:pointer}
summary b{font-family:var(--mono);font-size:.92rem}
summary:focus-visible,pre:focus-visible{outline:2px solid var(--accent);outline-offset:-2px}
.quiet{background:none;color:var(--soft)}
.own{margin:0;padding:.35rem 1rem;border:0;border-top:1px solid var(--line);border-radius:0;
background:none;color:var(--soft)}
.own b{font:.86rem var(--mono)}
pre{margin:0;padding:.8rem 1rem;overflow:auto;border-top:1px solid var(--line);line-height:1.6;
tab-size:4}
.source{padding:.5rem 0}
.source code{display:block;width:max-content;min-width:100%}
.line{display:block;padding:0 1rem 0 0;white-space:pre}
.line i{display:inline-block;width:4.2rem;margin-right:1rem;padding-right:.8rem;
border-right:1px solid var(--line);color:var(--soft);text-align:right;font-style:normal;
user-select:none}
.line.bad{background:var(--tint);font-weight:600}
.line.bad i{color:var(--bad);border-color:var(--bad)}
table{width:100%;border-collapse:collapse;border-top:1px solid var(--line)}
th,td{padding:.3rem 1rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
tr:last-child th,tr:last-child td{border-bottom:0}
th{width:12rem;color:var(--soft);font:600 .86rem/1.7 var(--mono);overflow-wrap:anywhere}
td code{overflow-wrap:anywhere;white-space:pre-wrap}
.hidden code{color:var(--soft);font-style:italic}
.headers{border:1px solid var(--line);border-radius:.6rem;border-collapse:separate;
border-spacing:0;background:var(--card)}
.request{margin:0 0 .8rem;overflow-wrap:anywhere}
footer{padding-bottom:2.5rem;color:var(--soft);font-size:.9rem}
@media (max-width:40rem){th{width:8.5rem}.line i{width:3rem;margin-right:.6rem}}
]]
