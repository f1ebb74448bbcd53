// sites/manual in Chromium: what its script adds, and what works without one.
"use strict";

const { run, same } = require("./harness.js");

function fits(page) {
  return page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);
}

run({
  "pages are turned to the last one, and fit a phone": async (open) => {
    const page = await open({ viewport: { width: 360, height: 740 } });
    let pages = 1;
    for (; await page.locator("[rel=next]").count(); pages++) {
      same(await fits(page), true, `${page.url()} fits`);
      await page.click("[rel=next]");
      await page.waitForLoadState("load"); // the style sheet, too
    }
    same(pages, await page.locator("#_contents > ul > li").count() + 1, "pages");
  },

  "the search is reached by a key, and leads to a section": async (open) => {
    const page = await open({ path: "start" });
    await page.keyboard.press("/");
    await page.keyboard.type("with_timeout");
    await page.keyboard.press("Enter");
    await page.locator(".found a").first().click();
    await page.waitForURL("**/tornado.gen#with_timeout");
    const top = await page.evaluate(
      () => document.getElementById("with_timeout").getBoundingClientRect().top);
    same(top > 0 && top < 200, true, "the section is in sight");
  },

  "a block of code is copied as it is": async (open) => {
    const page = await open({ path: "start" });
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    const block = page.locator(".code").nth(1);
    await block.hover();
    await block.locator(".copy").click();
    await block.locator(".copy", { hasText: "Copied" }).waitFor();
    const text = await page.evaluate(() => navigator.clipboard.readText());
    same(text.startsWith('local gen = require "tornado.gen"\n'), true, text);
    same(text, await block.locator("code").textContent(), "copied");
  },

  "all of it works without JavaScript": async (open) => {
    const page = await open({ javaScriptEnabled: false });
    await page.click("#_contents >> text=Handlers and routing");
    await page.waitForURL("**/routing");
    same(await page.locator("#_contents .here ul a").count() > 3, true, "sections in the contents");
    await page.fill("input[type=search]", "deadline");
    await page.press("input[type=search]", "Enter");
    same(await page.locator(".found a").count() > 3, true, "found");
    same(await page.locator(".copy").count(), 0, "buttons that do nothing");
  },

  "it is light or dark, as the reader's system is": async (open) => {
    const colour = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await open({ colorScheme: "light" });
    const dark = await open({ colorScheme: "dark" });
    same([await colour(light), await colour(dark)], ["rgb(246, 248, 247)", "rgb(14, 21, 24)"], "paper");
  },
});
