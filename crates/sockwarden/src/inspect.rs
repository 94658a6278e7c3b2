//! Reading lines of JSON that hold messages, and telling what was seen in each.

mod conversations;
mod line;
mod lines;
mod summary;
mod verdicts;

pub(crate) use conversations::Conversations;
pub(crate) use line::{Line, LineError};
pub(crate) use lines::{Lines, Numbered};
pub(crate) use summary::Summary;
pub(crate) use verdicts::{Observed, Rates, Verdict, Verdicts};
