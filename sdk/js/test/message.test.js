import assert from "node:assert/strict";
import { test } from "node:test";
import { readMessage } from "../dist/message.js";
import { checker } from "../dist/schema.js";
import { connect, renderText } from "../dist/index.js";
import { newPage, notes, settled, sockets } from "./lib/page.js";

const ANY = checker(undefined);
const read = (text, most = 1000) => readMessage(text, most, ANY);

test("text is read as JSON and nothing else", () => {
  const check = (text, expected) => assert.deepEqual(read(text), expected, String(text));
  check('{"a":[1,null,"ü"]}', { data: { a: [1, null, "ü"] } });
  check("0", { data: 0 });
  check('"<img onerror=alert(1)>"', { data: "<img onerror=alert(1)>" });
  for (const text of ["", "{", "undefined", "alert(1)", "{a:1}", "NaN", "[1,]", "1 2", "\ufeff1"]) check(text, { reason: "json" });
  check(new ArrayBuffer(2), { reason: "binary" });
});

test("a size is counted in bytes", () => {
  assert.deepEqual(read('"123"', 5), { data: "123" });
  assert.deepEqual(read('"1234"', 5), { reason: "size" });
  assert.deepEqual(read('"üü"', 5), { reason: "size" });
  assert.deepEqual(read('"ü"', 4), { data: "ü" });
});

test("no message reaches what all objects share", () => {
  const check = (text, expected) => assert.equal(JSON.stringify(read(text).data), expected, text);
  check('{"__proto__":{"admin":true},"a":1}', '{"a":1}');
  check('{"constructor":{"prototype":{"admin":true}},"a":1}', '{"a":1}');
  check('{"prototype":1,"a":1}', '{"a":1}');
  check('[[{"a":[{"\\u005f_proto__":{"admin":true}}]}]]', '[[{"a":[{}]}]]');
  check('{"__proto__":1,"__proto__":2,"_proto_":3}', '{"_proto_":3}');

  // What many an application does with a message.
  const merge = (target, source) => {
    for (const key in source) {
      if (typeof source[key] === "object") target[key] = merge(target[key] ?? {}, source[key]);
      else target[key] = source[key];
    }
    return target;
  };
  const attacks = ['{"__proto__":{"admin":true}}', '{"constructor":{"prototype":{"admin":true}}}'];
  for (const attack of attacks) {
    merge({}, read(attack).data);
    assert.equal({}.admin, undefined, attack);
  }
  merge({}, JSON.parse(attacks[0]));
  assert.equal({}.admin, true, "the attack works without");
  delete Object.prototype.admin;
});

test("what is nested deeply exhausts nothing", () => {
  const nested = (depth) => "[".repeat(depth) + "]".repeat(depth);
  assert.ok("data" in read(nested(100)));
  assert.deepEqual(read(nested(101)), { reason: "depth" });
  assert.deepEqual(read(nested(400_000), 1_000_000), { reason: "depth" });
  assert.deepEqual(read('{"a":'.repeat(100_000) + "1" + "}".repeat(100_000), 1_000_000), { reason: "depth" });
});

/** Which of the values a validator passes, as JSON. */
function passed(validate, values) {
  const check = checker(validate);
  const found = values.map((value) => readMessage(JSON.stringify(value), 1000, check));
  return found.filter((reading) => "data" in reading).map(({ data }) => JSON.stringify(data));
}

test("a guard, a parser and a schema tell who is handed out", () => {
  const values = [{ text: "a" }, { text: 1 }, {}, null, "text", [{ text: "a" }]];
  const isSaying = (value) => typeof value?.text === "string";
  const parse = (value) => {
    if (!isSaying(value)) throw new TypeError("no");
    return { text: value.text.toUpperCase() };
  };
  const safeParse = (value) => (isSaying(value) ? { success: true, data: parse(value) } : { success: false });
  assert.deepEqual(passed(isSaying, values), ['{"text":"a"}']);
  assert.deepEqual(passed({ parse }, values), ['{"text":"A"}']);
  assert.deepEqual(passed({ safeParse, parse: () => assert.fail() }, values), ['{"text":"A"}']);
  const schema = { type: "object", properties: { text: { type: "string" } }, required: ["text"] };
  assert.deepEqual(passed(schema, values), ['{"text":"a"}']);
  const faulty = () => {
    throw new Error("a fault of the guard");
  };
  assert.deepEqual(passed(faulty, values), []);
});

test("each word of a schema holds", () => {
  const check = (schema, good, bad) => {
    assert.deepEqual(passed(schema, good), good.map((value) => JSON.stringify(value)), JSON.stringify(schema));
    assert.deepEqual(passed(schema, bad), [], JSON.stringify(schema));
  };
  const all = { object: {}, array: [], string: "", number: 1.5, boolean: false, null: null };
  for (const [type, value] of Object.entries(all)) {
    check({ type }, [value], Object.values(all).filter((other) => other !== value));
  }
  check({ type: "integer" }, [1, -2, 0, 1e3], [1.5, "1", null]);
  check({ type: ["string", "null"] }, ["", null], [0, {}]);
  check({ enum: ["a", 1, null] }, ["a", 1, null], ["b", "1", 2, [], {}]);
  check({ type: "string", maxLength: 2 }, ["", "ab"], ["abc"]);
  check({ type: "number", minimum: 0, maximum: 1 }, [0, 1, 0.5], [-1, 1.1, "0"]);
  check({ type: "array", maxItems: 1, items: { type: "number" } }, [[], [1]], [["1"], [1, 2]]);
  check({ properties: { a: { type: "number" } } }, [{}, { a: 1 }, { b: 1 }, "a"], [{ a: "1" }]);
  check({ required: ["a"] }, [{ a: 1 }, { a: null }], [{}, { b: 1 }]);
  check({ required: ["toString"] }, [{ toString: 1 }], [{}]);
  check({ properties: { valueOf: { type: "number" } } }, [{}, { valueOf: 1 }], [{ valueOf: "1" }]);
  check({ properties: { a: {} }, additionalProperties: false }, [{}, { a: 1 }], [{ b: 1 }, { a: 1, toString: 1 }]);
  check({ type: "object", additionalProperties: false }, [{}], [{ a: 1 }]);
  check({}, [1, "a", null, {}], []);
});

test("a schema that says what is not understood is refused", () => {
  newPage();
  for (const word of ["pattern", "$ref", "oneOf", "format", "toString"]) {
    const validate = { type: "object", properties: { a: { [word]: "x" } } };
    assert.throws(() => connect("wss://app.example/", { validate }), { code: "options" }, word);
  }
});

test("what does not validate is told and not handed out", async () => {
  newPage();
  const told = notes(connect("wss://app.example/", { validate: { type: "number" }, maxMessageSize: 10 }));
  await settled();
  sockets[0].open();
  for (const data of ["1", '"a"', "{", "1".repeat(11), new ArrayBuffer(1), "2"]) sockets[0].say(data);
  const invalid = ["schema", "json", "size", "binary"].map((reason) => ({ invalid: reason }));
  assert.deepEqual(told, ["open", { message: 1 }, ...invalid, { message: 2 }]);
});

test("a text is shown as text, and not as code", () => {
  const element = { localName: "p", set innerHTML(_) { assert.fail(); } };
  renderText(element, "<img src=x onerror=alert(1)>");
  assert.equal(element.textContent, "<img src=x onerror=alert(1)>");
  renderText(element, null);
  assert.equal(element.textContent, "null");
  for (const localName of ["script", "SCRIPT", "style"]) {
    assert.throws(() => renderText({ localName }, "alert(1)"), { code: "options" });
  }
});
