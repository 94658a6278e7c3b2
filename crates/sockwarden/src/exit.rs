//! How the program ends.

use std::process::ExitCode;

use crate::operator::OperateError;

/// An exit code with its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Nothing to complain about.
    Clean,
    /// Something was found, refused or failed.
    Found,
    /// The arguments make no sense.
    Usage,
    /// Not everything could be looked at, or nothing was there to look at.
    Incomplete,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Clean => 0,
            Exit::Found => 1,
            Exit::Usage => 2,
            Exit::Incomplete => 3,
        })
    }
}

/// Says that the arguments make no sense together, where the parser could not know.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Gives the exit code of an error.
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    if error.is::<UsageError>() {
        Exit::Usage
    } else if error.downcast_ref().is_some_and(OperateError::is_absence) {
        Exit::Incomplete
    } else {
        Exit::Found
    }
}

/// Tells whether an error is that nobody reads our output any more.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let is_pipe = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(is_pipe))
}
