-- What a flame graph looks like, and what it does in a browser (see profile/flamegraph.lua).
return {
    STYLE = [[
svg { font: 11px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; --ink: #26221f;
  --page: #fdfbf7; --soft: #776f66; }
.page { fill: var(--page); }
text { fill: var(--ink); }
.title { font: 600 18px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
.sub { font: 12px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--soft); }
.link { font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #b4461e;
  cursor: pointer; text-anchor: end; }
#found { text-anchor: end; }
.f { cursor: pointer; }
.f text { pointer-events: none; fill: #26221f; }
.f:hover rect { stroke: #26221f; stroke-width: 1; }
.f.dim { opacity: .35; }
.f.hit rect { fill: #d75fd0; }
.a rect { fill: #dcd6cc; }
.s0 rect { fill: #f6a24a; } .s1 rect { fill: #f58b52; } .s2 rect { fill: #f7b955; }
.s3 rect { fill: #ef7d57; } .s4 rect { fill: #f3ad6b; }
.t0 rect { fill: #a9c6df; } .t1 rect { fill: #9dbcd8; } .t2 rect { fill: #b6d0e5; }
.c0 rect { fill: #a8d08d; } .c1 rect { fill: #98c77c; } .c2 rect { fill: #b7d9a0; }
.g0 rect, .g1 rect, .g2 rect { fill: #c7b3e5; }
.j0 rect, .j1 rect, .j2 rect { fill: #e5b3cd; }
@media (prefers-color-scheme: dark) { svg { --ink: #f1ece4; --page: #211e1b; --soft: #a59c91; } }
]],

    -- A box is shown when it and the box zoomed into share samples, and cut to what that has.
    SCRIPT = [[
(function () {
  "use strict";
  var svg = document.documentElement, side = +svg.dataset.side, width = +svg.viewBox.baseVal.width;
  var boxes = Array.prototype.map.call(document.querySelectorAll(".f"), function (g) {
    var title = g.querySelector("title").textContent, rect = g.querySelector("rect");
    return { g: g, x: +g.dataset.x, w: +g.dataset.w, y: +rect.getAttribute("y"), rect: rect,
      text: g.querySelector("text"), title: title,
      label: title.replace(/ - \d+ samples, .*$/, "") };
  });
  var all = boxes[0], zoomed = all, found = document.getElementById("found");
  var detail = document.getElementById("detail"), hint = detail.textContent;
  var reset = document.getElementById("reset");

  function place(b) {
    var left = Math.max(b.x, zoomed.x), right = Math.min(b.x + b.w, zoomed.x + zoomed.w);
    var scale = (width - 2 * side) / zoomed.w, x = side + (left - zoomed.x) * scale;
    var w = (right - left) * scale, room = Math.floor((w - 6) / 6.6);
    b.g.style.display = right > left ? "" : "none";
    if (right <= left) return;
    b.g.classList.toggle("dim", b.y > zoomed.y);
    b.rect.setAttribute("x", x);
    b.rect.setAttribute("width", Math.max(w - 0.6, 0.2));
    b.text.setAttribute("x", x + 4);
    b.text.textContent = room < 3 ? "" :
      b.label.length <= room ? b.label : b.label.slice(0, room - 2) + "..";
  }

  function zoom(b) {
    zoomed = b;
    boxes.forEach(place);
    reset.setAttribute("visibility", b === all ? "hidden" : "visible");
  }

  function search() {
    var word = window.prompt("Show functions whose name has (a regular expression):", "");
    var samples = 0, end = -1, pattern;
    if (word === null) return;
    try { pattern = new RegExp(word, "i"); } catch (e) { found.textContent = String(e); return; }
    boxes.forEach(function (b) { b.hit = word !== "" && b !== all && pattern.test(b.label); });
    boxes.filter(function (b) { return b.hit; }).sort(function (a, b) {
      return a.x - b.x || b.w - a.w;
    }).forEach(function (b) {
      if (b.x >= end) { samples += b.w; end = b.x + b.w; }
    });
    boxes.forEach(function (b) { b.g.classList.toggle("hit", b.hit); });
    found.textContent = word === "" ? " " :
      word + ": " + (100 * samples / all.w).toFixed(1) + " % of the samples";
  }

  boxes.forEach(function (b) {
    b.g.addEventListener("click", function () { zoom(b); });
    b.g.addEventListener("mouseenter", function () { detail.textContent = b.title; });
    b.g.addEventListener("mouseleave", function () { detail.textContent = hint; });
  });
  reset.addEventListener("click", function () { zoom(all); });
  document.getElementById("search").addEventListener("click", search);
  window.addEventListener("keydown", function (event) {
    if (event.key === "Escape") zoom(all);
    if (event.key === "/" || (event.key === "f" && (event.ctrlKey || event.metaKey))) {
      event.preventDefault();
      search();
    }
  });
}());
]],
}
