// The dashboard in Chromium: a server with two workers is loaded a little, loses a worker, is
// reloaded and cannot be reached, and the page ($ADMIN) tells.
"use strict";

const net = require("net");
const { run, same } = require("./harness.js");

const SITE = process.argv[2];
const ADMIN = process.env.ADMIN;

async function ask(path) {
  const reply = await fetch(SITE + path);
  await reply.text();
  return reply;
}

// A few requests again and again, until the function that it returns is called.
function load() {
  let ended = false;
  const work = (async () => {
    while (!ended) await Promise.all(["", "slow", "missing", ""].map(ask));
  })();
  return () => {
    ended = true;
    return work;
  };
}

async function dashboard(open, options, url = ADMIN) {
  const page = await open(options);
  await page.goto(url);
  await live(page);
  return page;
}

function live(page) {
  return page.locator("body.live #state", { hasText: /^Live$/ }).waitFor();
}

// Waits for a cell of a table, by what its row begins with.
function cell(page, table, row, column, text) {
  return page.waitForFunction(([id, name, at, wanted]) => {
    const rows = [...document.querySelectorAll(`#${id} tbody tr`)];
    const found = rows.find((one) => one.cells[0].textContent === name);
    return found && new RegExp(wanted).test(found.cells[at].textContent) &&
      found.cells[at].textContent;
  }, [table, row, column, text]).then((handle) => handle.jsonValue());
}

// A door to the admin listener that can be shut. Returns { url, shut, open }.
async function makeDoor() {
  const sockets = new Set();
  const target = new URL(ADMIN);
  const server = net.createServer((client) => {
    const inner = net.connect(target.port, target.hostname);
    for (const [one, other] of [[client, inner], [inner, client]]) {
      sockets.add(one);
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => { sockets.delete(one); other.destroy(); });
    }
  });
  const listen = (port) => new Promise((done) => { server.listen(port, "127.0.0.1", done); });
  await listen(0);
  const port = server.address().port;
  const shut = () => {
    const closed = new Promise((done) => { server.close(done); });
    for (const socket of sockets) socket.destroy();
    return closed;
  };
  return { url: `http://127.0.0.1:${port}/`, shut, open: () => listen(port) };
}

