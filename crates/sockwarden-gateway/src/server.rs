//! Listening.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use sockwarden_model::{Control, EventSender, ListenAddress, Notice, Reloaded};
use sockwarden_proto::CloseCode;
use sockwarden_state::{State, StateConfig};
use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, timeout_at},
};

use crate::{
    access::close_revoked,
    admission::{Admission, room},
    build::{Built, Listener},
    certificates::watch as watch_certificates,
    connection::{Door, Shared, serve},
    engine::Engine,
    journal::notice,
    lifecycle::{CONFIGURATION_CHANGED, ChangedRoutes, DrainConfig, ReloadConfig, dismiss},
    modes::Modes,
    pass_through::Passing,
    sockets::{Inherited, Sockets, adopt, bind},
    stopping::Stopping,
};

/// What a stop allows on top of the time for the close handshakes, for the sockets themselves to end.
const STOP_MARGIN: Duration = Duration::from_secs(2);
/// How long a stop takes at most.
const LONGEST_STOP: Duration = Duration::from_secs(30);

/// A gateway that accepts connections.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    listeners: Vec<OpenListener>,
    inherited: Inherited,
    /// Listeners that accept no more and whose connections live on, farewells, and the keeper of modes.
    tasks: Vec<JoinHandle<()>>,
    /// Looks at the files of certificates.
    watcher: JoinHandle<()>,
    stop: watch::Sender<bool>,
    stop_time: Duration,
}

/// A listener and the task that accepts its connections.
#[derive(Debug)]
struct OpenListener {
    /// The address as it was configured, perhaps with port 0.
    configured: ListenAddress,
    listening: Listening,
    door: Arc<ArcSwap<Door>>,
    retire: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Where a gateway listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The address, with the port that was taken.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// Why a gateway does not listen.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: ListenAddress,
        /// What the system says.
        source: io::Error,
    },
    /// The threads that relay cannot be had.
    #[error("cannot start the threads that relay")]
    Workers(#[source] io::Error),
    /// A socket that was handed over is not what the configuration allows.
    #[error(
        "{address} listens on {local}, beyond this machine: it needs a certificate, or `insecure_plaintext = true`"
    )]
    Exposed {
        /// The socket.
        address: ListenAddress,
        /// Where it listens.
        local: SocketAddr,
    },
}

impl Gateway {
    /// Listens on every address and serves each connection in a task of its own.
    ///
    /// # Errors
    /// An address is in use or not allowed; then none is listened on.
    pub async fn start(built: Built, events: EventSender) -> Result<Self, StartError> {
        let sockets = Sockets::bind(&built, Inherited::default()).await?;
        Self::start_on(built, sockets, events).await
    }

    /// As [`Gateway::start`], on the sockets of the same configuration.
    ///
    /// # Errors
    /// The runtime cannot take a socket.
    pub async fn start_on(built: Built, sockets: Sockets, events: EventSender) -> Result<Self, StartError> {
        let Sockets { listening, inherited } = sockets;
        let sockets = listening.into_iter().zip(&built.listeners);
        let sockets =
            sockets.map(|(socket, listener)| ready(listener, socket)).collect::<Result<Vec<_>, _>>()?;
        let close_timeout = built.limits.close_timeout.get();
        let workers = built.limits.workers.unwrap_or_else(cores);
        let admission = Arc::new(Admission::new(most_descriptors()));
        let engine = Engine::start(workers as usize, &admission).map_err(StartError::Workers)?;
        let (stop, stopping) = watch::channel(false);
        let state =
            built.state.clone().map_or_else(|| State::memory(StateConfig::default().tickets), State::start);
        let mut gateway = Self {
            listeners: Vec::new(),
            inherited,
            tasks: Vec::new(),
            watcher: tokio::spawn(certificate_watcher(&built, &events)),
            stop,
            stop_time: close_timeout.saturating_add(STOP_MARGIN).min(LONGEST_STOP),
            shared: Arc::new_cyclic(|myself| Shared {
                built: ArcSwap::from_pointee(built),
                events,
                stopping: Stopping::new(stopping),
                registry: Arc::default(),
                tally: Arc::default(),
                modes: Modes::default(),
                passing: Passing::default(),
                draining: AtomicBool::new(false),
                engine,
                state,
                runtime: Handle::current(),
                myself: Weak::clone(myself),
                admission,
                begun: Instant::now(),
            }),
        };
        gateway.tasks.push(tokio::spawn(keep_modes(Arc::clone(&gateway.shared))));
        gateway.tasks.push(tokio::spawn(close_revoked(Arc::clone(&gateway.shared))));
        let built = gateway.shared.built.load_full();
        built.routes.iter().for_each(|route| route.tend(&gateway.shared.state, &gateway.shared.events));
        for (listener, socket) in built.listeners.iter().zip(sockets) {
            gateway.open(listener, socket);
        }
        Ok(gateway)
    }

    /// Tells where it listens.
    pub fn listening(&self) -> Vec<Listening> {
        self.listeners.iter().map(|listener| listener.listening).collect()
    }

