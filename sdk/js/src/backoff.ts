import { SockwardenError } from "./error.js";

/** When and how often a lost connection is opened anew. Times are in milliseconds. */
export interface ReconnectOptions {
  /** The longest wait before the first attempt; it doubles with each. Default: 500. */
  minDelay?: number;
  /** What the longest wait grows to. Default: 30,000. */
  maxDelay?: number;
  /** How many attempts in a row may fail. Default: 30. */
  maxAttempts?: number;
  /** Close codes after which nobody connects anew. Default: 1000, 1008, 4401 and 4403. */
  stopCodes?: readonly number[];
}

/** The longest that is ever waited: browsers take a wait of 2³¹ ms for none at all. */
const LONGEST = 3_600_000;

/** Fills in what is not said. */
export function reconnecting(options: ReconnectOptions | false = {}): Required<ReconnectOptions> {
  const filled = {
    minDelay: 500,
    maxDelay: 30_000,
    maxAttempts: 30,
    stopCodes: [1000, 1008, 4401, 4403],
    ...(options || { maxAttempts: 1 }),
  };
  if (!(filled.minDelay > 0 && filled.maxDelay >= filled.minDelay && filled.maxAttempts > 0)) {
    throw new SockwardenError("options", "reconnect needs 0 < minDelay <= maxDelay, and an attempt");
  }
  return filled;
}

/**
 * Gives how long to wait after so many failures in a row: anything up to a bound that doubles, so that those who were lost together
 * do not come back together; on top of what the server asks for.
 */
export function delay(failures: number, bounds: Required<ReconnectOptions>, retryAfter: number): number {
  const bound = Math.min(bounds.maxDelay, bounds.minDelay * 2 ** (failures - 1));
  return Math.min(LONGEST, retryAfter + Math.random() * bound);
}