run({
  "numbers move while there is load": async (open) => {
    const page = await dashboard(open);
    const end = load();
    await page.waitForFunction(() => Number(document.getElementById("tile-rate").textContent) > 0);
    await page.waitForFunction(() => /ms|µs/.test(document.getElementById("tile-latency").textContent));
    const before = Number(await cell(page, "statuses", "200", 3, "^\\d+$"));
    await page.waitForFunction((n) => Number(document.querySelector(
      "#statuses tbody td:last-child").textContent) > n, before);
    await cell(page, "statuses", "404", 1, "Not Found");
    await cell(page, "handlers", "Main", 5, "[1-9]");
    await page.waitForFunction(() => ["rate", "latency", "status", "connections", "traffic", "memory"]
      .every((name) => [...document.querySelectorAll(`#chart-${name} path`)]
        .some((path) => (path.getAttribute("d") || "").includes("L"))));
    await end();
    await page.waitForFunction(() => document.getElementById("tile-rate").textContent === "0");
  },

  "a later page has what was before": async (open) => {
    const page = await dashboard(open);
    const has = (name) => page.evaluate((id) => [...document.querySelectorAll(`#${id} path.line`)]
      .every((path) => path.getAttribute("d").includes("L")), name);
    same(await has("chart-latency"), true, "lines of the latency");
    const plot = page.locator("#chart-rate svg");
    await plot.hover({ position: { x: (await plot.boundingBox()).width - 14, y: 60 } });
    await page.locator("#moment", { hasText: /^at \d\d:\d\d:\d\d$/ }).waitFor();
    await page.mouse.move(0, 0);
    await page.waitForFunction(() => document.getElementById("moment").textContent === "");
  },

  "what handlers and errors are called is text, not markup": async (open) => {
    const page = await dashboard(open);
    const text = "<img src=x onerror=\"window.broken=1\"><script>window.broken=1</script> \u00fc";
    const reply = await ask(`broken?text=${encodeURIComponent(text)}`);
    same(reply.status, 500, "status");
    await page.locator("#errors pre", { hasText: text }).first().waitFor();
    same(await page.locator("#errors img, #errors script, #handlers b").count(), 0, "elements");
    same(await page.evaluate(() => window.broken), undefined, "a script that ran");
    await page.locator("#errors .id", { hasText: /^[0-9a-f]{16}$/ }).first().waitFor();
    await cell(page, "handlers", "Slow<b>Report</b>", 1, "ms$");
    await cell(page, "handlers", "Broken", 7, "^1$");
    await cell(page, "handlers", "Slow<b>Report</b>", 2, "ms$");
    await cell(page, "events", "Errors logged", 1, "[1-9]");
    await page.waitForFunction(() => document.getElementById("tile-errors").className === "bad");
  },

  "handlers are sorted as one likes": async (open) => {
    const page = await dashboard(open);
    const names = () => page.locator("#handlers tbody th").allTextContents();
    await page.getByRole("button", { name: "Handler" }).click();
    same(await names(), (await names()).slice().sort((a, b) => a.localeCompare(b)), "names");
    await page.getByRole("button", { name: "Handler" }).press("Enter");
    same((await names())[0], "Slow<b>Report</b>", "the last one first");
    same(await page.locator("#handlers th[aria-sort=descending]").allTextContents(), ["Handler"],
      "sorted by");
  },

  "a worker that is killed is replaced before one's eyes": async (open) => {
    const page = await dashboard(open);
    for (const worker of ["1", "2"]) {
      const pid = await cell(page, "workers", worker, 2, "^[1-9]\\d*$");
      process.kill(Number(pid), "SIGKILL");
      await cell(page, "workers", worker, 2, `^(?!${pid}$)[1-9]\\d*$`);
      await cell(page, "workers", worker, 1, "^serving$");
      await cell(page, "workers", worker, 14, "^1$");
      await live(page);
    }
    await cell(page, "events", "Workers replaced", 1, "^2$");
    await page.locator("#chart-rate .marks .bad").first().waitFor({ state: "attached" });
    page.faults.length = 0; // the browser says when a connection is cut
  },

  "a reload shows the new generation, and leaves the page alone": async (open) => {
    const page = await dashboard(open);
    await page.evaluate(() => { window.mark = true; });
    same(await cell(page, "workers", "1", 4, "."), "1", "generation");
    process.kill(Number(process.env.SERVER), "SIGHUP");
    await cell(page, "workers", "1", 4, "^2$");
    await cell(page, "workers", "2", 4, "^2$");
    await cell(page, "events", "Reloads", 1, "^1$");
    await page.locator("#tile-workers-sub", { hasText: "generation 2" }).waitFor();
    await page.locator("#chart-rate .marks .good").first().waitFor({ state: "attached" });
    await live(page);
    same(await page.evaluate(() => window.mark), true, "the same page");
  },

  "it says when the server is gone, and goes on when it is back": async (open) => {
    const door = await makeDoor();
    const page = await dashboard(open, {}, door.url);
    await page.evaluate(() => { window.mark = true; });
    await door.shut();
    await page.locator("body.lost #state", { hasText: "Connection lost" }).waitFor();
    await door.open();
    await live(page);
    same(await page.evaluate(() => window.mark), true, "the same page");
    page.faults.length = 0;
    await door.shut();
    await page.locator("body.lost").waitFor();
    page.faults.length = 0;
  },

  "it fits a phone, and is dark where that is wanted": async (open) => {
    const phone = await dashboard(open, { viewport: { width: 360, height: 740 }, hasTouch: true,
      isMobile: true, colorScheme: "dark" });
    for (const width of [360, 320]) {
      await phone.setViewportSize({ width, height: 740 });
      same(await phone.evaluate(() => document.documentElement.scrollWidth), width, "width");
    }
    const ground = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await dashboard(open, { colorScheme: "light" });
    same(await ground(phone), "rgb(14, 21, 24)", "the ground, dark");
    same(await ground(light), "rgb(243, 246, 246)", "the ground, light");
  },
});
