//! The inline proxy: it ends the client's WebSocket, judges every frame both ways, and speaks a second WebSocket to the
//! application. What it forwards is what it inspected: one parse per direction, and no way around.
//!
//! ```text
//! accept → TLS → head → route → defences → application's TLS and handshake → 101 → relay → close
//! ```
//!
//! It names no store, console or report: what happens goes into the bounded [`sockwarden_model::EventSender`] that it is
//! handed, and whoever operates it does so by the [`sockwarden_model::Control`] that [`Gateway::control`] gives.

mod access;
mod admission;
mod answer;
mod arrival;
mod auth;
mod build;
mod certificates;
mod client_address;
mod compression;
mod config;
mod connection;
mod control;
mod counters;
mod defaults;
mod engine;
mod farewell;
mod heads;
mod hold;
mod inflate_time;
mod inspection;
mod journal;
mod lifecycle;
mod liveness;
mod mailbox;
mod modes;
mod occupancy;
mod outgoing;
mod panics;
mod pass_through;
mod rates;
mod registry;
mod relay;
mod routing;
mod server;
mod sockets;
mod spare;
mod stopping;
mod talk;
mod throttle;
mod upstream;
mod verdicts;

pub use auth::{Auth, BearerConfig, ForwardAuthConfig, SessionConfig, TicketConfig, TicketPlace};
pub use build::{BuildError, Built, Problem, build, warnings};
pub use certificates::CertificateConfig;
pub use client_address::{ForwardedHeader, ProxiesConfig};
pub use compression::{CompressionKind, InflateConfig};
pub use config::{
    ConnectionLimitsConfig, HeadLimitsConfig, LimitsConfig, ListenerConfig, PerAddressConfig, RouteConfig,
};
pub use defaults::DefaultsConfig;
pub use inspection::InspectConfig;
pub use lifecycle::{ChangedRoutes, DrainCode, DrainConfig, ReloadConfig};
pub use liveness::TimeoutsConfig;
pub use pass_through::{FailKind, HttpKind, HttpLimitsConfig};
pub use routing::PathMatch;
pub use server::{Gateway, Listening, StartError};
pub use sockets::{Inherited, Sockets};
pub use upstream::{Balance, CheckConfig, HeaderConfig, HealthConfig, UpstreamsConfig};
