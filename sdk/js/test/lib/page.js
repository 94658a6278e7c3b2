// A page for the tests: its sockets, its fetch and its clock are the test's. No test waits.
import { mock } from "node:test";

/** The sockets that were opened since the page was made, oldest first. */
export const sockets = [];
/** What was asked for, oldest first: `{ url, path, ...init }`. */
export const asked = [];

export class FakeWebSocket {
  readyState = 0;
  bufferedAmount = 0;
  protocol = "";
  sent = [];
  closedBy = undefined;

  constructor(url, protocols) {
    Object.assign(this, { url: String(url), protocols });
    sockets.push(this);
  }

  send(data) {
    if (this.readyState !== 1) throw new Error("not open");
    this.sent.push(data);
  }

  close(code, reason) {
    if (this.readyState >= 2) return;
    this.closedBy = { code, reason };
    this.readyState = 2;
  }

  /** The server agrees. */
  open() {
    this.readyState = 1;
    this.onopen();
  }

  /** A message comes; what is no text or bytes comes as JSON. */
  say(data) {
    const isRaw = typeof data === "string" || data instanceof ArrayBuffer;
    this.onmessage({ data: isRaw ? data : JSON.stringify(data) });
  }

  /** It is closed, or could not be opened. */
  async end(code) {
    this.readyState = 3;
    this.onclose({ code, reason: "" });
    await settled();
  }
}

/** Makes a new page; `page` is its address, or none. */
export function newPage(page) {
  sockets.length = asked.length = 0;
  globalThis.WebSocket = FakeWebSocket;
  globalThis.location = page && new URL(page);
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  mock.method(Math, "random", () => 0.5);
}

/** Lets everything happen that waits for nothing but its turn. */
export async function settled() {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets time go by. */
export async function pass(milliseconds) {
  mock.timers.tick(milliseconds);
  await settled();
}

/** A fetch that gives these answers, in turn, and the last one ever after: a status, `[status, headers]`, an object or a text. */
export function answering(...answers) {
  return async (url, init) => {
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    asked.push({ url: String(url), ...init, headers: Object.fromEntries(init.headers) });
    if (answer === "offline") throw new TypeError("failed to fetch");
    if (answer === "never") {
      await new Promise((_, reject) => init.signal.addEventListener("abort", () => reject(init.signal.reason)));
    }
    if (typeof answer === "number") return new Response("no", { status: answer });
    if (Array.isArray(answer)) return new Response("no", { status: answer[0], headers: answer[1] });
    return new Response(typeof answer === "string" ? answer : JSON.stringify(answer));
  };
}

/** What the endpoint answers: the ticket with this number. */
export function grant(number = 1, url = "wss://app.example/chat") {
  const ticket = `swt_${String(number).padStart(43, "A")}`;
  return { ticket, expires_in: 30, url, subprotocol: `sockwarden.ticket.${ticket}` };
}

/** Writes down what a connection tells: states and the codes of errors, messages and why others are invalid. */
export function notes(connection) {
  const told = [];
  connection.onState((state) => told.push(state));
  connection.onError((error) => told.push(`${error.code} ${error.status ?? ""}`.trim()));
  connection.onMessage((message) => told.push({ message }));
  connection.onInvalid(({ reason }) => told.push({ invalid: reason }));
  return told;
}
