//! `cargo xtask bench inspect`: nanoseconds and bytes per second of each piece of work that a message costs.

#[path = "../src/hot_path.rs"]
mod hot_path;

use divan::{Bencher, counter::BytesCount};

fn main() {
    divan::main();
}

#[divan::bench(args = hot_path::NAMES, sample_size = 50)]
fn inspect(bencher: Bencher<'_, '_>, name: &str) {
    let mut work = hot_path::Work::named(name).expect("the list holds only what there is");
    bencher.counter(BytesCount::new(work.bytes)).bench_local(|| work.run());
}
