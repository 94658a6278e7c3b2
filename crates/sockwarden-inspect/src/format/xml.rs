//! XML 1.0, and markup that is written like it: read from front to back, nothing expanded, nothing fetched.
//!
//! An element's name, its text and its attributes stand at `/a/b` and `/a/b/@href`, comments at `/!--`, processing instructions at
//! `/?name`. The five entities and numbers are resolved. What an `ENTITY` declares never is: that one is declared is the anomaly.
//!
//! Whoever says `<?xml` claims that it is well-formed, and where it is not, the rest is read as text. Other markup is read as
//! browsers do, who know no malformed page: an end tag closes the nearest element of its name, or nothing.

use super::{
    entities::{self, Known},
    names,
};
use crate::{Anomaly, Bound, Format, Marks, Role, Shape, Step, content, walk::Walk};

/// Who says that a text is markup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The text itself (`<?xml`): what is not well-formed is an anomaly.
    Declared,
    /// It looks like it.
    Guessed,
}

/// Elements that have no end tag (HTML, void elements).
const VOID: [&[u8]; 14] = [
    b"area", b"base", b"br", b"col", b"embed", b"hr", b"img", b"input", b"link", b"meta", b"param",
    b"source", b"track", b"wbr",
];

/// Elements in which nothing is markup until their end tag (HTML, raw text).
const RAW: [&[u8]; 2] = [b"script", b"style"];

/// Tells whether a whole text is markup: it says so, or it is one element from end to end.
pub(crate) fn begins(bytes: &[u8]) -> Option<Claim> {
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).trim_ascii();
    if let Some(rest) = text.strip_prefix(b"<?xml")
        && rest.first().is_some_and(u8::is_ascii_whitespace)
    {
        return Some(Claim::Declared);
    }
    let name = name(text.strip_prefix(b"<")?);
    if text.get(..9).is_some_and(|begin| begin.eq_ignore_ascii_case(b"<!doctype")) {
        return Some(Claim::Guessed);
    }
    let inner = text.strip_suffix(b">")?;
    let closes = inner.strip_suffix(name).is_some_and(|before| before.ends_with(b"</"));
    let alone = inner.ends_with(b"/") && !inner.contains(&b'>');
    (!name.is_empty() && (closes || alone)).then_some(Claim::Guessed)
}

/// Tells whether there is a tag in a text, in contrast to `<3`, `a < b` or `<->`.
pub(crate) fn is_likely(bytes: &[u8]) -> bool {
    let Some(last) = bytes.iter().rposition(|byte| *byte == b'>') else { return false };
    bytes.get(..last).is_some_and(|text| {
        text.windows(2)
            .any(|pair| pair[0] == b'<' && (is_name_start(pair[1]) || matches!(pair[1], b'/' | b'!' | b'?')))
    })
}

/// Reads a text that is markup.
pub(crate) fn whole(walk: &mut Walk<'_>, bytes: &[u8], claim: Claim) {
    let base = walk.state.path.len();
    let start = if bytes.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
    let mut reader = Reader { walk, bytes, claim, base, at: start, doctype: false, root: false };
    let read = reader.read();
    walk.state.path.truncate(base);
    if let Err(Stopped { at, why }) = read {
        if let Some(why) = why {
            walk.anomaly(why);
        }
        content::rest(walk, bytes.get(at..).unwrap_or_default());
    }
}

/// Where reading had to stop, and why, where that is an anomaly.
struct Stopped {
    at: usize,
    why: Option<Anomaly>,
}

struct Reader<'w, 's, 'b> {
    walk: &'w mut Walk<'s>,
    bytes: &'b [u8],
    claim: Claim,
    /// How many steps lead to the text itself.
    base: usize,
    at: usize,
    /// Whether a document type was declared, by which there may be other entities.
    doctype: bool,
    /// Whether the outermost element has begun.
    root: bool,
}

