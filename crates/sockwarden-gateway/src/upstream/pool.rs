//! The addresses of one route's application: which there are, how they are, and who is connected to which.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use sockwarden_model::{AddressHealth, AddressState, EventSender, Notice, UpstreamCounters};
use sockwarden_net::{ClientTls, Place, random_u64};
use sockwarden_proto::WsUrl;
use tokio::{sync::watch, time::Instant};

use super::{
    UpstreamsConfig,
    address::Address,
    balance::{Balance, Candidate, pick, weight},
    health::{Health, Standing},
    queue::Queue,
};
use crate::journal::{notice, unix_ms};

/// The most places that the addresses of one route stand for; further ones are left out.
pub(crate) const MOST_PLACES: usize = 256;

/// How an application is reached.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) url: WsUrl,
    pub(crate) tls: ClientTls,
    /// Whether a health check refuses a wrong certificate.
    pub(crate) verified: bool,
    pub(crate) proxy_protocol: bool,
}

/// The addresses of one route's application.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) way: Way,
    pub(crate) config: UpstreamsConfig,
    route: String,
    /// Where to tell of addresses that go and come back; set when the gateway starts.
    pub(crate) events: OnceLock<EventSender>,
    sources: Vec<Address>,
    begun: Instant,
    table: Mutex<Table>,
    /// How often all names have been asked for; changes too when one of them is answered.
    pub(crate) rounds: watch::Sender<u64>,
    /// Wakes whoever asks for names before it is time.
    pub(crate) hurry: tokio::sync::Notify,
    /// Who waits for a connection to end.
    pub(crate) queue: Arc<Queue>,
    failures: AtomicU64,
    ejections: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    /// What each source stands for, by its index; for a name the last good answer.
    places: Vec<Vec<Place>>,
    members: Vec<Arc<Member>>,
}

/// One place.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) place: Place,
    name: String,
    live: AtomicU32,
    health: Mutex<Health>,
    failures: AtomicU64,
    /// When it went out or came back the last time, or else became known, in milliseconds since the Unix epoch.
    since_ms: AtomicU64,
}

/// A connection to a member, counted from the choice until this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Arc<Pool>,
    pub(crate) member: Arc<Member>,
}

/// Why no place can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// There is none that was not tried.
    Nowhere,
    /// Each has as many connections as it may.
    Full,
}

/// Whom an address is chosen for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whom<'a> {
    pub(crate) user: Option<&'a str>,
    pub(crate) ip: IpAddr,
}

impl Pool {
    /// Makes a pool; names among `sources` stand for nothing until [`Self::resolved`] says so.
    pub(crate) fn new(route: &str, way: Way, config: UpstreamsConfig, sources: Vec<Address>) -> Self {
        let places = sources
            .iter()
            .map(|source| match source {
                Address::Place(place) => vec![place.clone()],
                Address::Name { .. } => Vec::new(),
            })
            .collect();
        let pool = Self {
            way,
            config,
            route: route.to_owned(),
            events: OnceLock::new(),
            sources,
            begun: Instant::now(),
            table: Mutex::new(Table { places, members: Vec::new() }),
            rounds: watch::Sender::new(0),
            hurry: tokio::sync::Notify::new(),
            queue: Arc::default(),
            failures: AtomicU64::new(0),
            ejections: AtomicU64::new(0),
        };
        pool.renew(&mut pool.lock());
        pool
    }

    /// Gives the names among the addresses, with the number by which [`Self::resolved`] knows them.
    pub(crate) fn names(&self) -> impl Iterator<Item = (usize, &str, u16)> {
        self.sources.iter().enumerate().filter_map(|(index, source)| match source {
            Address::Name { host, port } => Some((index, host.as_str(), *port)),
            Address::Place(_) => None,
        })
    }

    /// Takes a name's new answer. Places that are still there keep their health and their connections' count.
    pub(crate) fn resolved(&self, source: usize, places: Vec<Place>) {
        let mut table = self.lock();
        if let Some(known) = table.places.get_mut(source) {
            *known = places;
            self.renew(&mut table);
            self.queue.grow();
        }
    }

    fn renew(&self, table: &mut Table) {
        let mut members: Vec<Arc<Member>> = Vec::new();
        for place in table.places.iter().flatten() {
            if members.len() < MOST_PLACES && members.iter().all(|member| member.place != *place) {
                let known = table.members.iter().find(|member| member.place == *place);
                members.push(known.map_or_else(|| Arc::new(self.member(place)), Arc::clone));
            }
        }
        table.members = members;
    }

