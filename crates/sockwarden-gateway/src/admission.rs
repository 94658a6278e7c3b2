//! Who is let in while connections, descriptors or memory run short: those that are there keep what they have, new ones are
//! turned away first.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sockwarden_config::Network;
use sockwarden_model::Limit;

use crate::{
    config::{ConnectionLimitsConfig, PerAddressConfig},
    counters::Sharded,
    occupancy::{Occupancy, Occupied},
    throttle::Throttle,
};

/// Descriptors of one connection: the client's socket, and the one to the application or to whom is asked about the client.
const DESCRIPTORS: u64 = 2;
/// Descriptors that are kept for everything else: the admin listener, health checks, look-ups of names, logs, files.
const RESERVE: u64 = 128;
/// What a connection counts as holding besides what it reports: its task, and the buffers of TLS and of a request.
const CONNECTION: u64 = 32 * 1024;
/// The least time between two notices about the same thing.
const BETWEEN_NOTICES: Duration = Duration::from_secs(10);

/// What there is for connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// The most connections at once.
    pub(crate) connections: u64,
    /// The most descriptors of the process; `None` where there is no such limit.
    pub(crate) descriptors: Option<u64>,
    /// The most bytes that may be held before nobody new is let in.
    pub(crate) memory: u64,
}

impl Budget {
    /// Judges whether one more connection is accepted beside `open` others.
    fn judge(&self, open: u64) -> Result<(), Limit> {
        if open >= self.connections {
            return Err(Limit::Connections);
        }
        match self.descriptors {
            Some(limit) if open >= room(limit) => Err(Limit::Descriptors),
            Some(_) | None => Ok(()),
        }
    }

    /// Judges whether one of `open` connections becomes a session while sessions hold `held` bytes.
    fn judge_memory(&self, open: u64, held: u64) -> Result<(), Limit> {
        let all = open.saturating_mul(CONNECTION).saturating_add(held);
        if all > self.memory { Err(Limit::Memory) } else { Ok(()) }
    }
}

/// Gives how many connections `limit` descriptors are enough for. Of a small limit a quarter is kept.
pub(crate) const fn room(limit: u64) -> u64 {
    let quarter = limit / 4;
    let reserve = if quarter < RESERVE { quarter } else { RESERVE };
    (limit - reserve) / DESCRIPTORS
}

/// Counts bytes that sessions hold: pieces of messages, what waits to be written, what is needed to inflate.
#[derive(Debug, Default)]
pub(crate) struct MemoryGauge(Sharded<AtomicU64>);

