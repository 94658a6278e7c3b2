//! What cannot be meant in the configuration of a defence.

/// A setting of a defence that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct BadSetting {
    /// The key below the route, such as `operation_policy.allow[1].action`.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: String,
}
