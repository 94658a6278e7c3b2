//! UTF-8, validated as it arrives (RFC 6455 §8.1, RFC 3629).

/// Says that bytes are not UTF-8 and cannot become so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utf8Error;

/// Validates a text that arrives in pieces and fails at the first byte that no continuation can mend.
#[derive(Clone, Debug, Default)]
pub struct Utf8Validator {
    /// The start of a character whose rest has not arrived: at most three bytes.
    pending: [u8; 4],
    held: usize,
}

impl Utf8Validator {
    /// Takes the next piece.
    ///
    /// # Errors
    /// The text is not UTF-8, whatever may follow.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), Utf8Error> {
        while self.held > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.pending[self.held] = byte;
            self.held += 1;
            match std::str::from_utf8(&self.pending[..self.held]) {
                Ok(_) => self.held = 0,
                Err(error) if error.error_len().is_some() => return Err(Utf8Error),
                Err(_) => {}
            }
        }
        let Err(error) = simdutf8::compat::from_utf8(piece) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(Utf8Error);
        }
        let tail = &piece[error.valid_up_to()..];
        self.pending[..tail.len()].copy_from_slice(tail);
        self.held = tail.len();
        Ok(())
    }

    /// Ends the text.
    ///
    /// # Errors
    /// The last character is incomplete.
    pub fn finish(&mut self) -> Result<(), Utf8Error> {
        if std::mem::take(&mut self.held) == 0 { Ok(()) } else { Err(Utf8Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds bytes one by one; gives the index of the byte that fails, or the length where only the end fails.
    fn fails_at(bytes: &[u8]) -> Option<usize> {
        let mut validator = Utf8Validator::default();
        for (index, byte) in bytes.iter().enumerate() {
            if validator.push(&[*byte]).is_err() {
                return Some(index);
            }
        }
        validator.finish().err().map(|_| bytes.len())
    }

    #[test]
    fn it_fails_at_the_first_wrong_byte() {
        let check = |bytes: &[u8], expected| assert_eq!(fails_at(bytes), expected, "{bytes:02x?}");
        check("κόσμε 𐍈".as_bytes(), None);
        check(b"\xf4\x90", Some(1));
        check(b"\xf4\x8f\xbf\xbf", None);
        check(b"\xed\xa0", Some(1));
        check(b"\xc0", Some(0));
        check(b"\xc1\x80", Some(0));
        check(b"\xe0\x80", Some(1));
        check(b"\xe0\xa0\x80", None);
        check(b"\xf0\x80", Some(1));
        check(b"\xf5", Some(0));
        check(b"a\x80", Some(1));
        check(b"\xe2\x82", Some(2));
        check(b"\xe2\x28", Some(1));
    }

    #[test]
    fn any_cut_gives_the_verdict_of_the_whole() {
        let texts: [&[u8]; 4] =
            ["aé€𐍈z".repeat(20).as_bytes().to_vec().leak(), b"ok\xf0\x9f\x92", b"\xce\xba\xed\xa0\x80", b""];
        for text in texts {
            let whole = std::str::from_utf8(text).is_ok();
            for cut in 0..=text.len() {
                let mut v = Utf8Validator::default();
                let ok = v.push(&text[..cut]).and_then(|()| v.push(&text[cut..])).and_then(|()| v.finish());
                assert_eq!(ok.is_ok(), whole);
            }
        }
    }
}
