// Keeps the numbers of the page in step with /status.json, while somebody looks.
"use strict";

const INTERVAL = 2000; // ms

// 75 -> "1 min 15 s": the two largest units that count.
function duration(seconds) {
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  if (!minutes) return `${seconds} s`;
  if (!hours) return `${minutes} min ${seconds % 60} s`;
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function show(status) {
  const text = {
    uptime: duration(status.uptime),
    requests: status.requests.toLocaleString("en"),
    connections: status.connections.toLocaleString("en"),
  };
  for (const field of document.querySelectorAll("[data-live]"))
    field.textContent = text[field.dataset.live];
}

// Said once, when it changes: a screen reader reads it out.
function say(text, good) {
  const state = document.getElementById("state");
  if (state.textContent === text) return;
  state.textContent = text;
  state.className = good ? "good" : "bad";
}

async function ask() {
  const reply = await fetch("/status.json");
  if (!reply.ok) return say(`/status.json answers with ${reply.status}`, false);
  show(await reply.json());
  say("Answering", true);
}

async function poll() {
  try {
    if (!document.hidden) await ask();
  } catch {
    say("No answer: is the server still running?", false);
  }
  setTimeout(poll, INTERVAL);
}

poll();
