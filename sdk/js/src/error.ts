/**
 * What went wrong:
 * - `options`: an option, the address or a value to send is not of the right form;
 * - `insecure`: it would travel in the clear, or to another host than the one asked for;
 * - `refused`: the ticket endpoint says no (401, 403 …), so trying again changes nothing;
 * - `unavailable`: the ticket endpoint cannot be reached or cannot answer now;
 * - `answer`: the ticket endpoint's answer is no ticket;
 * - `lost`: the socket could not be opened, or was lost;
 * - `ended`: the server ended the session by a close code after which nobody connects anew;
 * - `attempts`: it was tried as often as `maxAttempts` allows;
 * - `full`: more is to be sent than may wait;
 * - `overflow`: an iterator's reader was slower than the messages;
 * - `closed`: nothing can be sent any more.
 */
export type ErrorCode =
  | "options"
  | "insecure"
  | "refused"
  | "unavailable"
  | "answer"
  | "lost"
  | "ended"
  | "attempts"
  | "full"
  | "overflow"
  | "closed";

/** Says what went wrong; `status` is the HTTP status or the close code that said so. */
export class SockwardenError extends Error {
  override readonly name = "SockwardenError";
  readonly code: ErrorCode;
  readonly status: number | undefined;
  /** In milliseconds: how long the server asks to be left alone (Retry-After, RFC 9110 §10.2.3). */
  readonly retryAfter: number;

  constructor(code: ErrorCode, message: string, status?: number, retryAfter = 0) {
    super(message);
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}
