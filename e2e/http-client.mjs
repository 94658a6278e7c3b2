// A Socket.IO client: node http-client.mjs (polling|upgrade) URL. Says a few things, hears each again, is told something by the
// server, and prints `fine` where the transport was polling to the end, or became websocket. $NODE_MODULES has the package.
import { createRequire } from "node:module";
import { join } from "node:path";

const { io } = createRequire(join(process.env.NODE_MODULES, "x.js"))("socket.io-client");
const [how, url] = process.argv.slice(2);
const transports = how === "polling" ? ["polling"] : ["polling", "websocket"];
const socket = io(url, { transports, reconnection: false, timeout: 10_000 });
const say = (text) =>
  new Promise((heard, failed) => {
    setTimeout(() => failed(new Error("no answer")), 10_000).unref();
    socket.emit("say", text, (again, transport) => {
      if (again === text) heard(transport);
      else failed(new Error("another text came back"));
    });
  });
const event = (source, name) => new Promise((happened) => source.once(name, happened));
socket.on("connect_error", (error) => {
  console.log(`not connected: ${error.message} ${error.description ?? ""}`);
  process.exit(1);
});
await event(socket, "connect");
if (how === "upgrade" && socket.io.engine.transport.name !== "websocket") {
  await event(socket.io.engine, "upgrade");
}
let transport;
for (const text of ["good day", "ä€😀", "x".repeat(60_000), ""]) transport = await say(text);
const told = event(socket, "told");
socket.emit("tell me");
const expected = how === "polling" ? "polling" : "websocket";
const right = (await told) === "something" && transport === expected;
// Long enough for a poll to wait for something that does not come.
await new Promise((later) => setTimeout(later, 1500));
transport = await say("still here");
console.log(right && transport === expected ? "fine" : `by ${transport}, not ${expected}`);
socket.disconnect();
