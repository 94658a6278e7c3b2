//! Tickets, revocations and rates on a server that all replicas share.

mod keys;
mod link;
mod rates;
mod wire;

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use redis::{Cmd, FromRedisValue};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

pub use self::rates::{Leases, RateCounts, RateNews};
use self::{keys::Keys, rates::RateTally, wire::Wire};
use crate::{
    IssueError, Refused, Revocation, RevokeError, TicketHash, TicketRecord, config::RedisSettings,
    health::Pulse, memory::Taken, owner::Owner, revocations::Revocations,
};

/// The door to the server.
pub(crate) struct Remote {
    shared: Arc<Shared>,
    link: JoinHandle<()>,
}

/// What orders and the link have in common.
struct Shared {
    /// The connection for orders; none during an outage.
    wire: ArcSwapOption<Wire>,
    /// Says that the connection that is in use has failed.
    lost: Notify,
    keys: Keys,
    timeout: Duration,
    revocations: Arc<Revocations>,
    pulse: Arc<Pulse>,
    rates: RateTally,
}

/// Why an order was not carried out.
enum Failure {
    /// The server has no memory left.
    Full,
    /// There is no answer, or none that can be understood.
    Unavailable(String),
}

impl Remote {
    /// Begins to connect, within a runtime.
    pub(crate) fn start(settings: RedisSettings, revocations: Arc<Revocations>, pulse: Arc<Pulse>) -> Self {
        let shared = Arc::new(Shared {
            wire: ArcSwapOption::empty(),
            lost: Notify::new(),
            keys: Keys::new(settings.prefix.clone()),
            timeout: settings.timeout,
            revocations,
            pulse,
            rates: RateTally::default(),
        });
        let link = tokio::spawn(link::keep(Arc::clone(&shared), settings));
        Self { shared, link }
    }

    /// Keeps a ticket whose record was checked.
    pub(crate) async fn issue(
        &self,
        hash: TicketHash,
        record: &TicketRecord,
        most_per_user: u32,
        now_ms: u64,
    ) -> Result<(), IssueError> {
        let shared = &self.shared;
        let until = Instant::now() + shared.timeout;
        let ends_ms = record.expires_at_ms;
        let text = serde_json::to_string(record).map_err(|error| shared.unavailable(&error.to_string()))?;
        let owner = Owner::of(record);
        if let Some(owner) = &owner {
            let order = shared.keys.enlist(owner, &hash, ends_ms, most_per_user, now_ms);
            if !shared.order::<bool>(&order, until).await? {
                return Err(IssueError::TooMany);
            }
        }
        let order = shared.keys.keep(&hash, ends_ms, &text, now_ms);
        match shared.order::<Option<String>>(&order, until).await {
            Ok(Some(_)) => Ok(()),
            // The list has it once only.
            Ok(None) => Err(IssueError::Repeated),
            Err(failure) => {
                self.strike(owner.as_ref(), &hash, until).await;
                Err(failure.into())
            }
        }
    }

    /// Takes what is known of a ticket; whoever comes later, anywhere, does not get it.
    pub(crate) async fn take(&self, hash: &TicketHash, now_ms: u64) -> Result<Taken, Refused> {
        let shared = &self.shared;
        let until = Instant::now() + shared.timeout;
        let order = shared.keys.take(hash, now_ms);
        let (answer, record) = shared.order::<(String, String)>(&order, until).await?;
        let is_expired = match answer.as_str() {
            "good" => false,
            "late" => true,
            "used" => return Err(Refused::Used),
            "expired" => return Err(Refused::Expired),
            "unknown" => return Err(Refused::Unknown),
            _ => return Err(shared.unavailable("the answer cannot be understood").into()),
        };
        let record: Box<TicketRecord> = serde_json::from_str(&record)
            .map_err(|_| shared.unavailable("what is known of a ticket cannot be understood"))?;
        self.strike(Owner::of(&record).as_ref(), hash, until).await;
        Ok(Taken { record, is_expired })
    }

    /// Tells the other replicas.
    pub(crate) async fn revoke(&self, revocation: &Revocation, now_ms: u64) -> Result<(), RevokeError> {
        let shared = &self.shared;
        let text =
            serde_json::to_string(revocation).map_err(|error| shared.unavailable(&error.to_string()))?;
        let order = shared.keys.revoke(&text, revocation.until_ms, now_ms);
        let has_room = shared.order::<bool>(&order, Instant::now() + shared.timeout).await?;
        if has_room { Ok(()) } else { Err(RevokeError::Full) }
    }

    /// Gives the door for the rates of one limiter.
    pub(crate) fn leases(&self, scope: &str) -> Leases {
        Leases::new(Arc::clone(&self.shared), scope)
    }

    pub(crate) fn rate_counts(&self) -> RateCounts {
        self.shared.rates.counts()
    }

    /// Takes a ticket off its owner's list. Where that fails it stays there until it would have expired.
    async fn strike(&self, owner: Option<&Owner>, hash: &TicketHash, until: Instant) {
        if let Some(owner) = owner {
            // It was counted where it failed.
            let _: Result<redis::Value, Failure> =
                self.shared.order(&self.shared.keys.strike(owner, hash), until).await;
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.link.abort();
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("pulse", &self.shared.pulse).finish_non_exhaustive()
    }
}

impl Shared {
    /// Gives an order and waits for its answer, at once for none where there is no connection.
    async fn order<T: FromRedisValue>(&self, order: &Cmd, until: Instant) -> Result<T, Failure> {
        let Some(wire) = self.wire.load_full() else { return Err(self.unavailable("not connected")) };
        let mut is_lost = true;
        let failure = match timeout_at(until, wire.order(order)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if error.code() == Some(OUT_OF_MEMORY) => {
                self.pulse.failed(&error.to_string());
                return Err(Failure::Full);
            }
            Ok(Err(error)) => {
                // What is refused by itself, for want of a right perhaps, may be all that is.
                is_lost = !error.code().is_some_and(|code| REFUSED.contains(&code));
                self.unavailable(&error.to_string())
            }
            Err(_) => self.unavailable("no answer in time"),
        };
        // Another connection may be in use by now, which is not to blame.
        if is_lost && self.wire.load().as_ref().is_some_and(|current| Arc::ptr_eq(current, &wire)) {
            self.lost.notify_waiters();
        }
        Err(failure)
    }

    /// Counts a failure.
    fn unavailable(&self, error: &str) -> Failure {
        Failure::Unavailable(self.pulse.failed(error))
    }
}

/// How a server says that it has no memory left.
const OUT_OF_MEMORY: &str = "OOM";

/// How a server says that it will not do something, its user having no right to for instance; the latter where a script would.
const REFUSED: [&str; 2] = ["NOPERM", "ERR"];

impl From<Failure> for IssueError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full => Self::Full,
            Failure::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full => Self::Unavailable(NO_MEMORY.to_owned()),
            Failure::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

impl From<Failure> for RevokeError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full => Self::Unavailable(NO_MEMORY.to_owned()),
            Failure::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

const NO_MEMORY: &str = "the server has no memory left";
