//! What may be ordered of whoever runs a gateway: to read its configuration again, and to end.
//!
//! It stands beside [`crate::Control`] because a gateway knows no files: the program that started it does. No call waits:
//! the order is queued, and the answer given when it has been carried out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Requester;

/// What whoever runs a gateway lets itself be told.
pub trait Operations: Send + Sync {
    /// Has the configuration read again; what cannot run leaves the one in force as it is.
    fn reload(&self, by: &Requester, answer: Answer<Result<Reloaded, OrderError>>);

    /// Has the gateway end in order: no new connections, farewells over a window. The answer is given once it has begun.
    fn drain(&self, by: &Requester, answer: Answer<Result<Draining, OrderError>>);
}

/// Takes the answer to an order. One that is dropped uncalled means that the gateway has ended.
pub type Answer<T> = Box<dyn FnOnce(T) + Send>;

/// What a reload has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    /// Routes that are as they were.
    pub unchanged: usize,
    /// Routes that are new or different.
    pub changed: usize,
    /// Routes that are gone.
    pub removed: usize,
    /// Sessions that are being closed.
    pub closing: usize,
}

impl std::fmt::Display for Reloaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { unchanged, changed, removed, closing } = self;
        write!(
            f,
            "routes: {unchanged} unchanged, {changed} changed, {removed} removed; {closing} sessions closing"
        )
    }
}

/// How far an end in order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Draining {
    /// It begins now.
    Begun,
    /// It was under way already.
    UnderWay,
}

/// Why an order is not carried out; everything is as it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderError {
    /// The new configuration cannot run.
    Invalid {
        /// What is wrong, in one sentence.
        why: String,
        /// Everything that is wrong, each with its place in the file.
        details: Vec<String>,
    },
    /// It cannot be done as things stand.
    NotNow(String),
    /// Too many orders wait.
    Busy,
}

impl std::fmt::Display for OrderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid { why, .. } | Self::NotNow(why) => f.write_str(why),
            Self::Busy => f.write_str("too many orders wait already; try again later"),
        }
    }
}

impl std::error::Error for OrderError {}
