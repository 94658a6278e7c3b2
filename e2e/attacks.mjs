// Honest users and those who would take the server from them:
//
//   node attacks.mjs login URL USER PASSWORD          print the cookie of a session of Harbor at http://URL
//   node attacks.mjs honest URL COOKIES SECONDS       a hundred users post once a second; prints how long answers took
//   node attacks.mjs ATTACK URL COOKIE SECONDS        one user from one address; prints what became of the attack
//
// Each prints one line of JSON. URL is ws:// or wss:// (the certificate is not judged), COOKIES are separated by commas. Only
// node's own sockets are used, so that illegal frames can be sent and nothing is answered that should not be.
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { deflateRawSync, constants } from "node:zlib";

const [what, address, secret, length] = process.argv.slice(2);
const seconds = Number(length);
const HONEST = 100;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// One connection; what comes is counted, and told to `heard` where there is somebody.
class Peer {
  texts = 0;
  pongs = 0;
  code = null;
  status = null;
  isOver = false;
  isGone = false;
  heard = () => {};
  #bytes = Buffer.alloc(0);

  constructor(url, from) {
    this.url = new URL(url);
    const { hostname: host, port } = this.url;
    const options = { host, port, localAddress: from, rejectUnauthorized: false };
    this.socket = this.url.protocol === "wss:" ? connectTls(options) : connect(options);
    this.socket.setNoDelay(true);
    this.over = new Promise((done) => {
      const end = () => {
        this.isOver = true;
        done();
      };
      this.socket.on("error", end).on("close", end).on("end", end);
    });
  }

  // Opens the WebSocket; the status tells whether that went well.
  async open(cookie, extensions = "") {
    const { host, protocol } = this.url;
    const origin = `${protocol === "wss:" ? "https" : "http"}://${host}`;
    const head =
      `GET /ws HTTP/1.1\r\nHost: ${host}\r\nOrigin: ${origin}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n` +
      `Cookie: ${cookie}\r\n${extensions}\r\n`;
    this.socket.write(head);
    const answered = new Promise((done) => {
      this.socket.on("data", (bytes) => {
        this.#bytes = Buffer.concat([this.#bytes, bytes]);
        if (this.status === null) {
          const end = this.#bytes.indexOf("\r\n\r\n");
          if (end < 0) return;
          this.head = this.#bytes.subarray(0, end).toString("latin1");
          this.status = Number(this.head.split(" ")[1]);
          this.#bytes = this.#bytes.subarray(end + 4);
          done();
        }
        if (this.status === 101) this.#frames();
      });
    });
    await Promise.race([answered, this.over, sleep(10_000)]);
    return this.status === 101;
  }

  #frames() {
    for (;;) {
      const bytes = this.#bytes;
      if (bytes.length < 2) return;
      let [start, size] = [2, bytes[1] & 127];
      if (size === 126) {
        if (bytes.length < 4) return;
        [start, size] = [4, bytes.readUInt16BE(2)];
      } else if (size === 127) {
        if (bytes.length < 10) return;
        [start, size] = [10, Number(bytes.readBigUInt64BE(2))];
      }
      if (bytes.length < start + size) return;
      const [opcode, payload] = [bytes[0] & 15, bytes.subarray(start, start + size)];
      this.#bytes = bytes.subarray(start + size);
      if (opcode === 8) this.code ??= size >= 2 ? payload.readUInt16BE(0) : 1005;
      else if (opcode === 10) this.pongs += 1;
      else if (opcode === 9) this.isGone || this.send(frame(0x8a, payload));
      else {
        this.texts += 1;
        this.heard(payload);
      }
    }
  }

  // Writes; tells whether there is room for more.
  send(bytes) {
    return !this.isOver && this.code === null && this.socket.write(bytes);
  }

  // Waits until there is room or it is over.
  async room() {
    if (this.socket.writableNeedDrain && !this.isOver) {
      await Promise.race([new Promise((done) => this.socket.once("drain", done)), this.over, sleep(200)]);
    }
  }

  end() {
    this.socket.destroy();
  }
}

