//! The admin listener of a running gateway: health, metrics, and an API to look at sessions and routes and to act on them.
//!
//! It knows the gateway by [`sockwarden_model::Control`] and [`sockwarden_model::Operations`] only, and events by the [`Feed`] that whoever writes them fills, so
//! that nothing here can slow or stop traffic. Every request passes the same gate: the path as it is spelled, the name in
//! the Host header, the Origin of a page, the rate, the token and its role, the time and the size; what operators do, and
//! what somebody is refused, is an audit event.

mod access;
mod answer;
mod bucket;
mod certificate;
mod config;
mod endpoints;
mod events;
mod feed;
mod gate;
mod health;
mod host;
mod metrics;
mod modes;
mod openapi;
mod operations;
mod revocations;
mod routes;
mod server;
mod sessions;
mod tickets;
mod token;

pub use access::Tls;
pub use config::{Admin, AdminConfig, Problem, build};
pub use feed::Feed;
pub use openapi::openapi;
pub use server::{Console, StartError, Wiring};
pub use token::TOKEN_BYTES;
pub use token::write_new as write_new_token;
