//! What a message holds, and where: the one answer that authorisation, rates, detection, contracts and leaks all ask for.
//!
//! A message is read once, from front to back, and told to a [`Sink`] as a stream of [`Value`]s: each key, string, number or
//! run of bytes with its [`Place`], its [`Kind`] and the [`Marks`] of which rare bytes it holds. No tree is built. What is
//! encoded inside a value (JSON in a string, base64, a form) is followed to a bounded depth. Which sub-protocol is spoken is
//! taken from the handshake, from configuration, or recognised; its [`Operation`]s come after the values of their message.
//!
//! Nothing is cut silently: what is not well-formed, ambiguous or beyond a bound is an [`Anomaly`] with its place.
//!
//! A [`Conversation`] lives with one connection and holds what its protocol's parser must remember; a [`Reader`] holds the
//! buffers and lives with the thread. Nothing here waits, opens, reads a clock or draws a random number, and no input panics.

mod anomaly;
mod content;
mod conversation;
mod format;
pub mod graphql;
mod kind;
mod limits;
mod marks;
mod notice;
mod operation;
mod place;
pub mod polling;
mod protocol;
mod sink;
mod subject;
#[cfg(test)]
mod testing;
mod value;
mod walk;

pub use anomaly::{Anomaly, Bound, Breach};
pub use conversation::{Chosen, Conversation, Message, Opening, Reader};
pub use format::Format;
pub use kind::Kind;
pub use limits::InspectLimits;
pub use marks::Marks;
pub use notice::Asked;
pub use operation::{Action, Operation};
pub use place::{Place, Step};
pub use protocol::Protocol;
pub use sink::Sink;
pub use subject::{Pattern, PatternError, Style};
pub use value::{Role, Shape, Value};
