//! The gateway as its users meet it: real sockets, a real WebSocket library behind it, attacks that succeed where a defence
//! is off and fail where it is on.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod certificates;
mod client_certificates;
mod close;
mod compression;
mod control;
mod defences;
mod handshake;
mod http;
mod limits;
mod liveness;
mod messages;
mod operations;
mod patience;
mod polling;
mod proxies;
mod rates;
mod relay;
mod reload;
mod replicas;
mod routing;
mod sessions;
mod shared_rates;
mod stage;
mod tickets;
mod upstreams;