// A masked frame; the first byte says which.
function frame(first, payload) {
  const body = Buffer.from(payload);
  const mask = randomBytes(4);
  const header =
    body.length < 126
      ? Buffer.from([first, 0x80 | body.length])
      : body.length < 65536
        ? Buffer.from([first, 0x80 | 126, body.length >> 8, body.length & 255])
        : Buffer.concat([Buffer.from([first, 0x80 | 127, 0, 0, 0, 0]), uint32(body.length)]);
  for (let at = 0; at < body.length; at++) body[at] ^= mask[at & 3];
  return Buffer.concat([header, mask, body]);
}

function uint32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const text = (payload) => frame(0x81, payload);
const count = (peers, key) => {
  const counts = {};
  for (const peer of peers) if (peer[key] !== null) counts[peer[key]] = (counts[peer[key]] ?? 0) + 1;
  return counts;
};
const sum = (peers, key) => peers.reduce((all, peer) => all + peer[key], 0);

// Opens up to `most` sockets, all from one address.
async function several(most) {
  const peers = Array.from({ length: most }, () => new Peer(address));
  await Promise.all(peers.map((peer) => peer.open(secret)));
  return peers;
}

const until = () => performance.now() + seconds * 1000;

// Sends as much as the other side takes.
async function flood(peer, bytes, most, end) {
  let sent = 0;
  while (sent < most && performance.now() < end && !peer.isOver && peer.code === null) {
    for (let burst = 0; burst < 20 && sent < most; burst++, sent++) peer.send(bytes);
    await peer.room();
    await sleep(0);
  }
  return sent;
}

async function messages(sockets) {
  const end = until();
  const peers = await several(sockets);
  const freight = text('{"type":"freight"}');
  const sent = await Promise.all(peers.map((peer) => flood(peer, freight, 20_000, end)));
  await sleep(Math.max(0, end - performance.now()));
  return { peers, sent: sent.reduce((all, one) => all + one, 0) };
}

// Sends some bytes on one socket and waits for what becomes of it.
async function once(bytes, extensions) {
  const peer = new Peer(address);
  if (await peer.open(secret, extensions)) {
    peer.send(typeof bytes === "function" ? bytes(peer) : bytes);
    peer.send(frame(0x89, "still there?"));
    await Promise.race([peer.over, sleep(seconds * 1000)]);
  }
  return { peers: [peer], agreed: /permessage-deflate/.test(peer.head ?? "") };
}

