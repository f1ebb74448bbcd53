// The page without this works: the form is sent, and the page comes back with what was said.
// With it, messages come by an EventSource, or by long polling (always, with #poll).
"use strict";

(function () {
  const log = document.getElementById("log");
  const form = document.getElementById("say");
  const name = document.getElementById("name");
  const body = document.getElementById("body");
  const error = document.getElementById("error");
  const button = form.querySelector("button");
  const token = form.elements._xsrf.value;
  const maker = document.createElement("template");
  let cursor = log.dataset.cursor;
  let source = null;
  let known = name.value; // as the server has it

  function setState(state, text) {
    document.getElementById("state").dataset.state = state;
    document.getElementById("state-text").textContent = text;
  }

  function dress(message) {
    const time = message.querySelector("time");
    time.textContent = new Date(time.dateTime)
      .toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    message.classList.toggle("mine", message.dataset.name === name.value.trim());
  }

  function atEnd() {
    return log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  }

  // The server has escaped what people wrote.
  function add(message) {
    const follow = atEnd();
    maker.innerHTML = message.html;
    const item = maker.content.firstElementChild;
    dress(item);
    log.append(item);
    if (follow || item.classList.contains("mine")) log.scrollTop = log.scrollHeight;
  }

  function showPeople(people) {
    document.getElementById("people").textContent = people.join(", ");
  }

  function post(url, fields) {
    return fetch(url, {
      method: "POST",
      headers: { "X-XSRFToken": token, "X-Requested-With": "fetch" },
      body: new URLSearchParams(fields),
    });
  }

  function pause(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  async function poll() {
    let wait = 500;
    for (;;) {
      try {
        setState("live", "live, by polling");
        const reply = await post(log.dataset.updates, { cursor });
        if (!reply.ok) throw new Error(reply.status);
        const update = await reply.json();
        update.messages.forEach(add);
        cursor = update.cursor || cursor;
        showPeople(update.people);
        wait = 500;
      } catch (e) {
        setState("wait", "connecting again");
        await pause(wait);
        wait = Math.min(2 * wait, 20000);
      }
    }
  }

  function stream() {
    const url = log.dataset.stream + "?lastEventId=" + encodeURIComponent(cursor);
    source = new EventSource(url);
    source.onopen = () => setState("live", "live");
    source.onmessage = (event) => {
      cursor = event.lastEventId;
      add(JSON.parse(event.data));
    };
    source.addEventListener("people", (event) => showPeople(JSON.parse(event.data).people));
    source.onerror = () => {
      setState("wait", "connecting again");
      if (source.readyState === EventSource.CLOSED) setTimeout(stream, 2000);
    };
  }

  async function send() {
    button.disabled = true;
    error.hidden = true;
    try {
      const reply = await post(form.action, { name: name.value, body: body.value });
      if (!reply.ok) throw new Error((await reply.json()).error);
      body.value = "";
      fit();
      if (known !== name.value && source) { // the stream is to have the new name
        source.close();
        stream();
      }
      known = name.value;
    } catch (e) {
      error.textContent = "Not sent: " + e.message;
      error.hidden = false;
    }
    button.disabled = false;
    body.focus();
  }

  function fit() {
    body.style.height = "auto";
    body.style.height = body.scrollHeight + 2 + "px";
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!button.disabled) send();
  });
  body.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  body.addEventListener("input", fit);
  name.addEventListener("input", () => log.querySelectorAll(".message").forEach(dress));

  log.querySelectorAll(".message").forEach(dress);
  log.scrollTop = log.scrollHeight;
  (name.value ? body : name).focus();
  if (window.EventSource && location.hash !== "#poll") stream(); else poll();
}());
