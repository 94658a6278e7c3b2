//! Marks of 32 bytes at once, where the processor can (AVX2).
//!
//! A byte's two halves each choose, from a table of sixteen, a set of bits; what both sets hold are the byte's marks. So each bit
//! stands for a rectangle of the ASCII table, and a mark is one to three of them. Measured on a text of 16 KiB: 10 bytes a
//! nanosecond, one by one 1.5.

use super::Marks;

/// How many bytes are looked at together.
pub(super) const WIDTH: usize = 32;

/// One bit: the high halves and the low halves of the bytes it stands for, each as a set, and the mark that they have.
struct Rectangle(Marks, u16, u16);

/// A set of numbers below sixteen.
const fn set(numbers: &[u8]) -> u16 {
    let mut set = 0;
    let mut at = 0;
    while at < numbers.len() {
        set |= 1 << numbers[at];
        at += 1;
    }
    set
}

const LINE: u16 = set(&[9, 10, 13]);

/// First the two of letters and the three of control characters, then one for each mark in the order of the marks.
const RECTANGLES: [Rectangle; 32] = [
    Rectangle(Marks::LETTER, set(&[4, 6]), !1),
    Rectangle(Marks::LETTER, set(&[5, 7]), 0x07ff),
    Rectangle(Marks::CONTROL, set(&[0]), !LINE),
    Rectangle(Marks::CONTROL, set(&[1]), !0),
    Rectangle(Marks::CONTROL, set(&[7]), set(&[15])),
    Rectangle(Marks::DIGIT, set(&[3]), 0x03ff),
    Rectangle(Marks::SPACE, set(&[2]), set(&[0])),
    Rectangle(Marks::LINE, set(&[0]), LINE),
    Rectangle(Marks::QUOTE, set(&[2]), set(&[2, 7])),
    Rectangle(Marks::BACKTICK, set(&[6]), set(&[0])),
    Rectangle(Marks::ANGLE, set(&[3]), set(&[12, 14])),
    Rectangle(Marks::PAREN, set(&[2]), set(&[8, 9])),
    Rectangle(Marks::BRACKET, set(&[5]), set(&[11, 13])),
    Rectangle(Marks::BRACE, set(&[7]), set(&[11, 13])),
    Rectangle(Marks::SEMICOLON, set(&[3]), set(&[11])),
    Rectangle(Marks::PIPE, set(&[7]), set(&[12])),
    Rectangle(Marks::AMPERSAND, set(&[2]), set(&[6])),
    Rectangle(Marks::SLASH, set(&[2]), set(&[15])),
    Rectangle(Marks::BACKSLASH, set(&[5]), set(&[12])),
    Rectangle(Marks::DOLLAR, set(&[2]), set(&[4])),
    Rectangle(Marks::PERCENT, set(&[2]), set(&[5])),
    Rectangle(Marks::HASH, set(&[2]), set(&[3])),
    Rectangle(Marks::QUERY, set(&[3]), set(&[13, 15])),
    Rectangle(Marks::STAR, set(&[2]), set(&[10])),
    Rectangle(Marks::AT, set(&[4]), set(&[0])),
    Rectangle(Marks::COLON, set(&[3]), set(&[10])),
    Rectangle(Marks::DOT, set(&[2]), set(&[14])),
    Rectangle(Marks::DASH, set(&[2]), set(&[13])),
    Rectangle(Marks::UNDERSCORE, set(&[5]), set(&[15])),
    Rectangle(Marks::PLUS, set(&[2]), set(&[11])),
    Rectangle(Marks::COMMA, set(&[2]), set(&[1, 12])),
    Rectangle(Marks::OTHER, set(&[5, 7]), set(&[14])),
];

/// For each group of eight rectangles the bits that a high and a low half choose.
const TABLES: [[[u8; 16]; 2]; 4] = tables();

const fn tables() -> [[[u8; 16]; 2]; 4] {
    let mut tables = [[[0; 16]; 2]; 4];
    let mut bit = 0;
    while bit < RECTANGLES.len() {
        let Rectangle(_, high, low) = RECTANGLES[bit];
        let mut half = 0;
        while half < 16 {
            tables[bit / 8][0][half] |= ((high >> half & 1) as u8) << (bit % 8);
            tables[bit / 8][1][half] |= ((low >> half & 1) as u8) << (bit % 8);
            half += 1;
        }
        bit += 1;
    }
    tables
}

/// Gives the marks that the bits of all rectangles stand for.
const fn marks_of(bits: u32, high: bool) -> Marks {
    let mut marks = bits >> 5 << 2;
    if bits & 0b11 != 0 {
        marks |= Marks::LETTER.0;
    }
    if bits & 0b1_1100 != 0 {
        marks |= Marks::CONTROL.0;
    }
    if high {
        marks |= Marks::HIGH.0;
    }
    Marks(marks)
}

/// Holds the order of the rectangles against that of the marks.
const _: () = {
    let mut bit = 0;
    while bit < RECTANGLES.len() {
        assert!(RECTANGLES[bit].0.0 == marks_of(1 << bit, false).0);
        bit += 1;
    }
};

/// Finds the marks of at least [`WIDTH`] bytes; `None` where the processor cannot.
#[inline]
pub(super) fn of(bytes: &[u8]) -> Option<Marks> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "twenty times as fast")]
        // SAFETY: the processor has AVX2.
        let (bits, high) = unsafe { avx2::gather(bytes) };
        return Some(marks_of(bits, high));
    }
    None
}

