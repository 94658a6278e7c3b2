//! Findings out: [`text`] for a person at a terminal, [`jsonl`] for scripts, [`sarif`] for trackers and editors.
//!
//! Each format is a pure function of what scans came to. Bytes that a target controls are escaped and cut in what a person
//! reads; JSON escapes the rest.

pub mod jsonl;
pub mod sarif;
mod scanned;
pub mod text;

pub use scanned::{Scanned, Tested, Verdict};
