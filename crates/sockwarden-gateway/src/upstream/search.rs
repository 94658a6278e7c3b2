//! The search for an address that takes a connection.
//!
//! An address that cannot be connected to is followed by the next one, a bounded number of times. That is over with the first
//! byte of the request: from then on whatever fails is told to the client, because only the application knows what it has
//! done already. No request reaches the application twice.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use sockwarden_net::{DialError, Place, PlaceOptions, Stream, dial_place, proxy_header};
use tokio::time::{Instant, timeout_at};

use super::pool::{Lease, NoPlace, Pool, Whom};

/// For whom an application is searched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeker<'a> {
    pub(crate) user: Option<&'a str>,
    pub(crate) client: SocketAddr,
    /// The address that the client has connected to.
    pub(crate) reached: Option<SocketAddr>,
}

/// One search. Its places are tried one after the other, each once.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    pool: Arc<Pool>,
    seeker: Seeker<'a>,
    deadline: Instant,
    /// How long one connection may take where none came before it.
    full: Duration,
    tried: Vec<Place>,
    failures: Vec<DialError>,
    /// Every place was ejected before any was tried.
    was_out: bool,
    /// For how long a place was waited for in vain.
    waited: Option<Duration>,
}

/// Why a search was in vain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreached {
    /// Each place has as many connections as it may, or those who wait for one come first.
    #[error("every address has as many connections as `upstreams.connections` allows; waited {waited:?}")]
    Full {
        /// For how long one was waited for; none where as many waited as may.
        waited: Duration,
    },
    /// The names stand for nothing.
    #[error("{} not resolve", plural(.0))]
    Unresolved(Vec<String>),
    /// Each place that was tried fails, and was known to.
    #[error("every address is ejected after failures: {}", list(.0))]
    Ejected(Vec<DialError>),
    /// Each place that was tried took too long.
    #[error("{}", list(.0))]
    Slow(Vec<DialError>),
    /// Each place that was tried fails.
    #[error("{}", list(.0))]
    Failed(Vec<DialError>),
}

impl Unreached {
    /// Gives the status that tells a client.
    pub(crate) const fn status(&self) -> u16 {
        match self {
            Self::Full { .. } | Self::Ejected(_) => 503,
            Self::Slow(_) => 504,
            Self::Unresolved(_) | Self::Failed(_) => 502,
        }
    }
}

impl<'a> Search<'a> {
    pub(super) fn new(pool: Arc<Pool>, seeker: Seeker<'a>, longest: Duration) -> Self {
        let was_out = pool.is_out();
        let deadline = Instant::now() + longest;
        let full = pool.config.connect_timeout.get().min(longest);
        Self { pool, seeker, deadline, full, tried: Vec::new(), failures: Vec::new(), was_out, waited: None }
    }

    /// Gives the next place to try; `None` where all were, the attempts are used up or the time is.
    pub(crate) async fn next(&mut self) -> Option<Lease> {
        let is_over = self.tried.len() >= self.pool.config.attempts as usize || self.left().is_zero();
        if is_over && !self.tried.is_empty() {
            return None;
        }
        let whom = Whom { user: self.seeker.user, ip: self.seeker.client.ip() };
        let mut chosen = self.pool.choose(whom, &self.tried);
        if self.tried.is_empty() && matches!(chosen, Err(NoPlace::Nowhere)) {
            self.wait_for_an_answer().await;
            chosen = self.pool.choose(whom, &[]);
        }
        let lease = match chosen {
            Ok(lease) => lease,
            Err(NoPlace::Full) => self.wait_for_a_place().await?,
            Err(NoPlace::Nowhere) => return None,
        };
        self.tried.push(lease.member.place.clone());
        Some(lease)
    }

    /// Connects to a place; `verified` tells whether its certificate is judged.
    pub(crate) async fn connect(&self, lease: &Lease, verified: bool) -> Result<Stream, DialError> {
        let way = &self.pool.way;
        let prelude = match self.seeker.reached {
            _ if !way.proxy_protocol => Vec::new(),
            Some(reached) => proxy_header(Some((self.seeker.client, reached))),
            None => proxy_header(Some((self.seeker.client, ([0, 0, 0, 0], 0).into()))),
        };
        let unverified;
        let tls = if verified {
            &way.tls
        } else {
            unverified = way.tls.unverified();
            &unverified
        };
        let options = PlaceOptions { tls, timeout: self.patience(), prelude: &prelude };
        dial_place(&way.url, &lease.member.place, options).await
    }

    /// Takes note that a place took no connection.
    pub(crate) fn failed(&mut self, lease: &Lease, error: DialError) {
        // Who was given much less time than usual, because others had used it up, is not to blame for it.
        let is_unfair = matches!(error, DialError::Timeout(_, given) if given < self.full / 2);
        self.failures.push(error);
        if !is_unfair {
            lease.failed();
        }
    }

    /// Tells why the search was in vain.
    pub(crate) fn give_up(self) -> Unreached {
        if let Some(waited) = self.waited {
            Unreached::Full { waited }
        } else if self.failures.is_empty() {
            Unreached::Unresolved(self.pool.names().map(|(_, host, _)| host.to_owned()).collect())
        } else if self.was_out {
            Unreached::Ejected(self.failures)
        } else if self.failures.iter().all(|failure| matches!(failure, DialError::Timeout(..))) {
            Unreached::Slow(self.failures)
        } else {
            Unreached::Failed(self.failures)
        }
    }

    /// Waits until a connection to one of the places has ended, behind those who came before.
    async fn wait_for_a_place(&mut self) -> Option<Lease> {
        let pool = Arc::clone(&self.pool);
        let begun = Instant::now();
        let until = begun + pool.config.queue_timeout.get();
        self.waited = Some(Duration::ZERO);
        let waiting = pool.queue.join(pool.config.queue)?;
        let lease = loop {
            if timeout_at(until, waiting.turn()).await.is_err() {
                break None;
            }
            let whom = Whom { user: self.seeker.user, ip: self.seeker.client.ip() };
            match pool.choose_first(whom, &self.tried) {
                Ok(lease) => break Some(lease),
                Err(NoPlace::Full) => {}
                Err(NoPlace::Nowhere) => break None,
            }
        };
        let waited = begun.elapsed();
        if lease.is_some() {
            // To wait here takes nothing from the time to connect.
            self.deadline += waited;
            self.waited = None;
        } else {
            // What was this one's turn is the next one's.
            pool.queue.free();
            self.waited = Some(waited);
        }
        lease
    }

    /// Waits until a name is answered, or all were asked for in vain; never longer than a connection may take.
    async fn wait_for_an_answer(&self) {
        let mut rounds = self.pool.rounds.subscribe();
        let asked = *rounds.borrow_and_update();
        self.pool.hurry.notify_one();
        let answered = rounds.wait_for(|rounds| *rounds != asked || !self.pool.members().is_empty());
        let _ = timeout_at(Instant::now() + self.patience(), answered).await;
    }

    /// Gives how long one connection may take.
    fn patience(&self) -> Duration {
        self.full.min(self.left())
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

fn plural(names: &[String]) -> String {
    let verb = if names.len() == 1 { "does" } else { "do" };
    let names: Vec<_> = names.iter().take(5).map(|name| format!("`{name}`")).collect();
    format!("{} {verb}", names.join(", "))
}

fn list(failures: &[DialError]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
