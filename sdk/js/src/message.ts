import type { Check } from "./schema.js";

/** Why a message is not handed out: too large, no text, no JSON, nested too deeply, or not what `validate` asks for. */
export type InvalidReason = "size" | "binary" | "json" | "depth" | "schema";

export type Reading<T> = { data: T } | { reason: InvalidReason };

/** Deeper than any message, and less than what exhausts the stack. */
const DEEPEST = 100;
/** Where an object that is merged from a message could reach what all objects share. */
const SHARED = ["__proto__", "constructor", "prototype"];

const encoder = new TextEncoder();

/** Gives the size in bytes: of a text in UTF-8. */
export function sizeOf(data: string | ArrayBuffer | ArrayBufferView): number {
  return typeof data === "string" ? encoder.encode(data).length : data.byteLength;
}

/** Reads a message of at most `most` bytes as JSON and hands out what the check passes. */
export function readMessage<T>(data: string | ArrayBuffer, most: number, check: Check<T>): Reading<T> {
  if (typeof data !== "string") return { reason: "binary" };
  // A unit of UTF-16 is a byte or more.
  if (data.length > most || sizeOf(data) > most) return { reason: "size" };
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return { reason: "json" };
  }
  if (!clean(value, DEEPEST)) return { reason: "depth" };
  try {
    return check(value) ?? { reason: "schema" };
  } catch {
    return { reason: "schema" };
  }
}

/** Drops the keys of `SHARED`, at any depth down to `depth`; tells whether there was nothing below that. */
function clean(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || !value) return true;
  if (!depth) return false;
  for (const key of SHARED) {
    if (Object.hasOwn(value, key)) delete (value as Record<string, unknown>)[key];
  }
  return Object.values(value).every((part) => clean(part, depth - 1));
}
