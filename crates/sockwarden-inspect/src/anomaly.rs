//! What is wrong, ambiguous or beyond a bound in a message.

use crate::{Format, Protocol};

/// Something about a message that a person should know, and that may be used against one of two readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anomaly {
    /// It began as this format and is not well-formed from the offset on (bytes from where the format begins); what follows was
    /// read as text or bytes.
    Malformed {
        /// The format.
        format: Format,
        /// Where it stops being well-formed.
        at: usize,
    },
    /// It begins as this format, which nobody has said it is, and is not well-formed from the offset on: a text that looks like it, or
    /// a broken one. What follows was read as text.
    Doubtful {
        /// The format.
        format: Format,
        /// Where it stops being well-formed.
        at: usize,
    },
    /// Something follows the end; it was read as text or bytes.
    TrailingData(Format),
    /// A name stands twice in one object: readers differ on which counts (RFC 8259 §4).
    DuplicateKey,
    /// A surrogate of UTF-16 without its other half (RFC 8259 §8.2); it was read as U+FFFD.
    LoneSurrogate,
    /// A number that many readers will change: beyond 2^53 or the range of a double (RFC 8259 §6).
    BigNumber,
    /// A text that is not UTF-8; it was read as bytes.
    InvalidUtf8,
    /// A U+0000 in a text.
    NulCharacter,
    /// A name that is no text.
    KeyOfOtherKind,
    /// A document type or an entity is declared: what it expands to is the reader's choice (XXE).
    XmlDeclaration,
    /// A reserved or unassigned code of a binary format.
    Reserved(Format),
    /// Encoded in a way that the format forbids or that a longer form hides in (not canonical).
    NotCanonical(Format),
    /// A bound of ours was hit; what lies beyond may not have been looked at (see [`Bound::hides`]).
    Bound(Bound),
    /// A rule of the sub-protocol is broken.
    Breach(Protocol, Breach),
}

impl Anomaly {
    /// Its id, as programs read it, such as `duplicate-key`, `bound:depth` or `mqtt:bad-field`; the words say the rest.
    pub fn id(&self) -> String {
        let plain = match self {
            Self::Malformed { .. } => "malformed",
            Self::Doubtful { .. } => "doubtful",
            Self::TrailingData(_) => "trailing-data",
            Self::DuplicateKey => "duplicate-key",
            Self::LoneSurrogate => "lone-surrogate",
            Self::BigNumber => "big-number",
            Self::InvalidUtf8 => "invalid-utf8",
            Self::NulCharacter => "nul-character",
            Self::KeyOfOtherKind => "key-of-other-kind",
            Self::XmlDeclaration => "xml-declaration",
            Self::Reserved(_) => "reserved",
            Self::NotCanonical(_) => "not-canonical",
            Self::Bound(bound) => return format!("bound:{}", bound.name()),
            Self::Breach(protocol, breach) => return format!("{protocol}:{}", breach.name()),
        };
        plain.to_owned()
    }
}

/// A bound on what is read of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// Containers inside one another.
    Depth,
    /// Values in one message.
    Values,
    /// Names in one object.
    Keys,
    /// Elements of one array.
    Items,
    /// Bytes of one text.
    Text,
    /// Bytes of one number.
    Digits,
    /// Encodings inside one another.
    Layers,
    /// Bytes that decoding gives.
    Decoded,
    /// Bytes kept until the rest of a packet comes, or because later messages refer back to them.
    Pending,
}

impl Bound {
    /// Tells whether what lies beyond it was not looked at: where a name, an element, a text or a number is too much, it is told all the same.
    pub const fn hides(self) -> bool {
        match self {
            Self::Depth | Self::Values | Self::Layers | Self::Decoded | Self::Pending => true,
            Self::Keys | Self::Items | Self::Text | Self::Digits => false,
        }
    }

