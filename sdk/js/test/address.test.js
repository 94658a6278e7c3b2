import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../dist/index.js";
import { socketAddress } from "../dist/address.js";
import { asked, answering, grant, newPage, notes, settled, sockets } from "./lib/page.js";

/** What becomes of an address on a page: the address that is opened, or the code of the error. */
function check(page, address, expected, insecure) {
  newPage(page);
  let found;
  try {
    found = socketAddress(address, insecure).href;
  } catch (error) {
    found = error.code;
  }
  assert.equal(found, expected, `${address} on ${page}`);
}

test("what is not encrypted stays on this machine", () => {
  check(undefined, "wss://app.example/chat?a=b#c", "wss://app.example/chat?a=b");
  check(undefined, "ws://app.example/chat", "insecure");
  check(undefined, "ws://app.example/chat", "ws://app.example/chat", true);
  check("http://app.example/", "ws://app.example/chat", "insecure");
  for (const host of ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9:81", "[::1]:8080", "2130706433"]) {
    check(undefined, `ws://${host}/`, `ws://${host === "2130706433" ? "127.0.0.1" : host}/`);
  }
  for (const host of ["localhost.example", "127.0.0.1.example", "128.0.0.1", "[::2]", "10.0.0.1", "0.0.0.0"]) {
    check(undefined, `ws://${host}/`, "insecure");
  }
});

test("from an https page nothing is sent in the clear, whatever is said", () => {
  check("https://app.example/", "ws://app.example/", "insecure", true);
  check("https://app.example/", "ws://127.0.0.1/", "insecure", true);
  check("https://app.example/", "http://app.example/", "insecure", true);
  check("https://app.example/", "wss://other.example/", "wss://other.example/");
});

test("an address may be relative to the page", () => {
  check("https://app.example/a/b", "/chat", "wss://app.example/chat");
  check("https://app.example/a/b", "chat", "wss://app.example/a/chat");
  check("http://127.0.0.1:81/a", "/chat", "ws://127.0.0.1:81/chat");
  check(undefined, "/chat", "options");
});

test("what is no address of a socket is refused", () => {
  for (const address of ["", "ftp://app.example/", "javascript:alert(1)", "wss://mara:secret@app.example/", "wss://"]) {
    check(undefined, address, "options");
  }
  newPage();
  assert.throws(() => connect("ws://app.example/"), { name: "SockwardenError", code: "insecure" });
});

test("a ticket is asked for as safely as it is used, and opens the host that was asked for", async () => {
  const check = async (ticket, answer, expected) => {
    newPage("https://app.example/");
    const connection = connect("/chat", { ticket: { ...ticket, fetch: answering(answer) } });
    const told = notes(connection);
    await settled();
    assert.deepEqual([told, sockets.length], expected, JSON.stringify([ticket, answer]));
    connection.close();
  };
  const no = [["insecure", "closed"], 0];
  await check({}, grant(1), [[], 1]);
  await check({}, grant(1, "ws://app.example/chat"), no);
  await check({}, grant(1, "wss://evil.example/chat"), no);
  await check({}, grant(1, "wss://app.example:444/chat"), no);
  await check({}, grant(1, "wss://app.example@evil.example/chat"), [["options", "closed"], 0]);
  await check({ endpoint: "http://app.example/ticket" }, grant(1), no);
  assert.equal(asked.length, 0, "nothing was sent");
  await check({ endpoint: "https://login.example/ticket" }, grant(1), [[], 1]);
  assert.equal(asked[0].url, "https://login.example/ticket");
});
