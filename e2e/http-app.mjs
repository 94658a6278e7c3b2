// An application with pages and Socket.IO on one port. Prints `listening on ws://127.0.0.1:PORT`, then `request METHOD TARGET`
// for every request that it ever sees. $NODE_MODULES is the folder where the packages are installed.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";

const { Server } = createRequire(join(process.env.NODE_MODULES, "x.js"))("socket.io");
const assets = {
  "/": ["text/html", '<!doctype html><script src="/app.js"></script><link rel="stylesheet" href="/style.css">\n'],
  "/app.js": ["text/javascript", "document.title = 'here';\n"],
  "/style.css": ["text/css", "body { margin: 0 }\n"],
  "/large": ["application/octet-stream", Buffer.alloc(3_000_000, "0123456789abcdef")],
};
// As lenient as node can be: what the gateway lets through shall be seen here.
const http = createServer({ insecureHTTPParser: true }, (request, response) => {
  console.log(`request ${request.method} ${request.url}`);
  const [type, content] = assets[request.url] ?? [];
  if (request.method === "POST") {
    request.pipe(response);
  } else if (type) {
    response.writeHead(200, { "Content-Type": type, "X-Asked-By": request.headers["x-forwarded-for"] ?? "nobody" });
    response.end(content);
  } else {
    response.writeHead(404);
    response.end("nothing here\n");
  }
});
const io = new Server(http);
io.on("connection", (socket) => {
  socket.on("say", (text, answer) => answer(text, socket.conn.transport.name));
  socket.on("tell me", () => socket.emit("told", "something"));
});
http.listen(0, "127.0.0.1", () => console.log(`listening on ws://127.0.0.1:${http.address().port}`));
