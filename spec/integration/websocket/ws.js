// Node's `ws` as a client of ours (`ws.js client ws://... http://...`) and as a server for ours
// (`ws.js server CERT KEY`: prints the ports of a plain, a compressing and a TLS server; ends with
// its standard input). A client prints a line for each case.
"use strict";

const crypto = require("crypto");
const fs = require("fs");
const https = require("https");
const WebSocket = require(process.env.WS);

const PATIENCE = 60000; // milliseconds
const SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 16 << 20];

function same(got, expected, what) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: expected ${b}, got ${a}`);
}

// A client whose messages, pongs and end can be awaited in order.
class Client {
  constructor(url, protocols = [], options = {}) {
    this.socket = new WebSocket(url, protocols, { rejectUnauthorized: false, maxPayload: 0, ...options });
    this.came = [];
    this.waiter = null;
    const add = (what) => (...words) => {
      this.came.push([what, ...words]);
      if (this.waiter) this.waiter();
    };
    for (const what of ["open", "message", "ping", "pong", "close", "error"]) {
      this.socket.on(what, add(what));
    }
  }

  async next(what) {
    const end = Date.now() + PATIENCE;
    while (this.came.length === 0) {
      await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no ${what} came`)), end - Date.now());
        this.waiter = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.waiter = null;
    }
    const [kind, ...words] = this.came.shift();
    if (kind !== what) throw new Error(`expected ${what}, got ${kind} ${words.join(" ")}`);
    return words;
  }

  async expect(data, binary = false) {
    const [got, isBinary] = await this.next("message");
    same(isBinary, binary, "binary");
    if (Buffer.compare(got, Buffer.from(data)) !== 0) {
      throw new Error(`expected ${data.length} bytes, got ${got.length}: ${got.subarray(0, 40)}`);
    }
  }

  async leave(code = 1000, reason = "") {
    this.socket.close(code, reason);
    const [got, why] = await this.next("close");
    same(got, code, "close code");
    return why;
  }
}

async function connect(url, protocols, options) {
  const client = new Client(url, protocols, options);
  await client.next("open");
  return client;
}

const deflates = (client) => client.socket.extensions.includes("permessage-deflate");

// -- Cases of the client: name -> async fn(url, state), where state() is how the last one ended ----

const cases = {};

for (const [name, query, options, coded] of [
  ["plain", "", { perMessageDeflate: false }, false],
  ["offered, not wanted", "", { perMessageDeflate: true }, false],
  ["compressed", "?compression=alone", { perMessageDeflate: { threshold: 0 } }, true],
  ["compressed with windows kept", "?compression=takeover", { perMessageDeflate: { threshold: 0 } }, true],
  ["compressed with small windows", "?compression=takeover",
    { perMessageDeflate: { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 10 } }, true],
  ["compressed, no takeover of either", "?compression=takeover",
    { perMessageDeflate: { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true } },
    true],
]) {
  cases[`echo, ${name}`] = async (url) => {
    const client = await connect(url + query, [], options);
    same(deflates(client), coded, "permessage-deflate");
    for (const size of SIZES) {
      const text = "grün ".repeat(size / 6 + 1).slice(0, size);
      client.socket.send(text);
      await client.expect(text);
      const bytes = size > 1 << 20 ? Buffer.alloc(size, "ab\xff") : crypto.randomBytes(size);
      client.socket.send(bytes);
      await client.expect(bytes, true);
    }
    await client.leave();
  };
  cases[`fragments, ${name}`] = async (url) => {
    const client = await connect(url + query, [], options);
    const parts = Array.from({ length: 50 }, (_, i) => "part " + i + " ".repeat(i * 100));
    parts.forEach((part, i) => client.socket.send(part, { fin: false, compress: i % 2 === 0 && coded }));
    client.socket.send("end", { fin: true });
    await client.expect(parts.join("") + "end");
    await client.leave();
  };
  cases[`a hundred at once, ${name}`] = async (url) => {
    const client = await connect(url + query, [], options);
    for (let i = 0; i < 100; i++) client.socket.send(`message ${i} `.repeat(i));
    for (let i = 0; i < 100; i++) await client.expect(`message ${i} `.repeat(i));
    await client.leave();
  };
}

cases["a ping between fragments"] = async (url) => {
  const client = await connect(url);
  client.socket.send("a", { fin: false });
  client.socket.ping("there?");
  client.socket.send("b", { fin: true });
  const [data] = await client.next("pong");
  same(data.toString(), "there?", "the pong");
  await client.expect("ping: there?");
  await client.expect("ab");
  await client.leave();
};

cases["pings of ours"] = async (url) => {
  const client = await connect(url);
  for (const text of ["", "x".repeat(125)]) {
    client.socket.send("ping " + text);
    const [data] = await client.next("ping");
    same(data.toString(), text, "the ping");
    await client.expect("pong: " + text);
  }
  await client.leave();
};

