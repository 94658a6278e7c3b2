import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const HERE = new URL("..", import.meta.url).pathname;
const text = (path) => readFileSync(join(HERE, path), "utf8");
const manifest = JSON.parse(text("package.json"));

/** What makes markup or code of a text. */
const DANGEROUS =
  /\b(eval|Function|innerHTML|outerHTML|insertAdjacentHTML|setHTMLUnsafe|createContextualFragment|DOMParser|srcdoc|document\.write(ln)?|import)\s*[(=`:]|\bset(Timeout|Interval)\(\s*["'`]/;

test("nothing in the package makes markup or code of a text", () => {
  const files = ["src", "dist"].flatMap((folder) => readdirSync(join(HERE, folder)).map((name) => `${folder}/${name}`));
  const sources = files.filter((name) => /\.(ts|js)$/.test(name) && !name.endsWith(".d.ts"));
  assert.ok(sources.includes("dist/client.min.js") && sources.includes("src/connection.ts"));
  for (const name of sources) assert.doesNotMatch(text(name), DANGEROUS, name);
  for (const bad of ["eval(x)", "new Function (x)", "a.innerHTML = b", "document.write(x)", "setTimeout('x')", "import(x)"]) {
    assert.match(bad, DANGEROUS);
  }
});

test("it is less than 4 KB, minified and compressed", () => {
  const size = execFileSync("gzip", ["-9", "-c", join(HERE, "dist/client.min.js")]).length;
  console.log(`${size} bytes`);
  assert.ok(size > 1000 && size < 4096, `${size} bytes`);
});

test("it depends on nothing, and is built by versions that are pinned", () => {
  assert.equal(manifest.dependencies ?? manifest.peerDependencies ?? manifest.optionalDependencies, undefined);
  for (const version of Object.values(manifest.devDependencies)) assert.match(version, /^\d+\.\d+\.\d+$/);
  assert.doesNotMatch(text("package-lock.json"), /"resolved"/);
});

test("what it exports is there, and its file for pages exports the same", async () => {
  const modules = [await import("../dist/index.js"), await import("../dist/client.min.js")];
  for (const module of modules) {
    assert.deepEqual(Object.keys(module).sort(), ["Connection", "SockwardenError", "connect", "renderText"]);
  }
});

/** What the compiler says of each of these pages, as the codes of its errors. */
function compiled(pages) {
  const folder = mkdtempSync(join(tmpdir(), "sdk-types-"));
  const index = JSON.stringify(join(HERE, "dist/index.js"));
  const names = pages.map((code, number) => {
    writeFileSync(join(folder, `${number}.ts`), `import { connect, type Schema } from ${index};\n${code}\n`);
    return `${number}.ts`;
  });
  const options = ["--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", "--module", "nodenext", "--types", ""];
  const tsc = spawnSync(join(HERE, "node_modules/.bin/tsc"), [...options, ...names], { cwd: folder, encoding: "utf8" });
  rmSync(folder, { recursive: true });
  return names.map((name) => tsc.stdout.split("\n").filter((line) => line.startsWith(name)).map((line) => line.match(/TS\d+/)?.[0]));
}

test("messages have the type that was validated", () => {
  const good = `
    interface Said { text: string }
    const isSaid = (value: unknown): value is Said => true;
    const schema = { type: "object", properties: { text: { type: "string" } } } as const satisfies Schema;
    connect("/", { validate: isSaid }).onMessage((said) => said.text.trim());
    connect("/", { validate: schema }).onMessage((said) => said.text?.trim());
    const list = { type: "array", items: { type: ["integer", "null"] } } as const;
    connect("/", { validate: list }).onMessage((numbers) => numbers.map((number) => number?.toFixed()));
    connect("/", { ticket: true, validate: { type: "object", properties: { kind: { enum: ["a", 1] }, all: { type: "array", items: schema } }, required: ["kind"] } })
      .onMessage(({ kind, all }) => { const either: "a" | 1 = kind; all?.[0]?.text; return either; });
    const zodLike = { type: "object" as const, safeParse: (value: unknown) => ({ success: true as const, data: { text: "a" } }) };
    connect("/", { validate: zodLike }).onMessage((said) => said.text.trim());
    connect<Said>("/", { validate: schema }).onMessage((said) => said.text.trim());
    connect("/", { validate: { parse: (value: unknown) => 1 } }).onMessage((number) => number.toFixed());
    connect("/", { raw: true }).onMessage((data) => typeof data === "string" ? data.trim() : data.byteLength);
    connect("/", { raw: true }).send(new Uint8Array(1));
    connect<Said, { say: string }>("/", { validate: isSaid, ticket: true }).send({ say: "a" });
    (async () => { for await (const said of connect("/", { validate: isSaid })) said.text.trim(); })();`;
  const unknown = 'connect("/").onMessage((message) => message.text);';
  const unvalidated = 'connect<{ text: string }>("/").onMessage(() => 1);';
  const optional = 'connect("/", { validate: { type: "object", properties: { text: { type: "string" } } } }).onMessage(({ text }) => text.trim());';
  const wrongWord = 'connect("/", { validate: { type: "text" } });';
  const notRaw = 'connect("/", { raw: true }).send({});';
  const pages = [good, unknown, unvalidated, notRaw, optional, wrongWord];
  assert.deepEqual(compiled(pages), [[], ["TS18046"], ["TS2554"], ["TS2345"], ["TS18048"], ["TS2769"]]);
});
