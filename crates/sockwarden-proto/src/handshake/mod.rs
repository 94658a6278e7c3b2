//! The opening handshake (RFC 6455 §4): heads are read strictly, judged by name, and built anew rather than copied.

mod accept;
mod client;
mod head;
mod header;
mod request;
mod response;

pub use accept::{accept_value, is_valid_key};
pub use client::ClientHandshake;
pub use head::{HeadLimits, HeadViolation, RequestHead, ResponseHead, find_end_of_head};
pub use header::{Header, Headers, is_token};
pub use request::{RequestViolation, UpgradeRequest};
pub use response::{AcceptedUpgrade, ResponseViolation, http_response, switching_protocols};
