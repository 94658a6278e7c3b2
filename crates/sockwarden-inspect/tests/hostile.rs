//! What hostile messages cost, and that none of very many breaks a promise.

use std::{fs, path::Path};

use sockwarden_inspect::{
    Anomaly, Conversation, Format, InspectLimits, Message, Opening, Operation, Place, Reader, Sink, Value,
};
use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;
use sockwarden_testkit::{Random, parsers};

/// Which parsers are those of this crate.
const FORMATS: [&str; 7] = ["binary_message", "cbor", "form", "json", "message_pack", "text_message", "xml"];

/// What means something in one format or another.
const TOKENS: [&[u8]; 72] = [
    b"{\"",
    b"\":",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b"\"",
    b"\\u00",
    b"\\ud83d",
    b"\\",
    b"1e999",
    b"null",
    b"true",
    b"-",
    b"<",
    b">",
    b"</",
    b"/>",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"<?",
    b"?>",
    b"<!DOCTYPE",
    b"<!ENTITY",
    b"<a b='",
    b"<script>",
    b"<br>",
    b"&amp;",
    b"&#x",
    b"&#0;",
    b"&",
    b";",
    b"=",
    b"?",
    b"%",
    b"%25",
    b"%3C",
    b"%00",
    b"%ff",
    b"+",
    b"#",
    b"data:,",
    b"data:;base64,",
    b"eyJ",
    b"Bearer ",
    b"==",
    b"PHNjcmlwdD4",
    b"3c736372697074",
    b"0x",
    b"\x81",
    b"\x91\xa1",
    b"\xa1a",
    b"\xc1",
    b"\xc4\x04",
    b"\xc7",
    b"\xd9\x02",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\0\0\0\x02",
    b"\x9f",
    b"\xbf",
    b"\x5f",
    b"\x7f",
    b"\xff",
    b"\xc2\x49",
    b"\xd8\x18",
    b"\xfb",
    b"\xf9",
    b"\xef\xbb\xbf",
    b"\xc3\xa4",
];

/// Runs so many inputs per parser, made from the files of the corpus.
fn run(count: usize, seed: u64) {
    for (name, parser) in parsers::ALL.iter().filter(|(name, _)| FORMATS.contains(name)) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus").join(name);
        let mut files: Vec<_> = fs::read_dir(folder)
            .expect("it is there")
            .map(|entry| entry.expect("it can be read").path())
            .collect();
        files.sort();
        let seeds: Vec<Vec<u8>> =
            files.into_iter().map(|file| fs::read(file).expect("it can be read")).collect();
        let mut random = Random::new(seed ^ name.len() as u64);
        for number in 0..count {
            let input = input(&mut random, &seeds, *name == "text_message");
            let kept = std::panic::catch_unwind(|| parser(&input));
            assert!(kept.is_ok(), "{name}, input {number} of seed {seed}: b\"{}\"", input.escape_ascii());
        }
    }
}

/// Changes a seed in a few places, joins two, or makes one of tokens or at random.
fn input(random: &mut Random, seeds: &[Vec<u8>], text: bool) -> Vec<u8> {
    let pick = |random: &mut Random| seeds[random.below(seeds.len())].clone();
    let mut input = match random.below(10) {
        0 => {
            let length = random.below(64);
            random.bytes(length)
        }
        1 | 2 => (0..random.below(24)).flat_map(|_| TOKENS[random.below(TOKENS.len())].to_vec()).collect(),
        3 => [pick(random), pick(random)].concat(),
        _ => pick(random),
    };
    for _ in 0..random.below(6) {
        let at = random.below(input.len() + 1);
        let end = (at + random.below(8)).min(input.len());
        match random.below(6) {
            0 if at < input.len() => input[at] = (random.bits() & 0xff) as u8,
            1 if at < input.len() => input[at] ^= 1 << random.below(8),
            2 => input.truncate(at),
            3 => drop(input.drain(at..end)),
            4 => {
                let again = input[at..end].repeat(1 + random.below(4));
                input.splice(at..at, again);
            }
            _ => drop(input.splice(at..at, random.pick(&TOKENS).iter().copied())),
        }
    }
    if text { String::from_utf8_lossy(&input).into_owned().into_bytes() } else { input }
}

/// More of them: `SOCKWARDEN_INPUTS=1500000 SOCKWARDEN_SEED=7 cargo test --release -p sockwarden-inspect --test hostile`
#[test]
fn no_input_breaks_a_promise() {
    let number = |name: &str, else_it_is| {
        std::env::var(name).map_or(else_it_is, |value| value.parse().expect("it is a number"))
    };
    run(number("SOCKWARDEN_INPUTS", 2000), number("SOCKWARDEN_SEED", 1) as u64);
}

/// Counts what it is told.
#[derive(Default)]
struct Work {
    values: usize,
    bytes: usize,
    anomalies: usize,
}

impl Sink for Work {
    fn value(&mut self, value: &Value<'_>) {
        self.values += 1;
        self.bytes += value.bytes.len();
    }

    fn operation(&mut self, _: &Operation<'_>) {}

    fn anomaly(&mut self, _: Anomaly, _: Place<'_>) {
        self.anomalies += 1;
    }
}

#[test]
fn the_work_for_the_worst_message_grows_as_its_length() {
    // With these, what grows as the square would take hours.
    const LENGTH: usize = 128 << 10;
    let limits = InspectLimits { values: 10_000_000, ..InspectLimits::default() };
    let work = |bytes: &[u8]| {
        let mut reader = Reader::default();
        let mut all = Work::default();
        for format in [Format::Json, Format::MessagePack, Format::Cbor, Format::Xml, Format::Form] {
            reader.read_as(format, &limits, Direction::Client, bytes, &mut all);
        }
        for kind in [MessageKind::Text, MessageKind::Binary] {
            if kind == MessageKind::Binary || std::str::from_utf8(bytes).is_ok() {
                let message = Message { direction: Direction::Client, kind, bytes };
                Conversation::new(None, &Opening::default()).message(
                    &mut reader,
                    &limits,
                    &message,
                    &mut all,
                );
            }
        }
        all.values + all.bytes + all.anomalies
    };
    let whole = |token: &[u8], before: &[u8], after: &[u8], length: usize| {
        [before, &token.repeat(length / token.len()), after].concat()
    };
    let around: [(&[u8], &[u8]); 6] = [
        (b"", b""),
        (b"[\"", b"\"]"),
        (b"<?xml version='1.0'?><a>", b"</a>"),
        (b"a=%20&b=", b""),
        (b"\x92\xa1x\xc6\0\x04\0\0", b""),
        (b"x ", b">"),
    ];
    for token in TOKENS {
        for (before, after) in around {
            let small = work(&whole(token, before, after, LENGTH / 16));
            // Of two lengths the longer one costs as much more as it is longer, and never more than a few times its own length.
            let large = work(&whole(token, before, after, LENGTH / 8));
            let name = token.escape_ascii();
            assert!(large <= 3 * small + 4096, "{name}: {small}, then {large}");
            assert!(large <= 64 * (LENGTH / 8) + 4096, "{name}: {large}");
        }
        work(&whole(token, b"", b"", LENGTH));
    }
}
