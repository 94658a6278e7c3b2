// A client in node: node clients.mjs ws|builtin URL [AUTHORITY.PEM]; prints `fine`, or fails.
// It sends text, 60 kB and, where the library can, a ping; hears each again, closes with 4001 and sees that code come back.
// $NODE_MODULES is the folder where ws is installed.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [library, url, authority] = process.argv.slice(2);
const { WebSocket: Ws } = createRequire(join(process.env.NODE_MODULES, "x.js"))("ws");
const text = "grüß dich 👋";
const binary = Uint8Array.from({ length: 61_440 }, (_, at) => at % 256);
setTimeout(() => assert.fail("it takes too long"), 15_000).unref();

const options = authority ? { ca: readFileSync(authority) } : {};
const socket = library === "ws" ? new Ws(url, options) : new WebSocket(url);
socket.binaryType = "arraybuffer";
socket.onerror = (event) => assert.fail(event.message || "it cannot connect");
await new Promise((open) => (socket.onopen = open));
const hear = () => new Promise((heard) => (socket.onmessage = (event) => heard(event.data)));
for (const message of [text, binary]) {
  const answer = hear();
  socket.send(message);
  const heard = await answer;
  assert.deepEqual(typeof heard === "string" ? heard : new Uint8Array(heard), message);
}
if (library === "ws") {
  const pong = new Promise((heard) => socket.once("pong", (data) => heard(data.toString())));
  socket.ping("still there");
  assert.equal(await pong, "still there");
}
const closed = new Promise((end) => (socket.onclose = end));
socket.close(4001, "enough");
const { code, reason, wasClean } = await closed;
assert.deepEqual([code, reason, wasClean], [4001, "enough", true]);
console.log("fine");
