// What happens in the browser: prints `ok NAME` or `FAIL NAME` for each, `saw …` for what was wrong, and `done`.
// Called with the ports of the gateway, of the application over TLS, and of the foreign site; browser.sh has the rest.
import { createRequire } from "node:module";
import { mkdirSync, writeFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { join } from "node:path";

const { chromium } = createRequire(join(process.env.NODE_MODULES, "x.js"))("playwright-core");
const [gateway, direct, foreign] = process.argv.slice(2);
const SITE = `https://harbour.example:${gateway}`;
/** Pages that are not the application's: of another site, and of another host of the same one, to which SameSite does not matter. */
const FOREIGN = ["foreign.example", "guests.harbour.example"];
const TICKETS = "/.well-known/sockwarden/ticket";
const pictures = process.env.SCREENSHOTS;

// A visitor with an empty profile whose cookies go with the requests of foreign pages too, where the cookie says that it may, as they do
// in many a browser. No name leads off this machine.
const profile = join(process.env.WORK, "visitor");
mkdirSync(join(profile, "Default"), { recursive: true });
writeFileSync(join(profile, "Default/Preferences"), JSON.stringify({ profile: { cookie_controls_mode: 0 } }));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM,
  headless: true,
  ignoreHTTPSErrors: true,
  viewport: { width: 720, height: 560 },
  args: [
    "--ignore-certificate-errors",
    "--host-resolver-rules=MAP * 127.0.0.1",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
const page = await browser.newPage();
page.setDefaultTimeout(10_000);
const complaints = [];
page.on("console", (message) => message.text().includes("Trusted") && complaints.push(message.text()));
page.on("pageerror", (error) => complaints.push(String(error)));
let asked = 0;
page.on("request", (request) => (asked += request.url().endsWith(TICKETS) && request.method() === "POST"));

function check(name, found, expected) {
  const isRight = expected instanceof RegExp ? expected.test(found) : isDeepStrictEqual(found, expected);
  console.log(`${isRight ? "ok" : "FAIL"} ${name}`);
  if (!isRight) console.log(`saw ${JSON.stringify(found)}`);
}

/** What the tests have in the page: `chat` opens a connection that notes everything, `until` waits for a note. */
async function visit(site) {
  await page.goto(site);
  await page.evaluate(async () => {
    const { connect } = await import("/client.min.js");
    const validate = {
      type: "object",
      properties: { type: { enum: ["said", "letter"] }, by: { type: "string" }, text: { type: "string" } },
      required: ["type", "text"],
    };
    window.chat = (path, options) => {
      window.connection = connect(path, { ticket: true, validate, reconnect: { minDelay: 50 }, ...options });
      window.notes = [];
      window.connection.onState((state) => notes.push(state));
      window.connection.onError(({ code, status }) => notes.push(`${code} ${status ?? ""}`.trim()));
      window.connection.onMessage(({ type, by, text }) => notes.push(`${type} ${by ?? ""}: ${text}`));
      window.connection.onInvalid(({ reason }) => notes.push(`invalid ${reason}`));
    };
    window.until = (last) =>
      new Promise((resolve) => {
        const end = Date.now() + 5000;
        const look = () =>
          notes.includes(last) || Date.now() > end ? resolve(notes.splice(0)) : setTimeout(look, 10);
        look();
      });
    window.pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  });
}

const post = (path) => page.evaluate(async (path) => (await fetch(path, { method: "POST" })).status, path);
const LETTER = "letter : for mara alone";

async function theClient() {
  await visit(SITE);
  check(
    "who is not logged in hears so, and does not come again",
    await page.evaluate(async () => {
      chat("/chat");
      const told = await until("closed");
      await pause(1000);
      return [...told, ...notes];
    }),
    ["refused 401", "closed"],
  );
  check("one ticket was asked for", asked, 1);

  check("the visitor logs in", await post("/login?user=mara"), 204);
  check(
    "who is logged in is connected, and typed messages go and come",
    await page.evaluate(async () => {
      chat("/chat");
      connection.send({ type: "say", text: "said while connecting" });
      const first = await until("said mara: said while connecting");
      connection.send({ type: "say", text: "<b>good day</b>" });
      return [...first, ...(await until("said mara: <b>good day</b>"))];
    }),
    ["open", LETTER, "said mara: said while connecting", "said mara: <b>good day</b>"],
  );
  check(
    "what does not validate is told and not handed out",
    await page.evaluate(async () => {
      for (const text of ['{"type":"said","text":5}', "no JSON", '{"type":"order","text":""}']) {
        connection.send({ type: "repeat", text });
      }
      connection.send({ type: "repeat", text: '{"__proto__":{"admin":true},"type":"said","text":"end"}' });
      return [...(await until("said : end")), {}.admin];
    }),
    ["invalid schema", "invalid json", "invalid schema", "said : end", undefined],
  );
  asked = 0;
  check(
    "after a close by 1012 it connects anew, with a new ticket, and what waited is sent",
    await page.evaluate(async () => {
      connection.send({ type: "leave", code: 1012 });
      const lost = await until("waiting");
      connection.send({ type: "say", text: "waited" });
      return [...lost, ...(await until("said mara: waited"))];
    }),
    ["lost 1012", "waiting", "connecting", "open", LETTER, "said mara: waited"],
  );
  check("one more ticket was asked for", asked, 1);
  check(
    "after a close by 4401 it does not",
    await page.evaluate(async () => {
      connection.send({ type: "leave", code: 4401 });
      const told = await until("closed");
      await pause(1000);
      return [...told, ...notes];
    }),
    ["ended 4401", "closed"],
  );
  check("no more ticket was asked for", asked, 1);
  check(
    "the application's own sub-protocol is the one that is agreed on",
    await page.evaluate(async () => {
      chat("/chat", { protocols: ["chat.v2", "chat.v1"] });
      await until("open");
      const { protocol } = connection;
      connection.close();
      return protocol;
    }),
    "chat.v1",
  );
  check(
    "a used ticket opens no second socket",
    await page.evaluate(async (endpoint) => {
      const body = JSON.stringify({ path: "/chat" });
      const headers = { "Content-Type": "application/json" };
      const { url, subprotocol } = await (await fetch(endpoint, { method: "POST", headers, body })).json();
      const open = () =>
        new Promise((resolve) => {
          const socket = new WebSocket(url, ["chat.v1", subprotocol]);
          socket.onopen = () => resolve("open");
          socket.onerror = () => resolve("refused");
        });
      return [await open(), await open()];
    }, TICKETS),
    ["open", "refused"],
  );
  check(
    "from an https page nothing is opened in the clear",
    await page.evaluate(() => {
      const refused = (url) => {
        try {
          chat(url, { insecure: true });
        } catch ({ code }) {
          return code;
        }
      };
      return [`ws://${location.host}/chat`, "ws://127.0.0.1/chat"].map(refused);
    }),
    ["insecure", "insecure"],
  );
  check(
    "a log-out in the application ends the socket, and it does not come again",
    await page.evaluate(async () => {
      chat("/chat");
      await until("open");
      await fetch("/logout", { method: "POST" });
      return (await until("closed")).filter((note) => !note.startsWith("letter"));
    }),
    ["ended 4401", "closed"],
  );
}

async function theExample() {
  await page.goto(SITE);
  const said = "<img src=x onerror=alert(1)> & good day";
  const lines = page.locator("#log li");
  await page.click("#connect");
  await lines.filter({ hasText: "answered 401" }).waitFor();
  await page.click("#login");
  await lines.filter({ hasText: "login: done" }).waitFor();
  await page.click("#connect");
  await page.locator('#state[data-state="open"]').waitFor();
  await page.fill("#text", said);
  await page.press("#text", "Enter");
  await lines.filter({ hasText: /^mara: / }).waitFor();
  if (pictures) await page.screenshot({ path: join(pictures, "example.png") });
  check("the example shows what is said as text", (await lines.allTextContents()).at(-1), `mara: ${said}`);
  check("and no markup of it", await page.locator("#log img").count(), 0);
  check("nothing breaks the page's policy: no markup or code from text", complaints, []);
}

/** A page of another origin that the route allows. */
async function thePartner() {
  await visit(`https://partner.example:${foreign}`);
  check(
    "a page of another origin that is allowed gets tickets and connects, again after a close",
    await page.evaluate(async (url) => {
      chat(url);
      const first = await until("letter : for mara alone");
      connection.send({ type: "leave", code: 1012 });
      const then = await until("letter : for mara alone");
      connection.close();
      return [...first, ...then];
    }, `wss://harbour.example:${gateway}/partners`),
    ["open", LETTER, "lost 1012", "waiting", "connecting", "open", LETTER],
  );
  check(
    "and where it is not allowed it gets none",
    await page.evaluate(async (url) => {
      chat(url, { reconnect: false });
      return until("closed");
    }, `wss://harbour.example:${gateway}/chat`),
    ["unavailable", "closed"],
  );
}

/** The visitor is logged in, and goes on to the page of somebody else. */
async function theForeignPage(host) {
  await page.goto(`https://${host}:${foreign}`);
  const read = (url, protocols) => page.evaluate(([url, protocols]) => readFrom(url, protocols), [url, protocols]);
  const ask = (init) => page.evaluate(([url, init]) => askFor(url, "/tickets-alone", init), [SITE + TICKETS, init]);
  const at = (path) => `wss://harbour.example:${gateway}${path}`;
  const letter = /"for mara alone"/;
  const reads = async (way, url, protocols) => check(`${host} reads the visitor's letters ${way}`, await read(url, protocols), letter);
  const readsNot = async (way, url, protocols) => check(`${host} reads nothing ${way}`, await read(url, protocols), "no socket");

  await reads("from the application", `wss://harbour.example:${direct}/chat`);
  await reads("through a gateway that asks for neither origin nor ticket", at("/neither"));
  await readsNot("with the origin policy alone", at("/origin-alone"));
  await readsNot("with tickets alone", at("/tickets-alone"));
  await readsNot("with both", at("/chat"));
  await readsNot("with a ticket that it invents", at("/tickets-alone"), [`sockwarden.ticket.swt_${"A".repeat(43)}`, "sockwarden.v1"]);
  const ways = {
    "as the client does": { headers: { "Content-Type": "application/json" } },
    "as a form would": { headers: { "Content-Type": "text/plain" } },
    "without reading": { mode: "no-cors" },
    "by the header": { headers: { "Sockwarden-Ticket": "1" } },
  };
  for (const [way, init] of Object.entries(ways)) {
    check(`${host} gets no ticket ${way}`, await ask(init), /^nothing readable/);
  }
}

try {
  const parts = [theClient, theExample, thePartner, ...FOREIGN.map((host) => () => theForeignPage(host))];
  for (const part of parts) {
    await part().catch((error) => {
      console.log("FAIL it came to its end");
      console.log(`saw ${JSON.stringify(String(error))}`);
    });
  }
  console.log("done");
} finally {
  await browser.close();
}
