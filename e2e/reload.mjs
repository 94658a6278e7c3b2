// A crowd of live sockets with traffic while the gateway between them and their application is operated. The first argument
// says what to be:
//   config N   prints the gateway's configuration of generation N
//   app        an echo server by node's ws that looks at what it hears
//   crowd      opens $SOCKETS sockets, reloads, changes certificates and drains; prints `ok` or `FAIL` for what must hold
// $NODE_MODULES is the folder where the package is installed, $WORK the one with the certificates, the configuration and the
// logs, $GATEWAY_PID and $URL are the gateway's, $UPSTREAM is the application's.
//
// A message is `SUM ID SEQUENCE FILLING`, where ID names the socket, SEQUENCE counts its messages, and SUM is a digest of the
// rest. Each is answered with itself, so that one that is lost, changed, doubled, late or someone else's is noticed on both ends.
import { createHash, randomBytes } from "node:crypto";
import { closeSync, copyFileSync, openSync, readFileSync, readSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import tls from "node:tls";

const { WORK, URL: GATEWAY, UPSTREAM } = process.env;
const PID = Number(process.env.GATEWAY_PID);
const SOCKETS = Number(process.env.SOCKETS);
const RELOADS = 10;
// The seconds over which the gateway spreads what it closes, and the one that it waits before it drains.
const WINDOW = 6;
const DELAY = 1;
// How often each socket says something, in milliseconds.
const EVERY = 1_000;

// What each generation has different from the one before it; `steady` never changes.
function config(generation) {
  const from = (first, last = RELOADS) => generation >= first && generation <= last;
  const listener = (port) => `[[listeners]]
address = "127.0.0.1:${port}"
certificate = "${WORK}/certificates/current/certificate.pem"
key = "${WORK}/certificates/current/key.pem"
`;
  const route = (name, more = "") => `[[routes]]
name = "${name}"
path = "/${name}"
upstream = "${UPSTREAM}"
auth = "none"
rate_limit = { mode = "off" }
${more}`;
  const message = from(RELOADS) ? "16 KiB" : from(4) ? "48 KiB" : "64 KiB";
  return [
    // What the gateway says to people may stand in the middle of an event where both go to one file.
    `version = 1\nevents = { to = "file", file = "${WORK}/events.jsonl" }\n`,
    `[limits]\ncertificate_poll = "500ms"\nhandshake_timeout = "${from(3) ? 20 : 15}s"\n` +
      // Everybody has one address here.
      `per_address = { connections = 5000, connections_per_second = 5000, handshakes_per_second = 5000 }\n`,
    `[reload]\nchanged_routes = "${from(RELOADS) ? "close" : "keep"}"\nwindow = "${WINDOW}s"\n`,
    `[drain]\ndelay = "${from(5) ? DELAY : 20}s"\nwindow = "${from(5) ? WINDOW : 20}s"\ngrace = "5s"\n`,
    listener(0),
    from(6, 7) ? `[[listeners]]\naddress = "127.0.0.2:0"\n` : "",
    route("steady"),
    route("changing", `frame_limits = { message = "${message}" }\n`),
    from(2, 8) ? route("passing") : "",
  ].join("");
}

const digest = (text) => createHash("sha1").update(text).digest("base64url").slice(0, 12);

function compose(id, sequence) {
  const body = `${id} ${sequence} ${randomBytes(10 + ((sequence * 37 + id) % 600)).toString("base64url")}`;
  return `${digest(body)} ${body}`;
}

// Gives the sequence number of a message, or -1 where it is not as it was sent.
function sequenceOf(text, id) {
  const [sum] = text.split(" ", 1);
  const body = text.slice(sum.length + 1);
  const [from, sequence] = body.split(" ", 2);
  return digest(body) === sum && (id === undefined || Number(from) === id) ? Number(sequence) : -1;
}

const library = () => createRequire(join(process.env.NODE_MODULES, "x.js"))("ws");

function app() {
  const { WebSocketServer } = library();
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, backlog: 4096 });
  server.on("connection", (socket) => {
    let expected = 0;
    socket.on("error", () => {});
    socket.on("message", (data, isBinary) => {
      if (sequenceOf(data.toString()) !== expected || isBinary !== (expected % 2 === 1)) {
        console.log(`wrong: message ${expected} is ${data.toString().slice(0, 40)}`);
      }
      expected += 1;
      socket.send(data, { binary: isBinary });
    });
  });
  server.on("listening", () => console.log(`listening on ws://127.0.0.1:${server.address().port}`));
}

// One socket of the crowd.
class Member {
  sent = 0;
  heard = 0;
  closed = undefined;
  problem = undefined;

  constructor(id, route) {
    this.id = id;
    this.route = route;
  }

