// The tables and lists. Whatever the server says is text here, never markup; cells are changed in
// place, so that what is selected or pointed at stays.
import { say } from "./charts.js";
import * as format from "./format.js";

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Has `parent` as many children as there are items, made by make().
function fit(parent, items, make) {
  while (parent.childElementCount > items.length) parent.lastElementChild.remove();
  while (parent.childElementCount < items.length) parent.append(make());
}

function row(classes) {
  return () => {
    const made = element("tr");
    classes.forEach((name, i) => {
      const cell = element(i === 0 ? "th" : "td", name);
      if (i === 0) cell.scope = "row";
      made.append(cell);
    });
    return made;
  };
}

function fill(line, texts) {
  texts.forEach((text, i) => say(line.children[i], text));
}

function setClass(target, name, on) {
  if (target.classList.contains(name) !== on) target.classList.toggle(name, on);
}

function isEmpty(table, empty) {
  const note = table.parentElement.querySelector(".empty");
  if (note) note.hidden = !empty;
  table.hidden = empty;
}

// How fast numbers with names grow, over the last seconds.
class Rates {
  constructor() {
    this.kept = [];
  }

  add(now, pairs) {
    this.kept.push({ now, numbers: new Map(pairs) });
    if (this.kept.length > 10) this.kept.shift();
  }

  of(name) {
    const last = this.kept[this.kept.length - 1];
    const first = this.kept.find((one) => one.numbers.has(name));
    const span = last.now - first.now;
    return span > 0 ? Math.max(0, last.numbers.get(name) - first.numbers.get(name)) / span : null;
  }
}

// -- Workers ------------------------------------------------------------------------------

const WORKER = ["", "state", ...Array(13).fill("n")];

export class Workers {
  constructor(table) {
    this.body = table.tBodies[0];
    this.rates = new Rates();
    this.pids = new Map();
  }

  // A new process in the place of another one catches the eye.
  note(line, worker) {
    const before = this.pids.get(worker.worker);
    this.pids.set(worker.worker, worker.pid);
    if (before === undefined || before === worker.pid) return;
    line.classList.remove("changed");
    void line.offsetWidth; // so that it begins anew
    line.classList.add("changed");
  }

  show(list, now) {
    this.rates.add(now, list.map((worker) => [worker.worker, worker.handled]));
    fit(this.body, list, row(WORKER));
    list.forEach((worker, i) => {
      const line = this.body.children[i];
      const up = worker.state === "down" ? null : worker;
      fill(line, [
        String(worker.worker), worker.state, String(worker.pid),
        up ? format.age(now - worker.started) : "–",
        worker.generation + (worker.old > 0 ? ` (+${worker.old} old)` : ""),
        format.count(worker.connections), format.count(worker.websockets),
        format.count(worker.requests), format.exact(worker.handled),
        format.rate(this.rates.of(worker.worker)), format.bytes(worker.lua),
        format.bytes(worker.resident), format.seconds(worker.lag),
        String(worker.stalls), String(worker.restarts),
      ]);
      line.children[1].className = `state ${worker.state}`;
      this.note(line, worker);
    });
  }
}

// -- Handlers -----------------------------------------------------------------------------

export class Handlers {
  constructor(table) {
    this.table = table;
    this.rates = new Rates();
    this.list = [];
    this.key = "p99";
    this.down = true;
    for (const button of table.querySelectorAll("button"))
      button.addEventListener("click", () => this.sort(button.dataset.sort));
  }

  sort(key) {
    this.down = key === this.key ? !this.down : key !== "name";
    this.key = key;
    for (const button of this.table.querySelectorAll("button"))
      button.parentElement.setAttribute("aria-sort", button.dataset.sort !== key ? "none"
        : this.down ? "descending" : "ascending");
    this.draw();
  }

  show(list, now) {
    this.rates.add(now, list.map((one) => [one.name, one.requests]));
    const all = list.reduce((sum, one) => sum + one.seconds, 0);
    this.list = list.map((one) => ({
      ...one, mean: one.seconds / one.requests, rate: this.rates.of(one.name),
      share: all > 0 ? one.seconds / all : 0,
    }));
    this.draw();
  }

