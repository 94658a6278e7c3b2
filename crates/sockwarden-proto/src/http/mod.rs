//! Ordinary HTTP/1 messages (RFC 9112): where each begins and ends, judged so that no two readers could disagree.
//!
//! Heads are read by [`crate::handshake::RequestHead`] and [`crate::handshake::ResponseHead`]; this tells whether a head says
//! exactly one thing about what follows it, and takes that apart. What cannot be told without guessing is a violation.

mod body;
mod framing;

pub use body::{BodyReader, BodyViolation, Piece};
pub use framing::{Framing, HttpViolation, judge_request};
