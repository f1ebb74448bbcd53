// Charts of the last minutes: lines, or areas one on the other. All of them show the same time, and
// where a pointer is in one of them, all tell the numbers of that moment.
import { WINDOW } from "./series.js";
import { clock } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 168;
const PAD = { top: 10, right: 12, bottom: 22, left: 58 };
const STEPS = [1, 2, 2.5, 5, 10];
const LINES = 4; // across, at most

function node(parent, name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

function set(element, key, value) {
  if (element.getAttribute(key) !== value) element.setAttribute(key, value);
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Round steps for an axis from 0: of ten, or of two for bytes.
function step(most, base) {
  const rough = most / LINES;
  const power = base ** Math.floor(Math.log(rough) / Math.log(base));
  const steps = base === 1024 ? [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] : STEPS;
  return power * steps.find((n) => n * power >= rough * 0.999999);
}

export class Chart {
  // `series`: a list of { key, name, colour }. Options: format, least (what the axis has at least),
  // base (10, or 1024), whole (no fractions beside it), log (an axis by powers of ten), filled,
  // stacked.
  constructor(card, series, options) {
    this.series = series;
    this.options = { base: 10, least: 1, ...options };
    this.width = 0;
    this.makeLegend(card);
    this.svg = node(card, "svg", { class: "plot", height: HEIGHT, "aria-hidden": "true" });
    this.grid = node(this.svg, "g", { class: "grid" });
    this.marks = node(this.svg, "g", { class: "marks" });
    this.shapes = series.map((one) => this.makeShapes(one));
    this.cross = node(this.svg, "line", { class: "cross", y1: PAD.top, y2: HEIGHT - PAD.bottom });
  }

  makeLegend(card) {
    const list = document.createElement("ul");
    list.className = "legend";
    for (const one of this.series) {
      const item = document.createElement("li");
      const value = document.createElement("b");
      item.className = one.colour;
      item.append(one.name, " ", value);
      list.append(item);
      one.value = value;
    }
    card.append(list);
  }

  makeShapes(one) {
    return {
      area: node(this.svg, "path", { class: `area ${one.colour}` }),
      line: node(this.svg, "path", { class: `line ${one.colour}` }),
    };
  }

  x(time) {
    const inner = this.width - PAD.left - PAD.right;
    return PAD.left + (time - this.end + WINDOW) / WINDOW * inner;
  }

  // How far up a value is, from 0 to 1.
  part(value) {
    if (!this.options.log) return value / this.top;
    return value <= this.low ? 0 : Math.log(value / this.low) / Math.log(this.top / this.low);
  }

  y(value) {
    return HEIGHT - PAD.bottom - this.part(value) * (HEIGHT - PAD.top - PAD.bottom);
  }

  // What lies below the series at `index`, when they are stacked.
  below(point, index) {
    if (!this.options.stacked) return 0;
    return this.series.slice(0, index).reduce((sum, one) => sum + (point[one.key] || 0), 0);
  }

  most(points) {
    const upper = (point) => this.options.stacked
      ? this.below(point, this.series.length)
      : Math.max(...this.series.map((one) => point[one.key] || 0));
    return points.reduce((most, point) => Math.max(most, upper(point)), this.options.least);
  }

  // The axis: from 0 in round steps, or by powers of ten. Returns what stands beside it.
  scale(points) {
    const most = this.most(points);
    if (this.options.log) return this.scaleByPowers(points, most);
    const lines = [];
    let by = step(most, this.options.base);
    if (this.options.whole && by % 1) by *= 2; // 2.5
    this.top = Math.ceil(most / by - 1e-9) * by;
    for (let value = 0; value <= this.top * 1.0001; value += by) lines.push(value);
    return lines;
  }

  scaleByPowers(points, most) {
    const values = points.flatMap((point) => this.series.map((one) => point[one.key]))
      .filter((value) => value > 0);
    const up = Math.ceil(Math.log10(most) - 1e-9);
    const down = Math.min(up - 2, Math.floor(Math.log10(Math.min(most, ...values)) + 1e-9));
    this.top = 10 ** up;
    this.low = 10 ** down;
    return Array.from({ length: up - down + 1 }, (_, i) => 10 ** (down + i));
  }

  drawGrid(lines) {
    while (this.grid.childElementCount > lines.length) this.grid.lastElementChild.remove();
    lines.forEach((value, i) => {
      const group = this.grid.children[i] || this.makeGridLine();
      set(group.firstElementChild, "x2", String(this.width - PAD.right));
      set(group, "transform", `translate(0 ${this.y(value).toFixed(1)})`);
      say(group.lastElementChild, this.options.format(value));
    });
    this.drawMinutes();
  }

  makeGridLine() {
    const group = node(this.grid, "g", {});
    node(group, "line", { x1: PAD.left });
    node(group, "text", { x: PAD.left - 8, dy: "0.32em", "text-anchor": "end" });
    return group;
  }

  drawMinutes() {
    if (!this.minutes) {
      this.minutes = node(this.svg, "g", { class: "grid" });
      for (let i = 0; i < WINDOW / 60; i++) node(this.minutes, "text", { y: HEIGHT - 5 });
    }
    const step = this.x(60) - this.x(0) < 48 ? 2 : 1; // px that a label needs
    [...this.minutes.children].forEach((text, i) => {
      set(text, "x", this.x(this.end - i * 60).toFixed(1));
      set(text, "text-anchor", i === 0 ? "end" : "middle");
      say(text, i % step ? "" : i === 0 ? "now" : `−${i} min`);
    });
  }

  // Runs of points that have the value: a gap is left open.
  runs(points, key) {
    const runs = [[]];
    for (const point of points) {
      if (point[key] === null) runs.push([]);
      else runs[runs.length - 1].push(point);
    }
    return runs.filter((run) => run.length > 0);
  }

  drawShape(points, index) {
    const one = this.series[index];
    let line = "";
    let area = "";
    for (const run of this.runs(points, one.key)) {
      const at = (point, value) => `${this.x(point.time).toFixed(1)} ${this.y(value).toFixed(1)}`;
      const over = run.map((point) => at(point, this.below(point, index) + point[one.key]));
      line += `M${over.join("L")}${run.length === 1 ? "h.1" : ""}`;
      if (!this.options.stacked && !this.options.filled) continue;
      const under = run.slice().reverse().map((point) => at(point, this.below(point, index)));
      area += `M${over.join("L")}L${under.join("L")}Z`;
    }
    set(this.shapes[index].line, "d", this.options.stacked ? "" : line);
    set(this.shapes[index].area, "d", area);
  }

  drawMarks(points) {
    const marked = points.filter((point) => point.reload || point.failed || point.replaced);
    while (this.marks.childElementCount > marked.length) this.marks.lastElementChild.remove();
    marked.forEach((point, i) => {
      const line = this.marks.children[i] ||
        node(this.marks, "line", { y1: PAD.top, y2: HEIGHT - PAD.bottom });
      set(line, "class", point.replaced || point.failed ? "bad" : "good");
      set(line, "x1", this.x(point.time).toFixed(1));
      set(line, "x2", this.x(point.time).toFixed(1));
    });
  }

  drawCross(at) {
    set(this.cross, "visibility", at ? "visible" : "hidden");
    if (!at) return;
    set(this.cross, "x1", this.x(at.time).toFixed(1));
    set(this.cross, "x2", this.x(at.time).toFixed(1));
  }

  // `at`: the point to tell the numbers of, or null for the last.
  draw(data, at) {
    const points = data.points;
    if (this.width < PAD.left + PAD.right + 10 || points.length === 0) return;
    this.end = data.end();
    const shown = points.filter((point) => point.time >= this.end - WINDOW);
    this.drawGrid(this.scale(shown));
    this.drawMarks(shown);
    this.series.forEach((_, index) => this.drawShape(shown, index));
    this.drawCross(at);
    const told = at || data.last();
    for (const one of this.series) say(one.value, this.options.format(told[one.key]));
  }

  // The point nearest to where the pointer is.
  nearest(data, clientX) {
    const inner = this.width - PAD.left - PAD.right;
    const x = clientX - this.svg.getBoundingClientRect().left;
    const time = this.end - WINDOW + (x - PAD.left) / inner * WINDOW;
    return data.points.reduce((best, point) =>
      Math.abs(point.time - time) < Math.abs(best.time - time) ? point : best, data.last());
  }
}

// All charts of the page; `moment` shows the time that is looked at.
export class Charts {
  constructor(moment) {
    this.list = [];
    this.moment = moment;
    this.data = null;
    this.at = null;
    this.sizes = new ResizeObserver(() => this.resize());
  }

  add(chart) {
    this.list.push(chart);
    this.sizes.observe(chart.svg);
    chart.svg.addEventListener("pointermove", (event) => this.look(chart, event.clientX));
    chart.svg.addEventListener("pointerdown", (event) => this.look(chart, event.clientX));
    chart.svg.addEventListener("pointerleave", () => this.look(null));
  }

  look(chart, clientX) {
    if (!this.data || !this.data.last()) return;
    this.at = chart ? chart.nearest(this.data, clientX) : null;
    this.draw();
  }

  resize() {
    for (const chart of this.list) chart.width = chart.svg.getBoundingClientRect().width;
    this.draw();
  }

  draw(data = this.data) {
    this.data = data;
    if (!data) return;
    if (this.at && !data.points.includes(this.at)) this.at = null;
    say(this.moment, this.at ? `at ${clock(this.at.time)}` : "");
    for (const chart of this.list) chart.draw(data, this.at);
  }
}
