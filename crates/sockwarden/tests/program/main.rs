//! The built program from outside: what it is given, what it says, how it ends.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod activation;
mod admin;
mod admin_tls;
mod authorize;
mod bad_configuration;
mod bad_input;
mod bench;
mod canary;
mod guard;
mod harbor;
mod inspect;
mod listen;
mod operator;
mod orders;
mod run;
mod sandbox;
mod scan_identities;
mod scan_limits;
mod service;
mod verdicts;
