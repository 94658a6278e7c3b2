//! `rate-limit`: how much a user may send, and how much the application is given.

use std::{sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::{ByteSize, HumanDuration};
use sockwarden_model::{Direction, Mode, Rule, rule};
use sockwarden_rate::{BanPolicy, Limits, Queue, Quota};

use super::operation_policy::{Entry, OperationConfig};
use crate::{BadSetting, Content, Defence, Fact, Guard, Hears, Verdict};

rule! {
    /// # What it does
    /// Gives each user a bucket of messages and one of bytes, whatever the number of its sockets, and the application as much as
    /// it can take. What exceeds them waits: in its order, bounded per user, and while that much waits nothing more is read
    /// from the user. Users take turns, so that one who sends much does not make others wait for its queue. When the burst
    /// is over, the quiet that follows drains it.
    ///
    /// What has waited for too long is rejected, and the sender told when to come back: the connection is closed with 1013, or the message
    /// left out. Who is rejected again and again is shut out for a while.
    ///
    /// A user is the one that `auth` finds; where nobody is vouched for, an address (of IPv6, 64 bits of it).
    ///
    /// # Why is this bad
    /// A socket stays open, so limits per request or per connection attempt do not see what is sent on it. One client that sends ten
    /// thousand messages a second makes the application work, fill its queues and send on to everybody else, until all are
    /// served slowly or not at all. A limit that cuts off whoever exceeds it hits the honest: a page that was asleep, a
    /// reconnect, a paste.
    ///
    /// # How to fix
    /// Count messages per user, not per socket, and bound what is queued. With a token bucket in the application:
    ///
    /// ```js
    /// const bucket = new RateLimiterMemory({ points: 100, duration: 1 }); // rate-limiter-flexible
    /// ws.on("message", (data) => bucket.consume(user.id).then(() => handle(data), () => ws.close(1013)));
    /// ```
    ///
    /// ```python
    /// limiter = AsyncLimiter(100, 1)              # aiolimiter, one for each user
    /// async for message in websocket:
    ///     async with limiter: await handle(message)
    /// ```
    ///
    /// ```go
    /// limiter := rate.NewLimiter(100, 200)        // golang.org/x/time/rate, one for each user
    /// if err := limiter.Wait(ctx); err != nil { return }
    /// ```
    ///
    /// In the gateway, say what one user needs and what the application can take:
    ///
    /// ```toml
    /// [routes.rate_limit]
    /// messages_per_second = 20
    /// messages_burst = 100
    /// application = { messages_per_second = 2000, messages_burst = 200 }
    /// operations = [{ operation = { name = "search:*" }, messages_per_second = 2, messages_burst = 5 }]
    /// ```
    pub static RULE = Defence {
        id: "rate-limit",
        summary: "what a user sends beyond its share waits, and what has waited too long is rejected",
        severity: Medium,
        threats: [T2],
        cwe: [770, 799],
        references: ["OWASP WebSocket Security Cheat Sheet", "OWASP API Security 2023 API4", "ITU-T I.371"],
        lifecycle: Preview,
        counterparts: ["rate-unbounded"],
        profile: Passive,
        may_change: "messages beyond the rate arrive later, and after a timeout not at all",
    }
}

/// `rate-limit`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimitConfig {
    /// off, observe or block.
    pub mode: Mode,
    /// Who shares a bucket.
    pub per: PerKind,
    /// Messages of one user in a second.
    #[schemars(range(min = 1))]
    pub messages_per_second: u32,
    /// Messages of one user at once.
    #[schemars(range(min = 1))]
    pub messages_burst: u32,
    /// Bytes of one user in a second.
    pub bytes_per_second: ByteSize,
    /// Bytes of one user at once; a longer message passes where nothing else was sent for long enough.
    pub bytes_burst: ByteSize,
    /// Further limits of one user for some operations, such as `{ operation = { name = "search:*" }, messages_per_second = 2 }`; at most 32.
    pub operations: Vec<OperationRateConfig>,
    /// What the application can take from all users together; no limit where nothing is said.
    pub application: SharedRateConfig,
    /// What the application may send to one user; no limit where nothing is said.
    pub server: SharedRateConfig,
    /// Messages of one user that wait before nothing more is read from it.
    #[schemars(range(min = 1))]
    pub queue_messages: u32,
    /// Bytes of one user that wait before nothing more is read from it.
    pub queue_bytes: ByteSize,
    /// How long a message may wait before it is rejected.
    pub queue_timeout: HumanDuration,
    /// What becomes of a message that has waited for too long.
    pub overdue: OverdueKind,
    /// The code that a connection is closed with whose message has waited for too long: 1013 (try again later), 1008 or one from 4000 on.
    pub close_code: u16,
    /// When a user is shut out.
    pub ban: BanConfig,
}