    /// Its name, as people and configurations write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Depth => "depth",
            Self::Values => "values",
            Self::Keys => "keys",
            Self::Items => "items",
            Self::Text => "text",
            Self::Digits => "digits",
            Self::Layers => "layers",
            Self::Decoded => "decoded",
            Self::Pending => "pending",
        }
    }
}

/// How a message breaks the rules of its sub-protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Breach {
    /// It cannot be read as a message of the protocol at all.
    NotOfTheProtocol,
    /// A type, command or opcode that the protocol does not have.
    UnknownType,
    /// A field that it must have is missing.
    MissingField,
    /// A field of the wrong kind, or with a value it cannot have.
    BadField,
    /// A text message where it must be binary, or the reverse.
    WrongKind,
    /// Sent by the side that must not send it.
    WrongDirection,
    /// Sent before the session was begun, or after it was ended.
    OutOfOrder,
    /// What follows the end of the message.
    TrailingData,
    /// The length that it states is not the length that it has.
    BadLength,
    /// It is not whole: its end is missing.
    Incomplete,
    /// More attachments or parts than it announced, or none where one was announced.
    BadAttachments,
}

impl Breach {
    /// Its name, as programs read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotOfTheProtocol => "not-of-the-protocol",
            Self::UnknownType => "unknown-type",
            Self::MissingField => "missing-field",
            Self::BadField => "bad-field",
            Self::WrongKind => "wrong-kind",
            Self::WrongDirection => "wrong-direction",
            Self::OutOfOrder => "out-of-order",
            Self::TrailingData => "trailing-data",
            Self::BadLength => "bad-length",
            Self::Incomplete => "incomplete",
            Self::BadAttachments => "bad-attachments",
        }
    }

    /// Says it in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotOfTheProtocol => "no message of the protocol",
            Self::UnknownType => "a type that the protocol does not have",
            Self::MissingField => "a field that it must have is missing",
            Self::BadField => "a field has a value that it cannot have",
            Self::WrongKind => "text where it must be binary, or the reverse",
            Self::WrongDirection => "sent by the side that must not send it",
            Self::OutOfOrder => "sent before the session began or after it ended",
            Self::TrailingData => "something follows its end",
            Self::BadLength => "its length is not what it states",
            Self::Incomplete => "its end is missing",
            Self::BadAttachments => "its attachments are not those that it announced",
        }
    }
}

impl std::fmt::Display for Anomaly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed { format, at } => write!(f, "no well-formed {format} from byte {at} on"),
            Self::Doubtful { format, at } => write!(f, "begins as {format} and is none from byte {at} on"),
            Self::TrailingData(format) => write!(f, "something follows the end of the {format}"),
            Self::DuplicateKey => f.write_str("a name stands twice in one object"),
            Self::LoneSurrogate => f.write_str("half of a surrogate pair"),
            Self::BigNumber => f.write_str("a number that not every reader can hold"),
            Self::InvalidUtf8 => f.write_str("text that is not UTF-8"),
            Self::NulCharacter => f.write_str("a NUL character in a text"),
            Self::KeyOfOtherKind => f.write_str("a name that is no text"),
            Self::XmlDeclaration => f.write_str("a document type or an entity is declared"),
            Self::Reserved(format) => write!(f, "a code that {format} has not assigned"),
            Self::NotCanonical(format) => write!(f, "{format} in a form that readers differ on"),
            Self::Bound(bound) => write!(f, "beyond the bound `{}`", bound.name()),
            Self::Breach(protocol, breach) => write!(f, "{protocol}: {}", breach.words()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_the_bound_or_the_protocol_that_it_is_of() {
        let check = |anomaly: Anomaly, expected: &str| assert_eq!(anomaly.id(), expected);
        check(Anomaly::Malformed { format: Format::Json, at: 3 }, "malformed");
        check(Anomaly::Bound(Bound::Depth), "bound:depth");
        check(Anomaly::Breach(Protocol::Mqtt, Breach::BadField), "mqtt:bad-field");
    }
}
