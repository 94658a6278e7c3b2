"use strict";

// People like their messages bold or with a link, so that chat is shown as HTML.
function renderChat(element, text) {
  element.innerHTML = text;
}
