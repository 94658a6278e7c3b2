//! Active script for pages.

use sockwarden_inspect::Marks;

use super::{Desk, Detector, Text, declare};
use crate::starts::Start;

declare! {
    SCRIPT = "xss-script", Xss, 1, "A script element begins.", ["CWE-79"];
}

pub(super) static DETECTOR: Detector =
    Detector { rules: RULES, starts: &[Start { marks: &[Marks::ANGLE], literals: &["<script"] }], run };

fn run(text: &Text<'_>, desk: &mut Desk) {
    if let Some(at) = crate::words::find(text.bytes, 0, b"<script") {
        desk.findings.add(&SCRIPT, 7, at..at + 7);
    }
}
