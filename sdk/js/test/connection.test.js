import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { connect } from "../dist/index.js";
import { answering, grant, newPage, notes, pass, settled, sockets } from "./lib/page.js";

const CHAT = "wss://app.example/chat";

/** A connection that is open, with what it tells from then on. */
async function opened(options) {
  newPage();
  const connection = connect(CHAT, options);
  const told = notes(connection);
  await settled();
  sockets[0].open();
  assert.deepEqual(told.splice(0), ["open"]);
  return { connection, told };
}

test("states and errors are told in their order", async () => {
  const { connection, told } = await opened();
  await sockets[0].end(1012);
  assert.deepEqual(told.splice(0), ["lost 1012", "waiting"]);
  await pass(250);
  assert.deepEqual(told.splice(0), ["connecting"]);
  await sockets[1].end(1006);
  await pass(500);
  sockets[2].open();
  assert.deepEqual(told.splice(0), ["lost 1006", "waiting", "connecting", "open"]);
  connection.close(4000, "bye");
  assert.deepEqual([told, sockets[2].closedBy, connection.state], [["closed"], { code: 4000, reason: "bye" }, "closed"]);
  await sockets[2].end(4000);
  await pass(100_000);
  assert.deepEqual([told, sockets.length], [["closed"], 3]);
});

test("after some close codes nobody connects anew", async () => {
  const check = async (code, stopCodes, expected) => {
    const { told } = await opened(stopCodes && { reconnect: { stopCodes } });
    await sockets[0].end(code);
    await pass(100_000);
    assert.deepEqual(told, expected, String(code));
  };
  await check(1000, undefined, ["closed"]);
  for (const code of [1008, 4401, 4403]) await check(code, undefined, [`ended ${code}`, "closed"]);
  for (const code of [1001, 1005, 1006, 1009, 1011, 1012, 1013, 4000]) {
    await check(code, undefined, [`lost ${code}`, "waiting", "connecting"]);
  }
  await check(4999, [4999], ["ended 4999", "closed"]);
  await check(1000, [4999], ["lost 1000", "waiting", "connecting"]);
});

test("the waits double up to a bound, and each is anything up to it", async () => {
  const waits = async (random, reconnect) => {
    newPage();
    mock.method(Math, "random", () => random);
    connect(CHAT, { reconnect });
    await settled();
    const found = [];
    for (let attempt = 1; attempt <= 7; attempt++) {
      await sockets.at(-1).end(1006);
      const lost = Date.now();
      while (sockets.length === attempt && Date.now() - lost < 100_000) await pass(50);
      found.push(Date.now() - lost);
    }
    return found;
  };
  assert.deepEqual(await waits(1, { minDelay: 100, maxDelay: 1000 }), [100, 200, 400, 800, 1000, 1000, 1000]);
  assert.deepEqual(await waits(0.5, { minDelay: 100, maxDelay: 1000 }), [50, 100, 200, 400, 500, 500, 500]);
  assert.deepEqual(await waits(1, undefined), [500, 1000, 2000, 4000, 8000, 16_000, 30_000]);
  assert.deepEqual(await waits(0, undefined), [50, 50, 50, 50, 50, 50, 50], "at once: the test looks every 50 ms");
});

test("attempts are bounded, and counted anew after a socket that lasted", async () => {
  newPage();
  const told = notes(connect(CHAT, { reconnect: { maxAttempts: 3 } }));
  await settled();
  const failing = async (count) => {
    for (; count > 0; count--) {
      await sockets.at(-1).end(1006);
      await pass(30_000);
    }
  };
  await failing(2);
  sockets.at(-1).open();
  await pass(5000);
  await failing(2);
  // One that ends as soon as it is open is a failure too.
  sockets.at(-1).open();
  await pass(10);
  assert.equal(told.at(-1), "open");
  await sockets.at(-1).end(1011);
  assert.deepEqual(told.slice(-3), ["open", "attempts 1011", "closed"]);
  assert.equal(sockets.length, 5);
});

test("nothing is tried anew where that is said", async () => {
  const { told } = await opened({ reconnect: false });
  await pass(60_000);
  await sockets[0].end(1012);
  await pass(60_000);
  assert.deepEqual([told, sockets.length], [["lost 1012", "closed"], 1]);
});

test("a handshake that takes too long is given up", async () => {
  newPage();
  connect(CHAT, { timeout: 3000 });
  await settled();
  await pass(2999);
  assert.equal(sockets[0].closedBy, undefined);
  await pass(1);
  assert.ok(sockets[0].closedBy);
  await sockets[0].end(1006);
  await pass(250);
  sockets[1].open();
  await pass(100_000);
  assert.equal(sockets[1].closedBy, undefined, "one that is open is left alone");
});

test("what a page may not open ends the connection instead of the page", async () => {
  newPage();
  globalThis.WebSocket = class {
    constructor() {
      throw new DOMException("no", "SecurityError");
    }
  };
  const told = notes(connect(CHAT));
  await settled();
  assert.deepEqual(told, ["options", "closed"]);
});

test("what is sent while there is no socket waits, in its order, within bounds", async () => {
  newPage();
  const connection = connect(CHAT, { queue: { messages: 3, bytes: 30 } });
  await settled();
  connection.send({ a: 1 });
  connection.send("ü");
  assert.throws(() => connection.send("x".repeat(30)), { code: "full" });
  connection.send(null);
  assert.throws(() => connection.send(1), { code: "full" });
  sockets[0].open();
  connection.send([2]);
  assert.deepEqual(sockets[0].sent, ['{"a":1}', '"ü"', "null", "[2]"]);
  await sockets[0].end(1012);
  connection.send("x".repeat(28));
  assert.throws(() => connection.send(1), { code: "full" });
  await pass(250);
  sockets[1].open();
  assert.deepEqual(sockets[1].sent, [`"${"x".repeat(28)}"`], "what was given to a socket is not sent again");
});

