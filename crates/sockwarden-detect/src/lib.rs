//! Whether what a message holds is an attack.
//!
//! A [`Detection`] is built once per route from a [`Policy`]; a [`Scan`] takes the values of one message after the other as `inspect`
//! tells them, and ends with a [`Judgement`]: a score, whether it reaches the threshold, and the [`Observation`]s that it is made of.
//!
//! A value costs a look at its marks, and nothing more where no detector needs its bytes. Where one may, a single search for the
//! literals of all detectors follows; only those start whose literals are there. A detector confirms a shape by reading it as the
//! language it would be injected into, never by a word alone, and weighs it by what the value is: a bare value needs less to be an
//! attack than a sentence does. The heaviest observation of the worst value makes the score, so that a
//! long message of harmless values adds up to nothing.
//!
//! Every scan is linear in the bytes of the value, whatever they are; windows and lists are bounded; no input panics.

mod decode;
mod detection;
mod detectors;
mod exclusion;
mod findings;
mod judgement;
mod observation;
mod policy;
mod scan;
mod setting;
mod starts;
mod table;
#[cfg(test)]
mod testing;
mod words;

pub use detection::Detection;
pub use detectors::{RuleInfo, rules};
pub use exclusion::{Exclusion, ExclusionError};
pub use judgement::Judgement;
pub use observation::{Category, Observation};
pub use policy::{Policy, Preset, UnknownPreset};
pub use scan::{Scan, ScanSink};
