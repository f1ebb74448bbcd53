// sites/chat in Chromium: pages that talk to each other.
"use strict";

const { run, same } = require("./harness.js");

async function say(page, name, text) {
  await page.fill("#name", name);
  await page.fill("#body", text);
  await page.press("#body", "Enter");
  await page.waitForFunction(() => document.getElementById("body").value === "");
}

function live(page) {
  return page.waitForSelector("#state[data-state=live]");
}

function shows(page, text) {
  return page.locator(".message .body", { hasText: text }).waitFor();
}

function texts(page, word) {
  return page.locator(".message .body", { hasText: word }).allTextContents();
}

async function talk(open, word, path) {
  const ann = await open({ path });
  const bob = await open({ path });
  await live(ann);
  await live(bob);
  await say(ann, "Ann", `${word} 1 <img src=x onerror=alert(1)>`);
  await shows(bob, `${word} 1`);
  await say(bob, "Bob", `${word} 2\nin two lines`);
  await shows(ann, `${word} 2`);
  await say(ann, "Ann", `${word} 3`);
  await shows(bob, `${word} 3`);
  const expected = [
    `${word} 1 <img src=x onerror=alert(1)>`, `${word} 2\nin two lines`, `${word} 3`,
  ];
  same(await texts(ann, word), expected, "Ann sees");
  same(await texts(bob, word), expected, "Bob sees");
  same(await ann.locator(".message.mine .body", { hasText: word }).count(), 2, "Ann's own");
  return { ann, bob };
}

run({
  "two pages talk by a stream": async (open) => {
    const { ann, bob } = await talk(open, "apple", "");
    await ann.waitForFunction(() => /Ann, Bob/.test(document.getElementById("people").textContent));
    await bob.context().close();
    await ann.waitForFunction(() => !/Bob/.test(document.getElementById("people").textContent));
  },

  "two pages talk by polling": async (open) => {
    await talk(open, "pear", "#poll");
  },

  "a page that comes later has the history, and its name": async (open) => {
    const ann = await open();
    await say(ann, "Ann", "plum");
    await shows(ann, "plum");
    await ann.reload();
    same(await texts(ann, "plum"), ["plum"], "after a reload");
    same(await ann.inputValue("#name"), "Ann", "the name");
    const bob = await open();
    same(await texts(bob, "plum"), ["plum"], "another sees");
  },

  "a page goes on when its network was away": async (open) => {
    const ann = await open();
    const bob = await open();
    await live(ann);
    await live(bob);
    await bob.context().setOffline(true);
    await say(ann, "Ann", "cherry 1");
    await bob.context().setOffline(false);
    await say(ann, "Ann", "cherry 2");
    await shows(bob, "cherry 2");
    same(await texts(bob, "cherry"), ["cherry 1", "cherry 2"], "Bob sees");
    bob.faults.length = 0; // the browser says that it was offline
  },

  "it works without scripts": async (open) => {
    const ann = await open({ javaScriptEnabled: false });
    await ann.fill("#name", "Ann");
    await ann.fill("#body", "melon");
    await ann.click("#say button");
    await shows(ann, "melon");
  },

  "what the server refuses is said": async (open) => {
    const ann = await open();
    await live(ann);
    await ann.fill("#name", "  ");
    await ann.fill("#body", "no name");
    await ann.press("#body", "Enter");
    await ann.locator("#error", { hasText: "A name has 1 to 30 characters" }).waitFor();
    same(await ann.inputValue("#body"), "no name", "what was written");
    ann.faults.length = 0; // the browser notes the 400
  },
});
