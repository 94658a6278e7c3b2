import { Connection, type RawData } from "./connection.js";
import type { Options } from "./options.js";
import type { Described, Schema } from "./schema.js";

export type { ReconnectOptions } from "./backoff.js";
export { Connection, type Invalid, type RawData, type State } from "./connection.js";
export { type ErrorCode, SockwardenError } from "./error.js";
export type { InvalidReason } from "./message.js";
export type { Options } from "./options.js";
export { renderText } from "./render.js";
export type { Described, Schema, Validator } from "./schema.js";
export type { TicketOptions } from "./ticket.js";

/**
 * Opens a connection that is kept open: with a fresh ticket for each socket where `ticket` is said, and with messages of type T
 * alone, which `validate` tells from others: a schema tells it by itself. Without `validate` messages are unknown.
 */
export function connect(
  url: string | URL,
  options: Omit<Options<never>, "validate"> & { raw: true },
): Connection<string | ArrayBuffer, RawData>;
export function connect<const V extends Schema>(
  url: string | URL,
  options: Options<never> & { validate: V & { parse?: never; safeParse?: never } },
): Connection<Described<V>>;
export function connect<T, S = unknown>(
  url: string | URL,
  options: Options<T> & { validate: NonNullable<Options<T>["validate"]> },
): Connection<T, S>;
export function connect(url: string | URL, options?: Options<unknown>): Connection<unknown>;
export function connect<T, S>(url: string | URL, options?: Options<T>): Connection<T, S> {
  return new Connection<T, S>(url, options);
}
