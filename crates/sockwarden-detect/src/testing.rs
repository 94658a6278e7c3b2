//! What the tables of all detectors share: a text in, the rules that speak for an attack out.

use sockwarden_inspect::Message;
use sockwarden_model::Direction;

use crate::{Category, Detection, Judgement, Policy};

/// Judges a message of the client under the default preset.
pub(crate) fn judge(json: &str) -> Judgement {
    thread_local! {
        static DETECTION: Detection = Detection::new(&Policy::default());
    }
    DETECTION.with(|detection| detection.judge(&Message::of_body(Direction::Client, json.as_bytes())))
}

/// Wraps a text as a member of a message.
pub(crate) fn wrapped(text: &str) -> String {
    serde_json::json!({ "type": "message", "channel": "general", "id": 42, "text": text }).to_string()
}

/// Compares the rules that a message is stopped by; none where it passes.
#[track_caller]
pub(crate) fn check_json(json: &str, expected: &[&str]) {
    let judgement = judge(json);
    let rules: Vec<_> =
        judgement.observations.iter().filter(|_| judgement.blocked).map(|one| &*one.rule).collect();
    assert_eq!(rules, expected, "{json}: {judgement:?}");
}

/// Tells of texts that stop their message, and for what.
#[track_caller]
pub(crate) fn finds(category: Category, texts: &[&str]) {
    for text in texts {
        let judgement = judge(&wrapped(text));
        let found = judgement.observations.iter().any(|one| one.category == category);
        assert!(judgement.blocked && found, "{text}: {judgement:?}");
    }
}

/// Tells of texts that pass.
#[track_caller]
pub(crate) fn passes(texts: &[&str]) {
    for text in texts {
        let judgement = judge(&wrapped(text));
        assert!(!judgement.blocked, "{text}: {judgement:?}");
    }
}
