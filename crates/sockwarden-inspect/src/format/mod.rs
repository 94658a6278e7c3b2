//! The formats that values are read from: one file each, pure, bounded, and never less strict than the format.

pub(crate) mod base64;
pub(crate) mod cbor;
mod entities;
pub(crate) mod form;
pub(crate) mod hex;
pub(crate) mod items;
pub(crate) mod json;
pub(crate) mod message_pack;
pub(crate) mod names;
pub(crate) mod percent;
pub(crate) mod xml;

/// What reads bytes that are said to be of one format.
pub(crate) type Read = fn(&mut crate::walk::Walk<'_>, &[u8]);

/// A format or an encoding that values stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JSON (RFC 8259).
    Json,
    /// MessagePack.
    MessagePack,
    /// CBOR (RFC 8949).
    Cbor,
    /// XML 1.0, and HTML as far as it is written like that.
    Xml,
    /// `name=value&name=value` with `%XX` (application/x-www-form-urlencoded, a query).
    Form,
    /// Text with `%XX` (RFC 3986 §2.1).
    Percent,
    /// Base64 (RFC 4648), of either alphabet.
    Base64,
    /// Pairs of hexadecimal digits.
    Hex,
    /// GraphQL.
    GraphQl,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
}

impl Format {
    /// Its name, as places and people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MessagePack => "msgpack",
            Self::Cbor => "cbor",
            Self::Xml => "xml",
            Self::Form => "form",
            Self::Percent => "percent",
            Self::Base64 => "base64",
            Self::Hex => "hex",
            Self::GraphQl => "graphql",
            Self::Text => "text",
            Self::Bytes => "bytes",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
