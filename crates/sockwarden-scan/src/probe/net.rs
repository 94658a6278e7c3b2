//! The probe over real sockets.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use sockwarden_net::{DialOptions, Stream, dial, dial_late};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, split},
    time::{Instant, sleep, timeout_at},
};

use super::{Budget, Probe};
use crate::{
    check::Halt,
    errand::{self, Reply, Which},
    exchange::{Answer, Connection, Happening},
    talk::{Listen, Opening, Slow, Turn, Until},
    target::Target,
};

/// How long the target may take to read what one turn sends.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait before a connection that failed is tried once more.
const RETRY: Duration = Duration::from_millis(300);
/// How long to look for the reason after the target took no more.
const AFTERMATH: Duration = Duration::from_millis(500);

/// Another address of this machine on its loopback (RFC 6890 §2.2.2).
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// How long an errand may take.
const ERRAND: Duration = Duration::from_secs(10);

/// Talks to the one host and port of its target, and for errands to those that the user named; redirects are never followed,
/// for it knows no other address.
#[derive(Debug)]
pub(crate) struct NetProbe {
    target: Arc<Target>,
    dial: DialOptions,
    budget: Arc<Budget>,
    stream: Option<Stream>,
    begun: Instant,
    /// Which connection that is, counted from 0.
    index: usize,
    /// The connections that are open beside it, by their index, each with when it was begun.
    beside: BTreeMap<usize, (Stream, Instant)>,
    /// How many have been opened.
    opened: usize,
}

impl NetProbe {
    pub(crate) fn new(target: Arc<Target>, dial: DialOptions, budget: Arc<Budget>) -> Self {
        let (begun, beside) = (Instant::now(), BTreeMap::new());
        Self { target, dial, budget, stream: None, begun, index: 0, beside, opened: 0 }
    }

    fn note(&self, connection: &mut Connection, happening: Happening) {
        connection.record(self.begun.elapsed(), happening);
    }

    /// Writes all of `bytes` while reading what comes, so that a target that echoes cannot block us both.
    async fn send(&mut self, bytes: &[u8], connection: &mut Connection) -> Result<(), Halt> {
        if bytes.len() > self.budget.write {
            return Err(Halt::Profile(bytes.len()));
        }
        self.budget.bytes(bytes.len())?;
        let Some(mut stream) = self.stream.take() else { return Ok(()) };
        self.note(connection, Happening::Sent(bytes.to_vec()));
        let deadline = (Instant::now() + WRITE_TIMEOUT).min(self.budget.deadline());
        let outcome = {
            let (mut reader, mut writer) = split(&mut stream);
            let mut pending = bytes;
            let mut chunk = vec![0; 64 * 1024];
            loop {
                if pending.is_empty() {
                    let flushed = timeout_at(deadline, writer.flush()).await;
                    break if matches!(flushed, Ok(Ok(()))) { Written::All } else { Written::Failed };
                }
                let step = timeout_at(deadline, async {
                    tokio::select! {
                        biased;
                        read = reader.read(&mut chunk) => Progress::Read(read),
                        written = writer.write(pending) => Progress::Written(written),
                    }
                });
                match step.await {
                    Err(_) => break Written::Failed,
                    Ok(Progress::Written(Ok(count))) if count > 0 => pending = &pending[count..],
                    Ok(Progress::Written(_)) => break Written::Failed,
                    Ok(Progress::Read(read)) => match self.take_in(read, &chunk, connection)? {
                        Taken::More => {}
                        Taken::End => break Written::Ended,
                    },
                }
            }
        };
        match outcome {
            Written::All => self.stream = Some(stream),
            Written::Ended => {}
            Written::Failed => {
                // The reason for the refusal may have arrived before it.
                self.stream = Some(stream);
                let patience = Listen { until: Until::End, at_most: AFTERMATH };
                self.listen(&patience, connection).await?;
                if self.stream.take().is_some() {
                    self.note(connection, Happening::SendFailed);
                }
            }
        }
        Ok(())
    }

