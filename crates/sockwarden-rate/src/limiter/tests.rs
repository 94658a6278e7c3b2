//! Limits on virtual time.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::{Offer, TICKS};

const NO_BAN: BanPolicy = BanPolicy { after: 0, within: 0, first: 0, most: 0 };
const QUEUE: Queue = Queue { messages: 10_000, bytes: 1 << 30 };
const MS: u64 = TICKS / 1000;

fn limiter(messages: Option<Quota>, all_messages: Option<Quota>, queue: Queue) -> Limiter {
    let limits = Limits {
        messages,
        bytes: None,
        kinds: Vec::new(),
        all_messages,
        all_bytes: None,
        queue,
        ban: NO_BAN,
    };
    Limiter::new(limits, || {})
}

fn lane(limiter: &Limiter, user: u64, now: u64) -> Lane {
    limiter.lane(limiter.user(&Subject::Connection(user), now))
}

const fn cost(bytes: u64) -> Cost {
    Cost { bytes, kinds: 0 }
}

const fn quota(rate: u64, burst: u64) -> Option<Quota> {
    Some(Quota { rate, burst })
}

#[test]
fn a_burst_at_ten_times_the_rate_is_delayed_and_drained_in_the_computed_time() {
    let limiter = limiter(quota(100, 200), None, QUEUE);
    let mut lane = lane(&limiter, 1, 0);
    let mut passed = 0;
    for number in 0..5000 {
        passed += usize::from(lane.offer(cost(100), number * MS) == Offer::Pass);
    }
    // 200 at once, 500 in five seconds; some of the latter waited.
    let mut now = 5000 * MS;
    while let Some(next) = limiter.poll(now) {
        now = next;
        passed += lane.granted();
    }
    passed += lane.granted();
    assert_eq!((passed, lane.len(), limiter.waiting()), (5000, 0, 0));
    assert_eq!(now / MS, 48_000, "4,800 beyond the burst at 100 a second");
}

#[test]
fn who_sends_much_does_not_make_others_wait_for_its_queue() {
    let limiter = limiter(None, quota(1000, 1), QUEUE);
    let (mut heavy, mut light) = (lane(&limiter, 1, 0), lane(&limiter, 2, 0));
    for _ in 0..5000 {
        heavy.offer(cost(10), 0);
    }
    let mut waits = Vec::new();
    let mut sent = None;
    for now in (0..2000).map(|ms| ms * MS) {
        limiter.poll(now);
        heavy.granted();
        if light.granted() > 0 {
            waits.push((now - sent.take().unwrap_or(now)) / MS);
        }
        if now % (50 * MS) == 0 && sent.is_none() && light.offer(cost(10), now) == Offer::Wait {
            sent = Some(now);
        }
    }
    assert_eq!(waits.len(), 40);
    assert!(waits.iter().all(|wait| *wait <= 2), "{waits:?}");
}

#[test]
fn sockets_of_one_user_share_its_bucket_and_its_queue() {
    let limiter = limiter(quota(100, 10), None, Queue { messages: 100, bytes: 1 << 20 });
    let mut lanes: Vec<Lane> = (0..50).map(|_| lane(&limiter, 7, 0)).collect();
    let mut other = lane(&limiter, 8, 0);
    let mut passed = 0;
    for lane in &mut lanes {
        for _ in 0..2 {
            passed += usize::from(lane.offer(cost(1), 0) == Offer::Pass);
        }
    }
    assert_eq!((passed, limiter.waiting()), (10, 90));
    assert!(!lanes[0].is_full() && !lanes[49].is_full());
    (0..10).for_each(|_| _ = lanes[3].offer(cost(1), 0));
    assert!(lanes[0].is_full() && lanes[49].is_full() && !other.is_full());
    assert_eq!(other.offer(cost(1), 0), Offer::Pass);
    // They take turns, so that after half a second each of them has had one.
    (1..=50).for_each(|step| _ = limiter.poll(step * TICKS / 100));
    let granted: Vec<usize> = lanes.iter_mut().map(Lane::granted).collect();
    assert_eq!(granted.iter().sum::<usize>(), 50);
    assert!(granted.iter().all(|count| *count <= 2), "{granted:?}");
    drop(lanes);
    assert_eq!(limiter.waiting(), 0, "who leaves waits no more");
}

#[test]
fn who_was_paused_is_woken_when_there_is_room() {
    struct Bell(AtomicUsize);
    impl std::task::Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let bell = Arc::new(Bell(AtomicUsize::new(0)));
    let limiter = limiter(quota(10, 1), None, Queue { messages: 4, bytes: 100 });
    let (mut busy, mut idle) = (lane(&limiter, 1, 0), lane(&limiter, 1, 0));
    idle.wake_by(&Waker::from(Arc::clone(&bell)));
    (0..5).for_each(|_| _ = busy.offer(cost(1), 0));
    assert!(idle.is_full() && idle.is_full());
    limiter.poll(TICKS / 10);
    assert_eq!((bell.0.load(Ordering::Relaxed), idle.is_full()), (0, false), "not for each message");
    limiter.poll(2 * TICKS / 10);
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    // The same by what is given up instead of sent.
    (0..2).for_each(|_| _ = busy.offer(cost(1), 2 * TICKS / 10));
    assert!(idle.is_full());
    assert_eq!(busy.withdraw(4), 2, "two were granted and leave after all");
    assert_eq!(bell.0.load(Ordering::Relaxed), 2);
}

