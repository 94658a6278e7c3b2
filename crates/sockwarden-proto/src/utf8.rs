//! UTF-8, validated as it arrives (RFC 6455 §8.1, RFC 3629).

/// Says that bytes are not UTF-8 and cannot become so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utf8Error;

/// The longest piece that is looked at byte by byte first.
const SHORT: usize = 64;

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
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Utf8Error> {
        if self.push_valid(piece) == piece.len() { Ok(()) } else { Err(Utf8Error) }
    }

    /// Takes as much of the next piece as may stand in a text and tells how many bytes that was; the byte after them,
    /// where there is one, is wrong.
    #[inline]
    pub fn push_valid(&mut self, piece: &[u8]) -> usize {
        // Most texts are short and plain; a call costs more than looking at them.
        if self.held == 0 && piece.len() <= SHORT && piece.is_ascii() {
            return piece.len();
        }
        self.push_slowly(piece)
    }

    fn push_slowly(&mut self, piece: &[u8]) -> usize {
        let mut taken = 0;
        while self.held > 0 {
            let Some(&byte) = piece.get(taken) else { return taken };
            self.pending[self.held] = byte;
            match std::str::from_utf8(&self.pending[..=self.held]) {
                Ok(_) => self.held = 0,
                Err(error) if error.error_len().is_some() => return taken,
                Err(_) => self.held += 1,
            }
            taken += 1;
        }
        let piece = &piece[taken..];
        let Err(error) = simdutf8::compat::from_utf8(piece) else { return taken + piece.len() };
        let tail = &piece[error.valid_up_to()..];
        let start_of_character = match (error.error_len(), tail) {
            (None, _) => tail.len(),
            // A good first byte is itself no error: the wrong byte is the one that does not continue it.
            (Some(length), [0xc2..=0xf4, ..]) => length,
            (Some(_), _) => 0,
        };
        self.pending[..start_of_character].copy_from_slice(&tail[..start_of_character]);
        self.held = start_of_character;
        taken + error.valid_up_to() + start_of_character
    }

    /// Tells whether no character is incomplete: the text may end here.
    #[inline]
    pub const fn is_complete(&self) -> bool {
        self.held == 0
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
    fn a_piece_is_taken_up_to_its_first_wrong_byte() {
        let check = |bytes: &[u8]| {
            let expected = fails_at(bytes).unwrap_or(bytes.len());
            for cut in 0..=bytes.len() {
                let mut validator = Utf8Validator::default();
                let mut taken = validator.push_valid(&bytes[..cut]);
                if taken == cut {
                    taken += validator.push_valid(&bytes[cut..]);
                }
                assert_eq!(taken, expected, "{bytes:02x?} cut at {cut}");
                // What was not taken stays wrong.
                assert_eq!(validator.push_valid(&bytes[taken..]), 0);
            }
        };
        check("aé€𐍈z".as_bytes());
        check(b"");
        check(b"ok\xc0ok");
        check(b"ok\xe2\x82(ok");
        check(b"ok\xe2(ok");
        check(b"ok\xf0\x9f\x92");
        check(b"\xf0\x9f\x92\xf0");
        check(b"\xed\xa0\x80");
        check(b"\xf4\x90");
        check(b"\xff\xff");
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
