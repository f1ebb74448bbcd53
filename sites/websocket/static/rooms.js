// A room: one WebSocket, which is made again when it ends; the server then sends what was missed.
"use strict";

(function () {
  const log = document.getElementById("log");
  const form = document.getElementById("say");
  const name = document.getElementById("name");
  const body = document.getElementById("body");
  const url = location.protocol.replace("http", "ws") + "//" + location.host + log.dataset.socket;
  let socket = null;
  let last; // the id of the last message that came
  let entered = ""; // the name that the server knows
  let wait = 500;

  function setState(state, text) {
    document.getElementById("state").dataset.state = state;
    document.getElementById("state-text").textContent = text;
  }

  function element(tag, className, text) {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text || "";
    return made;
  }

  function colour(text) {
    let sum = 0;
    for (const c of text) sum = (sum * 31 + c.codePointAt(0)) % 65536;
    return sum % 8;
  }

  // All text goes in as text: nothing of it is HTML.
  function add(message) {
    const follow = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    const item = element("li", "message");
    const face = element("span", "face c" + colour(message.name),
      [...message.name][0].toUpperCase());
    face.setAttribute("aria-hidden", "true");
    const by = element("p", "by");
    const time = element("time", "", new Date(message.time)
      .toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
    time.dateTime = message.time;
    by.append(element("b", "", message.name), " ", time);
    const bubble = element("div", "bubble");
    bubble.append(by, element("p", "body", message.body));
    item.append(face, bubble);
    item.classList.toggle("mine", message.name === entered);
    log.append(item);
    if (follow || message.name === entered) log.scrollTop = log.scrollHeight;
  }

  function enter() {
    entered = name.value.trim();
    localStorage.setItem("name", entered);
    socket.send(JSON.stringify({ name: entered, since: last }));
  }

  function connect() {
    socket = new WebSocket(url);
    socket.onopen = () => {
      wait = 500;
      setState("live", "live");
      if (name.value.trim()) enter();
    };
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.people) {
        document.getElementById("people").textContent = message.people.join(", ");
        return;
      }
      last = message.id;
      add(message);
    };
    socket.onclose = (event) => {
      entered = "";
      setState("wait", event.reason || "connecting again");
      setTimeout(connect, wait);
      wait = Math.min(2 * wait, 20000);
    };
  }

  function fit() {
    body.style.height = "auto";
    body.style.height = body.scrollHeight + 2 + "px";
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = body.value.trim();
    if (socket.readyState !== WebSocket.OPEN || !text || !name.value.trim()) return;
    if (name.value.trim() !== entered) enter();
    socket.send(JSON.stringify({ body: text }));
    body.value = "";
    fit();
    body.focus();
  });
  body.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  body.addEventListener("input", fit);

  name.value = localStorage.getItem("name") || "";
  (name.value ? body : name).focus();
  connect();
}());
