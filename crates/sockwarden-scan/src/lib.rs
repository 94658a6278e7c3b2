//! Finds the flaws of a WebSocket endpoint from outside, with proof.
//!
//! - A [`Check`] is one file in [`checks`]: a pure [`Machine`] that is told what was said so far (an [`Exchange`]) and asks for
//!   what to say next (a [`Step`]). It has no socket, clock or random numbers of its own, so that a recorded exchange replays.
//! - The driver talks for it. Where the connections go, how fast, how many and how long is not for a check to say: scope, rate,
//!   time, bytes and intrusiveness are enforced at the one door to the network.
//! - Before any check, the [`Survey`] visits the target as its users do, twice each, so that checks compare with how it behaves
//!   when nothing is wrong. A finding survives an echo server, a chat that broadcasts, and a silent server.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use sockwarden_net::{ClientTls, DialOptions};
//! use sockwarden_scan::{Identity, Options, Target, scan};
//!
//! let mut target = Target::new("wss://app.example/ws".parse()?);
//! target.identities.push(Identity::new("mara", "Cookie", "session=…"));
//! let dial = DialOptions { tls: ClientTls::platform()?, timeout: Duration::from_secs(5), connect_to: None };
//! let report = scan(target, &Options::new(dial), &()).await?;
//! println!("{} findings", report.findings.len());
//! # Ok(()) }
//! ```

mod check;
pub mod checks;
mod credential;
mod dice;
mod engine;
mod errand;
mod evidence;
mod exchange;
mod illegal;
mod load;
mod malformed;
mod options;
mod origins;
mod personal;
mod probe;
mod progress;
mod redact;
mod report;
mod scan;
mod survey;
mod talk;
mod target;
mod ticket;
mod token;
mod values;

#[cfg(test)]
mod testing;

pub use check::{Check, Conclusion, Halt, Machine, Scene, Skip, Step};
pub use dice::Dice;
pub use errand::{Errand, Reply, Which};
pub use exchange::{Answer, Connection, End, Exchange, Happening, Message, Record};
pub use options::Options;
pub use progress::Progress;
pub use redact::is_secret_name;
pub use report::{CheckResult, Outcome, Report, ScanError, Stats};
pub use scan::scan;
pub use survey::{Survey, Visit, Way, Who};
pub use talk::{Listen, Opening, Slow, Talk, Turn, Until};
pub use target::{Identity, SameSite, Target, TargetError, is_credential};
pub use ticket::{TicketPlace, Tickets};