/// Who shares a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PerKind {
    /// All connections of one user; where nobody is vouched for, of one address.
    #[default]
    User,
    /// All connections of one address (of IPv6, one network of 64 bits).
    Address,
    /// Nobody: each connection has its own.
    Connection,
}

/// What becomes of a message that has waited for too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OverdueKind {
    /// Both sides are closed, and the sender is told when to come back.
    #[default]
    Close,
    /// It is left out, and the connection stays.
    Drop,
}

/// A limit that is there where it is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SharedRateConfig {
    /// Messages in a second.
    pub messages_per_second: Option<u32>,
    /// Messages at once; as many as in a second where nothing is said.
    pub messages_burst: Option<u32>,
    /// Bytes in a second.
    pub bytes_per_second: Option<ByteSize>,
    /// Bytes at once; as many as in a second where nothing is said.
    pub bytes_burst: Option<ByteSize>,
}

impl SharedRateConfig {
    fn messages(&self) -> Option<Quota> {
        let rate = u64::from(self.messages_per_second?);
        Some(Quota { rate, burst: self.messages_burst.map_or(rate, u64::from) })
    }

    fn bytes(&self) -> Option<Quota> {
        let rate = self.bytes_per_second?.as_u64();
        Some(Quota { rate, burst: self.bytes_burst.map_or(rate, ByteSize::as_u64) })
    }
}

/// A limit for some operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperationRateConfig {
    /// Which, such as `{ protocol = "socket-io", name = "chat:*" }`.
    pub operation: OperationConfig,
    /// Messages of one user in a second.
    #[schemars(range(min = 1))]
    pub messages_per_second: u32,
    /// Messages of one user at once; as many as in a second where nothing is said.
    #[serde(default)]
    pub messages_burst: Option<u32>,
}

/// When a user is shut out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BanConfig {
    /// After how many rejected messages; 0 shuts nobody out.
    pub after: u32,
    /// Within which time.
    pub within: HumanDuration,
    /// For how long the first time; each further time is twice as long.
    pub first: HumanDuration,
    /// The longest; who has behaved for as long begins anew.
    pub most: HumanDuration,
}

impl Default for BanConfig {
    fn default() -> Self {
        Self {
            after: 5,
            within: HumanDuration::from_secs(60),
            first: HumanDuration::from_secs(30),
            most: HumanDuration::from_secs(3600),
        }
    }
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self {
            mode: Mode::Block,
            per: PerKind::User,
            messages_per_second: 100,
            messages_burst: 200,
            bytes_per_second: ByteSize::mib(1),
            bytes_burst: ByteSize::mib(2),
            operations: Vec::new(),
            application: SharedRateConfig::default(),
            server: SharedRateConfig::default(),
            queue_messages: 500,
            queue_bytes: ByteSize::mib(1),
            queue_timeout: HumanDuration::from_secs(15),
            overdue: OverdueKind::Close,
            close_code: 1013,
            ban: BanConfig::default(),
        }
    }
}

impl RateLimitConfig {
    /// Gives what `--limits relaxed` stands for: no limit.
    pub fn relaxed() -> Self {
        Self { mode: Mode::Off, ..Self::default() }
    }