    async fn listen(&mut self, listen: &Listen, connection: &mut Connection) -> Result<(), Halt> {
        let messages = connection.messages().len();
        let satisfied = |connection: &Connection| match &listen.until {
            Until::Quiet(_) => false,
            Until::Pong(payload) => connection.has_pong(payload),
            Until::Reply(payload) => connection.has_pong(payload) || connection.messages().len() > messages,
            Until::Messages(count) => connection.messages().len() >= *count,
            Until::Pongs(count) => connection.pongs().len() >= *count,
            Until::Ping => connection.pinged_at().is_some(),
            Until::End => false,
        };
        let over = |connection: &Connection| connection.end().is_some() || satisfied(connection);
        let quiet = match listen.until {
            Until::Quiet(quiet) => quiet,
            Until::Pong(_)
            | Until::Reply(_)
            | Until::Messages(_)
            | Until::Pongs(_)
            | Until::Ping
            | Until::End => listen.at_most,
        };
        self.read_until(quiet, listen.at_most, over, connection).await
    }

    /// Lays the connection aside, still open.
    fn lay_aside(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.beside.insert(self.index, (stream, self.begun));
        }
    }

    /// Writes the last bytes one by one, evenly over `time`, and stops when the target answers.
    async fn dribble(
        &mut self,
        bytes: &[u8],
        time: Duration,
        connection: &mut Connection,
    ) -> Result<(), Halt> {
        let pause = time / Slow::TAIL;
        let (head, tail) = bytes.split_at(bytes.len().saturating_sub(Slow::TAIL as usize));
        self.send(head, connection).await?;
        for byte in tail {
            let over = |connection: &Connection| {
                *connection.answer() != Answer::None || connection.is_transport_over()
            };
            self.read_until(pause, pause, over, connection).await?;
            if over(connection) {
                return Ok(());
            }
            self.send(&[*byte], connection).await?;
        }
        Ok(())
    }

    /// Reads until `over`, or nothing comes for `quiet`, or for `at_most` in all.
    async fn read_until(
        &mut self,
        quiet: Duration,
        at_most: Duration,
        over: impl Fn(&Connection) -> bool,
        connection: &mut Connection,
    ) -> Result<(), Halt> {
        let latest = Instant::now() + at_most;
        let mut chunk = vec![0; 64 * 1024];
        while !over(connection) {
            let Some(stream) = self.stream.as_mut() else { return Ok(()) };
            let until = latest.min(Instant::now() + quiet);
            let scan_ends = self.budget.deadline();
            match timeout_at(until.min(scan_ends), stream.read(&mut chunk)).await {
                Err(_) if until < scan_ends => {
                    self.note(connection, Happening::Quiet);
                    return Ok(());
                }
                Err(_) => return Err(self.budget.time_is_up()),
                Ok(read) => {
                    if self.take_in(read, &chunk, connection)? == Taken::End {
                        self.stream = None;
                    }
                }
            }
        }
        Ok(())
    }

    fn take_in(
        &self,
        read: std::io::Result<usize>,
        chunk: &[u8],
        connection: &mut Connection,
    ) -> Result<Taken, Halt> {
        match read {
            Ok(0) => self.note(connection, Happening::Closed),
            Ok(count) => {
                self.budget.bytes(count)?;
                self.note(connection, Happening::Received(chunk[..count].to_vec()));
                if connection.received() <= self.budget.read {
                    return Ok(Taken::More);
                }
                self.note(connection, Happening::TooMuch);
            }
            // TLS that ends without saying so ends all the same.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                self.note(connection, Happening::Closed);
            }
            Err(_) => self.note(connection, Happening::Reset),
        }
        Ok(Taken::End)
    }
}

enum Written {
    All,
    Ended,
    Failed,
}

enum Progress {
    Read(std::io::Result<usize>),
    Written(std::io::Result<usize>),
}

