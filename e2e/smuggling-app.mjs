// An echo server by node's ws that tells every request it ever sees: prints `request METHOD TARGET`, one a line, after
// `listening on ws://127.0.0.1:PORT`. $NODE_MODULES is the folder where the package is installed.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";

const { WebSocketServer } = createRequire(join(process.env.NODE_MODULES, "x.js"))("ws");
const sockets = new WebSocketServer({ noServer: true });
const tell = (request) => console.log(`request ${request.method} ${request.url}`);
// As lenient as node can be: what the gateway lets through shall be seen here.
const http = createServer({ insecureHTTPParser: true }, (request, response) => {
  tell(request);
  response.end("an ordinary page\n");
});
http.on("upgrade", (request, socket, head) => {
  tell(request);
  sockets.handleUpgrade(request, socket, head, (client) => {
    client.on("error", () => {});
    client.on("message", (data, isBinary) => client.send(data, { binary: isBinary }));
  });
});
http.listen(0, "127.0.0.1", () => console.log(`listening on ws://127.0.0.1:${http.address().port}`));