    /// Tells how many connections the descriptors of the process are enough for; `None` where they have no limit.
    pub fn room(&self) -> Option<u64> {
        most_descriptors().map(room)
    }

    /// Gives what it is operated by.
    pub fn control(&self) -> Arc<dyn Control> {
        Arc::clone(&self.shared) as Arc<dyn Control>
    }

    /// Takes a new configuration. Sessions of routes that are the same live on; those of changed and removed ones are kept
    /// or closed with 1012 as `policy` says. Listeners whose address stays keep their socket, and take their new
    /// certificates and proxies.
    ///
    /// # Errors
    /// A new address cannot be listened on; then nothing has changed.
    pub async fn reload(&mut self, mut built: Built, policy: &ReloadConfig) -> Result<Reloaded, StartError> {
        let open: Vec<&ListenAddress> = self.listeners.iter().map(|open| &open.configured).collect();
        let wanted: Vec<&ListenAddress> = built.listeners.iter().map(|listener| &listener.address).collect();
        let places = pair(&open, &wanted);
        let mut sockets = Vec::new();
        for (listener, _) in built.listeners.iter().zip(&places).filter(|(_, place)| place.is_none()) {
            sockets.push((listener.clone(), ready(listener, bind(listener, &self.inherited).await?)?));
        }
        // From here on nothing can fail.
        let old = self.shared.built.load_full();
        let gone = built.adopt(&old);
        built.routes.iter().for_each(|route| route.tend(&self.shared.state, &self.shared.events));
        gone.iter().for_each(|route| route.upstreams.leave());
        let names: Vec<Arc<str>> = built.routes.iter().map(|route| Arc::clone(&route.name)).collect();
        let mut reloaded = Reloaded {
            unchanged: old.routes.len() - gone.len(),
            changed: names.len() - (old.routes.len() - gone.len()),
            removed: gone.iter().filter(|route| !names.contains(&route.name)).count(),
            closing: 0,
        };
        self.watcher.abort();
        self.watcher = tokio::spawn(certificate_watcher(&built, &self.shared.events));
        let mut open: Vec<Option<OpenListener>> =
            std::mem::take(&mut self.listeners).into_iter().map(Some).collect();
        for (listener, place) in built.listeners.iter().zip(places) {
            if let Some(mut stays) = place.and_then(|place| open.get_mut(place)?.take()) {
                stays.door.store(Arc::new(door(listener)));
                stays.listening.tls = listener.tls.is_some();
                self.listeners.push(stays);
            }
        }
        let retired = open.into_iter().flatten().collect();
        self.retire(retired);
        self.shared.built.store(Arc::new(built));
        for (listener, socket) in sockets {
            self.open(&listener, socket);
        }
        if policy.changed_routes == ChangedRoutes::Close {
            // Before the sessions are picked: who is entered later finds it.
            gone.iter().for_each(|route| route.is_closed.store(true, Ordering::Release));
            let sessions = self.shared.registry.pick(|about| gone.iter().any(|r| r.name == about.route));
            reloaded.closing = sessions.len();
            let window = policy.window.get();
            self.tasks.retain(|task| !task.is_finished());
            self.tasks.push(tokio::spawn(dismiss(
                sessions,
                window,
                CloseCode::RESTART,
                CONFIGURATION_CHANGED,
            )));
        }
        notice(&self.shared.events, Notice::Reloaded, reloaded.to_string());
        Ok(reloaded)
    }

    /// Reports that a new configuration cannot be used; the old one stays.
    pub fn reload_rejected(&self, why: String) {
        notice(&self.shared.events, Notice::ReloadRejected, why);
    }

    /// Withdraws readiness: whoever asks is told that new connections are not welcome, though they are still accepted.
    pub fn withdraw(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
    }

    /// Ends in order: withdraws readiness, waits, stops accepting, closes every session within a window, and cuts off what
    /// has not closed a while after it. Ordinary requests that are under way are answered, as far as that time allows.
    pub async fn drain(mut self, config: &DrainConfig) {
        self.withdraw();
        if !self.shared.is_idle() {
            tokio::time::sleep(config.delay.get()).await;
        }
        let listeners = std::mem::take(&mut self.listeners);
        self.retire(listeners);
        let sessions = self.shared.registry.pick(|_| true);
        let window = if sessions.is_empty() { Duration::ZERO } else { config.window.get() };
        dismiss(sessions, window, config.code.code(), "the gateway restarts").await;
        let grace = Instant::now() + config.grace.get();
        while !self.shared.is_idle() && Instant::now() < grace {
            // A handshake that was under way when listening ended may have become a session since.
            let late = self.shared.registry.pick(|_| true);
            dismiss(late, Duration::ZERO, config.code.code(), "the gateway restarts").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // What is left has had its time: dropping the gateway cuts it off.
        if self.shared.is_idle() {
            self.stop().await;
        }
    }

    /// Stops listening, tells both sides of every connection 1001 and waits until they have closed: at most for the time
    /// that a close may take and two seconds, and never longer than half a minute.
    pub async fn stop(mut self) {
        let deadline = Instant::now() + self.stop_time;
        self.withdraw();
        let _ = self.stop.send(true);
        let listeners = std::mem::take(&mut self.listeners);
        self.retire(listeners);
        self.shared.engine.go_away();
        for mut task in std::mem::take(&mut self.tasks) {
            if timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
                let _ = task.await;
            }
        }
        let _ = timeout_at(deadline, self.shared.engine.emptied()).await;
    }

