import { SockwardenError } from "./error.js";
import type { ReconnectOptions } from "./backoff.js";
import type { Validator } from "./schema.js";
import type { TicketOptions } from "./ticket.js";

/** How a connection is opened, kept open and read. */
export interface Options<T> {
  /** Whether each socket is opened with a ticket of its own, asked for with the page's session. */
  ticket?: boolean | TicketOptions;
  /** The application's own sub-protocols. */
  protocols?: string | readonly string[];
  /** What a message must be to be handed out. */
  validate?: Validator<T>;
  /** Hands out text and ArrayBuffer as they come, and sends the same. */
  raw?: boolean;
  /** When a lost connection is opened anew; `false`: never. */
  reconnect?: ReconnectOptions | false;
  /** What may wait to be sent. Default: 100 messages, 1 MiB in all. */
  queue?: { messages?: number; bytes?: number };
  /** The largest message that is read, in bytes. Default: 1 MiB. */
  maxMessageSize?: number;
  /** How many messages may wait for the reader of an iterator. Default: 1,000. */
  maxUnread?: number;
  /** How long a ticket or a handshake may take, in milliseconds. Default: 10,000. */
  timeout?: number;
  /** Allows ws:// to other machines, from pages that are not https themselves: for development. */
  insecure?: boolean;
}

/** The limits that are not said, and those that are; each must be a number above zero. */
export function limits(options: Options<unknown>): { [name in Limit]: number } {
  const found = {
    messages: options.queue?.messages ?? 100,
    bytes: options.queue?.bytes ?? 1_048_576,
    maxMessageSize: options.maxMessageSize ?? 1_048_576,
    maxUnread: options.maxUnread ?? 1000,
    timeout: options.timeout ?? 10_000,
  };
  if (!Object.values(found).every((limit) => limit > 0)) {
    throw new SockwardenError("options", "limits are numbers above zero");
  }
  return found;
}

type Limit = "messages" | "bytes" | "maxMessageSize" | "maxUnread" | "timeout";