  draw() {
    const body = this.table.tBodies[0];
    const way = this.down ? -1 : 1;
    const key = this.key;
    const list = this.list.slice().sort((a, b) =>
      way * (key === "name" ? a.name.localeCompare(b.name) : a[key] - b[key]));
    isEmpty(this.table, list.length === 0);
    fit(body, list, row(["name", "n", "n", "n", "n", "n", "n", "n", "share"]));
    list.forEach((one, i) => {
      const line = body.children[i];
      fill(line, [one.name, format.seconds(one.p99), format.seconds(one.p50),
        format.seconds(one.mean), format.seconds(one.max), format.exact(one.requests), format.rate(one.rate), format.exact(one.errors)]);
      setClass(line.children[7], "bad", one.errors > 0);
      bar(line.children[8], one.share, "teal");
    });
  }
}

// A share as a bar, and in per cent.
function bar(cell, share, colour) {
  if (cell.childElementCount === 0) {
    const meter = element("span", "bar");
    meter.append(element("i", colour));
    cell.append(meter, element("span", "percent"));
  }
  const inner = cell.firstElementChild.firstElementChild;
  const width = `${(share * 100).toFixed(1)}%`;
  if (inner.style.width !== width) inner.style.width = width;
  if (inner.className !== colour) inner.className = colour;
  say(cell.lastElementChild, share > 0 && share < 0.001 ? "<0.1 %" : `${(share * 100).toFixed(1)} %`);
}

// -- Status codes -------------------------------------------------------------------------

const CLASSES = { 1: "violet", 2: "green", 3: "blue", 4: "amber", 5: "red" };

export function showStatuses(table, statuses, reasons) {
  const list = Object.entries(statuses).sort((a, b) => b[1] - a[1]).slice(0, 12);
  const all = Object.values(statuses).reduce((sum, n) => sum + n, 0);
  isEmpty(table, list.length === 0);
  fit(table.tBodies[0], list, row(["code", "", "share", "n"]));
  list.forEach(([code, n], i) => {
    const line = table.tBodies[0].children[i];
    say(line.children[0], code);
    say(line.children[1], reasons[code] || "");
    bar(line.children[2], n / all, CLASSES[code[0]]);
    say(line.children[3], format.exact(n));
    const name = `code ${CLASSES[code[0]]}`;
    if (line.children[0].className !== name) line.children[0].className = name;
  });
}

// -- Events -------------------------------------------------------------------------------

// Name, the columns that are added up, whether it is nothing to worry about.
const EVENTS = [
  ["Reloads", ["reloads"], true],
  ["Reloads that failed", ["reloads_failed"]],
  ["Workers replaced", ["replaced"]],
  ["Handlers that held the loop (stalls)", ["stalls"]],
  ["Handlers stopped by cpu_limit", ["stopped"]],
  ["Requests refused: malformed, or over a limit", ["refused"]],
  ["Requests without a whole reply", ["cut"]],
  ["Connections over max_connections", ["full"]],
  ["Connections over max_connections_per_ip", ["full_ip"]],
  ["TLS handshakes that failed", ["tls_failed"]],
  ["Warnings logged", ["warnings"]],
  ["Errors logged", ["errors"]],
];

export function showEvents(table, data) {
  fit(table.tBodies[0], EVENTS, row(["", "n", "n lately"]));
  EVENTS.forEach(([name, columns, fine], i) => {
    const line = table.tBodies[0].children[i];
    const total = columns.reduce((sum, column) => sum + data.total(column), 0);
    const grown = columns.reduce((sum, column) => sum + data.grown(column), 0);
    fill(line, [name, format.exact(total), grown > 0 ? `+${format.exact(grown)}` : ""]);
    setClass(line, "bad", grown > 0 && !fine);
    setClass(line, "zero", total === 0);
  });
}

// -- Errors -------------------------------------------------------------------------------

const SHOWN = 40;

function details(trace) {
  const made = element("details");
  made.append(element("summary", "", "Stack traceback"), element("pre", "", trace.replace(/^\t/gm, "")));
  return made;
}

function error(one) {
  const item = element("li");
  const head = element("p");
  const time = element("time", "", format.day(one.time));
  time.dateTime = new Date(one.time * 1000).toISOString();
  head.append(time, element("span", "tag", `worker ${one.worker}`), element("span", "tag", one.logger));
  if (one.request) head.append(element("span", "tag id", one.request));
  item.append(head);
  const [said, trace] = one.message.split(/\nstack traceback:\n?/);
  item.append(element("pre", "", said));
  if (trace) item.append(details(trace));
  return item;
}

export function showErrors(list, errors) {
  const newest = errors.slice().sort((a, b) => b.time - a.time).slice(0, SHOWN);
  list.replaceChildren(...newest.map(error));
  isEmpty(list, newest.length === 0);
}
