//! The lines of an input, one message each.

use std::io::{BufRead as _, BufReader, Read};

use anyhow::Context as _;

use super::{Line, LineError};
use crate::exit::UsageError;

/// The longest line, in bytes.
const LONGEST: u64 = 64 << 20;

/// Reads lines until the input ends.
pub(crate) struct Lines<R> {
    input: BufReader<R>,
    bytes: Vec<u8>,
    number: u64,
}

/// A line, and where it stands.
pub(crate) struct Numbered {
    /// From 1; blank lines count.
    pub(crate) number: u64,
    /// How many bytes were read since the last one.
    pub(crate) length: u64,
    pub(crate) line: Line,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(64 * 1024, input), bytes: Vec::new(), number: 0 }
    }

    /// Tells whether the next line has to be waited for: who writes lines one by one, and waits for the answers, gets them.
    pub(crate) fn must_wait(&self) -> bool {
        self.input.buffer().is_empty()
    }

    /// Gives the next line that is not blank.
    ///
    /// # Errors
    /// It cannot be read, or it is too long or no message ([`UsageError`]).
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Numbered>> {
        let mut length = 0;
        loop {
            self.bytes.clear();
            let read = self
                .input
                .by_ref()
                .take(LONGEST + 1)
                .read_until(b'\n', &mut self.bytes)
                .context("standard input cannot be read")? as u64;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            length += read;
            let number = self.number;
            if read > LONGEST {
                let why = format!("a line has {} MiB at most", LONGEST >> 20);
                return Err(UsageError(LineError { number, column: 1, why }.to_string()).into());
            }
            if !self.bytes.trim_ascii().is_empty() {
                let line = Line::read(number, &self.bytes).map_err(|error| UsageError(error.to_string()))?;
                return Ok(Some(Numbered { number, length, line }));
            }
        }
    }
}
