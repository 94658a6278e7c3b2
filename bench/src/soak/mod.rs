//! `soak`: many connections for a long time, as untidy as those of people, and not one byte may be lost or changed.

mod end;
mod far;
mod near;
mod pressing;
mod sealed;

use std::{
    collections::{BTreeMap, HashMap},
    net::TcpListener,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use self::{
    far::Book,
    near::{Leaving, Left, Near},
    sealed::Quarry,
};
use crate::{
    dial::Target,
    handshake::Compression,
    poll::{Poll, Ready},
    process::{self, Memory},
    proxies::{Certificate, Proxy, Running},
};

/// How often what is due is looked for.
const TICK: Duration = Duration::from_millis(20);
/// How long connections may take to end when the time is over.
const WINDING_UP: Duration = Duration::from_secs(60);
/// How long the far end may take to have read what was sent to it.
const SETTLING: Duration = Duration::from_secs(10);
/// How long a gateway may take to give back what the connections held.
const GIVING_BACK: Duration = Duration::from_secs(3);
/// What connections held that is too little to ask for it back, in KiB.
const WORTH_GIVING_BACK: u64 = 32 * 1024;
/// How many failures are told in words; all are counted.
const TOLD: usize = 20;

/// How long and how much.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The gateway's program
    #[arg(long)]
    gateway: PathBuf,
    /// How long connections talk
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// The same in seconds
    #[arg(long, conflicts_with = "minutes")]
    seconds: Option<u64>,
    /// How many connections are open at once
    #[arg(long, default_value_t = 1000)]
    connections: usize,
    /// The core that the gateway has for itself
    #[arg(long, default_value_t = 0)]
    proxy_core: usize,
}

/// Talks, counts and judges; tells whether nothing was lost or changed.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    process::raise_file_limit()?;
    ensure!(arguments.connections > 0, "no connections cannot lose anything");
    let folder = tempfile::tempdir()?;
    let certificate = Certificate::make(folder.path())?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let application = listener.local_addr()?;
    let book = Book::default();
    let far = book.clone();
    std::thread::spawn(move || {
        if let Err(error) = far::serve(&listener, &far) {
            crate::progress(&format!("the application ended: {error:#}"));
        }
    });
    let gateway = Proxy::Gateway { name: "sockwarden".to_owned(), program: arguments.gateway.clone() };
    let version = gateway.version()?;
    let mut fronts = Vec::new();
    let mut gateways: Vec<Running> = Vec::new();
    for tls in [None, Some(&certificate)] {
        let running = gateway.start(arguments.proxy_core, application, tls, folder.path())?;
        for compression in [Compression::None, Compression::Takeover] {
            let chain = tls.map(|files| files.chain.as_path());
            fronts.push(Target::new(running.address, chain, compression)?);
        }
        gateways.push(running);
    }
    let time = arguments.seconds.map_or(Duration::from_secs(arguments.minutes * 60), Duration::from_secs);
    crate::progress(&format!(
        "{version}: {} connections for {} s, plain and TLS, every second one compressed",
        arguments.connections,
        time.as_secs()
    ));
    let begun = Instant::now();
    let mut soak = Soak::new(fronts, &gateways)?;
    let empty = soak.memory()?;
    soak.talk(arguments.connections, begun + time)?;
    let passed = soak.judge(&book, empty)?;
    crate::say(&format!(
        "{version}, {} connections, {:.0} s",
        arguments.connections,
        begun.elapsed().as_secs_f64()
    ));
    crate::say(&soak.report(&book, empty)?);
    Ok(passed)
}

struct Soak<'a> {
    fronts: Vec<Target>,
    gateways: &'a [Running],
    poll: Poll,
    quarry: Quarry,
    /// By the number that their sockets are watched under, which is that of the connection.
    open: HashMap<u64, Near>,
    next: u64,
    left: Vec<Left>,
    returned: u64,
    failures: Vec<String>,
    failed: u64,
    lost: u64,
    unread_after_reset: u64,
    /// With all connections open for the first time, and before they were closed.
    full: [Memory; 2],
    /// When all had left.
    after: Memory,
    /// How many were open, at each look.
    looks: Vec<usize>,
}

impl<'a> Soak<'a> {
    fn new(fronts: Vec<Target>, gateways: &'a [Running]) -> anyhow::Result<Self> {
        Ok(Self {
            fronts,
            gateways,
            poll: Poll::new()?,
            quarry: Quarry::new(),
            open: HashMap::new(),
            next: 0,
            left: Vec::new(),
            returned: 0,
            failures: Vec::new(),
            failed: 0,
            lost: 0,
            unread_after_reset: 0,
            full: [Memory::default(); 2],
            after: Memory::default(),
            looks: Vec::new(),
        })
    }

    fn memory(&self) -> anyhow::Result<Memory> {
        let mut sum = Memory::default();
        for gateway in self.gateways {
            let memory = process::memory(gateway.process.id()).context("the gateway is gone")?;
            sum.pss += memory.pss;
            sum.private_dirty += memory.private_dirty;
        }
        Ok(sum)
    }

