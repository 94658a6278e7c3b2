//! What a server answers, and what follows from it for both ends (RFC 7692 §5.1, §7.1).

use super::{Deflater, Extension, InflateLimits, Inflater, Offer, OfferError, Parameters, WindowBits};
use crate::Role;

/// What both ends have agreed on; written, it is the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Agreement {
    /// Whether the server compresses each message on its own.
    pub server_no_context_takeover: bool,
    /// Whether the client does.
    pub client_no_context_takeover: bool,
    /// The largest window of the server, where it is stated; else 32 KiB.
    pub server_max_window_bits: Option<WindowBits>,
    /// The largest window of the client, where it is stated; else 32 KiB.
    pub client_max_window_bits: Option<WindowBits>,
}

/// What a server would like, as far as an offer lets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// To compress each message on its own.
    pub server_no_context_takeover: bool,
    /// That the client does.
    pub client_no_context_takeover: bool,
    /// To use no larger window than this.
    pub server_max_window_bits: WindowBits,
    /// That the client uses no larger window than this.
    pub client_max_window_bits: WindowBits,
}

impl Wishes {
    /// Nothing: whatever the client offers.
    pub const NONE: Self = Self {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: WindowBits::MAX,
        client_max_window_bits: WindowBits::MAX,
    };

    /// That no direction holds memory between messages.
    pub const NO_CONTEXT: Self =
        Self { server_no_context_takeover: true, client_no_context_takeover: true, ..Self::NONE };
}

/// What is wrong with a server's answer to an offer: the client must fail the connection (RFC 7692 §5.1, §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AnswerViolation {
    /// permessage-deflate is answered and no valid offer of it was made (§5.1).
    #[error("permessage-deflate was not offered")]
    NotOffered,
    /// permessage-deflate is answered twice (§5.1).
    #[error("permessage-deflate is answered twice")]
    Repeated,
    /// The answer has a parameter that is not defined (§7.1).
    #[error("a parameter of permessage-deflate is unknown")]
    UnknownParameter,
    /// The answer names a parameter twice (§7.1).
    #[error("a parameter of permessage-deflate is named twice")]
    RepeatedParameter,
    /// A parameter has a value that is not allowed, or lacks one (§7.1).
    #[error("a parameter of permessage-deflate has a wrong value")]
    WrongValue,
    /// The server was asked not to take over its context and does not agree to it (§7.1.1.1).
    #[error("server_no_context_takeover was asked for and is not in the answer")]
    ServerContextKept,
    /// The server's window is larger than what was offered, or not stated although it was to be limited (§7.1.2.1).
    #[error("server_max_window_bits is larger than what was offered, or missing")]
    ServerWindowTooLarge,
    /// The client's window is limited although that was not offered (§7.1.2.2).
    #[error("client_max_window_bits was not offered")]
    ClientWindowNotOffered,
    /// The client's window is larger than what was offered (§7.1.2.2).
    #[error("client_max_window_bits is larger than what was offered")]
    ClientWindowTooLarge,
}

impl Agreement {
    /// Reads a server's answer, whatever was offered.
    ///
    /// # Errors
    /// A parameter is unknown, repeated or has a wrong value. Another extension is no answer at all: `None`.
    pub fn read(extension: &Extension) -> Result<Option<Self>, AnswerViolation> {
        let read = match Parameters::read(extension) {
            Ok(read) => read,
            Err(OfferError::OtherExtension) => return Ok(None),
            Err(OfferError::UnknownParameter) => return Err(AnswerViolation::UnknownParameter),
            Err(OfferError::RepeatedParameter) => return Err(AnswerViolation::RepeatedParameter),
            Err(OfferError::WrongValue) => return Err(AnswerViolation::WrongValue),
        };
        let client_max_window_bits = match read.client_max_window_bits {
            None => None,
            // In an answer the parameter must have a value.
            Some(bits) => Some(bits.ok_or(AnswerViolation::WrongValue)?),
        };
        Ok(Some(Self {
            server_no_context_takeover: read.server_no_context_takeover,
            client_no_context_takeover: read.client_no_context_takeover,
            server_max_window_bits: read.server_max_window_bits,
            client_max_window_bits,
        }))
    }

    /// Finds the server's answer to `offers` among the extensions of its response; `None` where it declined them all. An
    /// answer need only suit one offer, since it does not say which one it takes.
    ///
    /// # Errors
    /// The answer suits none: what is wrong with it as an answer to the first.
    pub fn verify(offers: &[Offer], answered: &[Extension]) -> Result<Option<Self>, AnswerViolation> {
        let mut found = None;
        for extension in answered {
            let Some(answer) = Self::read(extension)? else { continue };
            if found.replace(answer).is_some() {
                return Err(AnswerViolation::Repeated);
            }
        }
        let Some(answer) = found else { return Ok(None) };
        let mut verdicts = offers.iter().map(|offer| offer.allows(&answer));
        match verdicts.next() {
            None => Err(AnswerViolation::NotOffered),
            Some(Err(violation)) if !verdicts.any(|verdict| verdict.is_ok()) => Err(violation),
            Some(Ok(()) | Err(_)) => Ok(Some(answer)),
        }
    }

