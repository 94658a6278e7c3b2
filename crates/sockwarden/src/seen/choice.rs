//! Which sub-protocol a command reads messages as.

use std::str::FromStr;

use sockwarden_inspect::{Conversation, Opening, Protocol};
use sockwarden_model::printable;

/// Which sub-protocol messages are read as: `auto`, `none` or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The one that the handshake or the first messages tell.
    Auto,
    /// None: values only.
    Without,
    /// This one, whatever it looks like.
    Named(Protocol),
}

impl Choice {
    /// Begins a conversation.
    pub(crate) fn begin(self, opening: &Opening<'_>) -> Conversation {
        match self {
            Self::Auto => Conversation::new(None, opening),
            Self::Without => Conversation::of_no_protocol(),
            Self::Named(protocol) => Conversation::new(Some(protocol), opening),
        }
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::Without),
            name => Protocol::named(name).map(Self::Named).ok_or_else(|| {
                let names: Vec<&str> = Protocol::all().map(Protocol::name).collect();
                format!(
                    "`{}` is no sub-protocol: auto, none, {}",
                    printable(name.as_bytes(), 40),
                    names.join(", ")
                )
            }),
        }
    }
}