impl<'b> Reader<'_, '_, 'b> {
    fn read(&mut self) -> Result<(), Stopped> {
        // A `<` that begins nothing belongs to the text around it.
        let mut text = self.at;
        while let Some(tag) = self.find(b"<", self.at) {
            self.at = tag;
            if !self.is_tag() {
                if self.claim == Claim::Declared {
                    self.text(text, tag)?;
                    return Err(self.malformed(tag));
                }
                self.at += 1;
                continue;
            }
            self.text(text, tag)?;
            self.tag()?;
            text = self.at;
        }
        self.text(text, self.bytes.len())?;
        if self.claim == Claim::Declared && (self.walk.state.path.len() > self.base || !self.root) {
            return Err(self.malformed(self.bytes.len()));
        }
        Ok(())
    }

    /// Tells whether a tag begins here.
    fn is_tag(&self) -> bool {
        match self.rest(1) {
            [b'/', next, ..] => is_name_start(*next),
            [b'!' | b'?', ..] => true,
            [next, ..] => is_name_start(*next),
            [] => false,
        }
    }

    /// Reads what begins with the `<` here.
    fn tag(&mut self) -> Result<(), Stopped> {
        let rest = self.rest(0);
        if rest.starts_with(b"<!--") {
            let comment = self.up_to(4, b"-->")?;
            if comment.windows(2).any(|two| two == b"--") {
                self.broken(self.at);
            }
            self.plain(b"!--", comment);
        } else if rest.starts_with(b"<![CDATA[") {
            let held = self.up_to(9, b"]]>")?;
            self.value(held);
        } else if rest.starts_with(b"<?") {
            self.instruction()?;
        } else if rest.starts_with(b"<!") {
            self.declaration()?;
        } else if rest.starts_with(b"</") {
            self.end_tag()?;
        } else {
            self.start_tag()?;
        }
        Ok(())
    }

    fn instruction(&mut self) -> Result<(), Stopped> {
        let start = self.at;
        let held = self.up_to(2, b"?>")?;
        let name = name(held);
        // Only at the very beginning is it the declaration (XML 1.0 §2.6).
        if name.is_empty() || start > 3 && name.eq_ignore_ascii_case(b"xml") {
            self.broken(start);
        }
        let mut key = self.walk.buffer();
        key.push(b'?');
        key.extend_from_slice(name);
        self.plain(&key, held.get(name.len()..).unwrap_or_default().trim_ascii_start());
        self.walk.give(key);
        Ok(())
    }

    /// Reads `<!DOCTYPE …>` with all that is declared in it, or a declaration that stands alone.
    fn declaration(&mut self) -> Result<(), Stopped> {
        let start = self.at;
        if self.claim == Claim::Guessed && !name(self.rest(2)).eq_ignore_ascii_case(b"doctype") {
            // A comment to browsers, whatever stands in it.
            let held = self.up_to(2, b">")?;
            if name(held).eq_ignore_ascii_case(b"entity") {
                self.walk.anomaly(Anomaly::XmlDeclaration);
            }
            self.plain(b"!", held);
            return Ok(());
        }
        let (mut quote, mut depth) = (None, 0_usize);
        let end = self.rest(2).iter().position(|byte| match (quote, byte) {
            (Some(open), byte) => {
                quote = Some(open).filter(|open| open != byte);
                false
            }
            (None, b'"' | b'\'') => {
                quote = Some(*byte);
                false
            }
            (None, b'<' | b'[') => {
                depth += 1;
                false
            }
            (None, b'>' | b']') => {
                depth = depth.saturating_sub(1);
                depth == 0 && *byte == b'>'
            }
            (None, _) => false,
        });
        // In `[…]>` the last `>` is met at depth zero, too.
        let held = self.rest(2).get(..end.unwrap_or(usize::MAX)).unwrap_or(self.rest(2));
        let name = name(held);
        let is_doctype = name.eq_ignore_ascii_case(b"doctype");
        self.doctype |= is_doctype;
        let rest = held.get(name.len()..).unwrap_or_default().trim_ascii();
        // That of HTML names nothing and declares nothing.
        if !is_doctype || !rest.eq_ignore_ascii_case(b"html") {
            self.walk.anomaly(Anomaly::XmlDeclaration);
        }
        let Some(end) = end else { return Err(self.malformed(start)) };
        if !is_doctype || self.root {
            self.broken(start);
        }
        self.walk.at_key(b"!", |walk| walk.value(Role::Value, Shape::String, held, Marks::of(held)));
        self.at = start + 2 + end + 1;
        Ok(())
    }