    /// Gives what is limited of what clients send.
    pub fn from_clients(&self) -> Limits {
        let ticks = |span: HumanDuration| u64::try_from(span.get().as_nanos()).unwrap_or(u64::MAX);
        let BanConfig { after, within, first, most } = self.ban;
        Limits {
            messages: Some(Quota {
                rate: self.messages_per_second.into(),
                burst: self.messages_burst.into(),
            }),
            bytes: Some(Quota { rate: self.bytes_per_second.as_u64(), burst: self.bytes_burst.as_u64() }),
            kinds: self.operations.iter().map(OperationRateConfig::quota).collect(),
            all_messages: self.application.messages(),
            all_bytes: self.application.bytes(),
            queue: self.queue(),
            ban: BanPolicy { after, within: ticks(within), first: ticks(first), most: ticks(most) },
        }
    }

    /// Gives what is limited of what the application sends, if anything is.
    pub fn from_application(&self) -> Option<Limits> {
        let (messages, bytes) = (self.server.messages(), self.server.bytes());
        (messages.is_some() || bytes.is_some()).then(|| Limits {
            messages,
            bytes,
            kinds: Vec::new(),
            all_messages: None,
            all_bytes: None,
            queue: self.queue(),
            ban: BanPolicy { after: 0, within: 0, first: 0, most: 0 },
        })
    }

    fn queue(&self) -> Queue {
        Queue { messages: self.queue_messages as usize, bytes: self.queue_bytes.as_u64() }
    }

    /// Tells how long a full queue takes where nobody else is there, if that is longer than a message may wait.
    pub fn drains_too_slowly(&self) -> Option<Duration> {
        let messages = f64::from(self.queue_messages) / f64::from(self.messages_per_second.max(1));
        let bytes = self.queue_bytes.as_u64() as f64 / self.bytes_per_second.as_u64().max(1) as f64;
        let drains = Duration::from_secs_f64(messages.max(bytes));
        (drains > self.queue_timeout.get()).then_some(drains)
    }
}

impl OperationRateConfig {
    fn quota(&self) -> Quota {
        let rate = u64::from(self.messages_per_second);
        Quota { rate, burst: self.messages_burst.map_or(rate, u64::from) }
    }
}

/// The most limits for operations: each is a bit of what a message counts for.
const MOST_OPERATIONS: usize = 32;

/// Tells which of the limits for operations a message counts for; who meters it is the shell.
#[derive(Clone, Debug)]
pub struct RateLimit {
    operations: Arc<[Entry]>,
}

impl RateLimit {
    /// Takes what is configured.
    ///
    /// # Errors
    /// Operations that mean nothing, and codes that nobody may close with.
    pub fn new(config: &RateLimitConfig) -> Result<Self, Vec<BadSetting>> {
        let mut wrong = Vec::new();
        let mut bad = |key: String, message: String, help: &str| {
            wrong.push(BadSetting { key: format!("rate_limit.{key}"), message, help: help.to_owned() });
        };
        if config.operations.len() > MOST_OPERATIONS {
            let message =
                format!("{} limits for operations, of at most {MOST_OPERATIONS}", config.operations.len());
            bad("operations".to_owned(), message, "say fewer, with `*` where names are alike");
        }
        if !matches!(config.close_code, 1008 | 1013 | 4000..=4999) {
            let message = format!("{} is no code for this", config.close_code);
            bad("close_code".to_owned(), message, "1013 (try again later), 1008 or one from 4000 to 4999");
        }
        let mut operations = Vec::new();
        for (index, limit) in config.operations.iter().enumerate() {
            match Entry::new(&limit.operation, true) {
                Ok(entry) => operations.push(entry),
                Err((key, message, help)) => {
                    bad(format!("operations[{index}].operation{key}"), message, &help)
                }
            }
        }
        if wrong.is_empty() { Ok(Self { operations: operations.into() }) } else { Err(wrong) }
    }
}

impl Defence for RateLimit {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn hears(&self) -> Hears {
        if self.operations.is_empty() { Hears::NOTHING } else { Hears::OPERATIONS }
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(Watch { operations: Arc::clone(&self.operations), user: None })
    }
}

