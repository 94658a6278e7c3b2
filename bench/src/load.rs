//! The load: connections that send the same messages over and over, and look at every byte that comes back.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read as _, Write as _},
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::{
    content::Script,
    dial::{Connection, Target},
    handshake::Compression,
    histogram::Histogram,
    poll::{Interest, Poll, Ready},
    process,
    wire::{self, FrameReader, Header, Piece},
};

const READ_BUFFER: usize = 256 * 1024;
/// How long nothing may move before the run has failed.
const STALL: Duration = Duration::from_secs(10);

/// One run of the load.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to connect
    #[arg(long)]
    address: SocketAddr,
    /// Connect by TLS 1.3; the server's certificate
    #[arg(long)]
    certificate: Option<PathBuf>,
    /// Speak permessage-deflate
    #[arg(long)]
    compressed: bool,
    /// Bytes in a message before compression
    #[arg(long)]
    size: usize,
    /// How many connections
    #[arg(long)]
    connections: usize,
    /// How many messages are on the way at once on each connection
    #[arg(long)]
    window: usize,
    /// Milliseconds before measuring begins
    #[arg(long)]
    warm_up: u64,
    /// Milliseconds of measuring
    #[arg(long)]
    measure: u64,
    /// The process whose processor time is measured
    #[arg(long)]
    watch: u32,
}

/// What a run showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Messages that went and came back while it was measured.
    pub(crate) round_trips: u64,
    pub(crate) seconds: f64,
    /// Processor time of the watched process in the same time.
    pub(crate) cpu_seconds: f64,
    /// Of a round trip, in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// All messages that came back and were compared byte by byte, before, while and after it was measured.
    pub(crate) verified: u64,
    /// The mean size of a message on the wire.
    pub(crate) wire_size: usize,
}

/// Runs the load and prints what it showed as one line of JSON.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    process::raise_file_limit()?;
    let compression = if arguments.compressed { Compression::Apart } else { Compression::None };
    let target = Target::new(arguments.address, arguments.certificate.as_deref(), compression)?;
    let script = Script::new(arguments.size, arguments.window, arguments.compressed);
    let mut load = Load::new(&script)?;
    for _ in 0..arguments.connections {
        load.open(&target, arguments.window)?;
    }
    let measured = load.measure(arguments)?;
    crate::say(&serde_json::to_string(&measured)?);
    Ok(())
}

/// Connections and what they send.
pub(crate) struct Load<'a> {
    script: &'a Script,
    lanes: Vec<Lane>,
    poll: Poll,
    latencies: Histogram,
    begun: Instant,
    received: u64,
}

impl<'a> Load<'a> {
    pub(crate) fn new(script: &'a Script) -> anyhow::Result<Self> {
        let (poll, begun) = (Poll::new()?, Instant::now());
        Ok(Self { script, lanes: Vec::new(), poll, latencies: Histogram::default(), begun, received: 0 })
    }

    /// Opens one more connection.
    pub(crate) fn open(&mut self, target: &Target, window: usize) -> anyhow::Result<()> {
        let token = self.lanes.len();
        let (connection, rest) =
            Connection::open(target).with_context(|| format!("failed to open connection {token}"))?;
        ensure!(rest.is_empty(), "the server speaks first");
        self.poll.add(&connection.stream, token as u64, Interest::Read)?;
        self.lanes.push(Lane::new(connection, window));
        Ok(())
    }

    /// Lets connections from `first` on send what their window holds, and waits until all of it has come back.
    pub(crate) fn send_once(&mut self, first: usize) -> anyhow::Result<()> {
        self.begin(first)?;
        self.serve(Until::Quiet)
    }

    /// Sends nothing for a while; pings are answered.
    pub(crate) fn rest(&mut self, duration: Duration) -> anyhow::Result<()> {
        self.serve(Until::Rested(self.begun.elapsed() + duration))
    }

