// An application with a session in a cookie, as many are: whoever opens a socket with the cookie gets the user's letters at once.
// It is served twice, plainly for the gateway and over TLS as it would be without one; beside it, over TLS, the page of a foreign site.
// Prints `ports GATEWAY-SIDE DIRECT FOREIGN`, then `socket USER PATH` for each socket.
// $NODE_MODULES is where ws is installed, $SDK the client's folder, $CERTIFICATE and $KEY are files in PEM.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer as createPlain } from "node:http";
import { createServer as createTls } from "node:https";
import { createRequire } from "node:module";
import { join } from "node:path";

const { WebSocketServer } = createRequire(join(process.env.NODE_MODULES, "x.js"))("ws");
const tls = { cert: readFileSync(process.env.CERTIFICATE), key: readFileSync(process.env.KEY) };
const here = new URL(".", import.meta.url).pathname;
const file = (folder, name, type) => [type, readFileSync(join(folder, name))];
const example = join(process.env.SDK, "example");
const pages = {
  "/": file(example, "index.html", "text/html; charset=utf-8"),
  "/main.js": file(example, "main.js", "text/javascript"),
  "/style.css": file(example, "style.css", "text/css"),
  "/client.min.js": file(join(process.env.SDK, "dist"), "client.min.js", "text/javascript"),
};
// Nothing but the page's own scripts run in it, and no text becomes markup or code.
const CSP = "default-src 'self'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const sessions = new Map();
const sessionOf = (request) => /(?:^|; )session=(\w+)/.exec(request.headers.cookie ?? "")?.[1];
const userOf = (request) => sessions.get(sessionOf(request));

function answer(request, response) {
  const { pathname, searchParams } = new URL(request.url, "http://app");
  const end = (status, headers, body) => response.writeHead(status, headers).end(body);
  const user = userOf(request);
  if (request.method === "POST" && pathname === "/login") {
    const session = randomBytes(16).toString("hex");
    sessions.set(session, searchParams.get("user"));
    return end(204, { "Set-Cookie": `session=${session}; Path=/; Secure; HttpOnly; SameSite=None` });
  }
  if (request.method === "POST" && pathname === "/logout") {
    sessions.delete(sessionOf(request));
    return end(204, {});
  }
  if (pathname === "/api/session") return end(user ? 204 : 401, user ? { "X-User": user } : {});
  const [type, body] = pages[pathname] ?? [];
  return type ? end(200, { "Content-Type": type, "Content-Security-Policy": CSP }, body) : end(404, {});
}

const sockets = new WebSocketServer({
  noServer: true,
  handleProtocols: (offered) => (offered.has("chat.v1") ? "chat.v1" : false),
});
sockets.on("connection", (socket, request, user) => {
  const send = (message) => socket.send(JSON.stringify(message));
  socket.on("error", () => {});
  socket.on("message", (data) => {
    const message = JSON.parse(data);
    if (message.type === "say") send({ type: "said", by: user, text: message.text });
    if (message.type === "repeat") socket.send(message.text);
    if (message.type === "leave") socket.close(message.code);
  });
  console.log(`socket ${user} ${request.url}`);
  send({ type: "letter", to: user, text: `for ${user} alone` });
});

/** Serves the application; behind the gateway it believes what the gateway says of the user. */
function serve(server, isBehind) {
  server.on("request", answer);
  server.on("upgrade", (request, socket, head) => {
    const user = (isBehind && request.headers["sockwarden-user"]) || userOf(request);
    if (!user) return socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n");
    sockets.handleUpgrade(request, socket, head, (opened) => sockets.emit("connection", opened, request, user));
  });
  return listening(server);
}

function listening(server) {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
}

const foreignPage = file(here, "browser-foreign.html", "text/html; charset=utf-8");
const foreign = createTls(tls, ({ url }, response) => {
  const [type, body] = url === "/client.min.js" ? pages[url] : foreignPage;
  response.writeHead(200, { "Content-Type": type }).end(body);
});
const ports = [await serve(createPlain(), true), await serve(createTls(tls), false), await listening(foreign)];
console.log(`ports ${ports.join(" ")}`);
