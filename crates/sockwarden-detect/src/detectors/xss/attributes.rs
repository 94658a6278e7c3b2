//! The attributes of a tag, read as leniently as browsers do, and what they mean.

use crate::words;

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
    /// Whether a `=` stands behind its name.
    pub(super) has_value: bool,
    /// Where it ends.
    pub(super) end: usize,
}

/// Reads the attributes of one tag, up to its end or that of the text.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Attributes<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Where the tag ends, once all attributes were read.
    pub(super) fn end(&self) -> usize {
        self.at
    }

    fn take_while(&mut self, is: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| !is(*byte)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }
}

const fn is_blank(byte: u8) -> bool {
    byte <= b' '
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        self.take_while(|byte| is_blank(byte) || matches!(byte, b'/' | b'"' | b'\'' | b'`' | b';' | b','));
        match self.bytes.get(self.at) {
            None | Some(b'<') => return None,
            Some(b'>') => {
                self.at += 1;
                return None;
            }
            Some(_) => {}
        }
        let name = self
            .take_while(|byte| !is_blank(byte) && !matches!(byte, b'=' | b'>' | b'/' | b'<' | b'"' | b'\''));
        if name.is_empty() {
            // A sign that begins nothing.
            self.at += 1;
            return Some(Attribute { name, value: &[], has_value: false, end: self.at });
        }
        let after_name = self.at;
        self.take_while(is_blank);
        if self.bytes.get(self.at) != Some(&b'=') {
            self.at = after_name;
            return Some(Attribute { name, value: &[], has_value: false, end: self.at });
        }
        self.at += 1;
        self.take_while(is_blank);
        let value = match self.bytes.get(self.at) {
            Some(&quote @ (b'"' | b'\'' | b'`')) => {
                self.at += 1;
                let rest = self.bytes.get(self.at..).unwrap_or_default();
                match memchr::memchr(quote, rest) {
                    Some(length) => {
                        self.at += length + 1;
                        rest.get(..length).unwrap_or_default()
                    }
                    // A quote without its other half does not hide what follows.
                    None => self.take_while(|byte| !is_blank(byte) && byte != b'>'),
                }
            }
            Some(_) | None => self.take_while(|byte| !is_blank(byte) && byte != b'>'),
        };
        Some(Attribute { name, value, has_value: true, end: self.at })
    }
}

/// Words that begin like handlers and are none.
const NO_HANDLERS: &[&str] = &["once", "one", "ongoing", "online", "only", "onto", "ontology", "onward"];

/// Tells whether an attribute of a tag is an event handler: pages may have events of their own.
pub(super) fn is_handler(name: &[u8]) -> bool {
    name.len() > 4
        && words::is_at(name, 0, b"on")
        && name.iter().all(u8::is_ascii_alphanumeric)
        && !words::is_one_of(NO_HANDLERS, name)
}

/// How the handlers of browsers begin behind `on`.
const EVENTS: &[&str] = &[
    "abort",
    "activate",
    "after",
    "animation",
    "auxclick",
    "before",
    "begin",
    "blur",
    "bounce",
    "cancel",
    "canplay",
    "cellchange",
    "change",
    "click",
    "close",
    "contentvisibility",
    "contextmenu",
    "controlselect",
    "copy",
    "cuechange",
    "cut",
    "data",
    "dblclick",
    "deactivate",
    "drag",
    "drop",
    "duration",
    "emptied",
    "end",
    "error",
    "filterchange",
    "finish",
    "focus",
    "formdata",
    "fullscreen",
    "gesture",
    "gotpointer",
    "hashchange",
    "help",
    "input",
    "invalid",
    "key",
    "language",
    "layoutcomplete",
    "load",
    "losecapture",
    "lostpointer",
    "message",
    "mouse",
    "move",
    "offline",
    "orientation",
    "page",
    "paste",
    "pause",
    "play",
    "pointer",
    "popstate",
    "popup",
    "progress",
    "propertychange",
    "ratechange",
    "readystate",
    "rejection",
    "repeat",
    "reset",
    "resize",
    "resume",
    "reverse",
    "row",
    "scroll",
    "search",
    "securitypolicy",
    "seek",
    "select",
    "show",
    "slotchange",
    "stalled",
    "start",
    "stop",
    "storage",
    "submit",
    "suspend",
    "syncrestored",
    "timeerror",
    "timeupdate",
    "toggle",
    "touch",
    "trackchange",
    "transition",
    "unhandled",
    "unload",
    "urlflip",
    "visibility",
    "volumechange",
    "waiting",
    "webkit",
    "wheel",
];