    fn member(&self, place: &Place) -> Member {
        Member {
            place: place.clone(),
            name: place.to_string(),
            live: AtomicU32::new(0),
            health: Mutex::new(Health::new(&self.config.health)),
            failures: AtomicU64::new(0),
            since_ms: AtomicU64::new(unix_ms()),
        }
    }

    /// Gives every place there is now.
    pub(crate) fn members(&self) -> Vec<Arc<Member>> {
        self.lock().members.clone()
    }

    /// Chooses a place that is not among `tried`; the choice counts as a connection at once. Nobody comes before those who wait.
    pub(crate) fn choose(self: &Arc<Self>, whom: Whom<'_>, tried: &[Place]) -> Result<Lease, NoPlace> {
        if self.queue.is_empty() { self.choose_first(whom, tried) } else { Err(NoPlace::Full) }
    }

    /// Chooses as [`Self::choose`] does, for one whose turn it is.
    pub(crate) fn choose_first(self: &Arc<Self>, whom: Whom<'_>, tried: &[Place]) -> Result<Lease, NoPlace> {
        let key = match (self.config.balance, whom.user) {
            (Balance::HashUser, Some(user)) => user.as_bytes().to_vec(),
            (Balance::HashUser, None) | (Balance::HashAddress, _) => {
                whom.ip.to_canonical().to_string().into_bytes()
            }
            // Among equals any will do, but not always the first.
            (Balance::LeastConnections, _) => random_u64().to_le_bytes().to_vec(),
        };
        let now = self.now();
        // Under one lock, so that two who choose at once see each other.
        let table = self.lock();
        let most = self.config.connections.unwrap_or(u32::MAX);
        let (free, full): (Vec<_>, Vec<_>) = (table.members.iter())
            .filter(|member| !tried.contains(&member.place))
            .partition(|member| member.live.load(Ordering::Relaxed) < most);
        let candidates = free.iter().map(|member| Candidate {
            standing: member.health().standing(now),
            live: member.live.load(Ordering::Relaxed),
            weight: weight(&key, member.name.as_bytes()),
        });
        let picked = pick(self.config.balance, candidates).and_then(|place| free.get(place));
        // A healthy address that is full is worth waiting for, rather than to try one that is ejected.
        let is_good = |member: &&Arc<Member>| member.health().standing(now) == Standing::Good;
        let Some(member) = picked.filter(|picked| is_good(picked) || !full.iter().any(is_good)) else {
            return Err(if full.is_empty() { NoPlace::Nowhere } else { NoPlace::Full });
        };
        member.health().tried(now);
        member.live.fetch_add(1, Ordering::Relaxed);
        Ok(Lease { pool: Arc::clone(self), member: Arc::clone(member) })
    }

    /// Tells whether every place is ejected.
    pub(crate) fn is_out(&self) -> bool {
        let now = self.now();
        let table = self.lock();
        !table.members.is_empty() && table.members.iter().all(|member| member.is_ejected(now))
    }

    /// Takes note of a health check's outcome.
    pub(crate) fn checked(&self, member: &Member, passed: bool) {
        if !passed {
            self.count_failure(member);
        }
        let changed = member.change(|health| health.checked(passed));
        match (changed, passed) {
            (false, _) => {}
            (true, true) => self.tell(Notice::UpstreamBack, member, "it passes its checks"),
            (true, false) => {
                self.ejections.fetch_add(1, Ordering::Relaxed);
                self.tell(Notice::UpstreamEjected, member, "it fails its checks");
            }
        }
    }

    fn count_failure(&self, member: &Member) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        member.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells how each place is.
    pub(crate) fn states(&self) -> Vec<AddressState> {
        let state = |member: &Arc<Member>| AddressState {
            address: member.name.clone(),
            health: if member.health().is_out() { AddressHealth::Ejected } else { AddressHealth::Healthy },
            since_ms: member.since_ms.load(Ordering::Relaxed),
            active: member.live.load(Ordering::Relaxed).into(),
            failures: member.failures.load(Ordering::Relaxed),
        };
        self.members().iter().map(state).collect()
    }

