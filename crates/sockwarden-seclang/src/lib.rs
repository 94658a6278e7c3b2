//! Rule sets in `SecLang`, such as the OWASP Core Rule Set, compiled for the values of messages.
//!
//! Names and texts of files go in, a [`RuleSet`] and a [`Report`] come out: what became of each rule, and why. A [`Policy`] makes a
//! [`Plan`] of it: whatever does not depend on a message (defaults, levels of paranoia, exclusions) is evaluated then, once. A plan judges a
//! [`Message`]: each value is transformed once for all rules, a prefilter that changes no verdict finds the few rules to be asked, and what
//! matched is added up in the order of the rules, as libmodsecurity 3 does it.
//!
//! Nothing here opens a file, waits or reads a clock; all searches take linear time; what a message can make grow has a bound.

mod action;
mod bytes;
mod error;
mod macros;
mod message;
mod necessary;
mod operator;
mod outcome;
mod pattern;
mod plan;
mod policy;
mod reader;
mod report;
mod rules;
mod run;
mod scan;
mod source;
mod subject;
mod target;
mod test;
mod transform;
mod tx;

pub use error::{Fault, ReadError, ReadErrors};
pub use message::{Fields, Handshake, Message};
pub use outcome::{MATCHES, Match, Outcome};
pub use pattern::Untranslatable;
pub use plan::{Plan, Scratch};
pub use policy::{Exclusion, Paranoia, Policy};
pub use report::{Note, Report, RuleReport, Standing};
pub use rules::RuleSet;
pub use source::Source;
pub use target::Foreign;
