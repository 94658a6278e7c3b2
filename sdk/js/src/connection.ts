import { socketAddress } from "./address.js";
import { delay, reconnecting } from "./backoff.js";
import { SockwardenError } from "./error.js";
import { type InvalidReason, readMessage, sizeOf } from "./message.js";
import { limits, type Options } from "./options.js";
import { checker } from "./schema.js";
import { fetchTicket } from "./ticket.js";

/** `waiting` is the time between two attempts; nothing follows `closed`. */
export type State = "connecting" | "open" | "waiting" | "closed";

/** What is sent where `raw` is said. */
export type RawData = string | ArrayBuffer | ArrayBufferView<ArrayBuffer>;

/** A message that is not handed out: why, and how large it is; what stands in it stays here. */
export interface Invalid {
  reason: InvalidReason;
  size: number;
}

interface Events<T> {
  message: T;
  invalid: Invalid;
  state: State;
  error: SockwardenError;
}

/** How an attempt ended; `lasted` is how long the socket was open, in milliseconds. */
interface Outcome {
  error: SockwardenError | undefined;
  isFinal: boolean;
  lasted: number;
}

/** What is offered beside a ticket where the application offers nothing: browsers insist that something is agreed on. */
const OWN_SUBPROTOCOL = "sockwarden.v1";
/** A socket that lasted so long was no failure, in milliseconds. */
const STEADY = 5000;

/** One conversation with a server, over one socket after the other. */
export class Connection<T, S = unknown> implements AsyncIterable<T> {
  readonly #options: Options<T>;
  readonly #limits: ReturnType<typeof limits>;
  readonly #reconnect: ReturnType<typeof reconnecting>;
  readonly #read: (data: string | ArrayBuffer) => ReturnType<typeof readMessage<T>>;
  readonly #url: URL;
  readonly #listeners: { [name in keyof Events<T>]?: Set<(event: Events<T>[name]) => void> } = {};
  /** Ends everything that is under way. */
  readonly #life = new AbortController();
  #state: State = "connecting";
  #error: SockwardenError | undefined;
  #socket: WebSocket | undefined;
  #queue: RawData[] = [];
  #queued = 0;