impl MemoryGauge {
    /// Counts `bytes` more.
    pub(crate) fn add(&self, bytes: u64) {
        self.0.here().fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts `bytes` less, which were counted before.
    pub(crate) fn sub(&self, bytes: u64) {
        // One worker's copy may go below zero: the sum wraps back.
        self.0.here().fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Gives how many are held; never negative, though a worker may be caught between two steps.
    fn held(&self) -> u64 {
        let sum = self.0.fold(0u64, |sum, shard| sum.wrapping_add(shard.load(Ordering::Relaxed)));
        u64::try_from(sum.cast_signed()).unwrap_or(0)
    }
}

/// The connections that are open, and what was said about those that were not.
#[derive(Debug)]
pub(crate) struct Admission {
    descriptors: Option<u64>,
    open: AtomicUsize,
    pub(crate) memory: MemoryGauge,
    addresses: Arc<Occupancy<Network>>,
    sessions: Arc<Occupancy<SessionsOf>>,
    tls_handshakes: Arc<Occupancy<()>>,
    complaints: [Mutex<Complaint>; Limit::ALL.len()],
}

/// Whose sessions are counted: those of a route, or of one of its users.
type SessionsOf = (Arc<str>, Option<Arc<str>>);

/// A connection's place among those of its address.
pub(crate) type AddressPlace = Occupied<Network>;

/// A session's place among those of its route and of its user.
#[derive(Debug)]
pub(crate) struct SessionPlaces {
    _of_user: Option<Occupied<SessionsOf>>,
    _of_route: Option<Occupied<SessionsOf>>,
}

/// Gives who counts as one: an address of IPv4, 64 bits of one of IPv6, which is what one customer of a provider has at the least.
pub(crate) fn party(ip: IpAddr) -> Network {
    Network::around(ip, 64)
}

/// How often each address may come.
#[derive(Debug)]
pub(crate) struct Comings {
    connections: Throttle,
    handshakes: Throttle,
}

impl Comings {
    /// Lets as many come at once as may be there at once: after an outage all of them do.
    pub(crate) fn new(config: &PerAddressConfig) -> Self {
        let throttle = |per_second| {
            Throttle::new(per_second, Duration::from_secs(1), config.connections.max(per_second))
        };
        Self {
            connections: throttle(config.connections_per_second),
            handshakes: throttle(config.handshakes_per_second),
        }
    }

    /// Judges a new connection at `now`.
    pub(crate) fn connection(&self, from: IpAddr, now: Duration) -> Result<(), Limit> {
        let wait = self.connections.admit(&party(from), now);
        wait.map_err(|_| Limit::AddressConnectionRate)
    }

    /// Judges a handshake at `now`; where there are too many tells how long to wait.
    pub(crate) fn handshake(&self, from: IpAddr, now: Duration) -> Result<(), Duration> {
        self.handshakes.admit(&party(from), now)
    }
}

impl Admission {
    /// Lets connections in while the process has fewer than `descriptors` open.
    pub(crate) fn new(descriptors: Option<u64>) -> Self {
        Self {
            descriptors,
            open: AtomicUsize::new(0),
            memory: MemoryGauge::default(),
            addresses: Arc::default(),
            sessions: Arc::default(),
            tls_handshakes: Arc::default(),
            complaints: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Gives the budget of a configuration.
    pub(crate) fn budget(&self, connections: u32, memory: u64) -> Budget {
        Budget { connections: connections.into(), descriptors: self.descriptors, memory }
    }

    /// Takes a connection in, for as long as what is given is kept.
    pub(crate) fn enter(self: &Arc<Self>, budget: &Budget) -> Result<Admitted, Limit> {
        // Counted first: of two that come at once the last place goes to one.
        let admitted = Admitted(Arc::clone(self));
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        budget.judge(before as u64).map(|()| admitted)
    }

    /// Takes a place among the connections of an address.
    pub(crate) fn stand(&self, from: IpAddr, config: &PerAddressConfig) -> Result<AddressPlace, Limit> {
        self.addresses.enter(party(from), config.connections).ok_or(Limit::AddressConnections)
    }

    /// Takes a place among the TLS handshakes that are under way.
    pub(crate) fn begin_tls(&self, most: u32) -> Result<Occupied<()>, Limit> {
        self.tls_handshakes.enter((), most).ok_or(Limit::TlsHandshakes)
    }

    /// Takes a session's places: among those of its user, where there is one, and of its route.
    pub(crate) fn sit(
        &self,
        route: &Arc<str>,
        user: Option<&str>,
        config: &ConnectionLimitsConfig,
    ) -> Result<SessionPlaces, Limit> {
        let enter =
            |user: Option<&str>, most| self.sessions.enter((Arc::clone(route), user.map(Arc::from)), most);
        let of_user = match user {
            Some(user) => Some(enter(Some(user), config.per_user).ok_or(Limit::UserConnections)?),
            None => None,
        };
        let of_route = match config.connections {
            Some(most) => Some(enter(None, most).ok_or(Limit::RouteConnections)?),
            None => None,
        };
        Ok(SessionPlaces { _of_user: of_user, _of_route: of_route })
    }

    /// Judges whether a connection that is in may become a session.
    pub(crate) fn may_begin(&self, budget: &Budget) -> Result<(), Limit> {
        budget.judge_memory(self.open.load(Ordering::Relaxed) as u64, self.memory.held())
    }

    /// Counts `bytes` as held for as long as what is given is kept.
    pub(crate) fn hold(self: &Arc<Self>, bytes: u64) -> Held {
        self.memory.add(bytes);
        Held { admission: Arc::clone(self), bytes }
    }

    /// Notes that a connection was turned away at `now`; tells how many were since this was last told, if it is time to.
    pub(crate) fn note(&self, why: Limit, now: Duration) -> Option<u64> {
        self.complaints[why.index()].lock().unwrap_or_else(PoisonError::into_inner).note(now)
    }
}

/// A connection that is in; its place is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Admitted(Arc<Admission>);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Memory that is counted; it counts no more when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    admission: Arc<Admission>,
    bytes: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.admission.memory.sub(self.bytes);
    }
}

/// Says the same thing again only after a while.
#[derive(Debug, Default)]
struct Complaint {
    last: Option<Duration>,
    unsaid: u64,
}

impl Complaint {
    fn note(&mut self, now: Duration) -> Option<u64> {
        self.unsaid += 1;
        if self.last.is_some_and(|last| now < last.saturating_add(BETWEEN_NOTICES)) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn budget(connections: u64, descriptors: Option<u64>) -> Budget {
        Budget { connections, descriptors, memory: 1024 * 1024 }
    }

    #[test]
    fn new_connections_are_turned_away_before_anything_runs_out() {
        use Limit::{Connections, Descriptors};
        let check = |open, connections, descriptors, expected| {
            assert_eq!(budget(connections, descriptors).judge(open), expected, "{open} of {connections}");
        };
        check(0, 1, None, Ok(()));
        check(1, 1, None, Err(Connections));
        check(9_999, 10_000, None, Ok(()));
        // 1024 descriptors: 128 are kept, two are needed for each.
        check(447, 10_000, Some(1024), Ok(()));
        check(448, 10_000, Some(1024), Err(Descriptors));
        check(448, 448, Some(1024), Err(Connections));
        // 64: a quarter is kept.
        check(23, 10_000, Some(64), Ok(()));
        check(24, 10_000, Some(64), Err(Descriptors));
        check(0, 10_000, Some(0), Err(Descriptors));
        check(5, 10_000, Some(u64::MAX), Ok(()));
    }

    #[test]
    fn what_is_held_counts_with_what_every_connection_needs() {
        let check = |open, held, expected| {
            assert_eq!(budget(1, None).judge_memory(open, held), expected, "{open}, {held}");
        };
        check(1, 0, Ok(()));
        check(32, 0, Ok(()));
        check(33, 0, Err(Limit::Memory));
        check(31, 32 * 1024, Ok(()));
        check(31, 32 * 1024 + 1, Err(Limit::Memory));
        check(u64::MAX, u64::MAX, Err(Limit::Memory));
    }

    #[test]
    fn memory_that_one_thread_counts_and_another_gives_back_is_none() {
        let gauge = MemoryGauge::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| gauge.add(1000)).join().unwrap();
            }
            assert_eq!(gauge.held(), 4000);
            for _ in 0..4 {
                scope.spawn(|| gauge.sub(1000)).join().unwrap();
            }
        });
        assert_eq!(gauge.held(), 0);
        gauge.sub(1);
        assert_eq!(gauge.held(), 0, "caught between two steps");
    }

    #[test]
    fn a_place_is_given_back_and_never_given_twice() {
        let admission = Arc::new(Admission::new(None));
        let budget = admission.budget(2, 1024 * 1024);
        let (one, _two) = (admission.enter(&budget).unwrap(), admission.enter(&budget).unwrap());
        assert_eq!(admission.enter(&budget).unwrap_err(), Limit::Connections);
        assert_eq!(admission.enter(&budget).unwrap_err(), Limit::Connections);
        drop(one);
        admission.enter(&budget).unwrap();
        let held = admission.hold(2 * 1024 * 1024);
        assert_eq!(admission.may_begin(&budget), Err(Limit::Memory));
        drop(held);
        assert_eq!(admission.may_begin(&budget), Ok(()));
    }

    #[test]
    fn an_address_is_one_party_and_so_are_64_bits_of_ipv6() {
        let check = |left: &str, right: &str, same: bool| {
            let of = |text: &str| party(text.parse().unwrap());
            assert_eq!(of(left) == of(right), same, "{left} {right}");
        };
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
    }

    #[test]
    fn a_user_has_places_on_each_route_and_a_failed_one_holds_none() {
        let admission = Admission::new(None);
        let config = ConnectionLimitsConfig { connections: Some(3), per_user: 2 };
        let (chat, feed): (Arc<str>, Arc<str>) = ("chat".into(), "feed".into());
        let sit = |route: &Arc<str>, user: Option<&str>| admission.sit(route, user, &config);
        let maras = [sit(&chat, Some("mara")).unwrap(), sit(&chat, Some("mara")).unwrap()];
        assert_eq!(sit(&chat, Some("mara")).unwrap_err(), Limit::UserConnections);
        let elsewhere = sit(&feed, Some("mara")).unwrap();
        let nobodys = sit(&chat, None).unwrap();
        assert_eq!(sit(&chat, Some("nils")).unwrap_err(), Limit::RouteConnections);
        assert_eq!(sit(&chat, None).unwrap_err(), Limit::RouteConnections);
        drop((maras, elsewhere));
        let nils = [sit(&chat, Some("nils")).unwrap(), sit(&chat, Some("nils")).unwrap()];
        assert_eq!(sit(&chat, Some("nils")).unwrap_err(), Limit::UserConnections);
        drop((nils, nobodys));
        assert!(sit(&chat, None).is_ok());
    }

    #[test]
    fn as_many_may_come_at_once_as_may_be_there() {
        let config = PerAddressConfig { connections: 5, connections_per_second: 2, handshakes_per_second: 1 };
        let (comings, from) = (Comings::new(&config), IpAddr::from([192, 0, 2, 1]));
        let at = Duration::from_millis;
        assert!((0..5).all(|_| comings.connection(from, at(0)).is_ok()));
        assert_eq!(comings.connection(from, at(499)), Err(Limit::AddressConnectionRate));
        assert_eq!(comings.connection(from, at(500)), Ok(()));
        assert!((0..5).all(|_| comings.handshake(from, at(0)).is_ok()));
        assert_eq!(comings.handshake(from, at(400)), Err(at(600)));
    }

    #[test]
    fn a_flood_is_reported_now_and_then_with_its_number() {
        let mut complaint = Complaint::default();
        let mut check =
            |ms, expected| assert_eq!(complaint.note(Duration::from_millis(ms)), expected, "{ms}");
        check(0, Some(1));
        check(1, None);
        check(9_999, None);
        check(10_000, Some(3));
        check(10_001, None);
        check(30_000, Some(2));
    }
}