  // Resolves when the socket is open, and fails when it does not open.
  open() {
    const { WebSocket } = library();
    return new Promise((done, failed) => {
      this.socket = new WebSocket(`${GATEWAY}/${this.route}`, {
        rejectUnauthorized: false,
        perMessageDeflate: false,
        handshakeTimeout: 20_000,
      });
      this.socket.on("open", done);
      this.socket.on("error", failed);
      this.socket.on("close", (code) => (this.closed ??= { code, at: Date.now() }));
      this.socket.on("message", (data, isBinary) => {
        const sequence = sequenceOf(data.toString(), this.id);
        if (sequence !== this.heard || isBinary !== (sequence % 2 === 1)) {
          this.problem ??= `heard ${sequence} instead of ${this.heard}`;
        }
        this.heard += 1;
      });
    });
  }

  get live() {
    return !this.closed && this.socket.readyState === this.socket.OPEN;
  }

  speak() {
    if (!this.live) return;
    this.socket.send(compose(this.id, this.sent), { binary: this.sent % 2 === 1 });
    this.sent += 1;
  }
}

// The gateway's event log, read on from where it was left.
class Log {
  notices = [];
  #file = openSync(join(WORK, "events.jsonl"), "r");
  #rest = "";

  read() {
    const buffer = Buffer.alloc(1 << 20);
    for (let length; (length = readSync(this.#file, buffer)) > 0; ) {
      const lines = (this.#rest + buffer.toString("utf8", 0, length)).split("\n");
      this.#rest = lines.pop();
      for (const line of lines) if (line.includes('"event":"notice"')) this.notices.push(JSON.parse(line));
    }
    return this.notices;
  }

  // Waits until there are `count` notices of a kind, and gives the last of them.
  async await(kind, count) {
    return eventually(10_000, () => this.read().filter(({ notice }) => notice === kind)[count - 1]);
  }

  close() {
    closeSync(this.#file);
  }
}

async function eventually(patience, look) {
  const until = Date.now() + patience;
  for (;;) {
    const found = look();
    if (found || Date.now() > until) return found;
    await sleep(20);
  }
}

let failures = 0;
function check(name, problem) {
  failures += problem ? 1 : 0;
  console.log(problem ? `FAIL  ${name}: ${problem}` : `ok    ${name}`);
}

// Prints how many members closed in each tenth of the window that begins at `from`, and tells what is wrong with it.
function farewell(members, from) {
  const tenths = Array(10).fill(0);
  let [early, late] = [0, 0];
  for (const { closed } of members) {
    const tenth = Math.floor(((closed?.at ?? Infinity) - from) / (WINDOW * 100));
    // The close handshake of the last ones ends a little after the window.
    if (tenth < 0) early += 1;
    else if (tenth < 10) tenths[tenth] += 1;
    else if (closed?.at < from + WINDOW * 1_000 + 1_000) tenths[9] += 1;
    else late += 1;
  }
  const most = Math.max(...tenths, 1);
  tenths.forEach((count, at) => {
    const [begin, end] = [at, at + 1].map((n) => ((n * WINDOW) / 10).toFixed(1));
    console.log(`      ${begin} to ${end} s ${String(count).padStart(5)} ${"#".repeat(Math.round((40 * count) / most))}`);
  });
  const codes = new Set(members.map(({ closed }) => closed?.code));
  if (early || late) return `${early} closed before their window, ${late} after it or not at all`;
  if (codes.size !== 1 || !codes.has(1012)) return `the codes are ${[...codes].join(", ")}`;
  const even = members.length / 10;
  const odd = tenths.filter((count) => count < even * 0.6 || count > even * 1.4);
  return odd.length ? `a tenth of the time should end about ${even} sockets, not ${odd.join(", ")}` : undefined;
}

// Tells what is lost or broken among members that must all be alive.
function losses(members) {
  const closed = members.filter(({ live }) => !live);
  const broken = members.filter(({ problem }) => problem);
  if (closed.length) return `${closed.length} of ${members.length} are closed, one with ${closed[0].closed?.code}`;
  return broken.length ? `${broken.length} of ${members.length}, one: ${broken[0].problem}` : undefined;
}

function fingerprint() {
  const { hostname, port } = new URL(GATEWAY);
  return new Promise((done) => {
    const socket = tls.connect({ host: hostname, port: Number(port), rejectUnauthorized: false }, () => {
      done(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on("error", (error) => done(String(error)));
  });
}

const certificates = join(WORK ?? "", "certificates");
// As Kubernetes does it: a symbolic link is pointed elsewhere.
function pointTo(name) {
  symlinkSync(name, join(certificates, "next"));
  renameSync(join(certificates, "next"), join(certificates, "current"));
}
// As certificate clients do it: one file after the other, so that they do not fit each other for a moment.
function overwriteWith(name) {
  for (const file of ["certificate.pem", "key.pem"]) {
    copyFileSync(join(certificates, name, file), join(certificates, "current", `${file}.new`));
    renameSync(join(certificates, "current", `${file}.new`), join(certificates, "current", file));
  }
}

async function crowd() {
  const log = new Log();
  const members = Array.from({ length: SOCKETS }, (_, id) => new Member(id, id % 2 ? "steady" : "changing"));
  const began = Date.now();
  for (let at = 0; at < members.length; at += 50) {
    await Promise.all(members.slice(at, at + 50).map((member) => member.open()));
  }
  console.log(`      ${SOCKETS} sockets opened in ${((Date.now() - began) / 1_000).toFixed(1)} s`);
  const steady = members.filter(({ route }) => route === "steady");
  const changing = members.filter(({ route }) => route === "changing");

  // Each turn, the next few say something.
  let turn = 0;
  let speaking = true;
  const timer = setInterval(() => {
    if (!speaking) return;
    for (let at = turn; at < members.length; at += EVERY / 50) members[at].speak();
    turn = (turn + 1) % (EVERY / 50);
  }, 50);

  const reload = async (generation) => {
    writeFileSync(join(WORK, "gateway.toml"), config(generation));
    process.kill(PID, "SIGHUP");
    const notice = await log.await("reloaded", generation);
    console.log(`      reload ${generation}: ${notice?.detail ?? "nothing was heard of it"}`);
    await sleep(300);
    return notice;
  };
  const change = async (count, name, how) => {
    const before = await fingerprint();
    how();
    const notice = await log.await("certificate-replaced", count);
    const after = await fingerprint();
    check(`certificates change: ${name}`, notice && before !== after ? undefined : `${before}, then ${after}`);
  };

  await sleep(EVERY);
  for (let generation = 1; generation < RELOADS; generation++) {
    await reload(generation);
    if (generation === 3) await change(1, "a symbolic link is pointed elsewhere", () => pointTo("second"));
    if (generation === 7) await change(2, "files are replaced one by one", () => overwriteWith("third"));
    if (generation === 5) {
      writeFileSync(join(WORK, "gateway.toml"), `${config(generation)}\nnonsense = true\n`);
      process.kill(PID, "SIGHUP");
      const notice = await log.await("reload-rejected", 1);
      check("a configuration that is wrong is not taken", notice ? undefined : "nothing was heard of it");
    }
  }
  check("nine reloads and two certificates: every socket lives", losses(members));

  const last = await reload(RELOADS);
  const large = new Member(-1, "changing");
  await large.open();
  large.socket.send("x".repeat(20_000));
  await eventually(5_000, () => large.closed);
  check("a new socket is under the new rules", large.closed?.code === 1009 ? undefined : `closed with ${large.closed?.code}`);
  await eventually(WINDOW * 1_000 + 2_000, () => changing.every(({ closed }) => closed));
  check(`the ${changing.length} of the changed route are told 1012 over ${WINDOW} s`, farewell(changing, last?.at_ms));
  const jumbled = members.filter(({ problem }) => problem);
  check("they heard everything in order until then", jumbled[0]?.problem);
  const reloads = log.read().filter(({ notice }) => notice === "reloaded").length;
  check(`${RELOADS} reloads were done`, reloads === RELOADS ? undefined : `${reloads} were`);

  speaking = false;
  await eventually(10_000, () => steady.every(({ sent, heard }) => sent === heard));
  check(`the ${steady.length} of the unchanged route all live`, losses(steady));
  const sent = steady.reduce((sum, member) => sum + member.sent, 0);
  const heard = steady.reduce((sum, member) => sum + member.heard, 0);
  const least = Math.min(...steady.map((member) => member.heard));
  check(
    `none of their ${sent} messages is lost, changed or out of order`,
    sent === heard && least > RELOADS / 2 ? undefined : `${heard} came back, ${least} to one of them`,
  );

  speaking = true;
  await sleep(EVERY);
  const told = Date.now();
  process.kill(PID, "SIGTERM");
  await sleep(DELAY * 500);
  const during = new Member(-2, "steady");
  const letIn = await during.open().then(() => undefined, String);
  check("a drain lets in until its delay is over", letIn);
  await sleep(DELAY * 500 + 300);
  const after = await new Member(-3, "steady").open().then(() => "it did", () => undefined);
  check("and nobody afterwards", after);
  const all = [...steady, during];
  await eventually((WINDOW + 2) * 1_000, () => all.every(({ closed }) => closed));
  check(`a drain tells all ${all.length} 1012 over ${WINDOW} s`, farewell(all, told + DELAY * 1_000));
  const wrong = readFileSync(join(WORK, "app.log"), "utf8").split("\n").find((line) => line.startsWith("wrong"));
  check("the application heard everything in order", wrong ?? steady.find(({ problem }) => problem)?.problem);
  clearInterval(timer);
  log.close();
  process.exitCode = failures ? 1 : 0;
}

const [role, argument] = process.argv.slice(2);
await { config: () => process.stdout.write(config(Number(argument))), app, crowd }[role]();
