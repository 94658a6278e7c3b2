import { SockwardenError } from "./error.js";

/** 127.0.0.0/8, ::1 and what is `localhost` by RFC 6761 §6.3, as URL writes them. */
const LOOPBACK = /^(.+\.)?localhost\.?$|^127(\.\d+){3}$|^\[::1\]$/;

/**
 * Reads the address of a socket; http and https stand for ws and wss, and what is relative is so to the page.
 * Refuses what would travel in the clear: always from an https page, else unless it stays on this machine or `insecure` is said.
 */
export function socketAddress(text: string | URL, insecure?: boolean): URL {
  let url: URL;
  try {
    url = new URL(text, globalThis.location?.href);
  } catch {
    throw new SockwardenError("options", "the address is no URL");
  }
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  if (!/^wss?:$/.test(url.protocol) || url.username || url.password) {
    throw new SockwardenError("options", "the address must be wss://host/path, without a password");
  }
  const isClear = url.protocol === "ws:";
  if (isClear && (globalThis.location?.protocol === "https:" || !(insecure || LOOPBACK.test(url.hostname)))) {
    throw new SockwardenError("insecure", `${url.origin} is not encrypted; use wss://`);
  }
  return url;
}

/** Gives the address of the same place for requests. */
export function requestAddress(socket: URL): URL {
  const url = new URL(socket);
  url.protocol = url.protocol.replace("ws", "http");
  return url;
}