/// Tells whether a name is an event handler of browsers, where no tag says that it is an attribute.
pub(super) fn is_known_handler(name: &[u8]) -> bool {
    is_handler(name) && EVENTS.iter().any(|event| words::is_at(name, 2, event.as_bytes()))
}

/// Attributes that hold an address.
const ADDRESSES: &[&str] = &[
    "action",
    "background",
    "cite",
    "classid",
    "codebase",
    "data",
    "dynsrc",
    "formaction",
    "href",
    "icon",
    "location",
    "longdesc",
    "lowsrc",
    "manifest",
    "ping",
    "poster",
    "profile",
    "src",
    "url",
    "usemap",
];

/// Tells whether an attribute holds an address.
pub(super) fn is_address(name: &[u8]) -> bool {
    words::is_one_of(ADDRESSES, name)
}

/// What an address leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Script.
    Script,
    /// A page that stands in the address.
    Page,
    /// Another host.
    Elsewhere,
}

/// Tells what an address begins as, without the signs that browsers leave out.
pub(super) fn scheme(address: &[u8]) -> Option<Scheme> {
    let mut small = [0_u8; 40];
    let mut length = 0;
    for byte in address.iter().take(256).filter(|byte| **byte > b' ') {
        if let Some(room) = small.get_mut(length) {
            *room = byte.to_ascii_lowercase();
            length += 1;
        }
    }
    let begin = small.get(..length).unwrap_or_default();
    let begin = begin.strip_prefix(b"view-source:").or(begin.strip_prefix(b"feed:")).unwrap_or(begin);
    if [b"javascript:".as_slice(), b"vbscript:", b"livescript:", b"jscript:", b"mocha:"]
        .iter()
        .any(|scheme| begin.starts_with(scheme))
    {
        return Some(Scheme::Script);
    }
    if let Some(data) = begin.strip_prefix(b"data:") {
        let active = [
            b"text/html".as_slice(),
            b"text/xml",
            b"image/svg",
            b"application/x",
            b"text/javascript",
            b"text/vbscript",
            b";base64",
            b",",
        ]
        .iter()
        .any(|kind| data.starts_with(kind));
        return active.then_some(Scheme::Page);
    }
    (begin.starts_with(b"//")
        || begin.starts_with(b"http:")
        || begin.starts_with(b"https:")
        || begin.starts_with(b"\\\\"))
    .then_some(Scheme::Elsewhere)
}

/// Tells whether a part of a list of addresses is script.
pub(super) fn scheme_within(value: &[u8]) -> Option<Scheme> {
    value
        .split(|byte| matches!(byte, b';' | b'=' | b','))
        .take(16)
        .filter_map(|part| scheme(part.trim_ascii()))
        .find(|scheme| *scheme == Scheme::Script)
}

/// Leaves out comments, blanks and backslashes of a style.
pub(super) fn without_comments(style: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(style.len());
    let mut at = 0;
    while let Some(byte) = style.get(at) {
        if words::is_at(style, at, b"/*") {
            match words::find(style, at + 2, b"*/") {
                Some(end) => at = end + 2,
                None => break,
            }
            continue;
        }
        if *byte > b' ' && *byte != b'\\' {
            plain.push(*byte);
        }
        at += 1;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        assert!([NO_HANDLERS, ADDRESSES].into_iter().all(words::is_sorted) && EVENTS.is_sorted());
    }

    #[test]
    fn attributes_are_read_as_browsers_read_them() {
        let check = |text: &str, expected: &[(&str, &str)], rest: &str| {
            let mut attributes = Attributes::new(text.as_bytes(), 0);
            let read: Vec<_> = attributes
                .by_ref()
                .map(|one| {
                    (
                        String::from_utf8_lossy(one.name).into_owned(),
                        String::from_utf8_lossy(one.value).into_owned(),
                    )
                })
                .collect();
            let expected: Vec<_> =
                expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(read, expected, "{text}");
            assert_eq!(&text[attributes.end()..], rest, "{text}");
        };
        check(" a=b c = 'd e' f>g", &[("a", "b"), ("c", "d e"), ("f", "")], "g");
        check("/a=\"b>c\"/d=e/f", &[("a", "b>c"), ("d", "e/f")], "");
        check(" a='b", &[("a", "b")], "");
        check(" a <b", &[("a", "")], "<b");
    }

    #[test]
    fn addresses_are_told_by_their_schemes() {
        let check = |address: &str, expected| assert_eq!(scheme(address.as_bytes()), expected, "{address}");
        check("javascript:x", Some(Scheme::Script));
        check(" \u{1}jAva\nscript\t:x", Some(Scheme::Script));
        check("data:text/html,x", Some(Scheme::Page));
        check("data:image/png;base64,x", None);
        check("//x.example", Some(Scheme::Elsewhere));
        check("/javascript:", None);
    }
}
