//! What is made of one message.

use crate::Observation;

/// What was found in one message, and whether that is enough to stop it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The score of the worst value: its heaviest observation, and one more where another category speaks for an attack too. At most 11.
    pub score: u32,
    /// Whether the score reaches the threshold.
    pub blocked: bool,
    /// What was seen, in the order of the message; at most [`Judgement::MOST`].
    pub observations: Vec<Observation>,
}

impl Judgement {
    /// The most observations that are kept of one message; what comes later still counts.
    pub const MOST: usize = 32;
}
