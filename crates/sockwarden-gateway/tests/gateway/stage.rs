//! An application, a gateway in front of it, and a client.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use sockwarden_gateway::{
    Auth, Built, DrainConfig, Gateway, LimitsConfig, ListenerConfig, RouteConfig, build,
};
use sockwarden_model::{Control, Decision, Event, EventReceiver, Traffic, VerdictEvent, event_channel};
use sockwarden_net::{Client, ClientError, ClientTls, DevCertificate, DialOptions, ServerTls, Stream};
use sockwarden_proto::{Limits, WsUrl, handshake::ClientHandshake};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::tungstenite::{
    Message,
    handshake::server::{Request, Response},
    protocol::WebSocketConfig,
};

/// Nothing here takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for `future`, or fails the test.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("nothing here takes this long")
}

/// What an application saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Headers(Vec<(String, String)>),
    Text(String),
    Binary(usize),
    Close(Option<(u16, String)>),
    Vanished,
}

/// An echo server on tungstenite that tells what it saw. It greets with `hello`, and closes with 4000 when asked to by `bye`.
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    pub(crate) async fn start_tls(certificate: &DevCertificate) -> Self {
        Self::start_with(Some(certificate)).await
    }

    async fn start_with(certificate: Option<&DevCertificate>) -> Self {
        let tls = certificate
            .map(|c| ServerTls::from_pem(c.certificate.as_bytes(), c.key.as_bytes()).unwrap().acceptor());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (record, tls) = (Arc::clone(&record), tls.clone());
                tokio::spawn(async move {
                    let stream = match tls {
                        None => Stream::Plain(tcp),
                        Some(tls) => match tls.accept(tcp).await {
                            Ok(stream) => Stream::Server(Box::new(stream)),
                            Err(_) => return,
                        },
                    };
                    echo(stream, &record).await;
                });
            }
        });
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until the application has seen something that `wanted` picks.
    pub(crate) async fn wait_for<T>(&self, wanted: impl Fn(&Seen) -> Option<T>) -> T {
        soon(async {
            loop {
                if let Some(found) = self.seen().iter().find_map(&wanted) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }

    pub(crate) async fn close_seen(&self) -> Option<(u16, String)> {
        self.wait_for(|seen| match seen {
            Seen::Close(close) => Some(close.clone()),
            Seen::Headers(_) | Seen::Text(_) | Seen::Binary(_) | Seen::Vanished => None,
        })
        .await
    }
}

#[expect(clippy::result_large_err, reason = "the library's own signature")]
pub(crate) async fn echo(stream: Stream, record: &Mutex<Vec<Seen>>) {
    let note = |seen| record.lock().unwrap().push(seen);
    let callback = |request: &Request, mut response: Response| {
        let headers = request.headers();
        note(Seen::Headers(
            headers
                .iter()
                .map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into()))
                .collect(),
        ));
        if let Some(first) =
            headers.get("sec-websocket-protocol").and_then(|v| v.to_str().ok()?.split(", ").last())
        {
            response.headers_mut().insert("sec-websocket-protocol", first.parse().unwrap());
        }
        response.headers_mut().insert("set-cookie", "app=1".parse().unwrap());
        Ok(response)
    };
    let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    let Ok(mut socket) =
        tokio_tungstenite::accept_hdr_async_with_config(stream, callback, Some(config)).await
    else {
        return;
    };
    let _ = socket.send(Message::text("hello")).await;
    while let Some(Ok(message)) = socket.next().await {
        match &message {
            Message::Text(text) if text.as_str() == "bye" => {
                let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame {
                    code: 4000.into(),
                    reason: "as you wish".into(),
                };
                let _ = socket.close(Some(frame)).await;
                continue;
            }
            Message::Text(text) if text.as_str() == "crash" => return,
            Message::Text(text) => note(Seen::Text(text.to_string())),
            Message::Binary(bytes) => note(Seen::Binary(bytes.len())),
            Message::Close(frame) => {
                note(Seen::Close(frame.as_ref().map(|f| (f.code.into(), f.reason.to_string()))));
                continue;
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        }
        if socket.send(message).await.is_err() {
            break;
        }
    }
    note(Seen::Vanished);
}

/// A gateway with its events.
pub(crate) struct Stage {
    gateway: Gateway,
    pub(crate) address: SocketAddr,
    events: EventReceiver,
    authority: Option<String>,
}

/// The route of every path to `app`, without authentication.
pub(crate) fn route_to(app: SocketAddr) -> RouteConfig {
    RouteConfig::new("app", &format!("ws://{app}"), Auth::NONE)
}

impl Stage {
    pub(crate) async fn plain(route: RouteConfig) -> Self {
        Self::start(route, false, LimitsConfig::default()).await
    }

    pub(crate) async fn tls(route: RouteConfig) -> Self {
        Self::start(route, true, LimitsConfig::default()).await
    }

    pub(crate) async fn start(route: RouteConfig, tls_dev: bool, limits: LimitsConfig) -> Self {
        Self::listening(ListenerConfig { tls_dev, ..ListenerConfig::new("127.0.0.1:0") }, route, limits).await
    }

    pub(crate) async fn listening(
        listener: ListenerConfig,
        route: RouteConfig,
        limits: LimitsConfig,
    ) -> Self {
        Self::routing(listener, &[route], limits).await
    }

    pub(crate) async fn routing(
        listener: ListenerConfig,
        routes: &[RouteConfig],
        limits: LimitsConfig,
    ) -> Self {
        Self::run(build(&[listener], routes, &limits).unwrap()).await
    }

    /// Starts a replica that shares what `state` says.
    pub(crate) async fn sharing(
        listener: ListenerConfig,
        route: RouteConfig,
        state: sockwarden_state::Settings,
    ) -> Self {
        Self::run(build(&[listener], &[route], &LimitsConfig::default()).unwrap().with_state(state)).await
    }

    async fn run(built: Built) -> Self {
        let authority = built.dev_authority.clone();
        let (sender, events) = event_channel(1000);
        let gateway = Gateway::start(built, sender).await.unwrap();
        let address = gateway.listening()[0].address;
        Self { gateway, address, events, authority }
    }

    /// Gives what the gateway is operated by.
    pub(crate) fn control(&self) -> Arc<dyn Control> {
        self.gateway.control()
    }

    /// Connects as an ordinary client does.
    pub(crate) async fn connect(
        &self,
        path: &str,
        prepare: impl FnOnce(&mut ClientHandshake),
    ) -> Result<Client, ClientError> {
        let (scheme, tls) = match &self.authority {
            Some(pem) => ("wss", ClientTls::with_roots(pem.as_bytes()).unwrap()),
            None => ("ws", ClientTls::insecure().unwrap()),
        };
        let url: WsUrl = format!("{scheme}://{}{path}", self.address).parse().unwrap();
        let options = DialOptions { tls, timeout: PATIENCE, connect_to: None };
        let limits = Limits { frame: 1 << 26, message: 1 << 26 };
        soon(Client::connect(&url, &options, limits, prepare)).await
    }

    /// Connects over TLS as a client that shows a certificate.
    pub(crate) async fn connect_showing(&self, own: &DevCertificate) -> Result<Client, ClientError> {
        let roots = ClientTls::with_roots(self.authority.as_deref().unwrap_or_default().as_bytes()).unwrap();
        let tls = roots.with_certificate(own.certificate.as_bytes(), own.key.as_bytes()).unwrap();
        let url: WsUrl = format!("wss://{}/", self.address).parse().unwrap();
        let options = DialOptions { tls, timeout: PATIENCE, connect_to: None };
        let limits = Limits { frame: 1 << 26, message: 1 << 26 };
        soon(Client::connect(&url, &options, limits, |_| ())).await
    }

    /// Connects, greeted by the application.
    pub(crate) async fn greeted(&self) -> Client {
        let mut client = self.connect("/", |_| ()).await.unwrap();
        assert_eq!(text(&mut client).await, "hello");
        client
    }

    /// Opens a TCP connection, sends bytes, and gives what comes back until the other side ends it or falls silent.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut tcp = TcpStream::connect(self.address).await.unwrap();
        tcp.write_all(bytes).await.unwrap();
        read_out(&mut tcp).await
    }

    /// Stops the gateway and gives the events that were left.
    pub(crate) async fn stop(self) -> Vec<Event> {
        soon(self.gateway.stop()).await;
        self.events.try_iter().collect()
    }

    /// Ends the gateway in order.
    pub(crate) async fn drain(self, config: DrainConfig) {
        self.gateway.drain(&config).await;
    }

    /// Gives every event so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }

    /// Waits for the next verdict that is more than a note.
    pub(crate) async fn verdict(&self) -> VerdictEvent {
        soon(async {
            loop {
                for event in self.events.try_iter() {
                    match event {
                        Event::Verdict(verdict) if verdict.decision != Decision::Note => return verdict,
                        Event::Verdict(_)
                        | Event::Open(_)
                        | Event::Close(_)
                        | Event::Notice(_)
                        | Event::Request(_)
                        | Event::Audit(_) => {}
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }
}

/// Reads until the end or half a second of silence.
pub(crate) async fn read_out(tcp: &mut TcpStream) -> Vec<u8> {
    let mut out = Vec::new();
    while let Ok(Ok(n)) = tokio::time::timeout(Duration::from_millis(500), tcp.read_buf(&mut out)).await {
        if n == 0 {
            break;
        }
    }
    out
}

/// Waits for a text message.
pub(crate) async fn text(client: &mut Client) -> String {
    match soon(client.next()).await.unwrap() {
        sockwarden_net::Incoming::Message(_, bytes) => String::from_utf8(bytes).unwrap(),
        other @ (sockwarden_net::Incoming::Close(..) | sockwarden_net::Incoming::Violation(_)) => {
            panic!("not a message: {other:?}")
        }
    }
}

/// Waits for the close frame and gives its code and reason.
pub(crate) async fn closed(client: &mut Client) -> (u16, String) {
    loop {
        match soon(client.next()).await.unwrap() {
            sockwarden_net::Incoming::Message(..) => {}
            sockwarden_net::Incoming::Close(code, reason) => return (code.map_or(1005, |c| c.0), reason),
            sockwarden_net::Incoming::Violation(violation) => panic!("{violation}"),
        }
    }
}

/// Traffic that every defence has seen.
pub(crate) const fn inspected(messages: u64, bytes: u64) -> Traffic {
    Traffic { messages, bytes, inspected_messages: messages, inspected_bytes: bytes }
}

/// The lines of a good handshake.
pub(crate) const GOOD: &str = "GET / HTTP/1.1\r\nHost: app.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// The status of an HTTP answer; 0 where there is none.
pub(crate) fn status(answer: &[u8]) -> u16 {
    std::str::from_utf8(answer.get(9..12).unwrap_or_default()).ok().and_then(|s| s.parse().ok()).unwrap_or(0)
}
