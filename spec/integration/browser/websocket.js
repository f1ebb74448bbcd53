// sites/websocket in Chromium: rooms whose pages talk to each other.
"use strict";

const { run, same } = require("./harness.js");

async function say(page, name, text) {
  await page.waitForSelector("#state[data-state=live]");
  await page.fill("#name", name);
  await page.fill("#body", text);
  await page.press("#body", "Enter");
  await page.waitForFunction(() => document.getElementById("body").value === "");
}

function shows(page, text) {
  return page.locator(".message .body", { hasText: text }).waitFor();
}

function texts(page) {
  return page.locator(".message .body").allTextContents();
}

run({
  "two pages of a room talk, and a third hears nothing": async (open) => {
    const ann = await open({ path: "room/one" });
    const bob = await open({ path: "room/one" });
    const eve = await open({ path: "room/two" });
    await say(ann, "Ann", "1 <img src=x onerror=alert(1)>");
    await say(eve, "Eve", "hello?");
    await say(bob, "Bob", "2\nlines");
    await shows(ann, "2");
    await say(ann, "Ann", "3");
    await shows(bob, "3");
    await shows(eve, "hello?");
    const expected = ["1 <img src=x onerror=alert(1)>", "2\nlines", "3"];
    same(await texts(ann), expected, "Ann sees");
    same(await texts(bob), expected, "Bob sees");
    same(await texts(eve), ["hello?"], "Eve sees");
    same(await ann.locator(".mine").count(), 2, "Ann's own");
    await ann.waitForFunction(() => document.getElementById("people").textContent === "Ann, Bob");
    await bob.context().close();
    await ann.waitForFunction(() => document.getElementById("people").textContent === "Ann");
  },

  "a page that comes back has the history, and its name": async (open) => {
    const ann = await open({ path: "room/three" });
    await say(ann, "Ann", "plum");
    await shows(ann, "plum");
    await ann.reload();
    await shows(ann, "plum");
    same(await texts(ann), ["plum"], "after a reload");
    same(await ann.inputValue("#name"), "Ann", "the name");
  },

  "the first page leads to rooms": async (open) => {
    const ann = await open();
    await ann.click("text=kitchen");
    await say(ann, "Ann", "soup");
    await shows(ann, "soup");
    await ann.click(".brand");
    await ann.fill("[name=room]", "Attic-2");
    await ann.click("button");
    await ann.waitForURL(/room\/attic-2$/);
  },
});
