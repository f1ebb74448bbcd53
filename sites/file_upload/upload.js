// Sends the form without leaving the page: files that are dropped, progress, results as rows.
// Without this script the form works, too.
"use strict";

const find = (id) => document.getElementById(id);
const form = find("form"), drop = find("drop"), files = find("files"), send = find("send");
const progress = find("progress"), state = find("state");

function say(text, bad) {
  state.textContent = text;
  state.classList.toggle("bad", Boolean(bad));
}

// 1536 -> "1.5 KiB".
function human(size) {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) { size /= 1024; unit++; }
  return `${Number(size.toPrecision(4))} ${units[unit]}`;
}

function total() {
  return [...files.files].reduce((sum, file) => sum + file.size, 0);
}

function chosen() {
  const count = files.files.length;
  if (!count) return say("");
  if (total() > Number(form.dataset.max)) return say("These are too large.", true);
  say(`${count} ${count === 1 ? "file" : "files"}, ${human(total())}`);
}

function cell(row, text, tag) {
  const td = row.insertCell();
  (tag ? td.appendChild(document.createElement(tag)) : td).textContent = text;
}

function show(parts) {
  for (const part of parts) {
    const row = find("rows").insertRow(0);
    cell(row, part.filename || part.name);
    cell(row, part.content_type);
    cell(row, human(part.size));
    cell(row, part.sha256, "code");
  }
  find("results").classList.remove("none");
}

function done(request) {
  let reply = null;
  try { reply = JSON.parse(request.responseText); } catch { /* said below */ }
  if (request.status === 200 && reply) {
    show(reply.parts);
    form.reset();
    say(`Received ${human(reply.total)}.`);
  } else {
    say(reply && reply.error ? reply.error.message : `The server said ${request.status}.`, true);
  }
}

function upload() {
  const request = new XMLHttpRequest(), began = performance.now();
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "application/json");
  request.upload.onprogress = (event) => {
    const seconds = (performance.now() - began) / 1000;
    progress.value = event.loaded / event.total;
    say(`${human(event.loaded)} of ${human(event.total)}, ${human(event.loaded / seconds)}/s`);
  };
  request.onload = () => done(request);
  request.onerror = () => say("The connection broke.", true);
  request.onloadend = () => { send.disabled = false; progress.hidden = true; };
  send.disabled = true;
  progress.value = 0;
  progress.hidden = false;
  request.send(new FormData(form));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (total() > Number(form.dataset.max)) return chosen();
  upload();
});
files.addEventListener("change", chosen);

for (const type of ["dragenter", "dragover"]) {
  drop.addEventListener(type, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
for (const type of ["dragleave", "drop"]) {
  drop.addEventListener(type, () => drop.classList.remove("over"));
}
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) files.files = event.dataTransfer.files;
  chosen();
});