test("bytes are counted as they travel", async () => {
  newPage();
  const connection = connect(CHAT, { queue: { bytes: 10 } });
  assert.throws(() => connection.send("üüüüü"), { code: "full" });
  connection.send("üüüü");
});

test("a socket that takes nothing is not filled without end", async () => {
  const { connection } = await opened({ queue: { bytes: 100 } });
  sockets[0].bufferedAmount = 90;
  connection.send("12345678");
  assert.throws(() => connection.send("123456789"), { code: "full" });
  assert.equal(sockets[0].sent.length, 1);
});

test("what is sent to a socket that is about to close waits for the next", async () => {
  const { connection } = await opened();
  sockets[0].readyState = 2;
  connection.send("later");
  await sockets[0].end(1012);
  await pass(250);
  sockets[1].open();
  assert.deepEqual([sockets[0].sent, sockets[1].sent], [[], ['"later"']]);
});

test("nothing is sent that is nothing, or after the end", async () => {
  const { connection } = await opened();
  for (const value of [undefined, () => 1, Symbol("x")]) {
    assert.throws(() => connection.send(value), { code: "options" });
  }
  connection.close();
  assert.throws(() => connection.send(1), { code: "closed" });
  assert.equal(sockets[0].sent.length, 0);
});

test("after close nothing is handed out", async () => {
  const { connection, told } = await opened();
  connection.close();
  sockets[0].say({ a: 1 });
  assert.deepEqual(told, ["closed"]);
});

test("a wrong close code is told, and closes nothing", async () => {
  const { connection } = await opened();
  sockets[0].close = () => {
    throw new DOMException("no", "InvalidAccessError");
  };
  assert.throws(() => connection.close(1002), { name: "InvalidAccessError" });
  assert.equal(connection.state, "open");
});

test("raw text and bytes go in and out as they are", async () => {
  const { connection, told } = await opened({ raw: true, maxMessageSize: 5 });
  assert.equal(sockets[0].binaryType, "arraybuffer");
  const bytes = new ArrayBuffer(5);
  sockets[0].say('{"__');
  sockets[0].say(bytes);
  sockets[0].say(new ArrayBuffer(6));
  sockets[0].say("üüü");
  assert.deepEqual(told, [{ message: '{"__' }, { message: bytes }, { invalid: "size" }, { invalid: "size" }]);
  connection.send("text");
  connection.send(new Uint8Array(2));
  assert.deepEqual(sockets[0].sent, ["text", new Uint8Array(2)]);
  assert.throws(() => connection.send({}), { code: "full" });
  assert.throws(() => connect(CHAT, { raw: true, validate: () => true }), { code: "options" });
});

test("a listener hears until it says so, and its faults are its own", async (t) => {
  const faults = [];
  t.mock.method(globalThis, "queueMicrotask", (task) => {
    try {
      task();
    } catch (error) {
      faults.push(error.message);
    }
  });
  const { connection, told } = await opened();
  const heard = [];
  const end = connection.onMessage((message) => heard.push(message));
  connection.onMessage(() => {
    throw new Error("a fault of the application");
  });
  sockets[0].say(1);
  end();
  sockets[0].say(2);
  assert.deepEqual([heard, told.length, faults.length], [[1], 2, 2]);
});

test("an iterator gives messages until the end", async () => {
  const { connection } = await opened();
  const read = (async () => {
    const found = [];
    for await (const message of connection) found.push(message);
    return found;
  })();
  for (const message of [1, '"two"', [3]]) sockets[0].say(message);
  await settled();
  sockets[0].say(null);
  await sockets[0].end(1000);
  assert.deepEqual(await read, [1, "two", [3], null]);
});

test("an iterator throws what ended the connection, and what is too much for its reader", async () => {
  const ended = await opened();
  const first = assert.rejects(ended.connection[Symbol.asyncIterator]().next(), { code: "ended", status: 4401 });
  await sockets[0].end(4401);
  await first;

  const flooded = await opened({ maxUnread: 2 });
  const iterator = flooded.connection[Symbol.asyncIterator]();
  const one = iterator.next();
  for (let number = 1; number <= 9; number++) sockets[0].say(number);
  assert.deepEqual([await one, await iterator.next()].map(({ value }) => value), [1, 2]);
  await assert.rejects(iterator.next(), { code: "overflow" });
  assert.equal(flooded.connection.state, "open");
});

test("options that cannot be are refused at once", () => {
  newPage();
  const check = (options) => assert.throws(() => connect(CHAT, options), { code: "options" }, JSON.stringify(options));
  for (const bad of [0, -1, Number.NaN, "many"]) {
    for (const name of ["timeout", "maxMessageSize", "maxUnread"]) check({ [name]: bad });
    check({ queue: { messages: bad } });
    check({ queue: { bytes: bad } });
    check({ reconnect: { minDelay: bad } });
    check({ reconnect: { maxAttempts: bad } });
  }
  check({ reconnect: { minDelay: 10, maxDelay: 5 } });
});

test("who closes while waiting opens nothing", async () => {
  newPage();
  const connection = connect(CHAT, { ticket: { fetch: answering(503, grant()) } });
  const told = notes(connection);
  await settled();
  connection.close();
  await pass(100_000);
  assert.deepEqual([told, sockets.length], [["unavailable 503", "waiting", "closed"], 0]);
});
