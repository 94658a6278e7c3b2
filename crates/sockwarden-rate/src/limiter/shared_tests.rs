//! Replicas that share buckets, on virtual time.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::{Answer, Ask, BucketName, Grant, Lending, Lent, Meter, Offer, TICKS, Wish};

const NO_BAN: BanPolicy = BanPolicy { after: 0, within: 0, first: 0, most: 0 };
const QUEUE: Queue = Queue { messages: 10_000, bytes: 1 << 30 };
const MS: u64 = TICKS / 1000;

const MESSAGES: Quota = Quota { rate: 100, burst: 20 };
const BYTES: Quota = Quota { rate: 10_000, burst: 3000 };
const OF_ALL: Quota = Quota { rate: 150, burst: 30 };

/// The largest message, in bytes: more than a lease, less than a burst.
const LARGEST: u64 = 2000;

fn limits() -> Limits {
    Limits {
        messages: Some(MESSAGES),
        bytes: Some(BYTES),
        kinds: vec![Quota { rate: 5, burst: 2 }],
        all_messages: Some(OF_ALL),
        all_bytes: None,
        queue: QUEUE,
        ban: NO_BAN,
    }
}

fn shared(limits: Limits) -> Limiter {
    let limiter = Limiter::new(limits, || {});
    limiter.share(Lending::default(), || {});
    limiter
}

const fn cost(bytes: u64) -> Cost {
    Cost { bytes, kinds: 0 }
}

/// What a real server does, on its own clock of microseconds.
#[derive(Default)]
struct Server {
    paid: HashMap<(Option<Subject>, u8), u64>,
    banned_until: HashMap<Subject, u64>,
    asked: usize,
}

impl Server {
    fn answer(&mut self, ask: &Ask, now: u64) -> Answer {
        self.asked += 1;
        let subject = ask.subject().cloned();
        let lend = |wish: &Wish| {
            let number = match wish.bucket {
                BucketName::Messages => 0,
                BucketName::Bytes => 1,
                BucketName::Kind(number) => 2 + number,
            };
            let paid = self.paid.entry((subject.clone(), number)).or_default();
            let meter = Meter::new(wish.quota.rate, wish.quota.burst, 1_000_000);
            let Lent { given, bucket, wait } = meter.lend(*paid, wish.least, wish.most, now / 1000);
            *paid = bucket;
            Grant { units: given, wait: wait * 1000 }
        };
        let grants = ask.wishes().iter().map(lend).collect();
        let banned = subject.map_or(0, |subject| {
            if let Some(left) = ask.ban() {
                self.banned_until.insert(subject.clone(), now + left);
            }
            self.banned_until.get(&subject).map_or(0, |until| until.saturating_sub(now))
        });
        Answer { grants, banned }
    }
}

/// A gateway, and what is under way to it.
struct Replica {
    limiter: Limiter,
    /// One for each user.
    lanes: Vec<Lane>,
    under_way: VecDeque<(u64, Ask, Option<Answer>)>,
}

/// Replicas, their users, and when each message passed.
struct World {
    server: Server,
    is_up: bool,
    /// How long an answer takes.
    delay: u64,
    replicas: Vec<Replica>,
    now: u64,
    /// When, on which replica, of which user; how many bytes, where that is known.
    passed: Vec<(u64, usize, usize, u64)>,
    queues: Vec<Vec<VecDeque<u64>>>,
    offered: usize,
}

impl World {
    fn new(replicas: usize, users: usize) -> Self {
        let replica = |_| {
            let limiter = shared(limits());
            let user = |number| limiter.user(&Subject::User(format!("{number}").into()), 0);
            let lanes = (0..users).map(|number| limiter.lane(user(number))).collect();
            Replica { limiter, lanes, under_way: VecDeque::new() }
        };
        Self {
            server: Server::default(),
            is_up: true,
            delay: MS,
            replicas: (0..replicas).map(replica).collect(),
            now: 0,
            passed: Vec::new(),
            queues: vec![vec![VecDeque::new(); users]; replicas],
            offered: 0,
        }
    }

    fn offer(&mut self, replica: usize, user: usize, bytes: u64) -> Offer {
        self.offered += 1;
        let offer = self.replicas[replica].lanes[user].offer(cost(bytes), self.now);
        match offer {
            Offer::Pass => self.passed.push((self.now, replica, user, bytes)),
            Offer::Wait => self.queues[replica][user].push_back(bytes),
        }
        self.collect();
        offer
    }

    fn collect(&mut self) {
        for (number, replica) in self.replicas.iter_mut().enumerate() {
            for (user, lane) in replica.lanes.iter_mut().enumerate() {
                for bytes in self.queues[number][user].drain(..lane.granted()) {
                    self.passed.push((self.now, number, user, bytes));
                }
            }
        }
    }