    fn end_tag(&mut self) -> Result<(), Stopped> {
        let start = self.at;
        let held = self.up_to(2, b">")?;
        let name = name(held);
        let is_last = self.walk.state.path.len() > self.base
            && self.walk.state.path.place().last() == Some(Step::Key(name));
        if is_last && held.get(name.len()..).is_some_and(|after| after.trim_ascii().is_empty()) {
            self.walk.state.path.pop();
            return Ok(());
        }
        if self.claim == Claim::Declared {
            return Err(self.malformed(start));
        }
        let place = self.walk.state.path.place();
        let named = |step: &usize| match place.step(*step) {
            Some(Step::Key(key)) => key.eq_ignore_ascii_case(name),
            Some(Step::Index(_) | Step::Inside(_)) | None => false,
        };
        if let Some(step) = (self.base..place.len()).rev().find(named) {
            self.walk.state.path.truncate(step);
        }
        Ok(())
    }

    fn start_tag(&mut self) -> Result<(), Stopped> {
        let start = self.at;
        if self.claim == Claim::Declared && self.root && self.walk.state.path.len() == self.base {
            return Err(Stopped { at: start, why: Some(Anomaly::TrailingData(Format::Xml)) });
        }
        self.root = true;
        // What is unbounded in nobody's sense stays where it is: its place is less exact, and nothing is left out.
        let deep = self.walk.state.path.len() >= usize::from(self.walk.limits.depth);
        if deep && self.claim == Claim::Declared {
            return Err(Stopped { at: start, why: Some(Anomaly::Bound(Bound::Depth)) });
        }
        let name = name(self.rest(1));
        let before = self.walk.state.path.len();
        if !deep {
            self.walk.state.path.push_key(name);
        }
        self.walk.value(Role::Key, Shape::String, name, Marks::of(name));
        self.at += 1 + name.len();
        names::open(self.walk);
        let attributes = self.attributes(start);
        names::close(self.walk);
        let is_empty = attributes?;
        let guessed = self.claim == Claim::Guessed;
        let is = |names: &[&[u8]]| guessed && names.iter().any(|known| known.eq_ignore_ascii_case(name));
        if is(&RAW) && !is_empty {
            self.raw(name)?;
            self.walk.state.path.truncate(before);
        } else if is_empty || is(&VOID) {
            self.walk.state.path.truncate(before);
        }
        Ok(())
    }

    /// Reads the attributes up to the end of their tag; tells whether that says that the element is empty.
    fn attributes(&mut self, start: usize) -> Result<bool, Stopped> {
        loop {
            let before = self.at;
            self.blank();
            match self.rest(0) {
                [] => return Err(self.malformed(start)),
                [b'>', ..] => {
                    self.at += 1;
                    return Ok(false);
                }
                [b'/', b'>', ..] => {
                    self.at += 2;
                    return Ok(true);
                }
                rest => {
                    let length = rest.iter().position(|byte| is_name_end(*byte)).unwrap_or(rest.len());
                    let name = rest.get(..length).unwrap_or_default();
                    if length == 0 || self.at == before || !is_name_start(rest[0]) {
                        if self.claim == Claim::Declared {
                            return Err(self.malformed(self.at));
                        }
                        // A slash or a quote that belongs to nothing.
                        self.at += usize::from(length == 0);
                    }
                    if length > 0 {
                        self.at += length;
                        self.attribute(name, start)?;
                    }
                }
            }
        }
    }

