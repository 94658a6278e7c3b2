//! The names of keys on the server, and what is done there in one step.
//!
//! Each step concerns keys of one slot, so that a cluster may keep them wherever it likes.

use aws_lc_rs::digest::{SHA256, digest};
use redis::Cmd;

use crate::{LONGEST_LIFE_MS, TicketHash, owner::Owner};

/// The most revocations that the server keeps, and about how many it tells those who are late.
const MOST_REVOCATIONS: usize = crate::revocations::MOST;

/// The most revocations that are read at once.
pub(crate) const MOST_READ: usize = 500;

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

/// Keeps a revocation until it is over, and tells it, unless there are too many once those that are over are gone.
const REVOKE: &str = "\
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[1])
local is_new = not redis.call('ZSCORE', KEYS[2], ARGV[4])
if is_new and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4])
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'revocation', ARGV[4])
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

    /// Answered by whether there was room.
    pub(crate) fn revoke(&self, revocation: &str, until_ms: u64, now_ms: u64) -> Cmd {
        let mut order = redis::cmd("EVAL");
        order.arg(REVOKE).arg(2).arg(self.told()).arg(self.revoked());
        order.arg(now_ms).arg(MOST_REVOCATIONS).arg(until_ms).arg(revocation);
        order
    }

    /// Answered by the last revocation that was told.
    pub(crate) fn last_told(&self) -> Cmd {
        let mut order = redis::cmd("XREVRANGE");
        order.arg(self.told()).arg("+").arg("-").arg("COUNT").arg(1);
        order
    }

    /// Answered by revocations that are not over, after the first so many. They go from the one that is over last: what is
    /// over in the meantime moves no other out of sight.
    pub(crate) fn revoked_after(&self, skipped: usize, now_ms: u64) -> Cmd {
        let mut order = redis::cmd("ZREVRANGEBYSCORE");
        order.arg(self.revoked()).arg("+inf").arg(now_ms).arg("LIMIT").arg(skipped).arg(MOST_READ);
        order
    }

    /// Waits for revocations that are told after an entry.
    pub(crate) fn told_after(&self, entry: &str, wait_ms: u64) -> Cmd {
        let mut order = redis::cmd("XREAD");
        order.arg("COUNT").arg(MOST_READ).arg("BLOCK").arg(wait_ms);
        order.arg("STREAMS").arg(self.told()).arg(entry);
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
        format!("{}:owner:{}", self.prefix, hex_of_hash(&name))
    }

    /// The stream by which revocations are told. What is in braces decides on the node of a cluster: one for both.
    fn told(&self) -> String {
        format!("{{{}:revocations}}:told", self.prefix)
    }

    /// The revocations that are not over, by when they will be.
    fn revoked(&self) -> String {
        format!("{{{}:revocations}}:kept", self.prefix)
    }

    /// The buckets of a subject, or of an application, by a hash of their name.
    pub(super) fn rates(&self, name: &str) -> String {
        format!("{}:rate:{{{}}}", self.prefix, hex_of_hash(name))
    }
}

fn hex_of_hash(name: &str) -> String {
    let hash = digest(&SHA256, name.as_bytes());
    hash.as_ref().iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
}
