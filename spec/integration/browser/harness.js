// What the browser tests share. A test is a file beside this one, named as a site, that calls
// run(cases): an object whose functions get open(options), which makes a page of a new visitor,
// loaded from the address that the program was given. Prints a line for each case.
"use strict";

const { chromium } = require(process.env.PLAYWRIGHT_CORE);

const CHROMIUM = process.env.CHROMIUM || "/usr/bin/chromium";
const PATIENCE = 60000; // milliseconds that something which must come may take
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

// Throws unless both are the same, as JSON.
function same(got, expected, what) {
  if (JSON.stringify(got) === JSON.stringify(expected)) return;
  throw new Error(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`);
}

// A new visitor's page; what goes wrong in it is noted in `faults`.
async function visit(browser, url, faults, options = {}) {
  const { path = "", ...rest } = options;
  const context = await browser.newContext(rest);
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.on("pageerror", (error) => faults.push(`error in the page: ${error.message}`));
  page.on("console", (line) => {
    if (line.type() === "error") faults.push(`console: ${line.text()}`);
  });
  page.faults = faults;
  await page.goto(url + path);
  return page;
}

async function runOne(browser, url, fn) {
  const faults = [];
  const pages = [];
  try {
    await fn(async (options) => {
      const page = await visit(browser, url, faults, options);
      pages.push(page);
      return page;
    });
    if (faults.length > 0) throw new Error(faults.join("; "));
  } finally {
    for (const page of pages) await page.context().close();
  }
}

async function run(cases) {
  const url = process.argv[2];
  const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS,
    timeout: PATIENCE });
  for (const [name, fn] of Object.entries(cases)) {
    try {
      await runOne(browser, url, fn);
      console.log(`ok ${name}`);
    } catch (error) {
      console.log(`failed ${name}: ${String(error.stack).replace(/\n/g, " | ")}`);
    }
  }
  await browser.close();
}

module.exports = { run, same };
