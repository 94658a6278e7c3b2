//! The same bytes through this crate and through two independent implementations.
//!
//! Where they differ, the difference is listed with its reason and the section of RFC 6455 that says who is right; one that is
//! not listed fails, and so does an entry of the list that no longer occurs.

mod frames;
mod handshake;
mod peers;