    fn open(&mut self, listener: &Listener, (socket, listening): (TcpListener, Listening)) {
        let door = Arc::new(ArcSwap::from_pointee(door(listener)));
        let (retire, retired) = watch::channel(false);
        let accepting = accept(socket, Arc::clone(&door), Stopping::new(retired), Arc::clone(&self.shared));
        let task = tokio::spawn(accepting);
        self.listeners.push(OpenListener {
            configured: listener.address.clone(),
            listening,
            door,
            retire,
            task,
        });
    }

    /// Ends the listening of some; their connections live on.
    fn retire(&mut self, listeners: Vec<OpenListener>) {
        for listener in listeners {
            let _ = listener.retire.send(true);
            self.tasks.push(listener.task);
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.watcher.abort();
        for task in self.listeners.iter().map(|listener| &listener.task).chain(&self.tasks) {
            task.abort();
        }
        // Whoever still holds the control port holds no connections.
        self.shared.engine.end();
    }
}

/// Finds for each listener that is wanted the one that is open, by its place: of several whose port the system chooses, the
/// first stays the first.
fn pair(open: &[&ListenAddress], wanted: &[&ListenAddress]) -> Vec<Option<usize>> {
    let mut free: Vec<bool> = vec![true; open.len()];
    let mut find = |address: &&ListenAddress| {
        let place = open.iter().zip(&free).position(|(open, free)| *free && open == address)?;
        free[place] = false;
        Some(place)
    };
    wanted.iter().map(&mut find).collect()
}

/// Counts the cores that the system lets us use.
fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
}

/// Gives how many descriptors the process may have; `None` where there is no limit.
fn most_descriptors() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

fn ready(listener: &Listener, socket: std::net::TcpListener) -> Result<(TcpListener, Listening), StartError> {
    let (socket, address) = adopt(listener, socket)?;
    Ok((socket, Listening { address, tls: listener.tls.is_some() }))
}

fn door(listener: &Listener) -> Door {
    Door {
        acceptor: listener.tls.as_ref().map(sockwarden_net::ServerTls::acceptor),
        proxies: Arc::clone(&listener.proxies),
    }
}

fn certificate_watcher(built: &Built, events: &EventSender) -> impl Future<Output = ()> + use<> {
    let certificates = built.listeners.iter().filter_map(|listener| listener.certificates.clone()).collect();
    watch_certificates(certificates, built.limits.certificate_poll.get(), events.clone())
}

/// Puts changed modes back when their time is over, until the gateway stops.
async fn keep_modes(shared: Arc<Shared>) {
    let mut stopping = shared.stopping.clone();
    tokio::select! {
        () = stopping.begins() => {}
        () = shared.modes.keep(&shared.events) => {}
    }
}

async fn accept(socket: TcpListener, door: Arc<ArcSwap<Door>>, mut retired: Stopping, shared: Arc<Shared>) {
    // Dropping the set ends its handshakes: they do not outlive their listener.
    let mut connections = JoinSet::new();
    let mut stopping = shared.stopping.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.begins() => break,
            () = retired.begins() => break,
            accepted = socket.accept() => accepted,
        };
        let (tcp, address) = match accepted {
            Ok(accepted) => accepted,
            Err(_) => {
                // Out of descriptors in spite of the reserve, most likely: they come back as connections end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let door = Door::clone(&door.load());
        match shared.let_in(&door.proxies, address.ip()) {
            Ok(places) => {
                connections.spawn(serve(Arc::clone(&shared), door, tcp, address, places));
            }
            Err(limit) => shared.turned_away(limit),
        }
    }
    drop(socket);
    while connections.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_stays_where_it_is_and_no_two_get_the_same() {
        let check = |open: &[&str], wanted: &[&str], expected: &[Option<usize>]| {
            let read =
                |texts: &[&str]| -> Vec<ListenAddress> { texts.iter().map(|t| t.parse().unwrap()).collect() };
            let (open, wanted) = (read(open), read(wanted));
            let places = pair(&open.iter().collect::<Vec<_>>(), &wanted.iter().collect::<Vec<_>>());
            assert_eq!(places, expected, "{open:?} {wanted:?}");
        };
        let (a, b, any) = ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:0");
        check(&[a, b], &[b, a], &[Some(1), Some(0)]);
        check(&[a], &[b], &[None]);
        check(&[any, any], &[any, any], &[Some(0), Some(1)]);
        check(&[any, a, any], &[any, any, any], &[Some(0), Some(2), None]);
        check(&["fd:web", a], &[a, "fd:web"], &[Some(1), Some(0)]);
    }
}