    /// Lets time go on; each replica asks, hears and polls as a shell would.
    fn run_until(&mut self, end: u64) {
        loop {
            for replica in &mut self.replicas {
                for ask in replica.limiter.asks(self.now, 100) {
                    let answer = self.is_up.then(|| self.server.answer(&ask, self.now));
                    replica.under_way.push_back((self.now + self.delay, ask, answer));
                }
                while let Some((_, ask, answer)) = replica.under_way.pop_front_if(|(at, ..)| *at <= self.now)
                {
                    match answer {
                        Some(answer) => replica.limiter.answer([(ask, answer)], self.now),
                        None => replica.limiter.cut_off([ask], self.now),
                    }
                }
                if self.is_up && !replica.limiter.is_shared() {
                    replica.limiter.reconnect(self.now);
                }
            }
            let mut next = end;
            for replica in &self.replicas {
                let times = [
                    replica.limiter.poll(self.now),
                    replica.limiter.next_ask(),
                    replica.under_way.front().map(|(at, ..)| *at),
                ];
                next = times.into_iter().flatten().fold(next, u64::min);
            }
            self.collect();
            if self.now >= end {
                return;
            }
            // What is due at once is done in the next round, a microsecond later.
            self.now = next.max(self.now + 1000).min(end);
        }
    }

    /// Finds a span in which more passed than a burst, the rate and one lease for each replica; `units` says what counts, of whom.
    fn excess(&self, quota: Quota, lease: u64, units: impl Fn(usize, u64) -> u64) -> Option<String> {
        let extra = lease * self.replicas.len() as u64 + 1;
        for (first, (start, ..)) in self.passed.iter().enumerate() {
            let mut sum = 0;
            for (at, _, user, bytes) in &self.passed[first..] {
                sum += units(*user, *bytes);
                let by_rate = u128::from(quota.rate) * u128::from(at - start) / u128::from(TICKS);
                let most = u128::from(quota.burst + extra) + by_rate;
                if u128::from(sum) > most {
                    return Some(format!("{sum} of {most} from {start} to {at}"));
                }
            }
        }
        None
    }
}

#[test]
fn what_was_lent_passes_without_asking_and_more_is_asked_for_ahead() {
    let mut world = World::new(1, 1);
    assert_eq!(world.offer(0, 0, 10), Offer::Wait, "nothing is there yet");
    assert!(world.replicas[0].lanes[0].awaits_answer(world.now));
    world.run_until(10 * MS);
    assert_eq!(world.passed.len(), 1);
    let asked = world.server.asked;
    for _ in 0..4 {
        assert_eq!(world.offer(0, 0, 10), Offer::Pass);
    }
    world.run_until(20 * MS);
    assert_eq!(world.server.asked, asked, "half of what was lent is not used yet");
    for _ in 0..2 {
        assert_eq!(world.offer(0, 0, 10), Offer::Pass);
    }
    world.run_until(30 * MS);
    assert_eq!(world.server.asked, asked + 1);
    for _ in 0..8 {
        assert_eq!(
            world.offer(0, 0, 10),
            Offer::Pass,
            "of all there are eight left, which is more than half"
        );
    }
}

#[test]
fn who_says_nothing_asks_for_nothing() {
    let mut world = World::new(2, 3);
    world.offer(0, 0, 10);
    world.run_until(TICKS);
    let asked = world.server.asked;
    world.run_until(100 * TICKS);
    assert_eq!(world.server.asked, asked);
    assert_eq!(world.replicas[0].limiter.next_ask(), None);
}

#[test]
fn a_user_at_twice_its_rate_on_three_replicas_is_held_to_it_with_few_requests() {
    let mut world = World::new(3, 1);
    for step in 1..=2000 {
        world.offer(step as usize % 3, 0, 50);
        world.run_until(step * 5 * MS);
    }
    assert!(world.replicas.iter().any(|replica| !replica.lanes[0].awaits_answer(world.now)));
    let passed = world.passed.len() as u64;
    // Ten seconds, at 100 a second, of 200 that were sent.
    assert!((950..=1000 + 20 + 3 * 10).contains(&passed), "{passed}");
    assert_eq!(world.excess(MESSAGES, 10, |_, _| 1), None);
    assert!(world.server.asked < 800, "{}", world.server.asked);
}

#[test]
fn a_message_larger_than_a_lease_or_a_burst_passes_in_its_turn() {
    let mut world = World::new(2, 1);
    world.offer(0, 0, 10_000);
    world.offer(0, 0, 10);
    world.offer(1, 0, 10);
    world.run_until(3 * TICKS);
    assert_eq!(world.passed.len(), 3, "{:?}", world.passed);
    assert!(world.passed.iter().position(|passed| passed.3 == 10_000) < Some(2), "nothing overtakes it");
}

#[test]
fn what_nobody_waits_for_any_more_holds_nothing_up() {
    let mut world = World::new(1, 1);
    world.offer(0, 0, 1000);
    world.run_until(10 * MS);
    world.offer(0, 0, 1_000_000);
    world.run_until(20 * MS);
    world.replicas[0].lanes[0].withdraw(1);
    world.queues[0][0].clear();
    world.offer(0, 0, 1000);
    world.run_until(TICKS);
    assert_eq!(world.passed.len(), 2);
}

