// The client role of Autobahn by node's ws: echoes every case of a fuzzing server, then asks for its report.
//   node autobahn-client.mjs URL AGENT [HOST]
// HOST is what the Host header says where that is not the URL's: the suite refuses requests for another port than its own.
// $NODE_MODULES is the folder where the package is installed.
import { createRequire } from "node:module";
import { join } from "node:path";

const WebSocket = createRequire(join(process.env.NODE_MODULES, "x.js"))("ws");
const [url, agent, host] = process.argv.slice(2);
const options = { maxPayload: 0, perMessageDeflate: { threshold: 0 }, headers: host ? { Host: host } : {} };

// Talks to one resource until the connection is over; resolves with the last text.
function talk(path, echo) {
  return new Promise((resolve) => {
    const socket = new WebSocket(`${url}${path}`, options);
    let last = "";
    socket.on("message", (data, isBinary) => (echo ? socket.send(data, { binary: isBinary }) : (last = data.toString())));
    // A server that breaks the protocol is what the suite is about: ws closes the connection by itself.
    socket.on("error", () => {});
    socket.on("close", () => resolve(last));
  });
}

const count = Number(await talk("/getCaseCount", false));
for (let number = 1; number <= count; number++) await talk(`/runCase?case=${number}&agent=${agent}`, true);
await talk(`/updateReports?agent=${agent}`, false);
console.log(`done ${count}`);
process.exit(count > 0 ? 0 : 1);
