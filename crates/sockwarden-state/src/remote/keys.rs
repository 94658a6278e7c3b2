//! The names of keys on the server, and what is done there in one step.
//!
//! Each step concerns one key, so that a cluster may keep the keys wherever it likes.

use aws_lc_rs::digest::{SHA256, digest};
use redis::Cmd;

use crate::{LONGEST_LIFE_MS, TicketHash, owner::Owner};

/// The most revocations that the server keeps, about.
const MOST_REVOCATIONS: usize = crate::revocations::MOST;

/// The most revocations that are read at once.
const MOST_READ: usize = 500;

/// The field of a revocation in the stream.
pub(crate) const FIELD: &str = "revocation";

/// Presents a ticket. A key holds when the ticket expires and its record, then only how it ended, for as long as it was to live.
///
/// One whose time is over is gone, too: another replica's clock may be behind.
const TAKE: &str = "\
local kept = redis.call('GET', KEYS[1])
if not kept then return {'unknown', ''} end
if kept == 'used' or kept == 'expired' then return {kept, ''} end
local ends, record = string.match(kept, '^(%d+) (.*)$')
local is_late = tonumber(ends) <= tonumber(ARGV[1])
redis.call('SET', KEYS[1], is_late and 'expired' or 'used', 'KEEPTTL')
return {is_late and 'late' or 'good', record}";

/// Puts a ticket on its owner's list, unless that is full once expired ones are off it.
const ENLIST: &str = "\
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1";

/// Makes what is said to the server.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// Answered by a word and, after `good` and `late`, the record.
    pub(crate) fn take(&self, hash: &TicketHash, now_ms: u64) -> Cmd {
        self.take_named(&hash.to_string(), now_ms)
    }

    /// Does all that it takes to present a ticket, with one that there is not.
    pub(crate) fn try_out(&self) -> Cmd {
        self.take_named("none", 0)
    }

    /// Answered by nothing where the ticket is known already.
    pub(crate) fn keep(&self, hash: &TicketHash, expires_at_ms: u64, record: &str, now_ms: u64) -> Cmd {
        let left_ms = expires_at_ms.saturating_sub(now_ms) + LONGEST_LIFE_MS;
        let mut order = redis::cmd("SET");
        order.arg(self.ticket(&hash.to_string())).arg(format!("{expires_at_ms} {record}"));
        order.arg("NX").arg("PX").arg(left_ms);
        order
    }

    /// Answered by whether there was room.
    pub(crate) fn enlist(
        &self,
        owner: &Owner,
        hash: &TicketHash,
        expires_at_ms: u64,
        most: u32,
        now_ms: u64,
    ) -> Cmd {
        let mut order = redis::cmd("EVAL");
        order.arg(ENLIST).arg(1).arg(self.owner(owner));
        order.arg(now_ms).arg(most).arg(expires_at_ms).arg(hash.to_string()).arg(LONGEST_LIFE_MS);
        order
    }

    pub(crate) fn strike(&self, owner: &Owner, hash: &TicketHash) -> Cmd {
        let mut order = redis::cmd("ZREM");
        order.arg(self.owner(owner)).arg(hash.to_string());
        order
    }

    pub(crate) fn revoke(&self, revocation: &str) -> Cmd {
        let mut order = redis::cmd("XADD");
        order.arg(self.revocations()).arg("MAXLEN").arg("~").arg(MOST_REVOCATIONS);
        order.arg("*").arg(FIELD).arg(revocation);
        order
    }

    /// Reads what follows an entry, and waits for it where it is told how long.
    pub(crate) fn read(&self, after: &str, wait_ms: Option<u64>) -> Cmd {
        let mut order = redis::cmd("XREAD");
        order.arg("COUNT").arg(MOST_READ);
        if let Some(wait_ms) = wait_ms {
            order.arg("BLOCK").arg(wait_ms);
        }
        order.arg("STREAMS").arg(self.revocations()).arg(after);
        order
    }

    fn take_named(&self, name: &str, now_ms: u64) -> Cmd {
        let mut order = redis::cmd("EVAL");
        order.arg(TAKE).arg(1).arg(self.ticket(name)).arg(now_ms);
        order
    }

    fn ticket(&self, name: &str) -> String {
        format!("{}:ticket:{name}", self.prefix)
    }

    /// Names an owner by a hash: a user may be called anything.
    fn owner(&self, owner: &Owner) -> String {
        let name = match owner {
            Owner::User(user) => format!("user {user}"),
            Owner::Address(network) => format!("address {network}"),
        };
        let hash = digest(&SHA256, name.as_bytes());
        hash.as_ref().iter().fold(format!("{}:owner:", self.prefix), |key, byte| key + &format!("{byte:02x}"))
    }

    fn revocations(&self) -> String {
        format!("{}:revocations", self.prefix)
    }
}
