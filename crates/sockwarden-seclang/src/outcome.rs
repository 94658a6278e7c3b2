//! What a rule set says of a message.

/// The judgement of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The sum of what matched, as the rule set adds it up.
    pub score: i64,
    /// The rule that blocks the message, if one does.
    pub blocked: Option<u32>,
    /// The rules that matched and are logged, in their order, each once.
    pub rules: Vec<u32>,
    /// What matched, in the order of the rules; at most [`MATCHES`].
    pub matches: Vec<Match>,
    /// How many more matched than are told.
    pub untold: usize,
}

/// How many matches an outcome tells.
pub const MATCHES: usize = 64;

/// One rule that matched, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The rule's id.
    pub rule: u32,
    /// What it looks for, from its tag `attack-…`; else `other`.
    pub category: String,
    /// What its severity adds to the score.
    pub weight: i64,
    /// The variable that matched, as rules name it (`ARGS:json.text`); escaped and cut.
    pub place: String,
    /// The number of the message's field, where it is one.
    pub field: Option<usize>,
    /// What matched, after transformations; escaped and cut.
    pub excerpt: String,
}
