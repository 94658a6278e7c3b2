//! What a message costs that passes: with buckets of this process, and with what was lent of shared ones.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use divan::{Bencher, black_box};
use sockwarden_rate::{
    Answer, BanPolicy, Cost, Grant, Lane, Lending, Limiter, Limits, Offer, Queue, Quota, Subject, TICKS,
};

/// Nothing waits: of a rate that no processor reaches.
const PLENTY: Quota = Quota { rate: 1_000_000_000, burst: 1_000_000_000 };

fn main() {
    divan::main();
}

fn limits() -> Limits {
    Limits {
        messages: Some(PLENTY),
        bytes: Some(Quota { rate: u64::MAX / TICKS, burst: u64::MAX / TICKS }),
        kinds: Vec::new(),
        all_messages: Some(PLENTY),
        all_bytes: None,
        queue: Queue { messages: 500, bytes: 1 << 20 },
        ban: BanPolicy { after: 0, within: 0, first: 0, most: 0 },
    }
}

/// A limiter that was lent enough for all that is measured.
fn lent(users: usize) -> Limiter {
    let lending = Lending { span: TICKS, life: 3600 * TICKS };
    let limiter = Limiter::new(limits(), || {});
    limiter.share(lending, || {});
    (0..users).for_each(|number| _ = limiter.user(&user(number), 0));
    let asks = limiter.asks(0, usize::MAX);
    let answers = asks.into_iter().map(|ask| {
        let grants = ask.wishes().iter().map(|wish| Grant { units: wish.most, wait: 0 }).collect();
        (ask, Answer { grants, banned: 0 })
    });
    limiter.answer(answers.collect::<Vec<_>>(), 0);
    limiter
}

fn user(number: usize) -> Subject {
    Subject::User(format!("user {number}").into())
}

thread_local! {
    /// The lane of this thread, and for which measurement: threads outlive them.
    static LANE: RefCell<Option<(u64, Lane)>> = const { RefCell::new(None) };
}

/// Offers a message a hundred nanoseconds after the last one, on as many threads as are asked for: of one user, or each of another.
fn offers(bencher: Bencher<'_, '_>, limiter: &Limiter, users: usize) {
    static MEASUREMENTS: AtomicU64 = AtomicU64::new(0);
    let measurement = MEASUREMENTS.fetch_add(1, Ordering::Relaxed);
    let (clock, next) = (AtomicU64::new(1), AtomicUsize::new(0));
    bencher
        .with_inputs(|| {
            LANE.with_borrow_mut(|lane| {
                if lane.as_ref().is_none_or(|(of, _)| *of != measurement) {
                    let number = next.fetch_add(1, Ordering::Relaxed) % users;
                    *lane = Some((measurement, limiter.lane(limiter.user(&user(number), 0))));
                }
            });
            clock.fetch_add(100, Ordering::Relaxed)
        })
        .bench_values(|now| {
            LANE.with_borrow_mut(|lane| {
                let (_, lane) = lane.as_mut().expect("it was made");
                let offer = lane.offer(black_box(Cost { bytes: 100, kinds: 0 }), now);
                assert_eq!(offer, Offer::Pass);
            });
        });
}

#[divan::bench(threads = [1, 2], sample_count = 1000, sample_size = 1000)]
fn own_buckets_one_user(bencher: Bencher<'_, '_>) {
    offers(bencher, &Limiter::new(limits(), || {}), 1);
}

#[divan::bench(threads = [2], sample_count = 1000, sample_size = 1000)]
fn own_buckets_a_user_each(bencher: Bencher<'_, '_>) {
    offers(bencher, &Limiter::new(limits(), || {}), 2);
}

#[divan::bench(threads = [1, 2], sample_count = 1000, sample_size = 1000)]
fn leases_one_user(bencher: Bencher<'_, '_>) {
    offers(bencher, &lent(1), 1);
}

#[divan::bench(threads = [2], sample_count = 1000, sample_size = 1000)]
fn leases_a_user_each(bencher: Bencher<'_, '_>) {
    offers(bencher, &lent(2), 2);
}
