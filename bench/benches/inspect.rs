//! `cargo xtask bench inspect`: nanoseconds and bytes per second of each piece of work that a message costs.

#[path = "../src/hot_path.rs"]
mod hot_path;

use divan::{Bencher, counter::BytesCount};

/// What others need for the same messages, to hold the times of one run against.
const YARDSTICKS: [&str; 4] = ["tree-json-200", "tree-json-4k", "tree-call-200", "tree-event-200"];

fn main() {
    divan::main();
}

#[divan::bench(args = hot_path::NAMES.iter().chain(&YARDSTICKS), sample_size = 50)]
fn inspect(bencher: Bencher<'_, '_>, name: &str) {
    let mut work = hot_path::Work::named(name).expect("the list holds only what there is");
    bencher.counter(BytesCount::new(work.bytes)).bench_local(|| work.run());
}
