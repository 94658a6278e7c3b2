//! An attacker on the path: a TCP relay that listens in and alters what it can.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sockwarden_net::{ClientTls, DialOptions, ServerTls, Stream, dial};
use sockwarden_proto::WsUrl;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use super::interceptor::Interceptor;

/// How many connections one relay carries in its life.
const CONNECTIONS: usize = 64;
/// How long one connection lasts at most.
const LIFETIME: Duration = Duration::from_secs(60);

/// What a relay does.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Where it sends on.
    pub(crate) onward: WsUrl,
    /// The certificate with which it poses as the server; without one it passes TLS through as it comes.
    pub(crate) pose: Option<ServerTls>,
    /// A line that it slips into handshakes that it can read.
    pub(crate) line: Option<String>,
    /// What it rewrites in messages that it can read.
    pub(crate) rewrites: Vec<(String, String)>,
}

impl Plan {
    /// Passes everything on to `onward`, unless told otherwise.
    pub(crate) const fn new(onward: WsUrl) -> Self {
        Self { onward, pose: None, line: None, rewrites: Vec::new() }
    }
}

/// A running relay; dropping it ends its connections.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    plan: Plan,
    heard: Mutex<Vec<u8>>,
    /// Set by the attacker; taken by the next bytes that go back to the client.
    flip: AtomicBool,
    has_flipped: AtomicBool,
}

impl Relay {
    /// Listens on a free port of the loopback.
    pub(crate) async fn start(plan: Plan) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            plan,
            heard: Mutex::default(),
            flip: AtomicBool::new(false),
            has_flipped: AtomicBool::new(false),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// Gives the address by which a victim comes to the relay instead of to `url`.
    pub(crate) fn instead_of(&self, url: &WsUrl) -> WsUrl {
        WsUrl { host: self.address.ip().to_string(), port: self.address.port(), ..url.clone() }
    }

    /// Tells whether it has read a text.
    pub(crate) fn has_read(&self, text: &str) -> bool {
        self.heard().windows(text.len().max(1)).any(|window| window == text.as_bytes())
    }

    /// Tells how much it has seen, read or not; it remembers only so much.
    pub(crate) fn seen(&self) -> usize {
        self.heard().len()
    }

    /// Changes one bit of what next goes back to the client.
    pub(crate) fn flip_next_answer(&self) {
        self.shared.flip.store(true, Ordering::SeqCst);
    }

    /// Tells whether a bit was changed.
    pub(crate) fn has_flipped(&self) -> bool {
        self.shared.has_flipped.load(Ordering::SeqCst)
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropping the set with the task ends the connections.
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let Ok((tcp, _)) = listener.accept().await else { break };
        let carried = timeout(LIFETIME, carry(tcp, Arc::clone(&shared)));
        connections.spawn(async move {
            // A connection that ends early is the victim's luck.
            let _ = carried.await;
        });
    }
    while connections.join_next().await.is_some() {}
}

async fn carry(tcp: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    // Only delays small messages when it fails.
    let _ = tcp.set_nodelay(true);
    let plan = &shared.plan;
    let client = match &plan.pose {
        Some(pose) => Stream::Server(Box::new(pose.acceptor().accept(tcp).await?)),
        None => Stream::Plain(tcp),
    };
    // Who passes TLS through does not speak it.
    let onward = WsUrl { tls: plan.onward.tls && plan.pose.is_some(), ..plan.onward.clone() };
    let tls = ClientTls::insecure().map_err(io::Error::other)?;
    let options = DialOptions { tls, timeout: Duration::from_secs(5), connect_to: None };
    let server = dial(&onward, &options).await.map_err(io::Error::other)?;
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    let there = Interceptor::new(plan.line.clone(), plan.rewrites.clone());
    let back = Interceptor::new(None, plan.rewrites.clone());
    // Where one direction breaks, the connection is over; where it ends, the other may go on.
    tokio::try_join!(
        copy(from_client, to_server, there, &shared, false),
        copy(from_server, to_client, back, &shared, true),
    )?;
    Ok(())
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut interceptor: Interceptor,
    shared: &Shared,
    is_answer: bool,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            to.write_all(&interceptor.end()).await?;
            return to.shutdown().await;
        }
        let mut passed = {
            let mut heard = shared.heard.lock().unwrap_or_else(PoisonError::into_inner);
            interceptor.pass(&buffer[..length], &mut heard)
        };
        if is_answer
            && let Some(last) = passed.last_mut()
            && shared.flip.swap(false, Ordering::SeqCst)
        {
            *last ^= 1;
            shared.has_flipped.store(true, Ordering::SeqCst);
        }
        to.write_all(&passed).await?;
        to.flush().await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_passes_is_read_and_altered_and_a_bit_can_be_flipped() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: WsUrl = format!("ws://{}", server.local_addr().unwrap()).parse().unwrap();
        let rewrites = vec![("two".to_owned(), "six".to_owned())];
        let relay = Relay::start(Plan { rewrites, ..Plan::new(url.clone()) }).await.unwrap();
        let (mut client, (mut served, _)) =
            tokio::try_join!(TcpStream::connect(relay.address), server.accept()).unwrap();
        let mut buffer = [0; 64];
        let head = b"GET / HTTP/1.1\r\n\r\n";
        client.write_all(head).await.unwrap();
        served.read_exact(&mut buffer[..head.len()]).await.unwrap();
        client.write_all(b"\x81\x08two tugs").await.unwrap();
        served.read_exact(&mut buffer[..10]).await.unwrap();
        assert_eq!(&buffer[..10], b"\x81\x08six tugs");
        assert!(relay.has_read("two tugs") && !relay.has_read("six") && relay.seen() > 0);

        let answer = b"HTTP/1.1 101 \r\n\r\n";
        served.write_all(answer).await.unwrap();
        client.read_exact(&mut buffer[..answer.len()]).await.unwrap();
        assert!(!relay.has_flipped());
        relay.flip_next_answer();
        served.write_all(b"\x81\x02ok").await.unwrap();
        client.read_exact(&mut buffer[..4]).await.unwrap();
        assert_eq!(&buffer[..4], b"\x81\x02oj");
        assert!(relay.has_flipped());
        assert_eq!(relay.instead_of(&url).port, relay.address.port());
    }
}
