//! What compression costs in memory, measured; in a process of its own, so that nothing else is counted.
#![cfg(target_os = "linux")]

use sockwarden_proto::{
    Role,
    deflate::{Agreement, InflateLimits, Inflated, Inflater},
};

const DIRECTIONS: usize = 200;
const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";

/// Gives the kibibytes of this process that are in memory.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the system tells of this process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory is told");
    let number = line.split_whitespace().next().and_then(|number| number.parse().ok());
    number.expect("it is a number")
}

/// Gives the kibibytes that each of many directions holds between two messages.
fn held<T>(make: impl Fn() -> T, mut message: impl FnMut(&mut T)) -> i64 {
    let before = resident();
    let mut directions: Vec<T> = (0..DIRECTIONS).map(|_| make()).collect();
    directions.iter_mut().for_each(&mut message);
    let after = resident();
    drop(directions);
    (after - before) / DIRECTIONS as i64
}

#[test]
fn a_direction_holds_what_is_said_of_it_and_nothing_without_context_takeover() {
    let inflate = |inflater: &mut Inflater| {
        inflater.announce(HELLO.len() as u64);
        let mut buffer = [0; 100];
        let told = inflater.inflate(HELLO, true, &mut buffer);
        assert_eq!(told, Inflated::Bytes { taken: HELLO.len(), bytes: b"Hello", done: true });
    };
    let inflater = |takeover| move || Inflater::new(takeover, InflateLimits::default());
    let no_context = Agreement {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..Agreement::default()
    };
    let deflate = |deflater: &mut sockwarden_proto::deflate::Deflater| {
        deflater.deflate(&b"some text ".repeat(4_000), &mut Vec::new());
    };
    // Memory that was given back is not always given back to the system: the small ones come first.
    let measured = [
        (held(inflater(false), inflate), 0, 4),
        (held(|| no_context.deflater(Role::Server), deflate), 0, 20),
        (held(inflater(true), inflate), 1, 50),
        (held(|| Agreement::default().deflater(Role::Server), deflate), 50, 275),
    ];
    for (index, (kibibytes, least, most)) in measured.into_iter().enumerate() {
        assert!((least..=most).contains(&kibibytes), "row {index}: {kibibytes} KiB of {least} to {most}");
    }
}
