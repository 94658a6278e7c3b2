//! The WebSocket protocol (RFC 6455, RFC 7692) as pure state machines: bytes in, facts and bytes out.
//!
//! The codec *represents* whatever a peer sends, legal or not; a strict judge decides afterwards. What a peer did wrong is
//! data ([`Violation`], [`handshake::RequestViolation`], …) with its section of the RFC and the close code that answers it.
//! Nothing here waits, opens, reads a clock or draws a random number: mask keys come through [`MaskKeys`].
//!
//! - [`handshake`] reads, judges and builds the opening handshake of both roles.
//! - [`http`] tells where ordinary HTTP/1 messages end, and takes their bodies apart.
//! - [`deflate`] negotiates permessage-deflate (RFC 7692), inflates within limits and compresses.
//! - [`FrameHeader`] is one frame's header, [`RawFrame`] writes any frame whatsoever.
//! - [`Receiver`] turns bytes into [`Fact`]s; [`Transmitter`] turns messages into bytes; [`Session`] joins both and does
//!   what every endpoint must: answer pings and finish the close handshake.
//!
//! Contract of [`Session`]: give it bytes with `receive`, act on the facts, then drain what it wants written.
//!
//! ```
//! use sockwarden_proto::{Fact, Flow, Limits, MessageKind, Role, Session};
//!
//! // A server's side; a server needs no mask keys.
//! let mut session = Session::new(Role::Server, Limits::default(), || [0; 4]);
//! let mut bytes = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
//! let mut text = Vec::new();
//! session.receive(&mut bytes, |fact| {
//!     if let Fact::Data(piece) = fact {
//!         text.extend_from_slice(piece.bytes);
//!     }
//!     Flow::Continue
//! });
//! session.send(MessageKind::Text, &text);
//! assert_eq!(session.output(), b"\x81\x05Hello");
//! ```

mod close;
pub mod deflate;
mod frame;
pub mod handshake;
pub mod http;
mod mask;
mod opcode;
mod origin;
mod receiver;
mod session;
mod transmitter;
mod url;
mod utf8;
mod violation;

pub use close::{CloseCode, ClosePayload, close_payload};
pub use frame::{FrameHeader, LengthForm, PayloadLength, RawFrame};
pub use mask::{MaskKeys, apply_mask};
pub use opcode::{MessageKind, Opcode};
pub use origin::{Origin, OriginError, OriginHeader};
pub use receiver::{Data, Fact, Flow, Limits, Pending, Receiver, Role};
pub use session::{Phase, Session};
pub use transmitter::Transmitter;
pub use url::{UrlError, WsUrl};
pub use utf8::{Utf8Error, Utf8Validator};
pub use violation::Violation;