    /// Counts places by how they are, and what became of connections and checks.
    pub(crate) fn counters(&self) -> UpstreamCounters {
        let members = self.members();
        let ejected = members.iter().filter(|member| member.health().is_out()).count();
        UpstreamCounters {
            healthy: (members.len() - ejected) as u64,
            ejected: ejected as u64,
            failures: self.failures.load(Ordering::Relaxed),
            ejections: self.ejections.load(Ordering::Relaxed),
        }
    }

    fn tell(&self, what: Notice, member: &Member, why: &str) {
        if let Some(events) = self.events.get() {
            notice(events, what, format!("route {}, address {}: {why}", self.route, member.name));
        }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it holds the lock, and every state in between is a valid one.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    pub(crate) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets something happen to the health, and remembers when that ejects it or brings it back.
    fn change<T>(&self, what: impl FnOnce(&mut Health) -> T) -> T {
        let mut health = self.health();
        let was_out = health.is_out();
        let outcome = what(&mut health);
        if health.is_out() != was_out {
            self.since_ms.store(unix_ms(), Ordering::Relaxed);
        }
        outcome
    }

    fn is_ejected(&self, now: Duration) -> bool {
        matches!(self.health().standing(now), Standing::Ejected(_))
    }
}

impl Lease {
    /// Takes note that the place answers.
    pub(crate) fn succeeded(&self) {
        let is_back = self.member.change(|health| health.succeeded(self.pool.now()));
        if is_back {
            self.pool.tell(Notice::UpstreamBack, &self.member, "it answers again");
        }
    }

