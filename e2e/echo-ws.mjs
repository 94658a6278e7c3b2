// An echo server by node's ws package: no limit of size; permessage-deflate of every message where $COMPRESSION is 1. Prints `listening on ws://127.0.0.1:PORT`.
// $NODE_MODULES is the folder where the package is installed.
import { createRequire } from "node:module";
import { join } from "node:path";

const { WebSocketServer } = createRequire(join(process.env.NODE_MODULES, "x.js"))("ws");
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.argv[2] ?? 0),
  maxPayload: 0,
  perMessageDeflate: process.env.COMPRESSION === "1" ? { threshold: 0 } : false,
});

server.on("connection", (socket) => {
  // A peer that breaks the protocol is what the suite is about: ws closes the connection by itself.
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.on("listening", () => console.log(`listening on ws://127.0.0.1:${server.address().port}`));
