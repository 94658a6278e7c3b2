//! The detectors of a route, made ready.

use sockwarden_inspect::{Conversation, InspectLimits, Message, Reader};
use sockwarden_model::Direction;

use crate::{
    Judgement, Policy, Scan,
    detectors::{self, Rule},
    policy::Leniency,
    starts::{Set, Starts},
};

/// What a policy comes to: built once per route, and shared by all that scan.
#[derive(Debug)]
pub struct Detection {
    client: Starts,
    server: Starts,
    pub(crate) policy: Policy,
    pub(crate) leniency: Leniency,
    threshold: u32,
    /// The categories that are off.
    off: u32,
}

impl Detection {
    /// Makes the detectors of a policy ready.
    pub fn new(policy: &Policy) -> Self {
        let off = policy.off.iter().fold(0, |set, category| set | category.bit());
        let runs = |rule: &&Rule| rule.category.bit() & off == 0 && rule.paranoia <= policy.paranoia.max(1);
        let starts = |direction: Direction| {
            let on = detectors::ALL.iter().enumerate().fold(0, |on: Set, (number, detector)| {
                let reads = detector.side.reads(direction) && detector.rules.iter().any(runs);
                on | (Set::from(reads) << number)
            });
            Starts::new(detectors::ALL, on)
        };
        Self {
            client: starts(Direction::Client),
            server: starts(Direction::Server),
            leniency: policy.preset.leniency(),
            threshold: policy.threshold.unwrap_or(policy.preset.threshold()),
            policy: policy.clone(),
            off,
        }
    }

    /// Gives the score that is stopped.
    pub fn threshold(&self) -> u32 {
        self.threshold
    }

    /// Gives what starts the detectors that read what a side sends.
    pub(crate) fn starts(&self, direction: Direction) -> &Starts {
        match direction {
            Direction::Client => &self.client,
            Direction::Server => &self.server,
        }
    }

    /// Tells whether a rule is on.
    pub(crate) fn runs(&self, rule: &Rule) -> bool {
        rule.category.bit() & self.off == 0 && rule.paranoia <= self.policy.paranoia.max(1)
    }

    /// Judges one message by itself, of no sub-protocol. Who has many of them keeps a [`Scan`] and a [`Reader`].
    pub fn judge(&self, message: &Message<'_>) -> Judgement {
        let mut scan = Scan::default();
        scan.begin(message.direction);
        let limits = InspectLimits::default();
        let mut sink = scan.sink(self);
        Conversation::of_no_protocol().message(&mut Reader::default(), &limits, message, &mut sink);
        scan.finish(self)
    }
}
