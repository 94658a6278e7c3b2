// node's ws as a client that offers permessage-deflate: node compression.mjs URL WHAT; prints `fine`, or what was wrong.
//   echo, plain   300 messages come back as they were sent, with compression agreed and saving bytes, or without
//   bombs         20 messages of 10 MB of zeros on as many connections: each is closed with 1009
//   utf8          a text that is none is closed with 1007
//   large         a message that is too large only once it is inflated is closed with 1009
// $NODE_MODULES is the folder where the package is installed.
import { createRequire } from "node:module";
import { join } from "node:path";

const { WebSocket } = createRequire(join(process.env.NODE_MODULES, "x.js"))("ws");
const [url, what] = process.argv.slice(2);
const open = () =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: { threshold: 0 } });
    socket.on("open", () => resolve(socket));
    socket.on("error", reject);
  });
const closed = (socket) => new Promise((resolve) => socket.on("close", resolve));
const expect = (found, wanted) => {
  if (found !== wanted) throw new Error(`${wanted} was expected, not ${found}`);
};

async function offend(message, options, code) {
  const socket = await open();
  socket.send(message, options);
  expect(await closed(socket), code);
}

async function echo(compressed) {
  const socket = await open();
  expect(socket.extensions, compressed ? "permessage-deflate" : "");
  let plain = 0;
  for (let i = 0; i < 300; i++) {
    const text = JSON.stringify({ number: i, text: "grüß dich 👋 ".repeat((i % 50) * 30), key: `k${(i * 7919) % 1009}` });
    const message = i % 3 === 0 ? Buffer.from(text) : text;
    plain += Buffer.byteLength(text);
    const answer = new Promise((resolve) => socket.once("message", (data) => resolve(data.toString())));
    socket.send(message);
    expect(await answer, text);
  }
  const [sent, received] = [socket._socket.bytesWritten, socket._socket.bytesRead];
  expect(sent < plain / 4, compressed);
  expect(received < plain / 4, compressed);
  socket.close(1000);
  expect(await closed(socket), 1000);
}

const done = {
  echo: () => echo(true),
  plain: () => echo(false),
  bombs: () => Promise.all(Array.from({ length: 20 }, () => offend(Buffer.alloc(10_000_000), {}, 1009))),
  utf8: () => offend(Buffer.from("ok \xf4\x90 ok", "latin1"), { binary: false }, 1007),
  large: () => offend("a little more than is allowed ".repeat(2200), {}, 1009),
};
await done[what]();
console.log("fine");
process.exit(0);