/// Finds the marks of what comes before the first `"`, `\` or control character, and tells how many bytes that are; less of it where fewer
/// than [`WIDTH`] bytes are left, and nothing where the processor cannot.
#[inline]
pub(super) fn of_plain(bytes: &[u8]) -> (Marks, usize) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        #[expect(
            unsafe_code,
            reason = "a third of the time of short strings, a fifth of that of long ones"
        )]
        // SAFETY: the processor has AVX2.
        return unsafe { avx2::plain(bytes) };
    }
    (Marks::NONE, 0)
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm_cvtsi128_si64, _mm_extract_epi64, _mm_or_si128, _mm256_and_si256,
        _mm256_castsi256_si128, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_extracti128_si256,
        _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set_epi64x, _mm256_set1_epi8,
        _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_unpackhi_epi8,
        _mm256_unpackhi_epi16, _mm256_unpacklo_epi8, _mm256_unpacklo_epi16,
    };

    use super::{Marks, TABLES, WIDTH, marks_of};

    /// [`TABLES`], each twice: for both halves of a register.
    static TWICE: [[[u8; WIDTH]; 2]; 4] = twice();

    const fn twice() -> [[[u8; WIDTH]; 2]; 4] {
        let mut twice = [[[0; WIDTH]; 2]; 4];
        let mut at = 0;
        while at < 4 * 2 * WIDTH {
            let (group, half, byte) = (at / (2 * WIDTH), at / WIDTH % 2, at % WIDTH);
            twice[group][half][byte] = TABLES[group][half][byte % 16];
            at += 1;
        }
        twice
    }

    /// The numbers from zero.
    static NUMBERS: [u8; WIDTH] = {
        let mut numbers = [0; WIDTH];
        let mut at = 0;
        while at < WIDTH {
            numbers[at] = at as u8;
            at += 1;
        }
        numbers
    };

    #[target_feature(enable = "avx2")]
    fn load(bytes: &[u8; WIDTH]) -> __m256i {
        let (words, _) = bytes.as_chunks::<8>();
        let word = |at: usize| i64::from_le_bytes(words[at]);
        _mm256_set_epi64x(word(3), word(2), word(1), word(0))
    }

    /// Tells where the bytes are that stop what is plain.
    #[target_feature(enable = "avx2")]
    fn stops(bytes: __m256i) -> u32 {
        let equal = |byte: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte.cast_signed()));
        let controls = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f)), bytes);
        let stops = _mm256_or_si256(_mm256_or_si256(equal(b'"'), equal(b'\\')), controls);
        _mm256_movemask_epi8(stops).cast_unsigned()
    }

    /// Gives the marks of the bytes before the first that stops what is plain, and how many those are; of the last ones, where they are
    /// too few to be looked at together, none.
    #[target_feature(enable = "avx2")]
    pub(super) fn plain(bytes: &[u8]) -> (Marks, usize) {
        let mut found = [_mm256_setzero_si256(); 4];
        let (mut high, mut length) = (0, 0);
        for chunk in bytes.as_chunks::<WIDTH>().0 {
            let mut bytes = load(chunk);
            let stops = stops(bytes);
            let before = stops.trailing_zeros();
            high |= _mm256_movemask_epi8(bytes).cast_unsigned() & (stops.wrapping_sub(1) & !stops);
            length += before as usize;
            if stops != 0 {
                // What comes after is made of bytes that no rectangle holds.
                let last = _mm256_set1_epi8((before as i8).wrapping_sub(1));
                bytes = _mm256_or_si256(bytes, _mm256_cmpgt_epi8(load(&NUMBERS), last));
            }
            for (found, more) in found.iter_mut().zip(rectangles(bytes)) {
                *found = _mm256_or_si256(*found, more);
            }
            if stops != 0 {
                break;
            }
        }
        (marks_of(join(found), high != 0), length)
    }

    /// Finds the rectangles that each byte is in, eight in each register.
    #[target_feature(enable = "avx2")]
    fn rectangles(bytes: __m256i) -> [__m256i; 4] {
        let half = _mm256_set1_epi8(15);
        let low = _mm256_and_si256(bytes, half);
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half);
        let mut found = [_mm256_setzero_si256(); 4];
        for (found, [highs, lows]) in found.iter_mut().zip(&TWICE) {
            *found = _mm256_and_si256(
                _mm256_shuffle_epi8(load(highs), high),
                _mm256_shuffle_epi8(load(lows), low),
            );
        }
        found
    }

    /// Gives the bits of all rectangles that have a byte, and whether there is one beyond ASCII.
    #[target_feature(enable = "avx2")]
    pub(super) fn gather(bytes: &[u8]) -> (u32, bool) {
        let mut found = [_mm256_setzero_si256(); 4];
        let mut all = _mm256_setzero_si256();
        let mut look = |chunk: &[u8; WIDTH]| {
            let bytes = load(chunk);
            for (found, more) in found.iter_mut().zip(rectangles(bytes)) {
                *found = _mm256_or_si256(*found, more);
            }
            all = _mm256_or_si256(all, bytes);
        };
        bytes.as_chunks().0.iter().for_each(&mut look);
        // What is left is looked at together with what stands before it.
        bytes.last_chunk().into_iter().for_each(look);
        (join(found), _mm256_movemask_epi8(all) != 0)
    }

    /// Joins all bytes of each register, and then what they give.
    #[target_feature(enable = "avx2")]
    fn join([a, b, c, d]: [__m256i; 4]) -> u32 {
        let or8 = |a, b| _mm256_or_si256(_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
        let (ab, cd) = (or8(a, b), or8(c, d));
        let all = _mm256_or_si256(_mm256_unpacklo_epi16(ab, cd), _mm256_unpackhi_epi16(ab, cd));
        let halves = _mm_or_si128(_mm256_castsi256_si128(all), _mm256_extracti128_si256::<1>(all));
        let word = (_mm_cvtsi128_si64(halves) | _mm_extract_epi64::<1>(halves)).cast_unsigned();
        (word | word >> 32) as u32
    }
}
