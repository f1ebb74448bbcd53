-- What pages of a server in development load: the browser's side of page.lua.
return [[
// ctornado: loads this page again when the server has new code, templates or files.
(function () {
  "use strict";
  var made = document.currentScript.dataset.made;
  var KEY = "ctornado-reloaded";
  var wait = 50;
  var overlay = null;

  // Once for each stamp: a page that a cache keeps must not load itself for ever.
  function reload(stamp) {
    if (sessionStorage.getItem(KEY) === String(stamp)) return;
    sessionStorage.setItem(KEY, String(stamp));
    location.reload();
  }

  function name(path) {
    return path.replace(/^.*\//, "");
  }

  // Puts new links beside the old ones, which go when the new ones are there.
  function swap(files, stamp) {
    var links = Array.from(document.querySelectorAll("link[rel~=stylesheet][href]"));
    var names = files.map(name);
    var found = 0;
    links.forEach(function (old) {
      var url = new URL(old.href);
      var at = names.indexOf(decodeURIComponent(name(url.pathname)));
      if (at < 0 || url.host !== location.host) return;
      found++;
      url.searchParams.set("ctornado", stamp);
      var link = old.cloneNode();
      link.onload = link.onerror = function () { old.remove(); };
      link.href = url.href;
      old.after(link);
    });
    return found > 0;
  }

  function isStyle(file) {
    return /\.css$/.test(file);
  }

  function hide() {
    if (overlay) overlay.remove();
    overlay = null;
  }

  // Styles are set by script: a Content-Security-Policy allows that.
  function show(text) {
    hide();
    overlay = document.createElement("ctornado-error");
    var box = document.createElement("div");
    var title = document.createElement("strong");
    var close = document.createElement("button");
    var pre = document.createElement("pre");
    Object.assign(overlay.style, { position: "fixed", inset: "0", zIndex: "2147483647",
      background: "rgba(0, 0, 0, 0.6)", display: "flex", alignItems: "flex-start",
      justifyContent: "center", padding: "5vh 1rem", boxSizing: "border-box" });
    Object.assign(box.style, { background: "#fff", color: "#222", borderTop: "6px solid #c22",
      borderRadius: "6px", padding: "1rem 1.25rem", maxWidth: "60rem", width: "100%",
      maxHeight: "90vh", overflow: "auto", font: "16px/1.5 system-ui, sans-serif",
      boxSizing: "border-box" });
    Object.assign(pre.style, { whiteSpace: "pre-wrap", overflowWrap: "anywhere",
      font: "14px/1.5 ui-monospace, monospace", margin: "0.75rem 0 0" });
    Object.assign(close.style, { float: "right", font: "inherit" });
    box.setAttribute("role", "alert");
    title.textContent = "The change cannot be loaded: the code before it serves on";
    close.textContent = "Close";
    close.onclick = hide;
    pre.textContent = text;
    box.append(close, title, pre);
    overlay.append(box);
    document.body.append(overlay);
  }

  function take(event) {
    var message = JSON.parse(event.data);
    if (message.what === "failed") show(message.text);
    else if (message.what === "reload") reload(message.stamp);
    else if (!message.files.every(isStyle) || !swap(message.files, message.stamp))
      reload(message.stamp);
  }

  function connect() {
    var scheme = location.protocol === "https:" ? "wss://" : "ws://";
    var socket = new WebSocket(scheme + location.host + "/_ctornado/live?made=" + made);
    socket.onopen = function () { wait = 50; };
    socket.onmessage = take;
    socket.onclose = function () {
      setTimeout(connect, wait);
      wait = Math.min(wait * 2, 3000);
    };
  }

  connect();
})();
]]