struct Watch {
    operations: Arc<[Entry]>,
    user: Option<Box<str>>,
}

impl Guard for Watch {
    fn observe(&mut self, fact: &Fact<'_>, _now: Duration) -> Verdict {
        match fact {
            Fact::Open(open) => {
                self.user = open.identity.user.as_deref().map(Into::into);
                Verdict::Pass
            }
            Fact::Content { direction: Direction::Client, content: Content::Operation(operation) } => {
                let of = |entry: &Entry| entry.denies(Direction::Client, operation, self.user.as_deref());
                let kinds = self.operations.iter().enumerate().filter(|(_, entry)| of(entry));
                match kinds.fold(0, |kinds, (number, _)| kinds | 1u32 << number) {
                    0 => Verdict::Pass,
                    kinds => Verdict::Count(kinds),
                }
            }
            Fact::Handshake(_)
            | Fact::Request(_)
            | Fact::Answer(_)
            | Fact::Upstream(_)
            | Fact::Frame { .. }
            | Fact::Inflated { .. }
            | Fact::Content { .. }
            | Fact::Violation { .. } => Verdict::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_inspect::Protocol;

    use super::*;
    use crate::defences::samples::judge_texts;

    fn operation(name: &str) -> OperationRateConfig {
        OperationRateConfig {
            operation: OperationConfig { name: Some(name.to_owned()), ..OperationConfig::default() },
            messages_per_second: 2,
            messages_burst: None,
        }
    }

    #[test]
    fn a_message_counts_for_each_kind_that_it_is_of() {
        let operations = vec![operation("chat:*"), operation("chat:send"), operation("search")];
        let config = RateLimitConfig { operations, ..RateLimitConfig::default() };
        let defence = RateLimit::new(&config).expect("good settings");
        let call = |method: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        let judge = |text: &str| judge_texts(&defence, Some(Protocol::JsonRpc), &[(Direction::Client, text)]);
        assert_eq!(judge(&call("chat:send")), [Verdict::Count(0b011)]);
        assert_eq!(judge(&call("CHAT:Send")), [Verdict::Count(0b011)], "some dispatchers do not care");
        assert_eq!(judge(&call("chat:join")), [Verdict::Count(0b001)]);
        assert_eq!(judge(&call("search")), [Verdict::Count(0b100)]);
        assert_eq!(judge(&call("other")), []);
        let answers = judge_texts(&defence, Some(Protocol::JsonRpc), &[(Direction::Server, &call("search"))]);
        assert_eq!(answers, []);
    }

    #[test]
    fn settings_that_mean_nothing_are_named() {
        let keys = |config: RateLimitConfig| -> Vec<String> {
            RateLimit::new(&config).err().into_iter().flatten().map(|wrong| wrong.key).collect()
        };
        assert_eq!(keys(RateLimitConfig::default()), Vec::<String>::new());
        assert_eq!(
            keys(RateLimitConfig { close_code: 1000, ..Default::default() }),
            ["rate_limit.close_code"]
        );
        let operations = vec![operation("a*b")];
        assert_eq!(
            keys(RateLimitConfig { operations, ..Default::default() }),
            ["rate_limit.operations[0].operation.name"]
        );
        let operations = vec![operation("a"); 33];
        assert_eq!(keys(RateLimitConfig { operations, ..Default::default() }), ["rate_limit.operations"]);
    }

    #[test]
    fn a_queue_that_cannot_drain_in_time_is_told() {
        let drains = |config: RateLimitConfig| config.drains_too_slowly().map(|span| span.as_secs());
        assert_eq!(drains(RateLimitConfig::default()), None);
        assert_eq!(drains(RateLimitConfig { messages_per_second: 10, ..Default::default() }), Some(50));
        assert_eq!(
            drains(RateLimitConfig { bytes_per_second: ByteSize::kib(32), ..Default::default() }),
            Some(32)
        );
    }
}