  /** Opens it; throws a SockwardenError where address or options are not right. */
  constructor(url: string | URL, options: Options<T> = {}) {
    this.#options = options;
    this.#url = socketAddress(url, options.insecure);
    this.#limits = limits(options);
    this.#reconnect = reconnecting(options.reconnect);
    if (options.raw && options.validate) {
      throw new SockwardenError("options", "raw messages are not validated");
    }
    const check = checker(options.validate);
    const most = this.#limits.maxMessageSize;
    this.#read = (data) => {
      if (!options.raw) return readMessage(data, most, check);
      return sizeOf(data) > most ? { reason: "size" } : { data: data as T };
    };
    void this.#run();
  }

  get state(): State {
    return this.#state;
  }

  /** The application's sub-protocol that was agreed on. */
  get protocol(): string {
    const protocol = this.#socket?.protocol ?? "";
    return protocol === OWN_SUBPROTOCOL ? "" : protocol;
  }

  /** Hears each message that was found valid. This and the others give a function that ends the listening. */
  onMessage(listener: (message: T) => void): () => void {
    return this.#on("message", listener);
  }

  /** Hears of each message that is not handed out. */
  onInvalid(listener: (invalid: Invalid) => void): () => void {
    return this.#on("invalid", listener);
  }

  /** Hears each change of the state. */
  onState(listener: (state: State) => void): () => void {
    return this.#on("state", listener);
  }

  /** Hears of each attempt that failed and each socket that was lost. The one after which nothing is tried anew comes before `closed`. */
  onError(listener: (error: SockwardenError) => void): () => void {
    return this.#on("error", listener);
  }

  /**
   * Sends a value as JSON (as it is where `raw` is said), or keeps it until there is a socket again. What was given to a socket that is
   * then lost is not sent again. Throws `full` where too much waits already, and `closed`.
   */
  send(value: S): void {
    const data = (this.#options.raw ? value : JSON.stringify(value)) as RawData | undefined;
    if (data === undefined) throw new SockwardenError("options", "the value is nothing in JSON");
    if (this.#state === "closed") throw new SockwardenError("closed", "the connection is closed");
    const socket = this.#openSocket();
    const size = sizeOf(data);
    const waiting = this.#queued + (socket?.bufferedAmount ?? 0);
    if (!(waiting + size <= this.#limits.bytes) || this.#queue.length >= this.#limits.messages) {
      throw new SockwardenError("full", "too much waits to be sent");
    }
    if (socket) return socket.send(data);
    this.#queue.push(data);
    this.#queued += size;
  }

  /** Ends it for good: by 1000, or a code of the application's from 3000 to 4999. */
  close(code = 1000, reason = ""): void {
    this.#socket?.close(code, reason);
    this.#end();
  }

  /** Gives the messages from now on; ends when the connection is closed, and throws what it was closed by. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    const unread: T[] = [];
    let isLate = false;
    let wake = () => {};
    const ends = [
      this.onMessage((message) => {
        isLate ||= unread.length >= this.#limits.maxUnread;
        if (!isLate) unread.push(message);
        wake();
      }),
      this.onState(() => wake()),
    ];
    try {
      for (;;) {
        if (unread.length) {
          yield unread.shift() as T;
        } else if (isLate) {
          throw new SockwardenError("overflow", "messages came faster than they were read");
        } else if (this.#state === "closed") {
          if (this.#error) throw this.#error;
          return;
        } else {
          await new Promise<void>((resolve) => (wake = resolve));
        }
      }
    } finally {
      for (const end of ends) end();
    }
  }

  #on<N extends keyof Events<T>>(name: N, listener: (event: Events<T>[N]) => void): () => void {
    const listeners: Set<typeof listener> = (this.#listeners[name] ??= new Set() as never);
    // A function of its own: who listens twice ends once at a time.
    const own: typeof listener = (event) => listener(event);
    listeners.add(own);
    return () => listeners.delete(own);
  }

  #tell<N extends keyof Events<T>>(name: N, event: Events<T>[N]): void {
    for (const listener of this.#listeners[name] ?? []) {
      try {
        listener(event);
      } catch (error) {
        // The application's own fault, told as such and to nobody else.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  #become(state: State): void {
    if (this.#state === state || this.#state === "closed") return;
    this.#state = state;
    this.#tell("state", state);
  }

  #end(error?: SockwardenError): void {
    if (this.#state === "closed") return;
    this.#error = error;
    this.#queue = [];
    this.#life.abort();
    if (error) this.#tell("error", error);
    this.#become("closed");
  }

  #openSocket(): WebSocket | undefined {
    return this.#socket?.readyState === 1 ? this.#socket : undefined;
  }

  async #run(): Promise<void> {
    // What listens is added after the connection is made, and hears of everything.
    await undefined;
    const { maxAttempts } = this.#reconnect;
    let failures = 0;
    while (this.#state !== "closed") {
      this.#become("connecting");
      const { error, isFinal, lasted } = await this.#attempt();
      if (this.#life.signal.aborted) return;
      failures = lasted < STEADY ? failures + 1 : 1;
      if (isFinal || !error) return this.#end(error);
      if (failures >= maxAttempts) {
        const what = `tried ${failures} times: ${error.message}`;
        return this.#end(maxAttempts > 1 ? new SockwardenError("attempts", what, error.status) : error);
      }
      this.#tell("error", error);
      this.#become("waiting");
      await this.#sleep(delay(failures, this.#reconnect, error.retryAfter));
    }
  }

  /** Opens one socket and stays until it is closed. */
  async #attempt(): Promise<Outcome> {
    const { ticket, protocols = [], insecure } = this.#options;
    const attempt = new AbortController();
    const giveUp = () => attempt.abort();
    const timer = setTimeout(giveUp, this.#limits.timeout);
    this.#life.signal.addEventListener("abort", giveUp);
    try {
      let url = this.#url;
      const offered = [protocols].flat();
      if (ticket) {
        const grant = await fetchTicket(url, ticket === true ? {} : ticket, insecure, attempt.signal);
        if (attempt.signal.aborted) throw new SockwardenError("unavailable", "the ticket came too late");
        url = grant.url;
        if (!offered.length) offered.push(OWN_SUBPROTOCOL);
        offered.push(grant.subprotocol);
      }
      return await this.#hold(new WebSocket(url, offered), attempt.signal, timer);
    } catch (caught) {
      const error =
        caught instanceof SockwardenError ? caught : new SockwardenError("options", `it cannot be opened: ${caught}`);
      const isPassing = error.code === "unavailable" || error.code === "answer";
      return { error, isFinal: !isPassing, lasted: 0 };
    } finally {
      clearTimeout(timer);
      this.#life.signal.removeEventListener("abort", giveUp);
    }
  }

  #hold(socket: WebSocket, signal: AbortSignal, timer: ReturnType<typeof setTimeout>): Promise<Outcome> {
    let opened = Number.POSITIVE_INFINITY;
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    const leave = () => socket.close();
    signal.addEventListener("abort", leave);
    return new Promise((resolve) => {
      socket.onopen = () => {
        clearTimeout(timer);
        opened = Date.now();
        for (const data of this.#queue.splice(0)) socket.send(data);
        this.#queued = 0;
        this.#become("open");
      };
      socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
        if (this.#state === "closed") return;
        const reading = this.#read(data);
        if ("data" in reading) this.#tell("message", reading.data);
        else this.#tell("invalid", { reason: reading.reason, size: sizeOf(data) });
      };
      socket.onclose = ({ code }: CloseEvent) => {
        signal.removeEventListener("abort", leave);
        const isFinal = this.#reconnect.stopCodes.includes(code);
        const wasOpen = opened !== Number.POSITIVE_INFINITY;
        const what = wasOpen ? `the socket was closed by ${code}` : "the socket could not be opened";
        const isFine = isFinal && code === 1000;
        const error = isFine ? undefined : new SockwardenError(isFinal ? "ended" : "lost", what, code);
        resolve({ error, isFinal, lasted: wasOpen ? Date.now() - opened : 0 });
      };
    });
  }

  #sleep(milliseconds: number): Promise<void> {
    const { signal } = this.#life;
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, milliseconds);
      signal.addEventListener("abort", wake);
    });
  }
}
