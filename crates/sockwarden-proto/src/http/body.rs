//! Taking a body out of what came, as strictly as heads are read: no chunk extension, no odd size, no bare line break.

use super::Framing;

/// The most bytes that the trailer section takes.
const MOST_TRAILER: u32 = 4 * 1024;
/// The most digits of a chunk's size: those of a 64-bit number.
const MOST_DIGITS: u8 = 16;

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BodyViolation {
    /// A chunk's size is not one to sixteen hexadecimal digits (RFC 9112 §7.1).
    #[error("a chunk's size is no hexadecimal number")]
    ChunkSize,
    /// A chunk's size is followed by something else than the end of its line: an extension, or blanks (RFC 9112 §7.1.1).
    #[error("a chunk's size is followed by an extension")]
    ChunkExtension,
    /// A line does not end in a carriage return and a line feed (RFC 9112 §2.2).
    #[error("a line of the chunked coding does not end in CR LF")]
    LineBreak,
    /// A chunk is longer than its size said (RFC 9112 §7.1).
    #[error("a chunk is longer than its size")]
    ChunkOverrun,
    /// The trailer section is malformed or too long (RFC 9112 §7.1.2).
    #[error("the trailer section is malformed or too long")]
    Trailer,
    /// The connection ended before the body (RFC 9112 §8).
    #[error("the body ended early")]
    Truncated,
}

/// A piece of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// How many of the bytes that were given it took, the coding's own included; 0 where it needs more of them.
    pub taken: usize,
    /// The content among them, perhaps none.
    pub data: &'a [u8],
}

/// Reads one body, in whatever pieces it comes. Trailer fields are read and dropped (RFC 9110 §6.5.1 allows that).
#[derive(Clone, Debug)]
pub struct BodyReader(State);

#[derive(Clone, Copy, Debug)]
enum State {
    /// In a line of the chunked coding itself.
    Line(Line),
    /// In a chunk of which so much is left.
    Chunk(u64),
    /// In a body of which so much is left.
    Length(u64),
    UntilClose,
    Done,
}

#[derive(Clone, Copy, Debug)]
enum Line {
    Size { digits: u8, size: u64 },
    SizeFeed { size: u64 },
    ChunkEnd,
    ChunkEndFeed,
    Trailer { taken: u32, at: Place },
    TrailerFeed { taken: u32, is_last: bool },
}

/// Where in a line of the trailer section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    Name,
    Value,
}

impl BodyReader {
    /// Makes a reader of a body with that framing.
    pub const fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(left) => State::Length(left),
            Framing::Chunked => State::Line(Line::Size { digits: 0, size: 0 }),
            Framing::UntilClose => State::UntilClose,
        })
    }

    /// Tells whether the body is over; what follows belongs to another message.
    pub const fn is_done(&self) -> bool {
        matches!(self.0, State::Done)
    }

    /// Reads the next piece from the start of `bytes`.
    ///
    /// # Errors
    /// The body is malformed; nothing may be read after that.
    pub fn read<'a>(&mut self, bytes: &'a [u8]) -> Result<Piece<'a>, BodyViolation> {
        let mut taken = 0;
        while let Some(&byte) = bytes.get(taken) {
            let rest = &bytes[taken..];
            let (left, is_chunk) = match self.0 {
                State::Line(line) => {
                    self.0 = line.step(byte)?;
                    taken += 1;
                    continue;
                }
                State::Chunk(left) => (left, true),
                State::Length(left) => (left, false),
                State::UntilClose => return Ok(Piece { taken: bytes.len(), data: rest }),
                State::Done => break,
            };
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            self.0 = match (is_chunk, left - length as u64) {
                (true, 0) => State::Line(Line::ChunkEnd),
                (true, left) => State::Chunk(left),
                (false, 0) => State::Done,
                (false, left) => State::Length(left),
            };
            return Ok(Piece { taken: taken + length, data: &rest[..length] });
        }
        Ok(Piece { taken, data: &[] })
    }

    /// Takes note that nothing more comes.
    ///
    /// # Errors
    /// The body was not over.
    pub const fn end(&mut self) -> Result<(), BodyViolation> {
        if matches!(self.0, State::Done | State::UntilClose) {
            self.0 = State::Done;
            Ok(())
        } else {
            Err(BodyViolation::Truncated)
        }
    }
}

