//! Counting while connections live: atomics that workers do not share, summed up when somebody asks.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use sockwarden_defend::ORDER;
use sockwarden_model::{
    CloseClass, CloseCount, Direction, Histogram, Initiator, Limit, MessageClass, MessageCount, RateCounters,
    RouteCounters, StatusClass, Treatment, Uninspected, UpstreamCounters,
};

/// How many copies there are of each counter. Two workers that share one are slower, not wrong.
const SHARDS: usize = 8;

/// What refusals are counted under that no defence decided.
const OURSELVES: &str = "gateway";

/// Copies of counters, one cache line or more apart.
#[derive(Debug, Default)]
pub(crate) struct Sharded<T>([Aligned<T>; SHARDS]);

#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Aligned<T>(T);

impl<T> Sharded<T> {
    /// Gives this thread's copy.
    pub(crate) fn here(&self) -> &T {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static SHARD: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        &self.0[SHARD.get() % SHARDS].0
    }

    /// Adds a counter up over all copies.
    fn sum(&self, counter: impl Fn(&T) -> &AtomicU64) -> u64 {
        self.fold(0, |sum, shard| sum + counter(shard).load(Ordering::Relaxed))
    }

    /// Goes through all copies.
    pub(crate) fn fold<A>(&self, start: A, step: impl Fn(A, &T) -> A) -> A {
        self.0.iter().fold(start, |so_far, shard| step(so_far, &shard.0))
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Refusals: one counter for each defence, and one for ourselves.
#[derive(Debug, Default)]
struct Refusals([AtomicU64; ORDER.len() + 1]);

impl Refusals {
    fn place(rule: &str) -> usize {
        ORDER.iter().position(|known| known.id == rule).unwrap_or(ORDER.len())
    }

    /// Names those that are not zero; `sum` adds one place up over all shards.
    fn named(sum: impl Fn(usize) -> u64) -> Vec<(String, u64)> {
        let names = ORDER.iter().map(|rule| rule.id).chain([OURSELVES]);
        let all = names.enumerate().map(|(place, name)| (name.to_owned(), sum(place)));
        all.filter(|(_, count)| *count > 0).collect()
    }
}

/// How often each limit was exceeded.
#[derive(Debug)]
struct Exceeded([AtomicU64; Limit::ALL.len()]);

impl Default for Exceeded {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Exceeded {
    /// Names those that are not zero; `sum` adds one place up over all shards.
    fn named(sum: impl Fn(usize) -> u64) -> Vec<(Limit, u64)> {
        let all = Limit::ALL.into_iter().map(|limit| (limit, sum(limit.index())));
        all.filter(|(_, count)| *count > 0).collect()
    }
}

/// The counters of one route.
#[derive(Debug, Default)]
pub(crate) struct RouteTally(Sharded<OfRoute>);

#[derive(Debug, Default)]
struct OfRoute {
    opened: AtomicU64,
    closed: AtomicU64,
    /// By direction, class and treatment.
    messages: [[[AtomicU64; Treatment::ALL.len()]; MessageClass::ALL.len()]; 2],
    bytes: [AtomicU64; 2],
    requests: [AtomicU64; StatusClass::ALL.len()],
    refused: Refusals,
    limits: Exceeded,
    uninspected: [[AtomicU64; Uninspected::ALL.len()]; 2],
}

const DIRECTIONS: [Direction; 2] = [Direction::Client, Direction::Server];

impl RouteTally {
    pub(crate) fn opened(&self) {
        add(&self.0.here().opened, 1);
    }

    pub(crate) fn closed(&self) {
        add(&self.0.here().closed, 1);
    }

    pub(crate) fn message(&self, from: Direction, class: MessageClass, treatment: Treatment) {
        self.messages(from, class, treatment, 1);
    }

    pub(crate) fn messages(&self, from: Direction, class: MessageClass, treatment: Treatment, more: u64) {
        add(&self.0.here().messages[from as usize][class.index()][treatment.index()], more);
    }

    pub(crate) fn bytes(&self, from: Direction, bytes: u64) {
        add(&self.0.here().bytes[from as usize], bytes);
    }

    pub(crate) fn uninspected(&self, from: Direction, why: Uninspected, more: u64) {
        add(&self.0.here().uninspected[from as usize][why.index()], more);
    }

    pub(crate) fn request(&self, class: StatusClass) {
        add(&self.0.here().requests[class.index()], 1);
    }

    fn refused(&self, rule: &str) {
        add(&self.0.here().refused.0[Refusals::place(rule)], 1);
    }

    fn exceeded(&self, limit: Limit) {
        add(&self.0.here().limits.0[limit.index()], 1);
    }

    /// Counts the sessions that are established.
    pub(crate) fn active(&self) -> u64 {
        // Read in this order the difference cannot be negative for long; a session may end in between.
        let closed = self.0.sum(|of| &of.closed);
        self.0.sum(|of| &of.opened).saturating_sub(closed)
    }

    /// Sums everything up under the route's name; of its rates and of the application's addresses it knows nothing.
    pub(crate) fn counters(&self, route: &str) -> RouteCounters {
        let mut messages = Vec::new();
        for direction in DIRECTIONS {
            for kind in MessageClass::ALL {
                for treatment in Treatment::ALL {
                    let count =
                        self.0.sum(|of| &of.messages[direction as usize][kind.index()][treatment.index()]);
                    messages.push(MessageCount { direction, kind, treatment, count });
                }
            }
        }
        messages.retain(|message| message.count > 0);
        let uninspected = DIRECTIONS.into_iter().flat_map(|from| {
            let count = move |why: Uninspected| self.0.sum(|of| &of.uninspected[from as usize][why.index()]);
            Uninspected::ALL.map(|why| (from, why, count(why)))
        });
        let requests = StatusClass::ALL.map(|class| (class, self.0.sum(|of| &of.requests[class.index()])));
        RouteCounters {
            route: route.to_owned(),
            opened: self.0.sum(|of| &of.opened),
            active: self.active(),
            messages,
            bytes_from_client: self.0.sum(|of| &of.bytes[Direction::Client as usize]),
            bytes_from_server: self.0.sum(|of| &of.bytes[Direction::Server as usize]),
            requests: requests.into_iter().filter(|(_, count)| *count > 0).collect(),
            refused: Refusals::named(|place| self.0.sum(|of| &of.refused.0[place])),
            limits: Exceeded::named(|place| self.0.sum(|of| &of.limits.0[place])),
            uninspected: uninspected.filter(|(_, _, count)| *count > 0).collect(),
            rates: RateCounters::default(),
            upstream: UpstreamCounters::default(),
        }
    }
}

/// The counters that belong to no route.
#[derive(Debug, Default)]
pub(crate) struct Tally(Sharded<OfGateway>);

#[derive(Debug, Default)]
struct OfGateway {
    closes: [[AtomicU64; Initiator::ALL.len()]; CloseClass::COUNT],
    inspection: [AtomicU64; Histogram::BOUNDS.len() + 1],
    inspection_ns: AtomicU64,
    refused: Refusals,
    limits: Exceeded,
    panics: AtomicU64,
}

impl Tally {
    /// Counts a refusal before the upgrade, on its route if it got that far.
    pub(crate) fn refused(&self, route: Option<&RouteTally>, rule: &str) {
        match route {
            Some(route) => route.refused(rule),
            None => add(&self.0.here().refused.0[Refusals::place(rule)], 1),
        }
    }

    pub(crate) fn closed(&self, code: u16, initiator: Initiator) {
        add(&self.0.here().closes[CloseClass::of(code).index()][initiator.index()], 1);
    }

    pub(crate) fn inspected(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let here = self.0.here();
        add(&here.inspection[Histogram::bucket(ns)], 1);
        add(&here.inspection_ns, ns);
    }

    /// Counts that a limit was exceeded, on a route if it got that far.
    pub(crate) fn exceeded(&self, route: Option<&RouteTally>, limit: Limit) {
        match route {
            Some(route) => route.exceeded(limit),
            None => add(&self.0.here().limits.0[limit.index()], 1),
        }
    }

    pub(crate) fn panicked(&self) {
        add(&self.0.here().panics, 1);
    }

    pub(crate) fn refused_without_route(&self) -> Vec<(String, u64)> {
        Refusals::named(|place| self.0.sum(|of| &of.refused.0[place]))
    }

    pub(crate) fn closes(&self) -> Vec<CloseCount> {
        let all = CloseClass::all().flat_map(|code| Initiator::ALL.map(|initiator| (code, initiator)));
        all.map(|(code, initiator)| CloseCount {
            code,
            initiator,
            count: self.0.sum(|of| &of.closes[code.index()][initiator.index()]),
        })
        .filter(|close| close.count > 0)
        .collect()
    }

    pub(crate) fn inspection(&self) -> Histogram {
        Histogram {
            buckets: std::array::from_fn(|bucket| self.0.sum(|of| &of.inspection[bucket])),
            sum_ns: self.0.sum(|of| &of.inspection_ns),
        }
    }

    pub(crate) fn limits_without_route(&self) -> Vec<(Limit, u64)> {
        Exceeded::named(|place| self.0.sum(|of| &of.limits.0[place]))
    }

    pub(crate) fn panics(&self) -> u64 {
        self.0.sum(|of| &of.panics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_threads_count_adds_up() {
        let (route, whole) = (RouteTally::default(), Tally::default());
        std::thread::scope(|scope| {
            for thread in 0..16u64 {
                let (route, whole) = (&route, &whole);
                scope.spawn(move || {
                    for _ in 0..100 {
                        route.opened();
                        route.bytes(Direction::Server, thread);
                        route.message(Direction::Client, MessageClass::Text, Treatment::Block);
                        whole.closed(4321, Initiator::Operator);
                        whole.inspected(Duration::from_nanos(1001));
                    }
                    route.closed();
                    whole.refused(Some(route), "origin-policy");
                    whole.refused(None, "no such rule");
                    whole.exceeded(Some(route), Limit::MessageSize);
                    whole.exceeded(None, Limit::Connections);
                });
            }
        });
        let counters = route.counters("app");
        assert_eq!((counters.opened, counters.active), (1600, 1584));
        assert_eq!((counters.bytes_from_client, counters.bytes_from_server), (0, 12_000));
        let blocked = MessageCount {
            direction: Direction::Client,
            kind: MessageClass::Text,
            treatment: Treatment::Block,
            count: 1600,
        };
        assert_eq!(counters.messages, [blocked]);
        assert_eq!(counters.refused, [("origin-policy".to_owned(), 16)]);
        assert_eq!(counters.limits, [(Limit::MessageSize, 16)]);
        assert_eq!(whole.limits_without_route(), [(Limit::Connections, 16)]);
        assert_eq!(counters.uninspected, []);
        assert_eq!(whole.refused_without_route(), [("gateway".to_owned(), 16)]);
        let close = CloseCount { code: CloseClass::of(4000), initiator: Initiator::Operator, count: 1600 };
        assert_eq!(whole.closes(), [close]);
        let histogram = whole.inspection();
        assert_eq!((histogram.buckets[1], histogram.sum_ns), (1600, 1600 * 1001));
        assert_eq!(histogram.buckets.iter().sum::<u64>(), 1600);
    }
}