    /// Makes the decoder that an endpoint in `role` reads its peer with.
    pub const fn inflater(&self, role: Role, limits: InflateLimits) -> Inflater {
        let no_context_takeover = match role {
            Role::Client => self.server_no_context_takeover,
            Role::Server => self.client_no_context_takeover,
        };
        Inflater::new(!no_context_takeover, limits)
    }

    /// Makes the encoder that an endpoint in `role` writes to its peer with.
    pub fn deflater(&self, role: Role) -> Deflater {
        let (no_context_takeover, bits) = match role {
            Role::Client => (self.client_no_context_takeover, self.client_max_window_bits),
            Role::Server => (self.server_no_context_takeover, self.server_max_window_bits),
        };
        Deflater::new(!no_context_takeover, bits.unwrap_or(WindowBits::MAX))
    }
}

impl std::fmt::Display for Agreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parameters = Parameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits,
            client_max_window_bits: self.client_max_window_bits.map(Some),
        };
        parameters.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{extensions, offers},
        *,
    };

    fn verify(offered: &str, answered: &str) -> Result<Option<String>, AnswerViolation> {
        let offers = offers(&extensions([offered.as_bytes()]).unwrap());
        let answer = Agreement::verify(&offers, &extensions([answered.as_bytes()]).unwrap())?;
        Ok(answer.map(|answer| answer.to_string()))
    }

    #[test]
    fn an_answer_is_judged_by_what_was_offered() {
        use AnswerViolation as V;
        let check = |offer: &str, answer: &str, expected: Result<(), V>| {
            let name = |parameters: &str| {
                parameters.split('|').map(|p| format!("permessage-deflate{p}")).collect::<Vec<_>>().join(",")
            };
            let answer = name(answer);
            let expected = expected.map(|()| Some(answer.clone()));
            assert_eq!(verify(&name(offer), &answer), expected, "{offer:?} {answer:?}");
        };
        check("", "", Ok(()));
        check("", "; server_no_context_takeover", Ok(()));
        check("", "; client_no_context_takeover", Ok(()));
        check("", "; server_max_window_bits=10", Ok(()));
        check("", "; client_max_window_bits=10", Err(V::ClientWindowNotOffered));
        check("; client_max_window_bits", "; client_max_window_bits=15", Ok(()));
        check("; client_max_window_bits", "; client_max_window_bits=8", Ok(()));
        check("; client_max_window_bits", "", Ok(()));
        check("; client_max_window_bits=9", "; client_max_window_bits=9", Ok(()));
        check("; client_max_window_bits=9", "; client_max_window_bits=10", Err(V::ClientWindowTooLarge));
        check("; client_max_window_bits", "; client_max_window_bits", Err(V::WrongValue));
        check("; server_max_window_bits=10", "; server_max_window_bits=10", Ok(()));
        check("; server_max_window_bits=10", "; server_max_window_bits=8", Ok(()));
        check("; server_max_window_bits=10", "; server_max_window_bits=11", Err(V::ServerWindowTooLarge));
        check("; server_max_window_bits=10", "", Err(V::ServerWindowTooLarge));
        check("; server_max_window_bits=15", "", Err(V::ServerWindowTooLarge));
        check("; server_no_context_takeover", "", Err(V::ServerContextKept));
        check("; server_no_context_takeover", "; server_no_context_takeover", Ok(()));
        check("; client_no_context_takeover", "", Ok(()));
        check("", "; x", Err(V::UnknownParameter));
        check("", "; server_max_window_bits=16", Err(V::WrongValue));
        check("", "; client_no_context_takeover; client_no_context_takeover", Err(V::RepeatedParameter));
        check("", "|", Err(V::Repeated));
        check("; nonsense", "", Err(V::NotOffered));
        // An answer may take any of the offers.
        check("; server_max_window_bits=9|", "", Ok(()));
        check(
            "; server_no_context_takeover|; server_max_window_bits=9",
            "; server_max_window_bits=10",
            Err(V::ServerContextKept),
        );
    }

    #[test]
    fn what_is_answered_is_what_the_offer_allows() {
        let values =
            || [None, Some(8), Some(9), Some(12), Some(15)].map(|bits| bits.and_then(WindowBits::new));
        for server_max_window_bits in values() {
            for client_max_window_bits in values() {
                for flags in 0..16 {
                    let offer = Offer {
                        server_no_context_takeover: flags & 1 != 0,
                        client_no_context_takeover: flags & 2 != 0,
                        server_max_window_bits,
                        client_max_window_bits,
                    };
                    for bits in (8..=15).filter_map(WindowBits::new) {
                        let wishes = Wishes {
                            server_no_context_takeover: flags & 4 != 0,
                            client_no_context_takeover: flags & 8 != 0,
                            server_max_window_bits: bits,
                            client_max_window_bits: bits,
                        };
                        let answer = offer.accept(&wishes);
                        assert_eq!(offer.allows(&answer), Ok(()), "{offer} {answer}");
                        assert_eq!(
                            verify(&offer.to_string(), &answer.to_string()),
                            Ok(Some(answer.to_string()))
                        );
                        assert!(answer.server_max_window_bits.unwrap_or(WindowBits::MAX) <= bits);
                        assert!(answer.server_no_context_takeover || !wishes.server_no_context_takeover);
                        assert!(answer.client_no_context_takeover || !wishes.client_no_context_takeover);
                    }
                }
            }
        }
    }
}
