//! What cannot be meant in a configuration.

/// A setting that means nothing, or that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct BadSetting {
    /// The key within its section, such as `algorithms`.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl BadSetting {
    pub(crate) fn new(key: &str, message: impl Into<String>, help: Option<&str>) -> Self {
        Self { key: key.to_owned(), message: message.into(), help: help.map(str::to_owned) }
    }
}