#[test]
fn an_outage_leaves_each_its_own_limits_and_ends() {
    let mut world = World::new(2, 1);
    (0..50).for_each(|_| _ = world.offer(0, 0, 10));
    world.run_until(100 * MS);
    world.is_up = false;
    (0..300).for_each(|_| _ = world.offer(0, 0, 10));
    (0..10).for_each(|_| _ = world.offer(1, 0, 10));
    let before = world.passed.len();
    world.run_until(1100 * MS);
    assert!(!world.replicas[0].limiter.is_shared());
    let by_own = world.passed.len() - before;
    assert!((100..=20 + 10 + 100 + 10).contains(&by_own), "{by_own}");
    world.is_up = true;
    world.run_until(10 * TICKS);
    assert!(world.replicas.iter().all(|replica| replica.limiter.is_shared()));
    assert_eq!(world.passed.len(), world.offered);
}

#[test]
fn who_is_shut_out_by_one_is_shut_out_by_all_and_let_in_again() {
    let mut world = World::new(2, 1);
    let subject = Subject::User("0".into());
    let users: Vec<_> =
        world.replicas.iter().map(|replica| replica.limiter.known(&subject).expect("a user")).collect();
    world.run_until(10 * MS);
    users[0].ban_until(60 * TICKS);
    world.run_until(20 * MS);
    assert_eq!(users[1].banned(world.now), None, "nobody has asked");
    for step in 0..10 {
        world.offer(1, 0, 1);
        world.run_until((20 + 100 * step) * MS);
    }
    assert!(world.now < TICKS);
    let left = users[1].banned(world.now).expect("a ban");
    assert!(left.abs_diff(60 * TICKS - world.now) < 10 * MS, "{left}");
    // It is lifted where it was heard of, and there comes the user again.
    users[1].ban_until(0);
    world.run_until(2 * TICKS);
    assert!(users[0].banned(world.now).is_some());
    world.replicas[0].limiter.user(&subject, world.now);
    world.run_until(2 * TICKS + 300 * MS);
    assert_eq!((users[0].banned(world.now), users[1].banned(world.now)), (None, None));
}

#[test]
fn a_ban_during_an_outage_is_told_after_it() {
    let mut world = World::new(2, 1);
    let subject = Subject::User("0".into());
    let user =
        |world: &World, replica: usize| world.replicas[replica].limiter.known(&subject).expect("a user");
    world.run_until(10 * MS);
    world.is_up = false;
    user(&world, 0).ban_until(60 * TICKS);
    world.run_until(TICKS);
    assert_eq!(user(&world, 0).banned(world.now), Some(59 * TICKS));
    world.is_up = true;
    world.run_until(2 * TICKS);
    world.replicas[1].limiter.user(&subject, world.now);
    world.run_until(3 * TICKS);
    assert!(user(&world, 1).banned(world.now).is_some());
}

#[test]
fn connections_that_are_counted_by_themselves_are_not_lent_anything() {
    let limits = Limits { all_messages: None, ..limits() };
    let limiter = shared(limits);
    let mut lane = limiter.lane(limiter.user(&Subject::Connection(7), 0));
    assert_eq!(lane.offer(cost(1), 0), Offer::Pass);
    assert!(limiter.asks(TICKS, 9).is_empty());
}

#[test]
fn what_was_never_asked_for_goes_with_the_limiter() {
    let limiter = shared(limits());
    limiter.user(&Subject::User("mara".into()), 0);
    let desk = Arc::downgrade(limiter.0.desk.get().expect("it shares"));
    drop(limiter);
    assert_eq!(desk.strong_count(), 0);
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Somebody sends so many messages at once, of so many bytes.
    Send { replica: usize, user: usize, count: usize, bytes: u64 },
    /// Answers take so long from now on.
    Delay(u64),
}

fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let send = (0usize..4, 0usize..3, 1usize..25, 1u64..LARGEST)
        .prop_map(|(replica, user, count, bytes)| Event::Send { replica, user, count, bytes });
    let delay = prop_oneof![3 => 0u64..5 * MS, 1 => 0u64..1500 * MS].prop_map(Event::Delay);
    prop::collection::vec((0u64..300 * MS, prop_oneof![8 => send, 1 => delay]), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_more_passes_than_a_burst_the_rate_and_a_lease_for_each_replica(
        replicas in 2usize..=4,
        events in events(),
    ) {
        let mut world = World::new(replicas, 3);
        for (pause, event) in events {
            world.run_until(world.now + pause);
            match event {
                Event::Send { replica, user, count, bytes } => {
                    (0..count).for_each(|_| _ = world.offer(replica % replicas, user, bytes));
                }
                Event::Delay(delay) => world.delay = delay,
            }
        }
        world.delay = MS;
        world.run_until(world.now + 600 * TICKS);
        prop_assert_eq!(world.passed.len(), world.offered, "nothing waits for ever");
        for user in 0..3 {
            let of = |whose: usize| u64::from(whose == user);
            prop_assert_eq!(world.excess(MESSAGES, 10, |whose, _| of(whose)), None);
            prop_assert_eq!(world.excess(BYTES, LARGEST, |whose, bytes| of(whose) * bytes), None);
        }
        prop_assert_eq!(world.excess(OF_ALL, 15, |_, _| 1), None);
    }
}
