//! Buckets that replicas share: what is lent of them, in one step on the server.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::Cmd;
use sockwarden_rate::{Answer, Ask, BucketName, Grant, Limiter, Quota, Subject, TICKS, Wish};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{Failure, NO_MEMORY, Shared};

/// How many microseconds a second has, and ticks a microsecond.
const MICROS: u64 = 1_000_000;
const TICKS_PER_MICRO: u64 = TICKS / MICROS;

/// The most subjects that are asked for at once: the server does nothing else meanwhile, for a millisecond or two.
const MOST_ASKS: usize = 128;

/// How long to wait before the server is tried again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often it is looked whether there is a link at all, in the beginning.
const GLANCE: Duration = Duration::from_millis(10);

/// Lends of the buckets of each subject, a key each, by the server's own clock in microseconds. The arithmetic is that of
/// [`sockwarden_rate::Meter::lend`]; all of it is in whole numbers below 2^53, which floating point numbers hold exactly.
///
/// A key holds until when each bucket is paid for, and until when its subject is shut out, as `NAME=MICROSECONDS` each. It is gone
/// when all of that is over.
///
/// Of each subject is said for how long it is shut out from now on (`-1` for no news, `0` for no longer), for how many buckets, and of
/// each of these its name, rate, burst, least and most. The answer is for how long it is shut out, and what each bucket gives and
/// after which time it may.
const LEND: &str = "\
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local answer, at = {}, 0
local function next_word() at = at + 1; return ARGV[at] end
local function next_number() return tonumber(next_word()) end
local function quotient(x, y) return (x - math.fmod(x, y)) / y end
local function price(units, rate) return quotient(units * 1000000 + rate - 1, rate) end
for _, key in ipairs(KEYS) do
  local kept, is_changed = {}, false
  for name, value in string.gmatch(redis.call('GET', key) or '', '(%w+)=(%d+)') do kept[name] = tonumber(value) end
  local ban, buckets = next_number(), next_number()
  if ban >= 0 then kept.ban, is_changed = now + ban, true end
  answer[#answer + 1] = math.max((kept.ban or now) - now, 0)
  for _ = 1, buckets do
    local name, rate, burst, least, most = next_word(), next_number(), next_number(), next_number(), next_number()
    local from, span = math.max(kept[name] or 0, now), price(burst, rate)
    local given = math.min(most, quotient(math.max(span - (from - now), 0) * rate, 1000000))
    local wait = 0
    if given < least then
      local cost = price(least, rate)
      wait = math.max(from + cost - (now + math.max(span, cost)), 0)
      given = wait == 0 and least or 0
    end
    if given > 0 then kept[name], is_changed = from + price(given, rate), true end
    answer[#answer + 1] = given
    answer[#answer + 1] = wait
  end
  if is_changed then
    local text, last = '', now
    for name, value in pairs(kept) do
      if value > now then
        text = text .. name .. '=' .. string.format('%.0f', value) .. ' '
        last = math.max(last, value)
      end
    end
    local lasts = string.format('%.0f', quotient(last - now, 1000) + 1)
    redis.call('SET', key, text, 'PX', lasts)
  end
end
return answer";

/// The door to the buckets of one limiter; what has the same scope is counted together.
pub struct Leases {
    shared: Arc<Shared>,
    scope: Box<str>,
}

/// What becomes of the sharing of rates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateNews {
    /// The server does not answer, and why, escaped and cut: from now on each replica keeps to the rates by itself.
    Alone(String),
    /// It answers again: the rates are shared.
    Shared,
}

/// How it goes with buckets that replicas share, counted by this replica since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateCounts {
    /// Requests for leases that were answered, of a user or an application each.
    pub answered: u64,
    /// Those that were not.
    pub unanswered: u64,
    /// How many limiters keep to their rates by themselves now.
    pub alone: usize,
}

/// What [`RateCounts`] are made from.
#[derive(Debug, Default)]
pub(super) struct RateTally {
    answered: AtomicU64,
    unanswered: AtomicU64,
    alone: AtomicUsize,
}

impl RateTally {
    pub(super) fn counts(&self) -> RateCounts {
        RateCounts {
            answered: self.answered.load(Ordering::Relaxed),
            unanswered: self.unanswered.load(Ordering::Relaxed),
            alone: self.alone.load(Ordering::Relaxed),
        }
    }
}

impl Leases {
    pub(super) fn new(shared: Arc<Shared>, scope: &str) -> Self {
        Self { shared, scope: scope.into() }
    }

    /// Gives a limiter what it asks for, for as long as this is not cancelled. `bell` is the one that the limiter rings for that; `now` is
    /// the time in ticks that it is told otherwise. Where the server does not answer in time, the limiter goes on by itself until it does.
    pub async fn serve(
        &self,
        limiter: &Limiter,
        bell: &Notify,
        now: impl Fn() -> u64,
        tell: impl Fn(RateNews),
    ) {
        // A link that was never made is no outage yet.
        let up = async {
            while self.shared.wire.load().is_none() {
                sleep(GLANCE).await;
            }
        };
        let _ = timeout(self.shared.timeout, up).await;
        loop {
            let asks = limiter.asks(now(), MOST_ASKS);
            if asks.is_empty() {
                let rung = bell.notified();
                match limiter.next_ask() {
                    Some(at) => {
                        let wait = Duration::from_nanos(at.saturating_sub(now()));
                        // Either way there may be something to ask.
                        let _ = timeout(wait, rung).await;
                    }
                    None => rung.await,
                }
                continue;
            }
            let tally = &self.shared.rates;
            match self.lend(&asks).await {
                Ok(answers) => {
                    tally.answered.fetch_add(asks.len() as u64, Ordering::Relaxed);
                    limiter.answer(asks.into_iter().zip(answers), now());
                }
                Err(error) => {
                    tally.unanswered.fetch_add(asks.len() as u64, Ordering::Relaxed);
                    limiter.cut_off(asks, now());
                    let alone = Alone::new(&tally.alone);
                    tell(RateNews::Alone(error));
                    self.wait_for_server().await;
                    drop(alone);
                    limiter.reconnect(now());
                    tell(RateNews::Shared);
                }
            }
        }
    }

    /// Tries until leases are to be had again.
    async fn wait_for_server(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            sleep(pause).await;
            let mut trial = Order::new(1);
            let quota = Quota { rate: 1, burst: 1 };
            let wish = Wish { bucket: BucketName::Messages, quota, least: 1, most: 1 };
            trial.add(&self.shared.keys.rates("trial"), None, &[wish]);
            let until = Instant::now() + self.shared.timeout;
            if self.shared.lend(&trial.finish(), until).await.is_ok() {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Asks the server, all at once where that is possible.
    async fn lend(&self, asks: &[Ask]) -> Result<Vec<Answer>, String> {
        let until = Instant::now() + self.shared.timeout;
        let add = |order: &mut Order, ask: &Ask| {
            order.add(&self.key(ask.subject()), ask.ban(), ask.wishes());
        };
        let is_cluster = self.shared.wire.load().as_ref().is_some_and(|wire| wire.is_cluster());
        let numbers = if is_cluster {
            // Keys of one order must lie on one node.
            let orders = asks.iter().map(|ask| {
                let mut order = Order::new(1);
                add(&mut order, ask);
                order.finish()
            });
            self.shared.lend_each(orders, until).await
        } else {
            let mut order = Order::new(asks.len());
            asks.iter().for_each(|ask| add(&mut order, ask));
            self.shared.lend(&order.finish(), until).await
        };
        let mut numbers = VecDeque::from(numbers?);
        let answers = asks.iter().map(|ask| read(ask.wishes().len(), &mut numbers)).collect::<Option<_>>();
        answers.ok_or_else(|| self.shared.pulse.failed("what is lent cannot be understood"))
    }

    fn key(&self, subject: Option<&Subject>) -> String {
        // The scope comes last: a name of a user may have anything in it, a scope has no line break.
        let name = match subject {
            Some(Subject::User(name)) => format!("user {name}\n{}", self.scope),
            Some(Subject::Address(address)) => format!("address {address}\n{}", self.scope),
            Some(Subject::Connection(number)) => format!("connection {number}\n{}", self.scope),
            None => format!("all\n{}", self.scope),
        };
        self.shared.keys.rates(&name)
    }
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Counts a limiter among those that go on by themselves, for as long as it is there.
struct Alone<'a>(&'a AtomicUsize);

impl<'a> Alone<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is said to the server.
struct Order {
    keys: usize,
    order: Cmd,
    words: Vec<String>,
}

impl Order {
    fn new(keys: usize) -> Self {
        let mut order = redis::cmd("EVAL");
        order.arg(LEND).arg(keys);
        Self { keys, order, words: Vec::new() }
    }

    fn add(&mut self, key: &str, ban: Option<u64>, wishes: &[Wish]) {
        debug_assert!(self.keys > 0, "more keys than were announced");
        self.keys -= 1;
        self.order.arg(key);
        match ban {
            // Rounded up, for 0 says something else.
            Some(ticks) => self.words.push(ticks.div_ceil(TICKS_PER_MICRO).to_string()),
            None => self.words.push("-1".to_owned()),
        }
        self.words.push(wishes.len().to_string());
        for wish in wishes {
            self.words.push(match wish.bucket {
                BucketName::Messages => "m".to_owned(),
                BucketName::Bytes => "b".to_owned(),
                BucketName::Kind(number) => format!("k{number}"),
            });
            let numbers = [wish.quota.rate, wish.quota.burst, wish.least, wish.most];
            self.words.extend(numbers.map(|number| number.to_string()));
        }
    }

    fn finish(mut self) -> Cmd {
        self.order.arg(self.words);
        self.order
    }
}

/// Reads what is said of one subject.
fn read(wishes: usize, numbers: &mut VecDeque<u64>) -> Option<Answer> {
    let ticks = |numbers: &mut VecDeque<u64>| Some(numbers.pop_front()?.saturating_mul(TICKS_PER_MICRO));
    let banned = ticks(numbers)?;
    let mut grant = || Some(Grant { units: numbers.pop_front()?, wait: ticks(numbers)? });
    let grants = (0..wishes).map(|_| grant()).collect::<Option<_>>()?;
    Some(Answer { grants, banned })
}

impl Shared {
    /// Gives several orders at once, and puts their answers one behind the other.
    async fn lend_each(
        self: &Arc<Self>,
        orders: impl Iterator<Item = Cmd>,
        until: Instant,
    ) -> Result<Vec<u64>, String> {
        let mut tasks = JoinSet::new();
        let mut answers = Vec::new();
        for (number, order) in orders.enumerate() {
            let shared = Arc::clone(self);
            tasks.spawn(async move { (number, shared.lend(&order, until).await) });
        }
        while let Some(done) = tasks.join_next().await {
            let (number, answer) = done.map_err(|fault| self.pulse.failed(&fault.to_string()))?;
            answers.push((number, answer?));
        }
        answers.sort_unstable_by_key(|(number, _)| *number);
        Ok(answers.into_iter().flat_map(|(_, answer)| answer).collect())
    }

    /// Gives one order.
    async fn lend(&self, order: &Cmd, until: Instant) -> Result<Vec<u64>, String> {
        self.order(order, until).await.map_err(|failure| match failure {
            Failure::Full => NO_MEMORY.to_owned(),
            Failure::Unavailable(error) => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::{
        prelude::*,
        strategy::ValueTree as _,
        test_runner::{Config, TestRunner},
    };
    use sockwarden_rate::{Lent, Meter};
    use sockwarden_testkit::RedisServer;

    use super::*;
    use crate::{
        StateConfig, build,
        config::Kind,
        remote::wire::{Wire, dial},
    };

    /// What is asked at a moment: of each key, for how long it is shut out, and its wishes.
    type Asked = Vec<(u8, Option<u64>, Vec<Wish>)>;

    fn quota() -> impl Strategy<Value = Quota> {
        let number = || prop_oneof![4 => 1u64..20, 4 => 1u64..2_000_000, 1 => 1u64..=Wish::MOST];
        (number(), number()).prop_map(|(rate, burst)| Quota { rate, burst })
    }

    fn asked() -> impl Strategy<Value = Asked> {
        let units = || prop_oneof![3 => 1u64..30, 1 => 1u64..3_000_000, 1 => 1u64..=Wish::MOST];
        let wish = (0u8..3, units(), units()).prop_map(|(kind, some, others)| Wish {
            bucket: [BucketName::Messages, BucketName::Bytes, BucketName::Kind(7)][usize::from(kind)],
            quota: Quota { rate: 1, burst: 1 },
            least: some.min(others),
            most: some.max(others),
        });
        let ban = prop_oneof![8 => Just(None), 1 => (0u64..5_000_000).prop_map(Some)];
        prop::collection::vec((0u8..3, ban, prop::collection::vec(wish, 0..4)), 1..4)
    }

    /// The script, told what time it is by its last word, and keeping everything.
    fn at(now: u64, asked: &Asked, quotas: &[Quota]) -> Cmd {
        let script = LEND
            .replace("redis.call('TIME')", "{'0', table.remove(ARGV)}")
            .replace("'PX', lasts", "'PX', 600000");
        assert!(!script.contains("TIME") && !script.contains("lasts)"));
        let mut order = redis::cmd("EVAL");
        order.arg(script).arg(asked.len());
        let mut order = Order { keys: asked.len(), order, words: Vec::new() };
        for (key, ban, wishes) in asked {
            let wishes: Vec<Wish> =
                wishes.iter().map(|wish| Wish { quota: quotas[number(wish.bucket)], ..*wish }).collect();
            order.add(&format!("key{key}"), ban.map(|micros| micros * TICKS_PER_MICRO), &wishes);
        }
        order.words.push(now.to_string());
        order.finish()
    }

    const fn number(bucket: BucketName) -> usize {
        match bucket {
            BucketName::Messages => 0,
            BucketName::Bytes => 1,
            BucketName::Kind(_) => 2,
        }
    }

    #[tokio::test]
    async fn the_server_lends_what_a_meter_does() {
        let server = RedisServer::start();
        let url = format!("redis://127.0.0.1:{}", server.port).parse().unwrap();
        let Kind::Redis(settings) = build(&StateConfig { url, ..StateConfig::default() }).unwrap().0 else {
            panic!("no server");
        };
        let wire: Wire = dial(&settings, settings.timeout).await.unwrap();
        let mut runner = TestRunner::new(Config::default());
        let (mut granted, mut refused) = (0, 0);
        for _ in 0..60 {
            let steps = prop::collection::vec((0u64..3_000_000, asked()), 40);
            let (quotas, steps) =
                (prop::array::uniform3(quota()), steps).new_tree(&mut runner).unwrap().current();
            server.tell("FLUSHALL");
            let mut paid: HashMap<(u8, usize), u64> = HashMap::new();
            let mut banned: HashMap<u8, u64> = HashMap::new();
            // As on a real clock of today.
            let mut now = 1_700_000_000_000_000;
            for (pause, asked) in steps {
                now += pause;
                let mut expected = Vec::new();
                for (key, ban, wishes) in &asked {
                    if let Some(left) = ban {
                        banned.insert(*key, now + left);
                    }
                    expected.push(banned.get(key).map_or(0, |until| until.saturating_sub(now)));
                    for wish in wishes {
                        let quota = quotas[number(wish.bucket)];
                        let meter = Meter::new(quota.rate, quota.burst, MICROS);
                        let bucket = paid.entry((*key, number(wish.bucket))).or_default();
                        let Lent { given, bucket: after, wait } =
                            meter.lend(*bucket, wish.least, wish.most, now);
                        *bucket = after;
                        expected.extend([given, wait]);
                        if given > 0 { granted += 1 } else { refused += 1 }
                    }
                }
                let answer: Vec<u64> = wire.order(&at(now, &asked, &quotas)).await.unwrap();
                assert_eq!(answer, expected, "{asked:?} of {quotas:?}");
            }
        }
        assert!(granted > 500 && refused > 500, "{granted} {refused}");
    }
}
