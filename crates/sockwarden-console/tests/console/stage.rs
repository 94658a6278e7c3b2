//! An application, a gateway in front of it, and its admin listener.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use sockwarden_config::HumanDuration;
use sockwarden_console::{AdminConfig, Console, Feed, Tls, Wiring, build, write_new_token};
use sockwarden_gateway::{Auth, DrainConfig, Gateway, LimitsConfig, ListenerConfig, RouteConfig};
use sockwarden_model::{
    Action, Answer, AuditEvent, Control, Draining, Event, Operations, OrderError, Reloaded, Requester, Role,
    event_channel,
};
use sockwarden_net::{Client, ClientError, ClientTls, DevCertificate, DialOptions, Incoming, ServerTls};
use sockwarden_proto::{Limits, handshake::ClientHandshake};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::tungstenite::{Message, protocol::WebSocketConfig};

/// Nothing here takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("nothing here takes this long")
}

pub(crate) struct Stage {
    gateway: Option<Gateway>,
    pub(crate) gate: SocketAddr,
    console: Console,
    pub(crate) admin: SocketAddr,
    pub(crate) operator: String,
    pub(crate) viewer: String,
    pub(crate) issuer: String,
    pub(crate) log: Arc<Mutex<Vec<Event>>>,
    feed: Feed,
    pub(crate) runner: Arc<Runner>,
}

/// Whoever runs the gateway: gives the answers that it was told to, and remembers by whom it was asked.
#[derive(Default)]
pub(crate) struct Runner {
    pub(crate) reloads: Mutex<Vec<Result<Reloaded, OrderError>>>,
    pub(crate) drains: Mutex<Vec<Result<Draining, OrderError>>>,
    pub(crate) asked: Mutex<Vec<Requester>>,
}

impl Operations for Runner {
    fn reload(&self, by: &Requester, answer: Answer<Result<Reloaded, OrderError>>) {
        self.asked.lock().unwrap().push(by.clone());
        if let Some(prepared) = self.reloads.lock().unwrap().pop() {
            answer(prepared);
        }
    }

    fn drain(&self, by: &Requester, answer: Answer<Result<Draining, OrderError>>) {
        self.asked.lock().unwrap().push(by.clone());
        if let Some(prepared) = self.drains.lock().unwrap().pop() {
            answer(prepared);
        }
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        Self::start_with(None, false).await
    }

    /// With a route `chat` below `/chat` that takes tickets, two for each user.
    pub(crate) async fn start_with_tickets() -> Self {
        Self::start_with(None, true).await
    }

    /// With an admin listener over TLS.
    pub(crate) async fn start_tls(certificate: &DevCertificate) -> Self {
        Self::start_with(Some(certificate), false).await
    }

    async fn start_with(certificate: Option<&DevCertificate>, takes_tickets: bool) -> Self {
        let app = echo().await;
        let upstream = format!("ws://{app}/?canary-upstream-query");
        let mut routes = vec![RouteConfig::new("app", &upstream, Auth::NONE)];
        if takes_tickets {
            let chat = serde_json::json!({
                "name": "chat", "path": "/chat", "upstream": upstream, "auth": "ticket", "ticket": { "outstanding": 2 },
            });
            routes.push(serde_json::from_value(chat).unwrap());
        }
        let listeners = [ListenerConfig::new("127.0.0.1:0")];
        let built = sockwarden_gateway::build(&listeners, &routes, &LimitsConfig::default()).unwrap();
        let (sender, receiver) = event_channel(10_000);
        let gateway = Gateway::start(built, sender.clone()).await.unwrap();
        let gate = gateway.listening()[0].address;

        let folder = tempfile::tempdir().unwrap();
        let [operator, viewer, issuer] =
            ["operator", "viewer", "issuer"].map(|name| folder.path().join(name));
        write_new_token(&operator, [1; 32]).unwrap();
        write_new_token(&viewer, [2; 32]).unwrap();
        write_new_token(&issuer, [4; 32]).unwrap();
        let read = |path| std::fs::read_to_string(path).unwrap().trim().to_owned();
        let named = certificate.map(|_| "it is given below".into());
        let config = AdminConfig {
            viewer_token_file: Some(viewer.clone()),
            issuer_token_file: Some(issuer.clone()),
            certificate: named.clone(),
            key: named,
            ..AdminConfig::new("127.0.0.1:0", &operator)
        };
        let tls = certificate.map(|c| {
            let tls = ServerTls::from_pem(c.certificate.as_bytes(), c.key.as_bytes()).unwrap();
            Tls { acceptor: tls.acceptor(), authorities: Arc::default() }
        });
        let (feed, log) = (Feed::new(), Arc::new(Mutex::new(Vec::new())));
        let runner = Arc::new(Runner::default());
        let wiring = Wiring {
            control: gateway.control(),
            operations: Arc::clone(&runner) as Arc<dyn Operations>,
            events: sender,
            feed: feed.clone(),
        };
        let console = Console::start(build(&config).unwrap(), tls, wiring).await.unwrap();
        let (record, published) = (Arc::clone(&log), feed.clone());
        // It ends with the last sender: those of the gateway and of the console.
        std::thread::spawn(move || {
            for event in receiver {
                published.publish(&event);
                record.lock().unwrap().push(event);
            }
        });
        let admin = console.address();
        Self {
            gateway: Some(gateway),
            gate,
            console,
            admin,
            operator: read(&operator),
            viewer: read(&viewer),
            issuer: read(&issuer),
            log,
            feed,
            runner,
        }
    }

