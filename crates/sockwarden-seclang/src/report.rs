//! What became of each rule when a set was loaded.

/// What became of every rule and of what else the files say.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One entry for each rule, in the order of the files.
    pub rules: Vec<RuleReport>,
    /// What was read and means nothing here.
    pub notes: Vec<Note>,
    /// What the set calls itself (`SecComponentSignature`).
    pub signatures: Vec<String>,
}

/// What became of one rule.
#[derive(Clone, Debug)]
pub struct RuleReport {
    /// The rule's id.
    pub id: u32,
    /// The file that it stands in.
    pub file: String,
    /// The line that it begins at.
    pub line: u32,
    /// What it calls itself.
    pub message: String,
    /// What became of it.
    pub standing: Standing,
    /// In what it is not followed to the letter: variables that it names and no message fills, while it looks at the others, and an
    /// expression that matches more.
    pub left_out: Vec<String>,
}

/// What became of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is applied.
    Compiled,
    /// It is applied where the handshake is given.
    NeedsHandshake,
    /// It looks at nothing that a message has; why.
    NotApplicable(String),
    /// It cannot be followed; why.
    Unsupported(String),
    /// Another directive took it out.
    Removed,
}

impl Standing {
    /// Its name, as programs read it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Compiled => "compiled",
            Self::NeedsHandshake => "needs-handshake",
            Self::NotApplicable(_) => "not-applicable",
            Self::Unsupported(_) => "unsupported",
            Self::Removed => "removed",
        }
    }

    /// Says why, where it is not applied.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::NotApplicable(why) | Self::Unsupported(why) => Some(why),
            Self::Compiled | Self::NeedsHandshake | Self::Removed => None,
        }
    }
}

/// Something that was read and means nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file that it stands in.
    pub file: String,
    /// The line that it begins at.
    pub line: u32,
    /// What it is, and why it means nothing.
    pub text: String,
}

impl Report {
    /// Counts the rules of a standing, by its name.
    pub fn count(&self, name: &str) -> usize {
        self.rules.iter().filter(|rule| rule.standing.name() == name).count()
    }
}
