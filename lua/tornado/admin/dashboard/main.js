// The dashboard's page: holds the WebSocket, and shows what comes.
import { Chart, Charts, say } from "./charts.js";
import * as format from "./format.js";
import { Series } from "./series.js";
import { Handlers, Workers, showErrors, showEvents, showStatuses } from "./tables.js";

const RESTARTS = 1012; // the server's code for: connect again, somebody else answers
const SILENCE = 6000; // ms without a message, after which the connection is given up
const GRACE = 600; // ms that a connection may be gone before that is said

function find(id) {
  return document.getElementById(id);
}

// -- What is shown ------------------------------------------------------------------------

let data = null; // Series
let hello = null;
const workers = new Workers(find("workers"));
const handlers = new Handlers(find("handlers"));

const moment = document.createElement("p");
moment.id = "moment";
moment.setAttribute("aria-live", "off");
find("chart-rate").querySelector("h2").append(moment);
const charts = new Charts(moment);

function chart(id, series, options) {
  charts.add(new Chart(find(id), series.map(([key, name, colour]) => ({ key, name, colour })),
    options));
}

chart("chart-rate", [["rate", "All", "teal"]], { format: format.rate, filled: true, least: 4 });
chart("chart-latency", [["p50", "p50", "teal"], ["p95", "p95", "amber"], ["p99", "p99", "violet"]],
  { format: format.seconds, least: 0.001, log: true });
chart("chart-status", [["s2", "2xx", "green"], ["s3", "3xx", "blue"], ["s4", "4xx", "amber"],
  ["s5", "5xx", "red"]], { format: format.rate, stacked: true, least: 4 });
chart("chart-connections", [["active", "Active", "teal"], ["idle", "Idle", "blue"],
  ["websockets", "WebSockets", "violet"]], { format: format.count, least: 4, whole: true });
chart("chart-traffic", [["sent", "Sent", "teal"], ["received", "Received", "amber"]],
  { format: format.bytes, base: 1024, least: 1024 });
chart("chart-memory", [["resident", "Resident", "blue"], ["lua", "Lua", "violet"]],
  { format: format.bytes, base: 1024, least: 1048576 });

function tile(name, value, sub, bad) {
  say(find(`tile-${name}`), value);
  say(find(`tile-${name}-sub`), sub);
  find(`tile-${name}`).classList.toggle("bad", Boolean(bad));
}

function showTraffic() {
  const last = data.last();
  if (!last) return;
  const total = [1, 2, 3, 4, 5].reduce((sum, i) => sum + data.total(`replies_${i}xx`), 0);
  const failed = data.grown("replies_5xx");
  tile("rate", format.rate(last.rate), `${format.count(total)} since the start`);
  tile("latency", format.seconds(data.lately(0.99)),
    `p50 ${format.seconds(data.lately(0.5))}, p95 ${format.seconds(data.lately(0.95))}`);
  tile("errors", format.exact(failed), `last 5 min; ${format.count(data.total("replies_5xx"))} in all`,
    failed > 0);
  tile("connections", format.count(last.connections),
    `${format.count(last.active)} active, ${format.count(last.websockets)} `
    + (last.websockets === 1 ? "WebSocket" : "WebSockets"));
  document.title = `${format.rate(last.rate)}/s – ${hello.host} – ctornado`;
}

function showWorkers(list, now) {
  const serving = list.filter((worker) => worker.state === "serving");
  const newest = Math.max(0, ...list.map((worker) => worker.generation));
  const sum = (key) => list.reduce((all, worker) => all + worker[key], 0);
  const old = sum("old");
  tile("workers", serving.length === list.length ? String(list.length)
    : `${serving.length} of ${list.length}`,
    `generation ${newest}${old > 0 ? `, ${old} older` : ""}`, serving.length < list.length);
  tile("memory", format.bytes(sum("resident")), `Lua ${format.bytes(sum("lua"))}`);
  workers.show(list, now);
}

function greet(message) {
  hello = message.hello;
  data = new Series(hello.columns, hello.bounds);
  say(find("host"), hello.host);
  say(find("version"), hello.version);
}

function show(message) {
  if (message.hello) greet(message);
  data.add(message.samples);
  say(find("uptime"), `up ${format.age(message.now - hello.started)}`);
  showTraffic();
  showWorkers(message.overview.workers, message.now);
  handlers.show(message.overview.handlers, message.now);
  showStatuses(find("statuses"), message.overview.statuses, hello.reasons);
  showEvents(find("events"), data);
  if (message.errors) showErrors(find("errors"), message.errors);
  charts.draw(data);
}

// -- The connection -----------------------------------------------------------------------

const FIRST = 250; // ms
const LONGEST = 5000;
let wait = FIRST;
let lost = 0; // timers
let silent = 0;

function state(name, text) {
  document.body.className = name;
  say(find("state"), text);
}

function take(socket, event) {
  clearTimeout(lost);
  clearTimeout(silent);
  silent = setTimeout(() => socket.close(), SILENCE);
  wait = FIRST;
  const message = JSON.parse(event.data);
  show(message);
  if (message.state === "serving") state("live", "Live");
  else state("live odd", message.state === "ending" ? "The server ends" : "The server starts");
}

function again(code) {
  clearTimeout(silent);
  clearTimeout(lost);
  lost = setTimeout(state, document.body.className.startsWith("live") ? GRACE : 0, "lost",
    "Connection lost: trying again");
  const jitter = 0.7 + 0.6 * Math.random();
  setTimeout(connect, code === RESTARTS ? 50 : wait * jitter);
  wait = Math.min(wait * 2, LONGEST);
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/dashboard/live`);
  socket.onmessage = (event) => take(socket, event);
  socket.onclose = (event) => again(event.code);
}

connect();
