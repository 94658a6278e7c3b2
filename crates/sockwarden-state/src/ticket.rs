//! Tickets, and what is kept of them.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

/// A proof that is good for one handshake: `swt_` and 32 random bytes in base64url without padding. It is never shown.
#[derive(Clone)]
pub struct Ticket(String);

/// Why a text is no [`Ticket`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It does not begin with [`Ticket::PREFIX`].
    #[error("a ticket begins with `swt_`")]
    Prefix,
    /// It is longer or shorter than [`Ticket::LENGTH`].
    #[error("a ticket has 47 characters")]
    Length,
    /// What follows the prefix is not base64url (RFC 4648 §5), or not in its one form (§3.5).
    #[error("a ticket is `swt_` and base64url")]
    Encoding,
}

impl Malformed {
    /// Gives the reason code, for the operator.
    pub const fn code(self) -> &'static str {
        "ticket-malformed"
    }
}

impl Ticket {
    /// What every ticket begins with.
    pub const PREFIX: &'static str = "swt_";

    /// How long every ticket is, in bytes.
    pub const LENGTH: usize = 47;

    /// Makes a ticket of 32 random bytes.
    pub fn from_random(random: [u8; 32]) -> Self {
        let mut text = String::with_capacity(Self::LENGTH);
        text.push_str(Self::PREFIX);
        BASE64_URL_SAFE_NO_PAD.encode_string(random, &mut text);
        Self(text)
    }

    /// Reads a ticket; each has one form only.
    ///
    /// # Errors
    /// The text is none.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let encoded = text.strip_prefix(Self::PREFIX).ok_or(Malformed::Prefix)?;
        if text.len() != Self::LENGTH {
            return Err(Malformed::Length);
        }
        let mut random = [0; 32];
        match BASE64_URL_SAFE_NO_PAD.decode_slice(encoded, &mut random) {
            Ok(32) => Ok(Self(text.to_owned())),
            Ok(_) | Err(_) => Err(Malformed::Encoding),
        }
    }

    /// Gives the text, for whoever asked for the ticket and nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Gives the SHA-256 of the text: all that is kept.
    pub fn hash(&self) -> TicketHash {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, self.0.as_bytes()).as_ref());
        TicketHash(hash)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("swt_***")
    }
}

/// The SHA-256 of a ticket's text, by which it may be named: 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TicketHash([u8; 32]);

/// Says that a text is no [`TicketHash`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hash of a ticket is a SHA-256: 64 hexadecimal digits")]
pub struct NoTicketHash;

impl TicketHash {
    /// Gives its first byte, which spreads evenly.
    pub(crate) const fn first(&self) -> u8 {
        self.0[0]
    }
}

impl fmt::Display for TicketHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TicketHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketHash({self})")
    }
}

impl FromStr for TicketHash {
    type Err = NoTicketHash;

    fn from_str(text: &str) -> Result<Self, NoTicketHash> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(NoTicketHash);
        }
        let mut hash = [0; 32];
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(digits).map_err(|_| NoTicketHash)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NoTicketHash)?;
        }
        Ok(Self(hash))
    }
}

impl TryFrom<String> for TicketHash {
    type Error = NoTicketHash;

    fn try_from(text: String) -> Result<Self, NoTicketHash> {
        text.parse()
    }
}

impl From<TicketHash> for String {
    fn from(hash: TicketHash) -> Self {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_has_one_form() {
        let good = Ticket::from_random([0xfb; 32]).expose().to_owned();
        assert_eq!(good.len(), Ticket::LENGTH);
        assert_eq!(Ticket::parse(&good).unwrap().expose(), good);
        let check = |text: &str, expected| assert_eq!(Ticket::parse(text).err(), Some(expected), "{text}");
        check("", Malformed::Prefix);
        check(&good[4..], Malformed::Prefix);
        check(&good.replace("swt_", "SWT_"), Malformed::Prefix);
        check(&good[..46], Malformed::Length);
        check(&format!("{good}="), Malformed::Length);
        check(&format!("{good} "), Malformed::Length);
        check(&format!("{}=", &good[..46]), Malformed::Encoding);
        check(&format!("{}+", &good[..46]), Malformed::Encoding);
        check(&format!("{}é", &good[..45]), Malformed::Encoding);
        // The last character says four bits only: whoever says more has changed the ticket.
        check(&format!("{}t", &good[..46]), Malformed::Encoding);
    }

    #[test]
    fn a_ticket_is_never_shown() {
        assert_eq!(format!("{:?}", Ticket::from_random([7; 32])), "swt_***");
    }

    #[test]
    fn a_ticket_is_named_by_its_sha_256() {
        let ticket = Ticket::parse("swt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
        let hash = ticket.hash();
        // printf %s swt_AAAA… | sha256sum
        assert_eq!(hash.to_string(), SHA256_OF_ZEROS);
        assert_eq!(SHA256_OF_ZEROS.parse(), Ok(hash));
        assert_eq!(SHA256_OF_ZEROS.to_uppercase().parse(), Ok(hash));
        let json = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<TicketHash>(&json).unwrap(), hash);
        for text in ["", "ab", &SHA256_OF_ZEROS[1..], &format!("+{}", &SHA256_OF_ZEROS[1..])] {
            assert_eq!(text.parse::<TicketHash>(), Err(NoTicketHash), "{text}");
        }
    }

    const SHA256_OF_ZEROS: &str = "e3abdf391b337e785857da6b8423e6c7d44445456dc7eb3f5cea96a49f957935";
}