#[test]
fn who_is_not_as_new_is_remembered_in_a_crowd() {
    let limiter = limiter(quota(1, 1), None, QUEUE);
    let debtor = Subject::Connection(0);
    assert_eq!(limiter.lane(limiter.user(&debtor, 0)).offer(cost(1), 0), Offer::Pass);
    for number in 1..20_000 {
        limiter.user(&Subject::Connection(number), 1);
    }
    assert_eq!(limiter.lane(limiter.user(&debtor, 1)).offer(cost(1), 1), Offer::Wait);
    let remembered: usize = limiter.0.users.iter().map(|shard| shard.lock().unwrap().users.len()).sum();
    assert!(remembered < 2 * SHARDS * FEWEST, "{remembered}");
}

/// What happens next in a made-up world.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A connection has a message of so many bytes.
    Offer(usize, u64),
    /// It gives up so many.
    Withdraw(usize, usize),
    /// It is gone, and comes again.
    Reconnect(usize),
}

/// Six connections, two to a user, and where each message has gone.
struct World {
    limiter: Limiter,
    lanes: Vec<Lane>,
    /// The number and bytes of each message that waits.
    queues: Vec<VecDeque<(usize, u64)>>,
    /// When each message passed, its connection, its number and its bytes.
    passed: Vec<(u64, usize, usize, u64)>,
    offered: usize,
    given_up: usize,
}

impl World {
    fn new(limits: Limits) -> Self {
        let limiter = Limiter::new(limits, || {});
        let lanes = (0..6).map(|number| lane(&limiter, number / 2, 0)).collect();
        Self { limiter, lanes, queues: vec![VecDeque::new(); 6], passed: Vec::new(), offered: 0, given_up: 0 }
    }

    fn pass(&mut self, number: usize, count: usize, now: u64) {
        let left = self.queues[number].drain(..count);
        self.passed.extend(left.map(|(message, bytes)| (now, number, message, bytes)));
    }

    fn collect(&mut self, now: u64) {
        for number in 0..self.lanes.len() {
            let granted = self.lanes[number].granted();
            self.pass(number, granted, now);
            assert_eq!(self.lanes[number].len(), self.queues[number].len());
        }
    }

    fn happen(&mut self, event: Event, now: u64) {
        match event {
            Event::Offer(number, bytes) => {
                self.queues[number].push_back((self.offered, bytes));
                self.offered += 1;
                if self.lanes[number].offer(cost(bytes), now) == Offer::Pass {
                    assert_eq!(self.queues[number].len(), 1, "nothing overtakes what waits");
                    self.pass(number, 1, now);
                }
            }
            Event::Withdraw(number, count) => {
                let count = count.min(self.lanes[number].len());
                let after_all = self.lanes[number].withdraw(count);
                self.pass(number, after_all, now);
                self.queues[number].drain(..count - after_all);
                self.given_up += count - after_all;
            }
            Event::Reconnect(number) => {
                self.given_up += self.queues[number].len();
                self.queues[number].clear();
                self.lanes[number] = lane(&self.limiter, number as u64 / 2, now);
            }
        }
    }

    /// Tells whether of what some sent never more passed than a burst and the rate; `units` says what counts.
    fn holds(&self, quota: Quota, whose: impl Fn(usize) -> bool, units: impl Fn(u64) -> u64) -> bool {
        let theirs: Vec<(u64, u64)> = self
            .passed
            .iter()
            .filter(|(_, lane, ..)| whose(*lane))
            .map(|(at, _, _, bytes)| (*at, units(*bytes)))
            .collect();
        (0..theirs.len()).all(|first| {
            let mut sum = 0;
            theirs[first..].iter().all(|(at, units)| {
                sum += units;
                let span = u128::from(at - theirs[first].0);
                u128::from(sum)
                    <= u128::from(quota.burst) + u128::from(quota.rate) * span / u128::from(TICKS) + 1
            })
        })
    }
}

fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let event = prop_oneof![
        8 => (0usize..6, 1u64..400).prop_map(|(lane, bytes)| Event::Offer(lane, bytes)),
        1 => (0usize..6, 1usize..4).prop_map(|(lane, count)| Event::Withdraw(lane, count)),
        1 => (0usize..6).prop_map(Event::Reconnect),
    ];
    prop::collection::vec((0u64..30 * MS, event), 1..200)
}

proptest! {
    #[test]
    fn messages_are_conserved_in_order_and_rates_are_held(events in events()) {
        let (messages, bytes, all) = (Quota { rate: 50, burst: 5 }, Quota { rate: 5000, burst: 1000 }, Quota { rate: 80, burst: 3 });
        let mut world = World::new(Limits {
            messages: Some(messages),
            bytes: Some(bytes),
            kinds: Vec::new(),
            all_messages: Some(all),
            all_bytes: None,
            queue: QUEUE,
            ban: NO_BAN,
        });
        let mut now = 0;
        for (pause, event) in events {
            now += pause;
            world.limiter.poll(now);
            world.collect(now);
            world.happen(event, now);
        }
        while let Some(next) = world.limiter.poll(now) {
            prop_assert!(next > now);
            world.collect(now);
            now = next;
        }
        world.collect(now);
        prop_assert!(world.queues.iter().all(VecDeque::is_empty));
        prop_assert_eq!(world.limiter.waiting(), 0);
        prop_assert_eq!(world.offered, world.passed.len() + world.given_up);
        for lane in 0..6 {
            let of_lane: Vec<usize> = world.passed.iter().filter(|(_, of, ..)| *of == lane).map(|(.., number, _)| *number).collect();
            prop_assert!(of_lane.is_sorted());
        }
        for user in 0..3 {
            prop_assert!(world.holds(messages, |lane| lane / 2 == user, |_| 1));
            prop_assert!(world.holds(bytes, |lane| lane / 2 == user, |bytes| bytes));
        }
        prop_assert!(world.holds(all, |_| true, |_| 1));
    }
}
