// Applications that are nothing but correct, by node's ws: node scan-apps.mjs echo|chat|silent|deaf
//
//   echo    repeats every message, compression on, no limit of size
//   chat    greets, and sends what one says to everybody, with a history
//   silent  takes every message and says nothing
//   deaf    upgrades by hand and never reads or writes again
//
// Prints `listening on ws://127.0.0.1:PORT`. $NODE_MODULES is the folder where the package is installed.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";

const { WebSocketServer } = createRequire(join(process.env.NODE_MODULES, "x.js"))("ws");
const kind = process.argv[2];
const http = createServer((_, response) => response.writeHead(426).end());

if (kind === "deaf") {
  http.on("upgrade", (request, socket) => {
    const key = request.headers["sec-websocket-key"] ?? "";
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    socket.on("error", () => {});
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    // What is never asked for stays in the kernel; the end of the other half is not seen either.
    socket.pause();
    setTimeout(() => socket.destroy(), 60_000).unref();
  });
} else {
  const options = kind === "echo" ? { maxPayload: 0, perMessageDeflate: true } : {};
  const server = new WebSocketServer({ server: http, ...options });
  const history = [];
  const publish = (message) => {
    history.push(message);
    if (history.length > 20) history.shift();
    for (const client of server.clients) client.send(message);
  };
  let guests = 0;
  server.on("connection", (socket) => {
    // A peer that breaks the protocol is closed by ws itself.
    socket.on("error", () => {});
    if (kind === "echo") {
      socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    } else if (kind === "chat") {
      const name = `guest-${++guests}`;
      socket.send(JSON.stringify({ type: "welcome", you: name, online: server.clients.size, history }));
      publish(JSON.stringify({ type: "joined", name, at: Date.now() }));
      socket.on("message", (data) => {
        const text = data.toString().slice(0, 200);
        publish(JSON.stringify({ type: "said", name, text, at: Date.now() }));
      });
      socket.on("close", () => publish(JSON.stringify({ type: "left", name, at: Date.now() })));
    }
  });
}
http.listen(0, "127.0.0.1", () => console.log(`listening on ws://127.0.0.1:${http.address().port}`));