    /// Keeps so many connections open until the time is over, and then waits for them to end.
    fn talk(&mut self, connections: usize, until: Instant) -> anyhow::Result<()> {
        let mut ready: Vec<Ready> = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        let mut is_full = false;
        let mut is_over = false;
        let mut told = Instant::now();
        let mut looked = Instant::now();
        while !is_over || !self.open.is_empty() {
            let now = Instant::now();
            if !is_over && now >= until {
                is_over = true;
                self.full[1] = self.memory()?;
                self.open.values_mut().for_each(Near::wind_up);
            }
            if now >= until + WINDING_UP {
                break;
            }
            if !is_over {
                // A few at a time, so that those that are open get their turn.
                for _ in 0..connections.saturating_sub(self.open.len()).min(40) {
                    self.begin()?;
                }
                if !is_full && self.open.len() == connections {
                    is_full = true;
                    self.full[0] = self.memory()?;
                }
            }
            self.poll.wait(Some(TICK), &mut ready)?;
            for event in &ready {
                self.turn(event.token, Some(*event), &mut buffer);
            }
            if looked.elapsed() >= TICK {
                looked = Instant::now();
                if !is_over {
                    self.looks.push(self.open.len());
                }
                let tokens: Vec<u64> = self.open.keys().copied().collect();
                for token in tokens {
                    self.turn(token, None, &mut buffer);
                }
            }
            if told.elapsed() >= Duration::from_secs(30) {
                told = Instant::now();
                crate::progress(&format!(
                    "{} open, {} ended, {} messages returned, {} failures",
                    self.open.len(),
                    self.left.len(),
                    self.returned,
                    self.failed
                ));
            }
        }
        for id in self.open.keys().copied().collect::<Vec<_>>() {
            self.fail(format!("connection {id:x} did not end"));
        }
        Ok(())
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        let id = self.next;
        self.next += 1;
        let target = &self.fronts[id as usize % self.fronts.len()];
        match Near::open(id, target, &self.poll, id) {
            Ok(near) => drop(self.open.insert(id, near)),
            Err(error) => self.fail(format!("connection {id:x} was not opened: {error:#}")),
        }
        ensure!(self.failed < 1000, "{} failures: {}", self.failed, self.failures.join("; "));
        Ok(())
    }

    fn turn(&mut self, token: u64, event: Option<Ready>, buffer: &mut [u8]) {
        let Some(near) = self.open.get_mut(&token) else { return };
        let before = near.received;
        let left = near.turn(event, Instant::now(), &self.quarry, &self.poll, token, buffer);
        self.returned += near.received - before;
        if let Some(left) = left {
            self.open.remove(&token);
            if let Some(failure) = left.failure.clone() {
                self.fail(failure);
            }
            self.left.push(left);
        }
    }

    fn fail(&mut self, what: String) {
        self.failed += 1;
        if self.failures.len() < TOLD {
            self.failures.push(what);
        }
    }

    /// Compares what was sent with what the far end has seen, and what was held with what is kept.
    fn judge(&mut self, book: &Book, empty: Memory) -> anyhow::Result<bool> {
        let deadline = Instant::now() + SETTLING;
        let missing = |left: &Left, book: &Book| {
            left.sent - book.open().received.get(&left.connection).copied().unwrap_or(0).min(left.sent)
        };
        let owed = |left: &&Left| left.leaving != Leaving::Reset;
        while Instant::now() < deadline && self.left.iter().filter(owed).any(|left| missing(left, book) > 0) {
            std::thread::sleep(Duration::from_millis(100));
        }
        for left in std::mem::take(&mut self.left) {
            let count = missing(&left, book);
            if left.leaving == Leaving::Reset {
                self.unread_after_reset += count;
            } else if count > 0 {
                self.lost += count;
                let Left { connection, leaving, sent, .. } = &left;
                self.fail(format!(
                    "connection {connection:x} ({leaving:?}): {count} of {sent} messages lost"
                ));
            }
            self.left.push(left);
        }
        // A gateway gives memory back when it has seen that a crowd has left.
        std::thread::sleep(GIVING_BACK);
        self.after = self.memory()?;
        let [held, kept] =
            [self.full[1], self.after].map(|memory| memory.private_dirty.saturating_sub(empty.private_dirty));
        if held > WORTH_GIVING_BACK && kept > held / 2 {
            self.fail(format!("{kept} of {held} KiB were not given back"));
        }
        let seen = book.open();
        Ok(self.failed == 0 && self.lost == 0 && seen.changed == 0 && seen.verified > 0)
    }

    fn report(&self, book: &Book, empty: Memory) -> anyhow::Result<String> {
        let seen = book.open();
        let sent: u64 = self.left.iter().map(|left| left.sent).sum();
        let mut ways: BTreeMap<String, usize> = BTreeMap::new();
        for left in &self.left {
            *ways.entry(format!("{:?}", left.leaving)).or_default() += 1;
        }
        let ways: Vec<String> = ways.iter().map(|(way, count)| format!("{count} {way}")).collect();
        let mut lines = vec![
            format!(
                "connections: {} ({}); {} open at once, on average",
                self.left.len(),
                ways.join(", "),
                self.looks.iter().sum::<usize>() / self.looks.len().max(1)
            ),
            format!("sent: {sent}"),
            format!("verified by the far end: {}", seen.verified),
            format!("verified on their return: {}", self.returned),
            format!(
                "lost: {} (and {} on the way when we reset a connection)",
                self.lost, self.unread_after_reset
            ),
            format!("changed: {}", seen.changed),
            format!("failures: {}", self.failed),
            format!(
                "memory of the gateway, KiB Private_Dirty: {} empty, {} full at the beginning, {} full at the end, {} after all left",
                empty.private_dirty,
                self.full[0].private_dirty,
                self.full[1].private_dirty,
                self.after.private_dirty
            ),
        ];
        lines.extend(self.failures.iter().chain(&seen.complaints).map(|what| format!("  {what}")));
        Ok(lines.join("\n"))
    }
}