const ATTACKS = {
  // None: tells whether there is room again, and an answer.
  room: async () => {
    const peers = await several(60);
    peers[0].send(text('{"type":"me"}'));
    for (let tries = 0; tries < 20 && peers[0].texts < 2 && !peers[0].isOver; tries++) await sleep(50);
    return { peers, ready: peers.every((peer) => peer.status === 101) && peers[0].texts >= 2 };
  },
  "flood-1": () => messages(1),
  "flood-50": () => messages(50),
  // More sockets than there is room for, held.
  connections: async () => {
    const end = until();
    const peers = await several(400);
    await sleep(Math.max(0, end - performance.now()));
    return { peers };
  },
  // Clients that are gone without a word.
  "half-open": async () => {
    const end = until();
    const peers = await several(50);
    for (const peer of peers) peer.isGone = true;
    await sleep(Math.max(0, end - performance.now()));
    return { peers };
  },
  // TLS that never begins.
  "slow-tls": async () => {
    const { hostname: host, port } = new URL(address);
    const held = Array.from({ length: 200 }, () => {
      const peer = { ended: null };
      const begun = performance.now();
      peer.socket = connect({ host, port });
      peer.socket.on("error", () => {}).on("end", () => (peer.ended ??= performance.now() - begun));
      peer.socket.on("close", () => (peer.ended ??= performance.now() - begun)).resume();
      return peer;
    });
    await sleep(seconds * 1000);
    const ended = held.filter((peer) => peer.ended !== null);
    for (const peer of held) peer.socket.destroy();
    const last = Math.max(0, ...ended.map((peer) => peer.ended)) / 1000;
    return { peers: [], held: held.length, ended: ended.length, last: Number(last.toFixed(1)) };
  },
  fragments: () =>
    once(Buffer.concat([frame(0x01, "a"), ...Array.from({ length: 9_998 }, () => frame(0x00, "a")), frame(0x80, "a")])),
  "empty-fragments": async () => {
    const peer = new Peer(address);
    const opened = await peer.open(secret);
    if (opened) peer.send(frame(0x01, ""));
    const sent = opened ? await flood(peer, frame(0x00, ""), 200_000, until()) : 0;
    await sleep(300);
    return { peers: [peer], sent };
  },
  pings: async () => {
    const peer = new Peer(address);
    const sent = (await peer.open(secret)) ? await flood(peer, frame(0x89, "x"), 100_000, until()) : 0;
    await sleep(300);
    return { peers: [peer], sent };
  },
  // 8 MiB from 8 KiB.
  bomb: () => {
    const whole = deflateRawSync(Buffer.alloc(8 << 20, "a"), { finishFlush: constants.Z_SYNC_FLUSH });
    return once(frame(0xc1, whole.subarray(0, whole.length - 4)), "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  },
  // A header that announces 2^62 bytes.
  giant: () => once(Buffer.from([0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])),
  depth: () => once(text(`{"type":"post","room":"office","text":${"[".repeat(30_000)}`)),
  // Asks for much and reads none of it.
  "slow-reader": async () => {
    const end = until();
    const peers = await several(10);
    for (const peer of peers) peer.socket.pause();
    const history = text('{"type":"history","room":"office"}');
    const sent = await Promise.all(peers.map((peer) => flood(peer, history, 5_000, end)));
    await sleep(Math.max(0, end - performance.now()));
    return { peers, sent: sent.reduce((all, one) => all + one, 0) };
  },
};

// A hundred users, each from an address of its own, post once a second.
async function honest() {
  const cookies = secret.split(",");
  const [times, waiting] = [[], new Map()];
  let sent = 0;
  const users = Array.from({ length: HONEST }, (_, at) => new Peer(address, `127.0.1.${at + 1}`));
  const opened = await Promise.all(users.map((user, at) => user.open(cookies[at % cookies.length])));
  for (const user of users) {
    user.heard = (payload) => {
      const id = /"id":(\d+)\}$/.exec(payload.toString())?.[1];
      const begun = waiting.get(id);
      if (begun === undefined) return;
      waiting.delete(id);
      times.push(performance.now() - begun);
    };
  }
  console.error("ready");
  const end = until();
  await Promise.all(
    users.map(async (user, at) => {
      await sleep((at / HONEST) * 1000);
      while (performance.now() < end) {
        const id = String(++sent);
        waiting.set(id, performance.now());
        user.send(text(`{"type":"post","room":"office","text":"good day","id":${id}}`));
        await sleep(1000);
      }
    }),
  );
  // Who waits for longer than that has lost patience.
  for (let tries = 0; tries < 50 && waiting.size > 0; tries++) await sleep(100);
  for (const begun of waiting.values()) times.push(performance.now() - begun);
  times.sort((a, b) => a - b);
  const at = (part) => Number((times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? 0).toFixed(1));
  const lost = waiting.size;
  const closed = users.filter((user) => user.isOver || user.code !== null).length;
  for (const user of users) user.end();
  return { users: opened.filter(Boolean).length, sent, lost, closed, p50: at(0.5), p99: at(0.99) };
}

async function login() {
  const answer = await fetch(`${address}/login`, {
    method: "POST",
    headers: { Origin: address },
    body: JSON.stringify({ user: secret, password: length }),
  });
  return (answer.headers.get("set-cookie") ?? "").split(";")[0];
}

if (what === "login") {
  console.log(await login());
} else if (what === "honest") {
  console.log(JSON.stringify(await honest()));
} else if (Object.hasOwn(ATTACKS, what)) {
  const { peers, ...rest } = await ATTACKS[what]();
  const [statuses, codes] = [count(peers, "status"), count(peers, "code")];
  const left = peers.filter((peer) => peer.isOver || peer.code !== null).length;
  const [answered, pongs] = [sum(peers, "texts"), sum(peers, "pongs")];
  console.log(JSON.stringify({ attack: what, statuses, codes, left, answered, pongs, ...rest }));
} else {
  console.error(`there is no attack \`${what}\``);
  process.exitCode = 2;
}
process.exit();
