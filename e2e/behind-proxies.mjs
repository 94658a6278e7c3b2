// What the gateway takes from proxies in front of it, and from those who only claim to be one. The first argument says what to
// be:
//   ports N    prints N free ports
//   app        an echo server by node's ws that prints `request URL HEADERS`, the headers as JSON, of every handshake
//   clients    tries every case, prints `ok` or `FAIL` for each and `N passed, N failed` at the end
// $NODE_MODULES is the folder where the package is installed. `clients` reads the ports from the environment, and what the
// application prints from $APP_LOG, and the gateway's events from $EVENTS.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import net from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import tls from "node:tls";

// Where clients come from, to tell them from the proxies, which come from 127.0.0.1.
const CLIENT = "127.0.0.2";
const PATIENCE = 5_000;

async function ports(count) {
  const servers = Array.from({ length: count }, () => net.createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => new Promise((done) => server.once("listening", done))));
  console.log(servers.map((server) => server.address().port).join(" "));
  for (const server of servers) server.close();
}

function app() {
  const { WebSocketServer } = createRequire(join(process.env.NODE_MODULES, "x.js"))("ws");
  const sockets = new WebSocketServer({ noServer: true });
  const http = createServer((request, response) => response.end("an ordinary page\n"));
  http.on("upgrade", (request, socket, head) => {
    console.log(`request ${request.url} ${JSON.stringify(request.headers)}`);
    sockets.handleUpgrade(request, socket, head, (client) => {
      client.on("error", () => {});
      client.on("message", (data, isBinary) => client.send(data, { binary: isBinary }));
    });
  });
  http.listen(0, "127.0.0.1", () => console.log(`listening on ws://127.0.0.1:${http.address().port}`));
}

// Connects as `to` says, sends `before`, does a handshake with `headers`, and an echo where it is let in; gives the status,
// `null` where the connection ended without one.
function visit({ port, secure, from = CLIENT, before = "", headers }, path) {
  return new Promise((done) => {
    const tcp = net.connect({ host: "127.0.0.1", port, localAddress: from });
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const request =
      `GET ${path} HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${lines.join("")}\r\n`;
    let socket = tcp;
    let heard = Buffer.alloc(0);
    const timer = setTimeout(() => finish("no end"), PATIENCE);
    const finish = (status) => {
      clearTimeout(timer);
      socket.destroy();
      tcp.destroy();
      done(status);
    };
    const begin = () => {
      socket.on("error", () => {});
      socket.on("data", (data) => {
        heard = Buffer.concat([heard, data]);
        const end = heard.indexOf("\r\n\r\n");
        if (end < 0) return;
        const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(heard)?.[1]);
        if (status !== 101) return finish(status);
        if (heard.length === end + 4) {
          // "good day", masked with zeros.
          socket.write(Buffer.from([0x81, 0x88, 0, 0, 0, 0, ...Buffer.from("good day")]));
        } else if (heard.length >= end + 4 + 10) {
          finish(heard.subarray(end + 4).equals(Buffer.from("\x81\x08good day", "latin1")) ? 101 : "no echo");
        }
      });
      socket.on("close", () => finish(null));
      socket.write(request);
    };
    tcp.on("error", () => finish(null));
    tcp.on("connect", () => {
      tcp.write(before);
      if (!secure) return begin();
      socket = tls.connect({ socket: tcp, rejectUnauthorized: false, servername: "app.example" }, begin);
      socket.on("error", () => finish(null));
    });
  });
}

function events() {
  const lines = readFileSync(process.env.EVENTS, "utf8").split("\n").slice(0, -1);
  return lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
}

function request(path) {
  const lines = readFileSync(process.env.APP_LOG, "utf8").split("\n");
  const line = lines.find((line) => line.startsWith(`request ${path} `));
  return line && JSON.parse(line.slice(`request ${path} `.length));
}

// Waits until `look` gives something.
async function eventually(look) {
  const until = Date.now() + PATIENCE;
  for (;;) {
    const found = look();
    if (found || Date.now() > until) return found;
    await sleep(20);
  }
}

// PROXY protocol, version 2: a TCP connection over IPv4 from 6.6.6.6:6 to 127.0.0.1:80.
const V2 = Buffer.from("0d0a0d0a000d0a515549540a2111000c060606067f00000100060050", "hex");
const V1 = "PROXY TCP4 6.6.6.6 127.0.0.1 6 80\r\n";

