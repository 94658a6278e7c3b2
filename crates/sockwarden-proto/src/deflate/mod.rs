//! permessage-deflate (RFC 7692): what is offered and agreed, one capped decoder, one encoder.
//!
//! - [`Offer`] is what a client proposes, [`Agreement`] what a server answers; both are read strictly and written canonically.
//! - [`Inflater`] reads one peer's compressed messages, piece by piece, never beyond its [`InflateLimits`].
//! - [`Deflater`] compresses whole messages.
//!
//! An endpoint takes part by [`crate::Session::with_inflater`]; who forwards what a peer compressed takes the original payload
//! from [`crate::Data::compressed`].
//!
//! # Memory
//! Nothing is held before the first compressed message. From then on a direction with context takeover holds 47 KiB to
//! inflate and, where it also compresses, up to 266 KiB to deflate; without context takeover both are given back at the end of
//! each message. A thread keeps one decoder and 64 KiB to inflate into for whoever is next.

mod agreement;
mod deflater;
mod extension;
mod inflater;
mod offer;
mod parameters;
mod spare;
mod window;

pub use agreement::{Agreement, AnswerViolation, Wishes};
pub use deflater::Deflater;
pub use extension::{Extension, ExtensionError, Parameter, extensions};
pub use inflater::{InflateLimits, Inflated, Inflater};
pub use offer::{Offer, OfferError, offers};
use parameters::Parameters;
pub(crate) use spare::Buffer;
pub use window::WindowBits;

/// The name of the extension.
pub const NAME: &str = "permessage-deflate";
