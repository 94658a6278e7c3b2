import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../dist/index.js";
import { answering, asked, grant, newPage, notes, pass, settled, sockets } from "./lib/page.js";

const CHAT = "wss://app.example/chat?room=1";

test("a ticket is asked for with the session, and sent beside the application's sub-protocols", async () => {
  newPage("https://app.example/");
  connect(CHAT, { protocols: ["chat.v2", "chat.v1"], ticket: { fetch: answering(grant(7)), headers: { "X-App": "1" } } });
  await settled();
  const [{ signal, ...request }] = asked;
  assert.ok(signal instanceof AbortSignal);
  assert.deepEqual(request, {
    url: "https://app.example/.well-known/sockwarden/ticket",
    method: "POST",
    credentials: "include",
    headers: { "content-type": "application/json", "x-app": "1" },
    body: '{"path":"/chat?room=1"}',
    redirect: "manual",
    cache: "no-store",
  });
  assert.equal(sockets[0].url, "wss://app.example/chat");
  assert.deepEqual(sockets[0].protocols, ["chat.v2", "chat.v1", grant(7).subprotocol]);
});

test("without a sub-protocol of the application ours is offered, and is not told as one", async () => {
  newPage();
  globalThis.fetch = answering(grant());
  const connection = connect(CHAT, { ticket: true });
  await settled();
  assert.deepEqual(sockets[0].protocols, ["sockwarden.v1", grant().subprotocol]);
  sockets[0].protocol = "sockwarden.v1";
  assert.equal(connection.protocol, "");
  sockets[0].protocol = "chat";
  assert.equal(connection.protocol, "chat");
});

test("without tickets nothing is asked, and only the application's sub-protocols are offered", async () => {
  newPage();
  globalThis.fetch = answering(grant());
  connect(CHAT);
  connect(CHAT, { protocols: "chat" });
  await settled();
  assert.deepEqual(sockets.map(({ protocols }) => protocols), [[], ["chat"]]);
  assert.equal(asked.length, 0);
});

test("each socket has a ticket of its own", async () => {
  newPage();
  let number = 0;
  connect(CHAT, { ticket: { fetch: async (...request) => answering(grant(++number))(...request) } });
  await settled();
  for (const code of [1006, 1012, 1001]) {
    sockets.at(-1).open();
    await sockets.at(-1).end(code);
    await pass(30_000);
  }
  const offered = sockets.map(({ protocols }) => protocols[1]);
  assert.deepEqual(offered, [1, 2, 3, 4].map((n) => grant(n).subprotocol));
});

test("headers may be made anew for each request", async () => {
  newPage();
  let number = 0;
  const headers = async () => ({ Authorization: `Bearer ${++number}` });
  connect(CHAT, { ticket: { fetch: answering(503, grant()), headers, credentials: "omit" } });
  await settled();
  await pass(30_000);
  assert.deepEqual(asked.map(({ headers }) => headers.authorization), ["Bearer 1", "Bearer 2"]);
  assert.equal(asked[0].credentials, "omit");
});

test("who is refused a ticket does not come again", async () => {
  for (const status of [400, 401, 403, 404]) {
    newPage();
    const told = notes(connect(CHAT, { ticket: { fetch: answering(status) } }));
    await settled();
    await pass(3_600_000);
    assert.deepEqual(told, [`refused ${status}`, "closed"]);
    assert.deepEqual([asked.length, sockets.length], [1, 0]);
  }
});

test("who is sent elsewhere to log in is refused", async () => {
  newPage();
  const redirect = { ok: false, status: 0, type: "opaqueredirect", headers: new Headers(), text: async () => "" };
  const told = notes(connect(CHAT, { ticket: { fetch: async () => redirect } }));
  await settled();
  assert.deepEqual(told, ["refused 0", "closed"]);
});

test("an endpoint that cannot answer now is asked again", async () => {
  const nonsense = ["", "<html>", "null", "[]", "1", "{}", { ...grant(), url: 1 }, { ...grant(), subprotocol: "chat" }];
  const long = `${JSON.stringify(grant())}${" ".repeat(20_000)}`;
  for (const answer of [408, 425, 429, 500, 503, "offline", ...nonsense, long]) {
    newPage();
    const told = notes(connect(CHAT, { ticket: { fetch: answering(answer, grant()) } }));
    await settled();
    assert.equal(sockets.length, 0, String(answer));
    assert.match(told[0], typeof answer === "number" || answer === "offline" ? /^unavailable/ : /^answer/);
    await pass(500);
    assert.equal(sockets.length, 1, String(answer));
  }
});

test("a server that asks to be left alone is", async () => {
  const check = async (retryAfter, waits) => {
    newPage();
    connect(CHAT, { ticket: { fetch: answering([503, { "Retry-After": retryAfter }], grant()) } });
    await settled();
    await pass(waits - 1);
    assert.equal(asked.length, 1, `${retryAfter} is waited for`);
    await pass(2);
    assert.equal(asked.length, 2, `${retryAfter} is over`);
  };
  await check("7", 7250);
  await check(new Date(20_000).toUTCString(), 20_250);
  await check("soon", 250);
  await check(new Date(-20_000).toUTCString(), 250);
  await check("99999999999", 3_600_000);
});

test("an answer that never comes is not waited for without end", async () => {
  newPage();
  const told = notes(connect(CHAT, { ticket: { fetch: answering("never") }, timeout: 4000 }));
  await settled();
  await pass(3999);
  assert.deepEqual(told, []);
  await pass(1);
  assert.deepEqual(told, ["unavailable", "waiting"]);
});

test("who closes while a ticket is asked for opens nothing", async () => {
  newPage();
  const connection = connect(CHAT, { ticket: { fetch: answering("never") } });
  const told = notes(connection);
  await settled();
  connection.close();
  await settled();
  await pass(100_000);
  assert.deepEqual([told, sockets.length, asked[0].signal.aborted], [["closed"], 0, true]);
});

test("a ticket that comes too late opens nothing", async () => {
  newPage();
  let arrive;
  const late = (...request) =>
    new Promise((resolve) => (arrive = () => resolve(answering(grant())(...request))));
  const connection = connect(CHAT, { ticket: { fetch: late } });
  await settled();
  connection.close();
  arrive();
  await settled();
  assert.deepEqual([connection.state, sockets.length], ["closed", 0]);
});