#[derive(PartialEq, Eq)]
enum Taken {
    More,
    End,
}

impl Probe for NetProbe {
    async fn open(&mut self, opening: &Opening, connection: &mut Connection) -> Result<(), Halt> {
        if opening.alongside {
            self.lay_aside();
        } else {
            self.stream = None;
            self.beside.clear();
        }
        self.budget.connection().await?;
        self.begun = Instant::now();
        (self.index, self.opened) = (self.opened, self.opened + 1);
        let silent = match opening.slow {
            Slow::Hello(silent) => silent,
            Slow::Not | Slow::Tail(_) => Duration::ZERO,
        };
        let from = opening.elsewhere.then_some(ELSEWHERE);
        let mut dialled = dial_late(from, &self.target.url, &self.dial, silent).await;
        if dialled.is_err() && self.budget.was_reached() && !opening.tries_patience() {
            // It was there a moment ago.
            sleep(RETRY).await;
            self.budget.connection().await?;
            dialled = dial_late(from, &self.target.url, &self.dial, silent).await;
        }
        match dialled {
            Err(error) => {
                self.note(connection, Happening::NotDialled(error.to_string()));
                if opening.tries_patience() {
                    return Ok(());
                }
                return Err(Halt::Unreachable(error.to_string()));
            }
            Ok(stream) => self.stream = Some(stream),
        }
        self.budget.reached();
        self.note(connection, Happening::Dialled);
        match opening.slow {
            Slow::Tail(time) => self.dribble(&opening.bytes, time, connection).await?,
            Slow::Not | Slow::Hello(_) => self.send(&opening.bytes, connection).await?,
        }
        let answered = |connection: &Connection| *connection.answer() != Answer::None;
        self.read_until(opening.patience, opening.patience, answered, connection).await
    }

    async fn errand(&mut self, which: Which, index: usize) -> Result<Reply, Halt> {
        let Some(errand) = which.of(&self.target) else { return Ok(Reply::default()) };
        self.budget.connection().await?;
        let (here, there) = (&self.target.url, &errand.url);
        let is_here = (here.tls, &here.host, here.port) == (there.tls, &there.host, there.port);
        let options =
            DialOptions { connect_to: self.dial.connect_to.filter(|_| is_here), ..self.dial.clone() };
        let dialled = dial(&errand.url, &options).await;
        let mut stream = dialled.map_err(|error| Halt::Unreachable(error.to_string()))?;
        let request = errand.request(&self.target, index);
        self.budget.bytes(request.len())?;
        let deadline = (Instant::now() + ERRAND).min(self.budget.deadline());
        let mut answer = Vec::new();
        let mut chunk = vec![0; 16 * 1024];
        if !matches!(timeout_at(deadline, stream.write_all(&request)).await, Ok(Ok(()))) {
            return Ok(Reply::default());
        }
        loop {
            let count = match timeout_at(deadline, stream.read(&mut chunk)).await {
                Ok(Ok(count)) => count,
                Ok(Err(_)) | Err(_) => 0,
            };
            self.budget.bytes(count)?;
            answer.extend_from_slice(&chunk[..count]);
            let is_over = count == 0 || answer.len() > errand::MOST;
            if let Some(reply) = Reply::read(&answer, &errand.method, is_over) {
                return Ok(reply);
            }
        }
    }

    fn take_up(&mut self, index: usize) {
        if index != self.index {
            self.lay_aside();
            self.index = index;
            if let Some((stream, begun)) = self.beside.remove(&index) {
                (self.stream, self.begun) = (Some(stream), begun);
            }
        }
    }

    async fn turn(&mut self, turn: &Turn, connection: &mut Connection) -> Result<(), Halt> {
        match turn {
            Turn::Send(bytes) => self.send(bytes, connection).await,
            Turn::Listen(listen) => self.listen(listen, connection).await,
        }
    }
}
