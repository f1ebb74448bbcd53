// autoreload in Chromium: files of a site (a copy of autoreload/, in $SITE) are changed, and the
// page follows.
"use strict";

const fs = require("fs");
const path = require("path");
const { run, same } = require("./harness.js");

function file(name) {
  return path.join(process.env.SITE, name);
}

// As editors save: a new file in place of the old one. Returns what was there before.
function change(name, make) {
  const before = fs.readFileSync(file(name), "utf8");
  fs.writeFileSync(file(".new"), make(before));
  fs.renameSync(file(".new"), file(name));
  return before;
}

function restore(name, text) {
  change(name, () => text);
}

function shows(page, selector, text) {
  return page.locator(selector, { hasText: text }).waitFor();
}

// A mark that goes with the next load of the page.
function mark(page) {
  return page.evaluate(() => { window.mark = true; });
}

function isMarked(page) {
  return page.evaluate(() => window.mark === true);
}

async function color(page, wanted) {
  await page.waitForFunction(
    (value) => getComputedStyle(document.querySelector("h1")).color === value, wanted);
}

run({
  "a template, a module and a script: the page is loaded again": async (open) => {
    const page = await open();
    await shows(page, "h1", "one");
    await mark(page);
    const template = change("templates/page.html", (text) => text.replace("first", "second"));
    await shows(page, "p", "second");
    same(await isMarked(page), false, "still the old page");
    const word = change("word.lua", () => 'return "two"');
    await shows(page, "h1", "two");
    const script = change("static/page.js", (text) => text.replace("one", "two"));
    await page.waitForFunction(() => document.body.dataset.script === "two");
    restore("templates/page.html", template);
    restore("word.lua", word);
    restore("static/page.js", script);
    await page.waitForFunction(() => document.body.dataset.script === "one" &&
      document.querySelector("h1").textContent === "one" &&
      document.querySelector("p").textContent === "first");
  },

  "a style sheet is exchanged without loading the page again": async (open) => {
    const page = await open();
    await color(page, "rgb(1, 2, 3)");
    await mark(page);
    const style = change("static/page.css", (text) => text.replace("1, 2, 3", "4, 5, 6"));
    await color(page, "rgb(4, 5, 6)");
    same(await isMarked(page), true, "the same page");
    restore("static/page.css", style);
    await color(page, "rgb(1, 2, 3)");
    same(await page.locator("link[rel=stylesheet]").count(), 1, "links");
    same(await isMarked(page), true, "the same page");
  },

  "a broken change is shown, with file and line, until it is mended": async (open) => {
    for (const [name, text, said] of [
      ["word.lua", "\nreturn 'two", "word.lua:2: unfinished string"],
      ["app.lua", "\n\nerror 'on purpose'", "app.lua:3: on purpose"],
      ["templates/page.html", "\n\n{% if %}", "page.html:3: "],
    ]) {
      const page = await open();
      await mark(page);
      const before = change(name, () => text);
      await shows(page, "ctornado-error pre", said);
      same(await isMarked(page), true, "the page stays");
      const other = await open();
      await shows(other, "ctornado-error pre", said);
      await other.getByRole("button", { name: "Close" }).click();
      same(await other.locator("ctornado-error").count(), 0, "overlays, closed");
      restore(name, before);
      await page.waitForFunction(() => !window.mark);
      await shows(page, "h1", "one");
      same(await page.locator("ctornado-error").count(), 0, "overlays");
      page.faults.length = 0; // without its template the other page is a 500
      await page.context().close();
      await other.context().close();
    }
  },
});