function cases() {
  const at = (name) => Number(process.env[name]);
  const publicly = (scheme, more = {}) => ({ Host: "app.example", Origin: `${scheme}://app.example`, ...more });
  const lies = {
    "X-Forwarded-For": "6.6.6.6, 127.0.0.1",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Real-IP": "6.6.6.6",
    Forwarded: "for=6.6.6.6;host=evil.example;proto=https",
  };
  const fine = (scheme) => ({ status: 101, client: CLIENT, host: "app.example", tls: scheme === "https" });
  const foreign = { status: 403, client: CLIENT, rule: "origin-policy" };
  const malformed = { status: 400, client: CLIENT, rule: "strict-handshake" };
  const list = [];
  const add = (name, to, expected) => list.push({ name, to, expected });
  for (const [proxy, scheme] of [
    ["nginx with X-Forwarded-For", "http"],
    ["nginx with X-Forwarded-For over TLS", "https"],
    ["nginx with Forwarded", "http"],
    ["HAProxy with X-Forwarded-For", "http"],
    ["HAProxy with send-proxy", "http"],
    ["HAProxy with send-proxy-v2", "http"],
    ["HAProxy with send-proxy-v2 and TLS through it", "https"],
  ]) {
    const to = { port: at(proxy.toUpperCase().replace(/\W+/g, "_")), secure: scheme === "https" };
    const other = scheme === "https" ? "http" : "https";
    add(`${proxy}: a page of the public host`, { ...to, headers: publicly(scheme) }, fine(scheme));
    add(`${proxy}: a page of another host`, { ...to, headers: publicly(scheme, { Origin: `${scheme}://evil.example` }) }, foreign);
    add(`${proxy}: a page of another scheme`, { ...to, headers: publicly(other, {}) }, foreign);
    add(`${proxy}: a client that lies`, { ...to, headers: publicly(scheme, lies) }, fine(scheme));
    add(
      `${proxy}: a client that lies for a page of another host`,
      { ...to, headers: publicly(scheme, { ...lies, Origin: "https://evil.example" }) },
      foreign,
    );
  }
  const quoted = publicly("http", { Forwarded: 'for=6.6.6.6;host="' });
  const nginx = { port: at("NGINX_WITH_FORWARDED"), headers: quoted };
  add("nginx with Forwarded: a client that opens a quotation", nginx, fine("http"));
  const through = { port: at("HAPROXY_WITH_SEND_PROXY"), headers: publicly("http") };
  add("HAProxy with send-proxy: a client that sends a header too", { ...through, before: V1 }, malformed);
  const headers = { port: at("TAKES_HEADERS"), headers: publicly("http", lies) };
  add("headers of who is no proxy", headers, fine("http"));
  const evil = { ...headers, headers: { ...headers.headers, Origin: "https://evil.example" } };
  add("headers of who is no proxy, for a page of another host", evil, foreign);
  const proxied = { port: at("TAKES_PROXY"), headers: publicly("http") };
  add("PROXY version 1 of who is no proxy", { ...proxied, before: V1 }, malformed);
  add("PROXY version 2 of who is no proxy", { ...proxied, before: V2 }, malformed);
  add("headers of who is no proxy where PROXY is taken", { ...proxied, headers: headers.headers }, fine("http"));
  const unlisted = { port: at("TAKES_HEADERS"), from: "127.0.0.1", headers: publicly("http") };
  const refused = { ...malformed, client: "127.0.0.1" };
  add("PROXY version 1 of a proxy whose headers alone are believed", { ...unlisted, before: V1 }, refused);
  add("PROXY version 2 of a proxy whose headers alone are believed", { ...unlisted, before: V2 }, refused);
  const silent = { port: at("TAKES_PROXY"), from: "127.0.0.1", headers: publicly("http") };
  add("a proxy without the PROXY header that is its duty", silent, { ...refused, rule: "gateway" });
  return list;
}

// Tells what came of a case otherwise than expected, or nothing.
async function wrong({ to, expected }, path) {
  const before = events().length;
  const status = await visit(to, path);
  if (status !== expected.status) return `status ${status}, not ${expected.status}`;
  const event = await eventually(() =>
    events()
      .slice(before)
      .find(({ event }) => event === "open" || event === "verdict"),
  );
  if (!event) return "no event";
  const named = event.client.replace(/:\d+$/, "");
  if (named !== expected.client) return `the event names ${named}, not ${expected.client}`;
  if (status !== 101) return event.rule === expected.rule ? undefined : `refused by ${event.rule}, not ${expected.rule}`;
  if (event.event !== "open" || event.tls !== expected.tls) return `the event is ${JSON.stringify(event)}`;
  const told = await eventually(() => request(path));
  if (!told) return "the application was not asked";
  const proto = expected.tls ? "https" : "http";
  const heard = [told.host, told["x-forwarded-for"], told["x-forwarded-proto"], told["x-forwarded-host"]].join(" ");
  const wanted = [expected.host, expected.client, proto, expected.host].join(" ");
  if (heard !== wanted) return `the application was told \`${heard}\`, not \`${wanted}\``;
  if (told.forwarded ?? told["x-real-ip"]) return "the application was told what the client made up";
  return undefined;
}

async function clients() {
  const results = { passed: 0, failed: 0 };
  const count = (name, problem) => {
    results[problem ? "failed" : "passed"] += 1;
    console.log(problem ? `FAIL  ${name}: ${problem}` : `ok    ${name}`);
  };
  for (const [index, one] of cases().entries()) count(one.name, await wrong(one, `/${index}`));

  // What the last cases leave to come, then two rounds of HAProxy's health checks, which connect and say nothing.
  await sleep(500);
  const before = events().length;
  await sleep(1_000);
  const noise = events().slice(before);
  count("health checks are no events", noise.length ? JSON.stringify(noise) : undefined);
  console.log(`${results.passed} passed, ${results.failed} failed`);
  process.exitCode = results.failed ? 1 : 0;
}

const [role, argument] = process.argv.slice(2);
await { ports: () => ports(Number(argument)), app, clients }[role]();
