"use strict";

const byId = (id) => document.getElementById(id);
const RETRY_MS = 3000;
const SHOWN_POSTS = 200;

let socket = null;
let room = null;
let nextId = 1;
let credentials = null;
const waiting = new Map();

function element(tag, text) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  return made;
}

function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = text === "";
}

function ask(request) {
  if (socket === null || socket.readyState !== WebSocket.OPEN) return Promise.reject(new Error("Not connected."));
  const id = nextId++;
  socket.send(JSON.stringify({ ...request, id }));
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

function tell(promise) {
  promise.catch((error) => notice(error.message));
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const mine = new WebSocket(`${scheme}//${location.host}/ws`);
  socket = mine;
  mine.onmessage = (event) => hear(JSON.parse(event.data));
  mine.onclose = () => {
    for (const { reject } of waiting.values()) reject(new Error("The connection is gone."));
    waiting.clear();
    if (socket !== mine) return;
    socket = null;
    tell(whoAmI().then((user) => {
      if (user !== null) setTimeout(() => { if (socket === null) connect(); }, RETRY_MS);
    }));
  };
}

function reconnect() {
  const former = socket;
  socket = null;
  if (former !== null) former.close();
  room = null;
  byId("talk").replaceChildren();
  connect();
}

function hear(message) {
  const asked = message.id === undefined ? undefined : waiting.get(message.id);
  if (asked !== undefined) {
    waiting.delete(message.id);
    if (message.type === "error") asked.reject(new Error(message.message));
    else asked.resolve(message);
  }
  switch (message.type) {
    case "hello": tell(welcome(message)); break;
    case "status": showStatus(message); break;
    case "chat": if (message.room === room) showPost(message); break;
    case "error": if (asked === undefined) notice(message.message); break;
  }
}

async function welcome({ user, role }) {
  notice("");
  // A browser may keep no cookie from a plain port; then the socket itself is told who we are.
  if (user === null && credentials !== null) ({ user, role } = await ask({ type: "login", ...credentials }));
  credentials = null;
  byId("who-name").textContent = user === null ? "guest" : `${user} · ${role}`;
  byId("logout").hidden = user === null;
  byId("login-panel").hidden = user !== null;
  byId("account-panel").hidden = user === null;
  byId("admin-panel").hidden = role !== "admin";
  showRooms((await ask({ type: "rooms" })).rooms);
  await ask({ type: "status" });
  if (user !== null) showAccount(await ask({ type: "me" }));
  if (role === "admin") showAccounts((await ask({ type: "admin.accounts" })).accounts);
}

function showRooms(rooms) {
  byId("rooms").replaceChildren(...rooms.map(({ room: name, topic }) => {
    const button = element("button", name);
    button.type = "button";
    button.title = topic;
    button.onclick = () => tell(enter(name, topic, button));
    const item = element("li");
    item.append(button);
    return item;
  }));
}

async function enter(name, topic, button) {
  await ask({ type: "join", room: name });
  const { posts } = await ask({ type: "history", room: name });
  room = name;
  for (const other of byId("rooms").querySelectorAll("button")) other.removeAttribute("aria-current");
  button.setAttribute("aria-current", "true");
  byId("talk-title").textContent = `${name}: ${topic}`;
  byId("talk").replaceChildren();
  posts.forEach(showPost);
  for (const control of byId("say").elements) control.disabled = false;
}

function showPost({ user, text, at }) {
  const item = element("li");
  const words = element("p");
  renderChat(words, text);
  item.append(element("b", user), element("time", new Date(at * 1000).toLocaleTimeString()), words);
  const talk = byId("talk");
  talk.append(item);
  while (talk.childElementCount > SHOWN_POSTS) talk.firstElementChild.remove();
  item.scrollIntoView({ block: "end" });
}

function showAccount({ user, name, email, card, balance_cents: cents }) {
  const rows = { User: user, Name: name, "E-mail": email, Card: `•••• ${card.slice(-4)}`, Balance: euros(cents) };
  byId("account").replaceChildren(...Object.entries(rows).flatMap(([key, value]) => [element("dt", key), element("dd", value)]));
}

function showAccounts(accounts) {
  byId("accounts").replaceChildren(...accounts.map(({ user, role, balance_cents: cents }) => {
    const row = element("tr");
    const next = role === "clerk" ? "member" : "clerk";
    const change = element("td");
    if (role !== "admin") {
      const button = element("button", `Make ${next}`);
      button.type = "button";
      button.onclick = () => tell(grant(user, next));
      change.append(button);
    }
    row.append(element("td", user), element("td", role), element("td", euros(cents)), change);
    return row;
  }));
}

async function grant(user, role) {
  await ask({ type: "admin.grant", user, role });
  showAccounts((await ask({ type: "admin.accounts" })).accounts);
}

function showShipments({ shipments, more }) {
  byId("found").textContent = `${shipments.length}${more ? " and more" : ""} found`;
  byId("shipments").replaceChildren(...shipments.map((shipment) => {
    const row = element("tr");
    for (const key of ["id", "vessel", "cargo", "status", "arrives"]) row.append(element("td", shipment[key]));
    return row;
  }));
}

function showStatus({ shipments, wind_knots: wind, tide_cm: tide }) {
  byId("wind").textContent = `${wind} kn`;
  byId("tide").textContent = `${tide > 0 ? "+" : ""}${tide} cm`;
  for (const status of ["at sea", "at anchor", "unloading", "cleared"]) {
    byId(status.replace(" ", "-")).textContent = shipments[status] ?? 0;
  }
}

function euros(cents) {
  return (cents / 100).toLocaleString("en", { style: "currency", currency: "EUR" });
}

async function whoAmI() {
  const answer = await fetch("/api/session");
  if (answer.ok) return (await answer.json()).user;
  byId("who-name").textContent = "guest";
  byId("logout").hidden = true;
  byId("login-panel").hidden = false;
  byId("account-panel").hidden = true;
  byId("admin-panel").hidden = true;
  return null;
}

byId("login").onsubmit = (event) => {
  event.preventDefault();
  const given = { user: byId("login-user").value, password: byId("login-password").value };
  tell((async () => {
    const answer = await fetch("/login", { method: "POST", body: JSON.stringify(given) });
    if (!answer.ok) throw new Error((await answer.json()).error);
    byId("login").reset();
    credentials = given;
    reconnect();
  })());
};

byId("logout").onclick = () => tell((async () => {
  await fetch("/logout", { method: "POST" });
  location.reload();
})());

byId("say").onsubmit = (event) => {
  event.preventDefault();
  const text = byId("say-text").value;
  byId("say").reset();
  tell(ask({ type: "post", room, text }));
};

byId("search").onsubmit = (event) => {
  event.preventDefault();
  tell(ask({ type: "search", q: byId("search-text").value }).then(showShipments));
};

// A guest's socket opens only where Harbor lets guests in; elsewhere the login form waits.
connect();
