//! What happens to the keys that tokens are verified with.

use std::fmt;

use sockwarden_model::Notice;

/// Something that an operator should know about keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyNews {
    /// Keys were read that are new, or that could not be read before.
    Read {
        /// Where they are from.
        from: String,
        /// How many there are.
        keys: usize,
        /// Which were left out, and why.
        left_out: Vec<String>,
    },
    /// Keys cannot be read; said once, until they can be again.
    Unavailable {
        /// Where they should be from.
        from: String,
        /// Why.
        why: String,
        /// Whether older ones stay in use, a day at most.
        has_older: bool,
    },
}

impl KeyNews {
    /// Gives the notice that it is.
    pub const fn notice(&self) -> Notice {
        match self {
            Self::Read { .. } => Notice::KeysRead,
            Self::Unavailable { .. } => Notice::KeysUnavailable,
        }
    }
}

impl fmt::Display for KeyNews {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { from, keys, left_out } => {
                write!(out, "{from}: {keys} keys")?;
                if !left_out.is_empty() {
                    write!(out, "; left out: {}", left_out.join(", "))?;
                }
                Ok(())
            }
            Self::Unavailable { from, why, has_older } => {
                let now =
                    if *has_older { "the last ones stay in use for a day at most" } else { "there are none" };
                write!(out, "{from}: {why}; {now}")
            }
        }
    }
}
