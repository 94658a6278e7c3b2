//! The defences: one file each, verdicts from facts.
//!
//! A [`Defence`] exists once per route; the [`Guard`] that it makes lives with one connection and is a pure machine. The
//! [`Chain`] asks the guards in the one order of [`defences::ORDER`] and applies each one's mode. A guard cannot fail,
//! wait or look anything up: what must be looked up is a verdict too ([`Verdict::Ask`]), which the shell carries out.

mod bad_setting;
mod chain;
pub mod defences;
mod detecting;
mod fact;
mod hears;
mod pointer;
mod probe;
mod reading;
mod switch;
mod topics;
mod verdict;
mod way;

pub use bad_setting::BadSetting;
pub use chain::{Chain, Configured, Decided, Outcome, Report};
pub use defences::{Defences, ORDER};
pub use fact::{Answer, Content, Fact, HandshakeFact, OpenFact, RequestFact, UpstreamFact};
pub use hears::Hears;
pub use switch::Switch;
pub use verdict::{Closure, Effect, Refusal, Verdict};
pub use way::{Denial, Denied, Way};

use std::time::Duration;

use sockwarden_model::Rule;

/// A defence as it is configured for a route.
pub trait Defence: std::fmt::Debug + Send + Sync {
    /// Gives its declaration.
    fn rule(&self) -> &'static Rule;

    /// Tells what its guards are told of what is sent after the upgrade. Where no defence wants to know what messages hold, they
    /// are not read.
    fn hears(&self) -> Hears {
        Hears::NOTHING
    }

    /// Tells whether the sender of a message that is left out is told so, in the words of the sub-protocol.
    fn tells(&self) -> bool {
        false
    }

    /// Makes the guard of a new connection.
    fn guard(&self) -> Box<dyn Guard>;
}

/// A defence's half that lives with one connection.
pub trait Guard: Send {
    /// Judges one fact. `now` is the time since any fixed moment and never runs backwards.
    fn observe(&mut self, fact: &Fact<'_>, now: Duration) -> Verdict;
}