    fn attribute(&mut self, name: &[u8], start: usize) -> Result<(), Stopped> {
        let mut key = self.walk.buffer();
        key.push(b'@');
        key.extend_from_slice(name);
        let before = self.walk.state.path.len();
        self.walk.state.path.push_key(&key);
        self.walk.give(key);
        if self.claim == Claim::Declared {
            names::remember(self.walk, names::hash(name));
        }
        self.walk.value(Role::Key, Shape::String, name, Marks::of(name));
        let value = self.attribute_value(start);
        if let Ok(Some(value)) = value {
            if value.contains(&b'<') {
                self.broken(self.at);
            }
            self.resolved(value);
        }
        self.walk.state.path.truncate(before);
        value.map(|_| ())
    }

    fn attribute_value(&mut self, start: usize) -> Result<Option<&'b [u8]>, Stopped> {
        let behind = self.at;
        self.blank();
        if self.rest(0).first() != Some(&b'=') {
            self.broken(behind);
            self.at = behind;
            return Ok(None);
        }
        self.at += 1;
        self.blank();
        if let Some(quote @ (b'"' | b'\'')) = self.rest(0).first() {
            let Some(end) = self.find(&[*quote], self.at + 1) else { return Err(self.malformed(start)) };
            let value = self.bytes.get(self.at + 1..end);
            self.at = end + 1;
            return Ok(value);
        }
        if self.claim == Claim::Declared {
            return Err(self.malformed(self.at));
        }
        let rest = self.rest(0);
        let end =
            rest.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'>').unwrap_or(rest.len());
        self.at += end;
        Ok(rest.get(..end))
    }

    /// Reads what stands in an element in which nothing is markup.
    fn raw(&mut self, name: &[u8]) -> Result<(), Stopped> {
        let rest = self.rest(0);
        let is_end = |at: &usize| {
            let tag = rest.get(*at..).unwrap_or_default();
            tag.starts_with(b"</")
                && tag.get(2..2 + name.len()).is_some_and(|closed| closed.eq_ignore_ascii_case(name))
        };
        let Some(end) = (0..rest.len()).find(is_end) else { return Err(self.malformed(self.at)) };
        if let Some(held) = rest.get(..end).filter(|held| !held.is_empty()) {
            self.walk.value(Role::Value, Shape::String, held, Marks::of(held));
        }
        self.at += end;
        self.up_to(2, b">").map(|_| ())
    }

    /// Tells of the text between two tags.
    fn text(&mut self, start: usize, end: usize) -> Result<(), Stopped> {
        let text = self.bytes.get(start..end).unwrap_or_default();
        if text.trim_ascii().is_empty() {
            return Ok(());
        }
        if self.claim == Claim::Declared {
            if self.walk.state.path.len() == self.base {
                return Err(if self.root {
                    Stopped { at: start, why: Some(Anomaly::TrailingData(Format::Xml)) }
                } else {
                    self.malformed(start)
                });
            }
            if text.windows(3).any(|three| three == b"]]>") {
                self.broken(start);
            }
        }
        self.resolved(text);
        Ok(())
    }

    /// Tells of a text with its entities resolved.
    fn resolved(&mut self, text: &[u8]) {
        if !text.contains(&b'&') {
            return self.value(text);
        }
        let known = match (self.claim, self.doctype) {
            (Claim::Guessed, _) => Known::Html,
            (Claim::Declared, true) => Known::Declared,
            (Claim::Declared, false) => Known::Xml,
        };
        let mut plain = self.walk.buffer();
        if !entities::resolve(text, known, &mut plain) {
            self.broken(self.at);
        }
        self.value(&plain);
        self.walk.give(plain);
    }

    /// Tells of a text as it stands there.
    fn value(&mut self, text: &[u8]) {
        let marks = Marks::of(text);
        if self.claim == Claim::Declared
            && marks.any(Marks::CONTROL)
            && text.iter().any(|byte| *byte != 0x7f && Marks::of_byte(*byte).any(Marks::CONTROL))
        {
            self.broken(self.at);
        }
        self.walk.value(Role::Value, Shape::String, text, marks);
        content::follow(self.walk, text, marks);
    }

    /// Tells of what is no text of the document: a comment, an instruction.
    fn plain(&mut self, name: &[u8], text: &[u8]) {
        self.walk.at_key(name, |walk| {
            let marks = Marks::of(text);
            walk.value(Role::Value, Shape::String, text, marks);
            content::follow(walk, text, marks);
        });
    }

    /// Gives what stands between `skip` bytes from here and `end`, and goes on behind that.
    fn up_to(&mut self, skip: usize, end: &[u8]) -> Result<&'b [u8], Stopped> {
        let start = self.at + skip;
        let Some(found) = self.find(end, start) else { return Err(self.malformed(self.at)) };
        self.at = found + end.len();
        Ok(self.bytes.get(start..found).unwrap_or_default())
    }

    fn find(&self, wanted: &[u8], from: usize) -> Option<usize> {
        let rest = self.bytes.get(from..)?;
        rest.windows(wanted.len()).position(|window| window == wanted).map(|at| from + at)
    }

    fn blank(&mut self) {
        self.at += self.rest(0).iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    fn rest(&self, skip: usize) -> &'b [u8] {
        self.bytes.get(self.at + skip..).unwrap_or_default()
    }

    /// Takes note of a mistake that one can read on behind.
    fn broken(&mut self, at: usize) {
        if self.claim == Claim::Declared {
            self.walk.anomaly(Anomaly::Malformed { format: Format::Xml, at });
        }
    }

    /// A mistake that one cannot read on behind.
    fn malformed(&self, at: usize) -> Stopped {
        let why = Anomaly::Malformed { format: Format::Xml, at };
        Stopped { at, why: Some(why).filter(|_| self.claim == Claim::Declared) }
    }
}