    /// Takes note that the place does not answer, or not as it should.
    pub(crate) fn failed(&self) {
        self.pool.count_failure(&self.member);
        let ejected = self.member.change(|health| health.failed(self.pool.now(), random_u64()));
        if let Some(lasts) = ejected {
            self.pool.ejections.fetch_add(1, Ordering::Relaxed);
            let why = format!("it failed too often and is left alone for {lasts:.1?}");
            self.pool.tell(Notice::UpstreamEjected, &self.member, &why);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.member.live.fetch_sub(1, Ordering::Relaxed);
        if self.pool.config.connections.is_some() {
            self.pool.queue.free();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANYONE: Whom<'_> = Whom { user: None, ip: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST) };

    fn pool(balance: Balance, addresses: &[&str]) -> Arc<Pool> {
        pool_of(UpstreamsConfig { balance, ..UpstreamsConfig::default() }, addresses)
    }

    fn pool_of(config: UpstreamsConfig, addresses: &[&str]) -> Arc<Pool> {
        let way = Way {
            url: "ws://app.example".parse().unwrap(),
            tls: ClientTls::insecure().unwrap(),
            verified: true,
            proxy_protocol: false,
        };
        Arc::new(Pool::new("app", way, config, addresses.iter().map(|a| a.parse().unwrap()).collect()))
    }

    fn places(texts: &[&str]) -> Vec<Place> {
        texts.iter().map(|text| Place::Tcp(text.parse().unwrap())).collect()
    }

    fn live(pool: &Pool) -> Vec<(String, u32)> {
        pool.members().iter().map(|m| (m.name.clone(), m.live.load(Ordering::Relaxed))).collect()
    }

    #[test]
    fn connections_are_spread_evenly_and_counted_until_they_end() {
        let pool = pool(Balance::LeastConnections, &["10.0.0.1:1", "10.0.0.2:1", "unix:/run/app.sock"]);
        let mut leases: Vec<_> = (0..30).map(|_| pool.choose(ANYONE, &[]).unwrap()).collect();
        assert!(live(&pool).iter().all(|(_, live)| *live == 10));
        leases.retain(|lease| lease.member.name != "10.0.0.2:1");
        let next: Vec<_> = (0..10).map(|_| pool.choose(ANYONE, &[]).unwrap()).collect();
        assert!(next.iter().all(|lease| lease.member.name == "10.0.0.2:1"));
        drop((leases, next));
        assert!(live(&pool).iter().all(|(_, live)| *live == 0));
    }

    #[test]
    fn an_address_has_no_more_connections_than_it_may_and_one_that_is_ejected_is_no_way_out() {
        let config = UpstreamsConfig { connections: Some(2), ..UpstreamsConfig::default() };
        let pool = pool_of(config, &["10.0.0.1:1", "10.0.0.2:1"]);
        let choose = || pool.choose(ANYONE, &[]);
        let mut leases: Vec<_> = (0..4).map(|_| choose().unwrap()).collect();
        assert_eq!(choose().unwrap_err(), NoPlace::Full);
        let (first, second) = (leases[0].member.place.clone(), leases[1].member.place.clone());
        assert_ne!(first, second);
        assert_eq!(pool.choose(ANYONE, &[first.clone(), second]).unwrap_err(), NoPlace::Nowhere);
        (0..3).for_each(|_| leases[0].failed());
        leases.remove(0);
        assert_eq!(choose().unwrap_err(), NoPlace::Full, "it would be the one that is ejected");
        leases.retain(|lease| lease.member.place == first);
        assert_ne!(choose().unwrap().member.place, first);
        // Whoever waits comes first.
        let _waiting = pool.queue.join(1).unwrap();
        assert_eq!(choose().unwrap_err(), NoPlace::Full);
        assert!(pool.choose_first(ANYONE, &[]).is_ok());
    }

    #[test]
    fn what_was_tried_is_not_chosen_again() {
        let pool = pool(Balance::HashAddress, &["10.0.0.1:1", "10.0.0.2:1"]);
        let first = pool.choose(ANYONE, &[]).unwrap().member.place.clone();
        let second = pool.choose(ANYONE, std::slice::from_ref(&first)).unwrap().member.place.clone();
        assert_ne!(first, second);
        assert_eq!(pool.choose(ANYONE, &[first, second]).unwrap_err(), NoPlace::Nowhere);
    }

    #[test]
    fn a_user_keeps_the_place_and_where_no_user_is_known_the_address_does() {
        let pool = pool(Balance::HashUser, &["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
        let place = |user, ip: u8| {
            pool.choose(Whom { user, ip: [192, 0, 2, ip].into() }, &[]).unwrap().member.name.clone()
        };
        assert!((0..100).all(|ip| place(Some("mara"), ip) == place(Some("mara"), 0)));
        let by_address: std::collections::BTreeSet<_> = (0..100).map(|ip| place(None, ip)).collect();
        assert_eq!(by_address.len(), 3);
        assert!((0..100).all(|ip| place(None, ip) == place(None, ip)));
    }

    #[test]
    fn an_ejected_place_is_tried_where_there_is_nothing_better() {
        let pool = pool(Balance::LeastConnections, &["10.0.0.1:1", "10.0.0.2:1"]);
        let chosen = || pool.choose(ANYONE, &[]).unwrap();
        let bad = chosen();
        (0..3).for_each(|_| bad.failed());
        assert!(!pool.is_out());
        assert!((0..10).map(|_| chosen()).all(|lease| lease.member.place != bad.member.place));
        let good = chosen();
        (0..3).for_each(|_| good.failed());
        assert!(pool.is_out());
        good.pool.choose(ANYONE, &[]).unwrap().succeeded();
        assert!(!pool.is_out());
        let states: Vec<_> = pool.states().iter().map(|s| (s.health, s.failures, s.active)).collect();
        assert!(states.iter().all(|(_, failures, active)| (*failures, *active) == (3, 1)), "{states:?}");
        let expected = UpstreamCounters { healthy: 1, ejected: 1, failures: 6, ejections: 2 };
        assert_eq!(pool.counters(), expected);
    }

    #[test]
    fn a_names_new_answer_keeps_what_is_known_of_places_that_stay() {
        let pool = pool(Balance::LeastConnections, &["app.internal:1", "10.0.0.9:1"]);
        assert_eq!(pool.names().collect::<Vec<_>>(), [(0, "app.internal", 1)]);
        assert_eq!(live(&pool).len(), 1);
        pool.resolved(0, places(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:1", "10.0.0.9:1"]));
        let leases: Vec<_> = (0..6).map(|_| pool.choose(ANYONE, &[]).unwrap()).collect();
        pool.resolved(0, places(&["10.0.0.2:1", "10.0.0.3:1"]));
        let [two, three, nine] = ["10.0.0.2:1", "10.0.0.3:1", "10.0.0.9:1"].map(str::to_owned);
        assert_eq!(live(&pool), [(two.clone(), 2), (three.clone(), 0), (nine.clone(), 2)]);
        drop(leases);
        assert_eq!(live(&pool), [(two, 0), (three, 0), (nine, 0)], "one that is gone is given back too");
        let many = (0..1000).map(|n| Place::Tcp(([10, 1, 0, 0], n).into())).collect();
        pool.resolved(0, many);
        assert_eq!(pool.members().len(), MOST_PLACES);
    }
}