impl Line {
    /// Takes one byte of the coding.
    fn step(self, byte: u8) -> Result<State, BodyViolation> {
        use BodyViolation as V;
        let line = |line: Self| Ok(State::Line(line));
        let feed = |next: State| if byte == b'\n' { Ok(next) } else { Err(V::LineBreak) };
        match self {
            Self::Size { digits, size } => match (char::from(byte).to_digit(16), byte) {
                (Some(digit), _) if digits < MOST_DIGITS => {
                    line(Self::Size { digits: digits + 1, size: size << 4 | u64::from(digit) })
                }
                (None, b'\r') if digits > 0 => line(Self::SizeFeed { size }),
                (None, b'\n') if digits > 0 => Err(V::LineBreak),
                (None, _) if digits > 0 => Err(V::ChunkExtension),
                (Some(_) | None, _) => Err(V::ChunkSize),
            },
            Self::SizeFeed { size: 0 } => feed(State::Line(Self::Trailer { taken: 0, at: Place::Start })),
            Self::SizeFeed { size } => feed(State::Chunk(size)),
            Self::ChunkEnd => match byte {
                b'\r' => line(Self::ChunkEndFeed),
                b'\n' => Err(V::LineBreak),
                _ => Err(V::ChunkOverrun),
            },
            Self::ChunkEndFeed => feed(State::Line(Self::Size { digits: 0, size: 0 })),
            Self::Trailer { taken, .. } if taken >= MOST_TRAILER => Err(V::Trailer),
            Self::Trailer { taken, at } => {
                let taken = taken + 1;
                match (at, byte) {
                    (_, b'\n') => Err(V::LineBreak),
                    (Place::Start, b'\r') => line(Self::TrailerFeed { taken, is_last: true }),
                    (Place::Value, b'\r') => line(Self::TrailerFeed { taken, is_last: false }),
                    (Place::Name, b':') => line(Self::Trailer { taken, at: Place::Value }),
                    (Place::Start | Place::Name, byte) if crate::handshake::is_token(&[byte]) => {
                        line(Self::Trailer { taken, at: Place::Name })
                    }
                    (Place::Value, b'\t' | 0x20..=0x7e | 0x80..) => line(Self::Trailer { taken, at }),
                    (Place::Start | Place::Name | Place::Value, _) => Err(V::Trailer),
                }
            }
            Self::TrailerFeed { is_last: true, .. } => feed(State::Done),
            Self::TrailerFeed { taken, is_last: false } => {
                feed(State::Line(Self::Trailer { taken, at: Place::Start }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads all of `pieces` and gives the content and what followed the body.
    fn read(framing: Framing, pieces: &[&[u8]]) -> Result<(Vec<u8>, usize), BodyViolation> {
        let mut reader = BodyReader::new(framing);
        let (mut content, mut behind) = (Vec::new(), 0);
        for piece in pieces {
            let mut rest = *piece;
            while !reader.is_done() && !rest.is_empty() {
                let piece = reader.read(rest)?;
                assert!(piece.taken > 0, "no progress");
                content.extend_from_slice(piece.data);
                rest = &rest[piece.taken..];
            }
            behind += rest.len();
        }
        reader.end()?;
        Ok((content, behind))
    }

    fn check(framing: Framing, bytes: &str, expected: Result<(&str, usize), BodyViolation>) {
        let expected = expected.map(|(content, behind)| (content.as_bytes().to_vec(), behind));
        assert_eq!(read(framing, &[bytes.as_bytes()]), expected, "{bytes:?}");
        let single: Vec<&[u8]> = bytes.as_bytes().chunks(1).collect();
        assert_eq!(read(framing, &single), expected, "byte by byte: {bytes:?}");
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        check(Framing::None, "GET", Ok(("", 3)));
        check(Framing::Length(0), "GET", Ok(("", 3)));
        check(Framing::Length(5), "helloGET", Ok(("hello", 3)));
        check(Framing::Length(5), "hell", Err(BodyViolation::Truncated));
        check(Framing::UntilClose, "hello", Ok(("hello", 0)));
        check(Framing::Chunked, "0\r\n\r\nGET", Ok(("", 3)));
        check(Framing::Chunked, "5\r\nhello\r\n00b\r\n, good day!\r\n0\r\n\r\n", Ok(("hello, good day!", 0)));
        check(Framing::Chunked, "A\r\n0123456789\r\n0\r\nA: b\r\nC:\r\n\r\nGET", Ok(("0123456789", 3)));
    }

    #[test]
    fn each_departure_from_the_chunked_coding_is_named() {
        use BodyViolation as V;
        let check = |bytes: &str, expected| check(Framing::Chunked, bytes, Err(expected));
        check("", V::Truncated);
        check("5\r\nhel", V::Truncated);
        check("5\r\nhello\r\n", V::Truncated);
        check("0\r\n", V::Truncated);
        check("5;a=b\r\nhello\r\n0\r\n\r\n", V::ChunkExtension);
        check("5;\r\nhello\r\n0\r\n\r\n", V::ChunkExtension);
        check("5 \r\nhello\r\n0\r\n\r\n", V::ChunkExtension);
        check("5\t\r\nhello\r\n0\r\n\r\n", V::ChunkExtension);
        check(" 5\r\nhello\r\n0\r\n\r\n", V::ChunkSize);
        check("0x5\r\nhello\r\n0\r\n\r\n", V::ChunkExtension);
        check("+5\r\nhello\r\n0\r\n\r\n", V::ChunkSize);
        check("-1\r\nhello\r\n0\r\n\r\n", V::ChunkSize);
        check("\r\nhello", V::ChunkSize);
        check("00000000000000005\r\nhello\r\n0\r\n\r\n", V::ChunkSize);
        check("fffffffffffffffff\r\n", V::ChunkSize);
        check("5\nhello\r\n0\r\n\r\n", V::LineBreak);
        check("5\r\nhello\n0\r\n\r\n", V::LineBreak);
        check("5\rhello", V::LineBreak);
        check("5\r\nhello!\r\n0\r\n\r\n", V::ChunkOverrun);
        check("5\r\nhello\rX", V::LineBreak);
        check("0\r\n\n", V::LineBreak);
        check("0\r\nA: b\n\r\n", V::LineBreak);
        check("0\r\n folded\r\n\r\n", V::Trailer);
        check("0\r\nA : b\r\n\r\n", V::Trailer);
        check("0\r\nA\r\n\r\n", V::Trailer);
        check("0\r\n: b\r\n\r\n", V::Trailer);
        check("0\r\nA: b\0\r\n\r\n", V::Trailer);
        check(&format!("0\r\nA: {}\r\n\r\n", "b".repeat(4096)), V::Trailer);
    }

    proptest! {
        #[test]
        fn any_chunking_of_the_same_bytes_gives_the_same(
            bytes in "([0-9a-fA-F]{1,2}(\r\n|;|\n)?[a-z]{0,12}(\r\n)?){0,4}(0\r\n(A: b\r\n)?\r\n)?G?",
            cuts in proptest::collection::vec(0usize..80, 0..6),
        ) {
            let bytes = bytes.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let bounds: Vec<usize> = [0].into_iter().chain(cuts).chain([bytes.len()]).collect();
            let pieces: Vec<&[u8]> = bounds.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            for framing in [Framing::Chunked, Framing::Length(7), Framing::UntilClose] {
                prop_assert_eq!(read(framing, &pieces), read(framing, &[bytes]));
            }
        }

        #[test]
        fn what_is_written_in_chunks_is_read_again(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..5),
        ) {
            let mut coded = Vec::new();
            for chunk in &chunks {
                coded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                coded.extend_from_slice(chunk);
                coded.extend_from_slice(b"\r\n");
            }
            coded.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(read(Framing::Chunked, &[&coded]), Ok((chunks.concat(), 0)));
        }
    }
}