    pub(crate) async fn stop(self) {
        self.console.stop().await;
        if let Some(gateway) = self.gateway {
            gateway.stop().await;
        }
    }

    /// Gives the listener another token for operators, this one for viewers, and none for issuers.
    pub(crate) fn renew(&self, viewer: [u8; 32]) {
        let folder = tempfile::tempdir().unwrap();
        let (operator_file, viewer_file) = (folder.path().join("operator"), folder.path().join("viewer"));
        write_new_token(&operator_file, [3; 32]).unwrap();
        write_new_token(&viewer_file, viewer).unwrap();
        let config = AdminConfig {
            viewer_token_file: Some(viewer_file),
            ..AdminConfig::new("127.0.0.1:0", &operator_file)
        };
        self.console.renew(build(&config).unwrap(), None).unwrap();
    }

    /// Tells the gateway to end, some time after readiness has been withdrawn.
    pub(crate) fn drain(&mut self) {
        let gateway = self.gateway.take().unwrap();
        let config = DrainConfig { delay: HumanDuration::from_secs(60), ..DrainConfig::default() };
        tokio::spawn(async move { gateway.drain(&config).await });
    }

    pub(crate) fn control(&self) -> Arc<dyn Control> {
        self.gateway.as_ref().unwrap().control()
    }

    /// Publishes events as fast as it can.
    pub(crate) fn flood(&self, count: u64) {
        for at_ms in 0..count {
            let action = Action::Refused { request: "GET /".to_owned(), reason: "flood".to_owned() };
            let by = Requester { role: Role::Nobody, from: None, name: None };
            self.feed.publish(&Event::Audit(AuditEvent { at_ms, by, action }));
        }
    }

    /// Asks with a token.
    pub(crate) async fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> Reply {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n{kind}\
             Content-Length: {}\r\n\r\n{body}",
            self.admin,
            body.len()
        );
        self.raw(&request).await
    }

    /// Sends bytes and reads to the end.
    pub(crate) async fn raw(&self, request: &str) -> Reply {
        let mut tcp = TcpStream::connect(self.admin).await.unwrap();
        // The listener may answer and close before it has read all.
        let _ = tcp.write_all(request.as_bytes()).await;
        let mut bytes = Vec::new();
        let _ = soon(tcp.read_to_end(&mut bytes)).await;
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
        Reply { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Opens a WebSocket through the gateway.
    pub(crate) async fn connect(&self, prepare: impl FnOnce(&mut ClientHandshake)) -> Client {
        self.open("/?canary-query=canary-ticket", prepare).await.unwrap()
    }

    /// Opens one on the route that takes tickets; gives the status where it is refused.
    pub(crate) async fn enter(&self, ticket: &str) -> Result<Client, u16> {
        let offered = vec![format!("sockwarden.ticket.{ticket}"), "sockwarden.v1".to_owned()];
        let opened = self.open("/chat", |handshake| handshake.protocols = offered).await;
        opened.map_err(|error| match error {
            ClientError::Refused { status, .. } => status,
            other @ (ClientError::Dial(_)
            | ClientError::Head(_)
            | ClientError::Handshake(_)
            | ClientError::Io(_)) => panic!("{other}"),
        })
    }

    async fn open(
        &self,
        target: &str,
        prepare: impl FnOnce(&mut ClientHandshake),
    ) -> Result<Client, ClientError> {
        let url = format!("ws://{}{target}", self.gate).parse().unwrap();
        let options =
            DialOptions { tls: ClientTls::insecure().unwrap(), timeout: PATIENCE, connect_to: None };
        let limits = Limits { frame: 1 << 26, message: 1 << 26 };
        soon(Client::connect(&url, &options, limits, prepare)).await
    }

    /// Waits until the log holds an audit event that `wanted` picks.
    pub(crate) async fn audited<T>(&self, wanted: impl Fn(Role, &Action) -> Option<T>) -> T {
        soon(async {
            loop {
                let found = self.log.lock().unwrap().iter().find_map(|event| match event {
                    Event::Audit(audit) => wanted(audit.by.role, &audit.action),
                    Event::Open(_)
                    | Event::Close(_)
                    | Event::Verdict(_)
                    | Event::Notice(_)
                    | Event::Request(_) => None,
                });
                if let Some(found) = found {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }
}

/// Waits for a text message.
pub(crate) async fn text(client: &mut Client) -> String {
    match soon(client.next()).await.unwrap() {
        Incoming::Message(_, bytes) => String::from_utf8(bytes).unwrap(),
        other @ (Incoming::Close(..) | Incoming::Violation(_)) => panic!("not a message: {other:?}"),
    }
}

/// Waits for the close frame and gives its code and reason.
pub(crate) async fn closed(client: &mut Client) -> (u16, String) {
    loop {
        match soon(client.next()).await.unwrap() {
            Incoming::Message(..) => {}
            Incoming::Close(code, reason) => return (code.map_or(1005, |c| c.0), reason),
            Incoming::Violation(violation) => panic!("{violation}"),
        }
    }
}

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
                let Ok(mut socket) = tokio_tungstenite::accept_async_with_config(tcp, Some(config)).await
                else {
                    return;
                };
                while let Some(Ok(message)) = socket.next().await {
                    if !message.is_close() && !matches!(message, Message::Ping(_) | Message::Pong(_)) {
                        let _ = socket.send(message).await;
                    }
                }
            });
        }
    });
    address
}
