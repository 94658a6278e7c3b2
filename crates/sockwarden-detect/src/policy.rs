//! What counts as an attack on a route.

use std::str::FromStr;

use crate::{Category, Exclusion};

/// How much is taken for an attack where nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Preset {
    /// For interfaces between programs: what looks like an attack is one, also in a sentence.
    Strict,
    /// For most applications: people write texts, and some of them about programs.
    #[default]
    Default,
    /// For people who talk: a sentence needs more evidence.
    Chat,
    /// For people who talk about programs: code that is quoted as code is not held against them.
    DeveloperChat,
}

impl Preset {
    /// All of them, the strictest first.
    pub const ALL: [Self; 4] = [Self::Strict, Self::Default, Self::Chat, Self::DeveloperChat];

    /// Its name, as configurations write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Default => "default",
            Self::Chat => "chat",
            Self::DeveloperChat => "developer-chat",
        }
    }

    /// The score that is stopped.
    pub const fn threshold(self) -> u32 {
        match self {
            Self::Strict => 4,
            Self::Default | Self::Chat | Self::DeveloperChat => 5,
        }
    }

    /// How much less weighs what stands in a sentence, and in code that is quoted there.
    pub(crate) const fn leniency(self) -> Leniency {
        match self {
            Self::Strict => Leniency { sentence: 0, quoted: 0 },
            Self::Default => Leniency { sentence: 2, quoted: 1 },
            Self::Chat => Leniency { sentence: 3, quoted: 1 },
            Self::DeveloperChat => Leniency { sentence: 3, quoted: 4 },
        }
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, UnknownPreset> {
        Self::ALL.into_iter().find(|preset| preset.name() == name).ok_or(UnknownPreset)
    }
}

impl std::fmt::Display for Preset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A name that no preset has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("find a preset of this name: there are `strict`, `default`, `chat` and `developer-chat`")]
pub struct UnknownPreset;

/// By how much a weight is lowered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leniency {
    /// In a sentence.
    pub(crate) sentence: u8,
    /// In code that Markdown quotes.
    pub(crate) quoted: u8,
}

/// What counts as an attack on a route, and what is done without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What everything else is taken from.
    pub preset: Preset,
    /// The score that is stopped, where it is not the preset's.
    pub threshold: Option<u32>,
    /// How doubtful what is still looked for may be: 1 to 4; at 4 rules are on that find much and are often wrong.
    pub paranoia: u8,
    /// What is not looked for, and where.
    pub exclusions: Vec<Exclusion>,
    /// What is not looked for at all.
    pub off: Vec<Category>,
}

impl Policy {
    /// Gives the policy that a preset stands for.
    pub const fn of(preset: Preset) -> Self {
        Self { preset, threshold: None, paranoia: 1, exclusions: Vec::new(), off: Vec::new() }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::of(Preset::Default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_found_by_their_names() {
        for preset in Preset::ALL {
            assert_eq!(preset.name().parse(), Ok(preset));
        }
        assert_eq!("loose".parse::<Preset>(), Err(UnknownPreset));
    }
}