for (const [code, reason] of [[1000, ""], [1000, "grün"], [1001, ""], [1011, "x"], [3000, ""],
  [4999, "y".repeat(123)]]) {
  cases[`closed by ws with ${code} and a reason of ${reason.length}`] = async (url, state) => {
    const client = await connect(url);
    same((await client.leave(code, reason)).toString(), "", "the answer's reason");
    const saw = await state();
    same([saw.code, saw.reason || ""], [code, reason], "what on_close saw");
  };
  cases[`closed by us with ${code} and a reason of ${reason.length}`] = async (url, state) => {
    const client = await connect(url);
    client.socket.send(`close ${code} ${reason}`);
    const [got, why] = await client.next("close");
    same([got, why.toString()], [code, reason], "what ws saw");
    same((await state()).code, code, "what on_close saw");
  };
}

cases["cut off by ws"] = async (url, state) => {
  const client = await connect(url);
  client.socket.terminate();
  await client.next("close");
  const end = Date.now() + PATIENCE;
  while ((await state()).code !== 1006 && Date.now() < end);
  same((await state()).code, 1006, "what on_close saw");
};

cases["a text that is no UTF-8"] = async (url) => {
  const client = await connect(url);
  client.socket.send(Buffer.from([0xff]), { binary: false });
  const [code] = await client.next("close");
  same(code, 1007, "close code");
};

cases["a message that is too big"] = async (url) => {
  const client = await connect(url + "?max=1000");
  client.socket.send(Buffer.alloc(1000));
  await client.expect(Buffer.alloc(1000), true);
  client.socket.send(Buffer.alloc(1001));
  const [code] = await client.next("close");
  same(code, 1009, "close code");
};

for (const [offered, chosen] of [[["v1.echo", "v2.echo", "other"], "v2.echo"], [["v1.echo"], "v1.echo"]]) {
  cases[`subprotocols ${offered}`] = async (url) => {
    const client = await connect(url, offered);
    same(client.socket.protocol, chosen, "the subprotocol");
    client.socket.send("protocol");
    await client.expect(chosen);
    await client.leave();
  };
}

cases["subprotocols that nobody knows"] = async (url) => {
  const client = new Client(url, ["other"]); // a client must fail then (WHATWG), and ws does
  const [error] = await client.next("error");
  same(error.message, "Server sent no subprotocol", "the error");
};

cases["two hundred connections"] = async (url) => {
  const clients = await Promise.all(Array.from({ length: 200 }, () => connect(url)));
  clients.forEach((client, i) => client.socket.send(`I am ${i}`));
  await Promise.all(clients.map((client, i) => client.expect(`I am ${i}`)));
  await Promise.all(clients.map((client) => client.leave()));
};

async function runClient(url, page) {
  const state = async () => (await (await fetch(page)).json());
  for (const [name, fn] of Object.entries(cases)) {
    try {
      await fn(url, state);
      console.log(`ok ${name}`);
    } catch (error) {
      console.log(`failed ${name}: ${String(error.stack).replace(/\n/g, " | ")}`);
    }
  }
}

// -- The server -----------------------------------------------------------------------------------

function echo(server) {
  server.on("connection", (socket) => {
    socket.on("ping", (data) => socket.send("ping: " + data));
    socket.on("pong", (data) => socket.send("pong: " + data));
    socket.on("message", (data, isBinary) => {
      const [word, ...rest] = isBinary ? [] : data.toString().split(" ");
      if (word === "close") return socket.close(Number(rest[0]), rest.slice(1).join(" "));
      if (word === "terminate") return socket.terminate();
      if (word === "ping") return socket.ping(rest.join(" "));
      if (word === "broken") return socket.send(Buffer.from([0xff]), { binary: false });
      if (word === "protocol") return socket.send(socket.protocol || "none");
      if (word === "fragments") {
        for (let i = 0; i < 20; i++) socket.send(`part ${i},`, { fin: false });
        socket.ping("between");
        return socket.send("end", { fin: true });
      }
      return socket.send(data, { binary: isBinary });
    });
  });
}

function runServer(cert, key) {
  const options = { port: 0, host: "127.0.0.1", maxPayload: 0, handleProtocols: (set) => [...set].pop() };
  const coded = { ...options, perMessageDeflate: { threshold: 0 } };
  const secure = https.createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) });
  const servers = [new WebSocket.Server(options), new WebSocket.Server(coded)];
  secure.listen(0, "127.0.0.1");
  servers.push(new WebSocket.Server({ server: secure, maxPayload: 0, perMessageDeflate: true }));
  servers.forEach(echo);
  Promise.all(servers.map((server) => new Promise((resolve) => server.on("listening", resolve))))
    .then(() => console.log(servers.map((server) => server.address().port).join(" ")));
  process.stdin.on("end", () => process.exit(0)).resume();
}

if (process.argv[2] === "server") runServer(process.argv[3], process.argv[4]);
else runClient(process.argv[3], process.argv[4]);
