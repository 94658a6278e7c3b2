//! What stands for a character in markup: `&lt;`, `&#60;`, `&#x3c;`. No declared entity is ever resolved.

use super::xml;

/// Entities that stand for a character: those of XML, then some of HTML that are of use to whoever hides something.
const NAMED: [(&[u8], char); 13] = [
    (b"amp", '&'),
    (b"lt", '<'),
    (b"gt", '>'),
    (b"quot", '"'),
    (b"apos", '\''),
    (b"colon", ':'),
    (b"lpar", '('),
    (b"rpar", ')'),
    (b"sol", '/'),
    (b"bsol", '\\'),
    (b"Tab", '\t'),
    (b"NewLine", '\n'),
    (b"nbsp", '\u{a0}'),
];
const OF_XML: usize = 5;

/// Which entities there are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// The five of XML, and what a document type may declare, which is left as it is.
    Declared,
    /// The five of XML.
    Xml,
    /// Those of HTML, whose numbers need no semicolon.
    Html,
}

/// Resolves a text; `false` where something in it stands for nothing, or for no character that may stand there.
pub(super) fn resolve(text: &[u8], known: Known, plain: &mut Vec<u8>) -> bool {
    let (mut at, mut fine) = (0, true);
    while let Some(&byte) = text.get(at) {
        let entity =
            if byte == b'&' { one(text.get(at + 1..).unwrap_or_default(), known) } else { Entity::Verbatim };
        match entity {
            Entity::Character(c, length) => {
                fine &= c.is_some();
                let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
                plain.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                at += 1 + length;
            }
            Entity::Verbatim | Entity::None => {
                fine &= entity != Entity::None;
                plain.push(byte);
                at += 1;
            }
        }
    }
    fine
}

/// What begins with an ampersand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entity {
    /// This character, where it is one, and the length of what follows the ampersand.
    Character(Option<char>, usize),
    /// It is left as it is.
    Verbatim,
    /// There is no such entity.
    None,
}

fn one(text: &[u8], known: Known) -> Entity {
    if let Some(number) = text.strip_prefix(b"#") {
        return numbered(number, known);
    }
    let name = xml::name(text);
    if name.is_empty() || text.get(name.len()) != Some(&b';') {
        return Entity::None;
    }
    let named = NAMED.iter().take(if known == Known::Html { NAMED.len() } else { OF_XML });
    match named.into_iter().find(|(entity, _)| *entity == name) {
        Some((_, c)) => Entity::Character(Some(*c), name.len() + 1),
        None if known == Known::Declared => Entity::Verbatim,
        None => Entity::None,
    }
}

fn numbered(number: &[u8], known: Known) -> Entity {
    let (radix, digits) = match number {
        [b'x' | b'X', digits @ ..] => (16, digits),
        digits => (10, digits),
    };
    let count = digits.iter().take_while(|digit| char::from(**digit).is_digit(radix)).count();
    let closed = digits.get(count) == Some(&b';');
    if count == 0 || !closed && known != Known::Html {
        return Entity::None;
    }
    let text = digits.get(..count).and_then(|digits| std::str::from_utf8(digits).ok());
    let number = text.and_then(|digits| u32::from_str_radix(digits, radix).ok());
    // XML 1.0 §2.2.
    let legal = |c: &char| !matches!(c, '\0'..'\t' | '\x0b' | '\x0c' | '\x0e'..' ' | '\u{fffe}' | '\u{ffff}');
    let c = number.and_then(char::from_u32).filter(legal);
    Entity::Character(c, 1 + usize::from(radix == 16) + count + usize::from(closed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_resolved() {
        let check = |text: &str, known: Known, expected: (&str, bool)| {
            let mut plain = Vec::new();
            let fine = resolve(text.as_bytes(), known, &mut plain);
            assert_eq!((std::str::from_utf8(&plain), fine), (Ok(expected.0), expected.1), "{text}");
        };
        check("a&lt;&gt;&amp;&quot;&apos;b", Known::Xml, ("a<>&\"'b", true));
        check("&#60;&#x3C;&#x1F600;&#xfffd;", Known::Xml, ("<<\u{1f600}\u{fffd}", true));
        check("&#0;", Known::Xml, ("\u{fffd}", false));
        check("&#xd800;&#99999999999;", Known::Xml, ("\u{fffd}\u{fffd}", false));
        check("&colon;", Known::Xml, ("&colon;", false));
        check("&lol;", Known::Declared, ("&lol;", true));
        check("& &lt &#60", Known::Xml, ("& &lt &#60", false));
        check("javascript&colon;a&lpar;1&rpar;&#60b", Known::Html, ("javascript:a(1)<b", true));
        check("&amp;lt;", Known::Html, ("&lt;", true));
    }
}