    fn begin(&mut self, first: usize) -> anyhow::Result<()> {
        let now = self.begun.elapsed();
        for token in first..self.lanes.len() {
            self.lanes[token].send(self.script, now, true)?;
            self.lanes[token].watch(&self.poll, token)?;
        }
        Ok(())
    }

    fn measure(mut self, arguments: &Arguments) -> anyhow::Result<Measured> {
        self.begin(0)?;
        let begins = self.begun.elapsed() + Duration::from_millis(arguments.warm_up);
        self.serve(Until::Sent(begins))?;
        let (received, time, cpu) =
            (self.received, self.begun.elapsed(), process::cpu_time(arguments.watch)?);
        self.latencies.clear();
        self.serve(Until::Sent(begins + Duration::from_millis(arguments.measure)))?;
        let round_trips = self.received - received;
        let cpu = process::cpu_time(arguments.watch)?.saturating_sub(cpu);
        let seconds = (self.begun.elapsed() - time).as_secs_f64();
        let (p50, p99) = (self.latencies.quantile(0.5), self.latencies.quantile(0.99));
        // What is still on the way must come back too.
        self.serve(Until::Quiet)?;
        ensure!(round_trips > 0, "no message came back while it was measured");
        Ok(Measured {
            round_trips,
            seconds,
            cpu_seconds: cpu.as_secs_f64(),
            p50: p50 as f64 / 1e3,
            p99: p99 as f64 / 1e3,
            verified: self.received,
            wire_size: self.script.size_on_the_wire(),
        })
    }

    fn serve(&mut self, until: Until) -> anyhow::Result<()> {
        let (end, sending) = match until {
            Until::Sent(end) => (end, true),
            Until::Rested(end) => (end, false),
            Until::Quiet => (Duration::MAX, false),
        };
        let mut buffer = vec![0; READ_BUFFER];
        let mut ready: Vec<Ready> = Vec::new();
        let mut moved = self.begun.elapsed();
        loop {
            let now = self.begun.elapsed();
            let is_quiet = !sending && self.lanes.iter().all(Lane::is_quiet);
            if now >= end || (is_quiet && until == Until::Quiet) {
                return Ok(());
            }
            let stalled = if is_quiet { Duration::ZERO } else { now.saturating_sub(moved) };
            ensure!(stalled < STALL, "{} messages never came back", self.on_the_way());
            let most = (STALL - stalled).min(end - now).min(Duration::from_millis(100));
            self.poll.wait(Some(most), &mut ready)?;
            let now = self.begun.elapsed();
            for event in &ready {
                let token = event.token as usize;
                let lane = &mut self.lanes[token];
                let before = lane.received;
                lane.turn(self.script, *event, &mut buffer, now, sending, &mut self.latencies)
                    .with_context(|| format!("on connection {token} after {before} messages"))?;
                lane.watch(&self.poll, token)?;
                self.received += lane.received - before;
                moved = now;
            }
        }
    }

    fn on_the_way(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.sent - lane.received).sum()
    }
}

/// How long the load goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// Sends until this time.
    Sent(Duration),
    /// Sends nothing until this time.
    Rested(Duration),
    /// Sends nothing until everything has come back.
    Quiet,
}

/// One connection with what is on the way.
struct Lane {
    connection: Connection,
    reader: FrameReader,
    window: usize,
    /// Messages given to the socket, at least in part.
    sent: u64,
    received: u64,
    /// What of the script is still to be written.
    writing: std::ops::Range<usize>,
    /// How much of the next message has come back.
    arrived: usize,
    sent_at: VecDeque<Duration>,
    interest: Interest,
    /// Pongs that are owed, and a ping's payload so far.
    control: Vec<u8>,
    ping: Vec<u8>,
}

impl Lane {
    fn new(connection: Connection, window: usize) -> Self {
        Self {
            connection,
            reader: FrameReader::default(),
            window,
            sent: 0,
            received: 0,
            writing: 0..0,
            arrived: 0,
            sent_at: VecDeque::with_capacity(window),
            interest: Interest::Read,
            control: Vec::new(),
            ping: Vec::new(),
        }
    }

