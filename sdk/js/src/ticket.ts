import { requestAddress, socketAddress } from "./address.js";
import { SockwardenError } from "./error.js";

/** How tickets are asked for. */
export interface TicketOptions {
  /** Where: a URL, relative to the socket's host over https. Default: `/.well-known/sockwarden/ticket`. */
  endpoint?: string;
  /** Whether the page's cookies are sent with it. Default: `include`. */
  credentials?: RequestCredentials;
  /** Headers to add, or a function that gives them anew for each request, such as an Authorization that changes. */
  headers?: HeadersInit | (() => HeadersInit | Promise<HeadersInit>);
  /** What fetches it. Default: the page's `fetch`. */
  fetch?: typeof fetch;
}

/** A ticket: where it opens a socket, and as which sub-protocol it is sent. */
export interface Grant {
  url: URL;
  subprotocol: string;
}

const ENDPOINT = "/.well-known/sockwarden/ticket";
const SUBPROTOCOL = /^sockwarden\.ticket\.[\w-]{1,256}$/;
/** Those that may change their mind by themselves: Request Timeout, Too Early, Too Many Requests. */
const PASSING = [408, 425, 429];
const LONGEST_ANSWER = 16_384;

/** Asks for a ticket that opens `socket` once. */
export async function fetchTicket(
  socket: URL,
  options: TicketOptions,
  insecure: boolean | undefined,
  signal: AbortSignal,
): Promise<Grant> {
  const endpoint = requestAddress(
    socketAddress(new URL(options.endpoint ?? ENDPOINT, requestAddress(socket)), insecure),
  );
  const { headers: given, fetch: fetcher = fetch } = options;
  let response: Response;
  let text: string;
  try {
    const headers = new Headers(typeof given === "function" ? await given() : given);
    headers.set("Content-Type", "application/json");
    response = await fetcher(endpoint, {
      method: "POST",
      credentials: options.credentials ?? "include",
      headers,
      body: JSON.stringify({ path: socket.pathname + socket.search }),
      // Who is sent elsewhere, to log in, has been refused.
      redirect: "manual",
      cache: "no-store",
      signal,
    });
    text = await response.text();
  } catch {
    throw new SockwardenError("unavailable", "the ticket endpoint cannot be asked");
  }
  const { status } = response;
  if (!response.ok) {
    const code = PASSING.includes(status) || status > 499 ? "unavailable" : "refused";
    throw new SockwardenError(
      code,
      `the ticket endpoint answered ${status || "by a redirect"}`,
      status,
      patience(response.headers.get("Retry-After")),
    );
  }
  return readGrant(text, socket, insecure);
}

function readGrant(text: string, socket: URL, insecure: boolean | undefined): Grant {
  let subprotocol: unknown;
  let address: unknown;
  try {
    if (text.length <= LONGEST_ANSWER) ({ subprotocol, url: address } = JSON.parse(text));
  } catch {
    // Told below: nothing was found.
  }
  if (typeof subprotocol !== "string" || typeof address !== "string" || !SUBPROTOCOL.test(subprotocol)) {
    throw new SockwardenError("answer", "the ticket endpoint's answer is no ticket");
  }
  const url = socketAddress(address, insecure);
  if (url.host !== socket.host) {
    throw new SockwardenError("insecure", "the ticket is for another host");
  }
  return { url, subprotocol };
}

/** Reads Retry-After, seconds or a date, in milliseconds. */
function patience(text: string | null): number {
  if (!text) return 0;
  const wait = /^\d+$/.test(text) ? +text * 1000 : Date.parse(text) - Date.now();
  return wait > 0 ? wait : 0;
}
