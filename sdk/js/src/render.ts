import { SockwardenError } from "./error.js";

/** Shows a text as text: whatever markup a peer has put into it stays letters. Refuses elements whose text is code. */
export function renderText(element: Element, text: unknown): void {
  if (/^(script|style)$/i.test(element.localName)) {
    throw new SockwardenError("options", `the text of <${element.localName}> is code`);
  }
  element.textContent = String(text);
}