    fn is_quiet(&self) -> bool {
        self.sent == self.received && self.writing.is_empty()
    }

    fn turn(
        &mut self,
        script: &Script,
        event: Ready,
        buffer: &mut [u8],
        now: Duration,
        sending: bool,
        latencies: &mut Histogram,
    ) -> anyhow::Result<()> {
        if event.read {
            loop {
                match self.connection.read(buffer) {
                    Ok(0) => bail!("the server ended the connection"),
                    Ok(count) => self.verify(script, &mut buffer[..count], now, latencies)?,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error).context("failed to read"),
                }
                if !self.connection.is_tls() {
                    break;
                }
            }
        }
        self.send(script, now, sending)
    }

    /// Writes what is begun, then fills the window.
    fn send(&mut self, script: &Script, now: Duration, sending: bool) -> anyhow::Result<()> {
        loop {
            if self.writing.is_empty() {
                if !self.control.is_empty() {
                    // Between two frames, and so small that the socket takes it whole.
                    let control = std::mem::take(&mut self.control);
                    let taken = self.connection.write(&control).context("failed to answer a ping")?;
                    ensure!(taken == control.len(), "no room for a pong");
                }
                let room = self.window - (self.sent - self.received) as usize;
                if room == 0 || !sending {
                    return Ok(self.connection.flush()?);
                }
                self.writing = script.frames(self.sent, room);
                self.sent += room as u64;
                self.sent_at.extend(std::iter::repeat_n(now, room));
            }
            match self.connection.write(&script.bytes()[self.writing.clone()]) {
                Ok(count) => self.writing.start += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("failed to write"),
            }
        }
    }

    /// Compares what came back with what was sent.
    fn verify(
        &mut self,
        script: &Script,
        bytes: &mut [u8],
        now: Duration,
        latencies: &mut Histogram,
    ) -> anyhow::Result<()> {
        let Self { reader, received, arrived, sent, sent_at, control, ping, .. } = self;
        reader.read(bytes, |Piece { header, offset, bytes, ends }| {
            ensure!(header.mask.is_none(), "a frame from the server is masked");
            if header.is_control() {
                ensure!(header.opcode != wire::CLOSE, "the server closed");
                ping.extend_from_slice(bytes);
                if ends {
                    let payload = std::mem::take(ping);
                    if header.opcode == wire::PING {
                        let mask = Some([7, 7, 7, 7]);
                        let pong = Header { mask, ..Header::whole(wire::PONG, payload.len()) };
                        wire::frame(pong, &payload, control);
                    }
                }
                return Ok(());
            }
            let first = offset == 0 && *arrived == 0 && header.opcode != wire::CONTINUATION;
            if first {
                ensure!(header.opcode == wire::TEXT, "the kind of a message was changed");
                ensure!(header.rsv1 == script.is_compressed(), "the compression of a message was changed");
            }
            ensure!(*received < *sent, "a message came that nobody sent");
            let expected = script.payload(*received);
            let end = *arrived + bytes.len();
            ensure!(expected.get(*arrived..end) == Some(bytes), "message {} was changed", *received);
            *arrived = end;
            if ends && header.fin {
                ensure!(end == expected.len(), "message {} lost its end", *received);
                *arrived = 0;
                *received += 1;
                let sent = sent_at.pop_front().unwrap_or(now);
                latencies.record(now.saturating_sub(sent).as_nanos() as u64);
            }
            Ok(())
        })
    }

    /// Watches for room to write only while something waits for it.
    fn watch(&mut self, poll: &Poll, token: usize) -> anyhow::Result<()> {
        let wanted = if self.writing.is_empty() && !self.connection.has_unsent() {
            Interest::Read
        } else {
            Interest::Both
        };
        if wanted != self.interest {
            poll.change(&self.connection.stream, token as u64, wanted)?;
            self.interest = wanted;
        }
        Ok(())
    }
}
