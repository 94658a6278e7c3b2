//! What must hold of rule sets.

use std::sync::Arc;

use sockwarden_model::Direction;
use sockwarden_seclang::{Fields, Message, Paranoia, Policy, RuleSet, Source};

/// The longest rule set that is read: what takes longer to compile is no fault.
const LONGEST: usize = 4096;

/// Rules that are read judge any message, the same with the prefilter and without; rules that are not read are told with their place.
pub fn seclang(bytes: &[u8]) {
    let counted = bytes.windows(2).any(|two| two[0] == b'{' && two[1].is_ascii_digit());
    if bytes.len() > LONGEST || counted {
        return;
    }
    let (set, report) = match RuleSet::load(&[Source { name: "rules", text: bytes }], &[]) {
        Ok(loaded) => loaded,
        Err(errors) => {
            assert!(!errors.0.is_empty() && errors.0.iter().all(|error| error.line > 0 && error.column > 0));
            return;
        }
    };
    let named = ["compiled", "needs-handshake", "not-applicable", "unsupported", "removed"];
    assert_eq!(named.iter().map(|name| report.count(name)).sum::<usize>(), report.rules.len());
    let set = Arc::new(set);
    let mut fields = Fields::new();
    for (number, value) in bytes.split(|byte| *byte == b'\n').enumerate().take(16) {
        fields.push(format!("json.array_{number}").as_bytes(), value);
    }
    let message = Message { fields: &fields, body: bytes, handshake: None };
    for direction in [Direction::Client, Direction::Server] {
        let mut policy = Policy::new(direction);
        policy.paranoia = Paranoia::new(4);
        let (one, other) = (set.plan(&policy), set.exhaustive_plan(&policy));
        let (mut scratch, mut fresh) = (one.scratch(), other.scratch());
        let first = one.evaluate(&message, &mut scratch).clone();
        assert_eq!(&first, other.evaluate(&message, &mut fresh), "the prefilter changes nothing");
        assert_eq!(&first, one.evaluate(&message, &mut scratch), "a message leaves nothing behind");
    }
}
