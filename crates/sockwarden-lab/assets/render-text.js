"use strict";

// What people write is text, whatever it looks like.
function renderChat(element, text) {
  element.textContent = text;
}