/// Gives the name that begins a text.
pub(super) fn name(text: &[u8]) -> &[u8] {
    let is_name = text.first().is_some_and(|first| is_name_start(*first));
    let end = text.iter().position(|byte| is_name_end(*byte)).unwrap_or(text.len());
    text.get(..end).filter(|_| is_name).unwrap_or_default()
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':') || !byte.is_ascii()
}

fn is_name_end(byte: u8) -> bool {
    !(is_name_start(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod agrees;

#[cfg(test)]
mod tests {
    use crate::testing::{Notes, check_values};

    fn notes(text: &str) -> Notes {
        let (client, kind) = (sockwarden_model::Direction::Client, sockwarden_proto::MessageKind::Text);
        crate::testing::read(None, &[(client, kind, text.as_bytes())])
    }

    fn said(text: &str) -> String {
        notes(text).said.join("; ")
    }

    #[test]
    fn elements_attributes_and_text_have_places() {
        check_values(
            "<?xml version=\"1.0\"?>\n<a x='1' ns:y=\"&lt;&#x62;&#62;\"><b>t &amp; u</b><!-- c --><b/><![CDATA[<d>]]></a>\n",
            &[
                "/?xml text version=\\\"1.0\\\"",
                "/a key a",
                "/a/@x key x",
                "/a/@x number 1",
                "/a/@ns:y key ns:y",
                "/a/@ns:y markup <b>",
                "/a/@ns:y|xml/b key b",
                "/a/b key b",
                "/a/b text t & u",
                "/a/!-- text  c ",
                "/a/b key b",
                "/a markup <d>",
                "/a|xml/d key d",
            ],
        );
    }

    #[test]
    fn one_element_is_markup_and_so_are_tags_in_a_text() {
        check_values(
            "<m to='x'>hi<br>you</m>",
            &[
                "/m key m",
                "/m/@to key to",
                "/m/@to identifier x",
                "/m identifier hi",
                "/m/br key br",
                "/m identifier you",
            ],
        );
        check_values("<ping/>", &["/ping key ping"]);
        check_values(
            "so <B>hi</b> <img/src=x onerror=alert(1)> it's",
            &[
                " markup so <B>hi</b> <img/src=x onerror=alert(1)> it\\'s",
                "|xml text so ",
                "|xml/B key B",
                "|xml/B identifier hi",
                "|xml/img key img",
                "|xml/img/@src key src",
                "|xml/img/@src identifier x",
                "|xml/img/@onerror key onerror",
                "|xml/img/@onerror code alert(1)",
                "|xml text  it\\'s",
            ],
        );
        check_values(
            "<p><script>if (a<b) '</p>'</script></i>x</p>",
            &["/p key p", "/p/script key script", "/p/script markup if (a<b) \\'</p>\\'", "/p identifier x"],
        );
    }

    #[test]
    fn what_is_not_well_formed_is_told_where_it_was_claimed() {
        let check = |inner: &str, expected: &str| {
            let text = format!("<?xml version='1.0'?>{inner}");
            assert_eq!(said(&text), expected, "{text}");
        };
        check("<a>x</a>", "");
        check("<a>&amp;&#65;&#x41;</a><!-- end -->", "");
        check("<a b='1' c=\"2\" />", "");
        check("<a>x</b>", "! no well-formed xml from byte 25 on");
        check("<a>x", "! no well-formed xml from byte 25 on");
        check("<a", "! no well-formed xml from byte 21 on");
        check("<a b=1/>", "! no well-formed xml from byte 26 on");
        check("<a b/>", "! no well-formed xml from byte 25 on; ".trim_end_matches("; "));
        check("<a b='1'c='2'/>", "! no well-formed xml from byte 29 on");
        check("<a b='1' b='2'/>", "! a name stands twice in one object");
        check("<a>a < b</a>", "! no well-formed xml from byte 26 on");
        check("<a>&</a>", "! no well-formed xml from byte 25 on");
        check("<a>&nbsp;</a>", "! no well-formed xml from byte 30 on");
        check("<a>&#0;</a>", "! no well-formed xml from byte 28 on");
        check("<a/><b/>", "! something follows the end of the xml");
        check("<a/>x", "! something follows the end of the xml");
        check("x<a/>", "! no well-formed xml from byte 21 on");
        check("", "! no well-formed xml from byte 21 on");
        check("<a><!-- x", "! no well-formed xml from byte 24 on");
        check(&"<a>".repeat(70), "! beyond the bound `depth`");
    }

    #[test]
    fn other_markup_is_never_malformed() {
        for text in [
            "<b>hi",
            "</b>hi>",
            "<p>a<br>b<p>c",
            "x <a href=y z>",
            "<a b='>",
            "<!-- x > y",
            "<![CDATA[ > ]]",
            "<?php echo 1 ?>",
            "<b>&nbsp;&x;&</b>",
            "<!DOCTYPE html><html><body>x</body></html>",
            &"<div>".repeat(500),
            &"<br>".repeat(500),
        ] {
            assert_eq!(said(text), "", "{text}");
        }
    }

    #[test]
    fn a_declared_entity_is_told_and_never_expanded() {
        let mut laughs = "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\">".to_owned();
        for number in 1..10 {
            let before = if number == 1 { "lol".to_owned() } else { format!("lol{}", number - 1) };
            laughs += &format!("<!ENTITY lol{number} \"{}\">", format!("&{before};").repeat(10));
        }
        laughs += "]><lolz>&lol9;</lolz>";
        let notes = notes(&laughs);
        assert_eq!(notes.said, ["! a document type or an entity is declared"]);
        assert_eq!(notes.values.last().unwrap(), "/lolz text &lol9;");
        let told: usize = notes.values.iter().map(String::len).sum();
        assert!(told < 2 * laughs.len(), "{told}");
        let told = "! a document type or an entity is declared";
        assert_eq!(said("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a>&x;</a>"), told);
        assert_eq!(said("hi <!ENTITY x SYSTEM 'y'> you"), told);
    }

    #[test]
    fn signs_that_are_no_tags_are_text() {
        for text in ["I <3 you>", "a < b > c", "1<2>1", "<-->", "x <- y -> z", "<", "<>", "a<b"] {
            check_values(text, &[&format!(" text {text}")]);
        }
    }
}
