//! Rates: who shares a bucket, and who lets wait what exceeds it.
//!
//! `sockwarden-rate` decides; a task of the route asks it again whenever something may pass, and wakes the connections concerned.
//! What waits lies with its connection (`relay/gate.rs`), or is a request that waits ([`Rates::admit`]).

mod conduct;
mod drive;
mod share;

use std::{
    future::poll_fn,
    net::IpAddr,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use sockwarden_defend::{
    Configured,
    defences::{PerKind, RATE_LIMIT, RateLimitConfig},
};
use sockwarden_model::{Direction, EventSender, Identity, Mode, RateCounters};
use sockwarden_rate::{Cost, Lane, Limiter, Offer, Subject};
use sockwarden_state::State;
use tokio::{sync::Notify, time::timeout};

pub(crate) use conduct::meter;

use drive::Driver;
use share::Sharing;

/// The time of all buckets of a route: nanoseconds since it was built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Tells the time.
    pub(crate) fn now(self) -> u64 {
        self.at(Instant::now())
    }

    /// Tells what time it was at `moment`.
    pub(crate) fn at(self, moment: Instant) -> u64 {
        ticks(moment.saturating_duration_since(self.0))
    }

    /// Gives the moment at which it is this time.
    fn moment(self, at: u64) -> Instant {
        self.0 + Duration::from_nanos(at)
    }
}

/// Gives a span in the units of buckets.
pub(crate) fn ticks(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// The rates of a route.
#[derive(Debug)]
pub(crate) struct Rates {
    config: RateLimitConfig,
    clock: Clock,
    clients: Metered,
    /// What the application sends, where that is limited.
    application: Option<Metered>,
}

/// One direction.
#[derive(Debug)]
struct Metered {
    limiter: Limiter,
    bell: Arc<Notify>,
    driver: Driver,
    sharing: Sharing,
}

impl Metered {
    fn new(limits: sockwarden_rate::Limits) -> Self {
        let bell = Arc::<Notify>::default();
        let rings = Arc::clone(&bell);
        let limiter = Limiter::new(limits, move || rings.notify_one());
        Self { limiter, bell, driver: Driver::default(), sharing: Sharing::default() }
    }
}

impl Rates {
    pub(crate) fn new(config: &RateLimitConfig) -> Self {
        Self {
            clock: Clock(Instant::now()),
            clients: Metered::new(config.from_clients()),
            application: config.from_application().map(Metered::new),
            config: config.clone(),
        }
    }

    /// Begins to let pass what waits on a route, by what replicas share if they do; a second call changes nothing.
    pub(crate) fn tend(&self, route: &str, state: &State, events: &EventSender) {
        let shares = self.config.shared && self.config.mode != Mode::Off;
        for (from, metered) in [("clients", Some(&self.clients)), ("application", self.application.as_ref())]
        {
            let Some(Metered { limiter, bell, driver, sharing }) = metered else { continue };
            driver.start(limiter, bell, self.clock);
            if let Some(leases) = state.leases(&format!("{route} {from}"))
                && shares
            {
                sharing.start(limiter, leases, self.clock, route, events);
            }
        }
    }

    pub(crate) const fn clock(&self) -> Clock {
        self.clock
    }

    pub(crate) const fn config(&self) -> &RateLimitConfig {
        &self.config
    }

    /// Tells for how long a caller is shut out still, if it is.
    pub(crate) fn shut_out(&self, identity: &Identity, client: IpAddr) -> Option<Duration> {
        // A connection that does not exist yet is shut out by nobody.
        let user = self.clients.limiter.known(&self.subject(identity, client, 0))?;
        let now = self.clock.now();
        user.is_expected(now);
        user.banned(now).map(Duration::from_nanos)
    }

    /// Waits until a request may pass that brings so many messages.
    ///
    /// # Errors
    /// It has waited for too long; what is told is after how long everything of its user that waits would have passed.
    pub(crate) async fn admit(&self, lane: &mut Lane, messages: u32, cost: Cost) -> Result<(), Duration> {
        let passing = async {
            for _ in 0..messages {
                let mut is_offered = false;
                poll_fn(|context| {
                    lane.wake_by(context.waker());
                    let passes = if is_offered {
                        lane.granted() > 0
                    } else {
                        lane.offer(cost, self.clock.now()) == Offer::Pass
                    };
                    is_offered = true;
                    if passes { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            }
        };
        let in_time = timeout(self.config.queue_timeout.get(), passing).await;
        in_time.map_err(|_| {
            let now = self.clock.now();
            lane.offends(now);
            Duration::from_nanos(lane.clears_in(now))
        })
    }

    fn subject(&self, identity: &Identity, client: IpAddr, connection: u64) -> Subject {
        match (self.config.per, &identity.user) {
            (PerKind::User, Some(user)) => Subject::User(user.as_str().into()),
            (PerKind::User, None) | (PerKind::Address, _) => Subject::of_address(client),
            (PerKind::Connection, _) => Subject::Connection(connection),
        }
    }

    /// Gives a connection its place for what one side sends, where that is metered.
    pub(crate) fn lane(
        &self,
        from: Direction,
        identity: &Identity,
        client: IpAddr,
        connection: u64,
    ) -> Option<Lane> {
        let limiter = match from {
            Direction::Client => &self.clients.limiter,
            Direction::Server => &self.application.as_ref()?.limiter,
        };
        let subject = self.subject(identity, client, connection);
        Some(limiter.lane(limiter.user(&subject, self.clock.now())))
    }

    /// Tells what is held back.
    pub(crate) fn counters(&self) -> RateCounters {
        let all = std::iter::once(&self.clients).chain(&self.application);
        let waiting = all.map(|metered| metered.limiter.waiting() as u64).sum();
        RateCounters { waiting, shut_out: self.clients.limiter.banned(self.clock.now()).len() as u64 }
    }
}

/// The switch of the rates among the defences of a route.
#[derive(Clone, Debug)]
pub(crate) struct RateSwitch {
    defences: Arc<[Configured]>,
    place: usize,
}

impl RateSwitch {
    pub(crate) fn find(defences: &Arc<[Configured]>) -> Option<Self> {
        let place = defences.iter().position(|configured| configured.defence.rule().id == RATE_LIMIT.id)?;
        Some(Self { defences: Arc::clone(defences), place })
    }

    #[inline]
    pub(crate) fn mode(&self) -> Mode {
        self.defences.get(self.place).map_or(Mode::Off, |configured| configured.switch.mode())
    }
}
