// A page that talks over a socket which is opened with a ticket. What others say is shown as text, whatever they say.
import { connect, renderText } from "/client.min.js";

const byId = (id) => document.getElementById(id);

/** What the server may say; anything else is not handed out. */
const MESSAGE = {
  type: "object",
  properties: {
    type: { enum: ["said", "letter"] },
    by: { type: "string", maxLength: 64 },
    to: { type: "string", maxLength: 64 },
    text: { type: "string", maxLength: 2000 },
  },
  required: ["type", "text"],
  additionalProperties: false,
};

let connection;

function show(kind, text) {
  const line = document.createElement("li");
  line.dataset.kind = kind;
  renderText(line, text);
  byId("log").append(line);
}

function showState(state) {
  renderText(byId("state"), state);
  byId("state").dataset.state = state;
}

byId("connect").addEventListener("click", () => {
  connection?.close();
  connection = connect("/chat", { ticket: true, validate: MESSAGE });
  showState(connection.state);
  connection.onState(showState);
  connection.onError((error) => show("note", error.message));
  connection.onInvalid(({ reason }) => show("note", `a message was left out (${reason})`));
  connection.onMessage(({ by, to, text }) => show("message", by ? `${by}: ${text}` : `to ${to}: ${text}`));
});

byId("say").addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    connection?.send({ type: "say", text: byId("text").value });
    byId("text").value = "";
  } catch (error) {
    show("note", error.message);
  }
});

for (const [id, path] of [["login", "/login?user=mara"], ["logout", "/logout"]]) {
  byId(id).addEventListener("click", async () => {
    const { ok } = await fetch(path, { method: "POST" });
    show("note", ok ? `${id}: done` : `${id}: failed`);
  });
}
