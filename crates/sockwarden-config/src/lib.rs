//! Reads a configuration and reports *every* error at once, each with its file, line, column, key and remedy.
//!
//! The text is parsed once; its tree is held against the JSON Schema that `schemars` derives from the target type, so that
//! every unknown key, wrong type, unknown word and missing key is found with its own place. What only the target's own
//! `Deserialize` can know is reported from there. A configuration is a struct with `#[serde(deny_unknown_fields)]` and a
//! comment on each field; from the same struct [`example`] writes a commented file and `schemars` the schema for editors.
//!
//! Nothing is opened here: text comes in, values and [`Diagnostic`]s go out.
//!
//! ```
//! #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     /// The largest message that is let through.
//!     max_message: sockwarden_config::ByteSize,
//! }
//!
//! let errors = sockwarden_config::read::<Settings>("a.toml", "max_mesage = 3").unwrap_err();
//! assert_eq!(errors.len(), 2);
//! assert_eq!(errors[0].to_string(), "error: a.toml:1:1: missing key `max_message`\n  \
//!     help: The largest message that is let through.");
//! assert_eq!(errors[1].to_string(), "error: a.toml:1:1: unknown key `max_mesage`\n  \
//!     help: did you mean `max_message`?");
//! ```

mod byte_size;
mod diagnostic;
mod example;
mod human_duration;
mod inherit;
mod judge;
mod nearest;
mod network;
mod place;
mod read;
mod schema;
mod secret;

pub use byte_size::{ByteSize, ByteSizeError};
pub use diagnostic::{Diagnostic, Severity};
pub use example::example;
pub use human_duration::{HumanDuration, HumanDurationError};
pub use inherit::{Condition, Inheritance};
pub use network::{Network, NetworkError};
pub use place::locate;
pub use read::{MAX_DIAGNOSTICS, MAX_TEXT, read, read_inheriting, schema};
pub use secret::{Hidden, Secret, SecretError, SecretSource};
