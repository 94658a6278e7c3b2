//! A client on independent libraries, honest or not as the test wants.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use sockwarden_lab::seed::SeedAccount;
use sockwarden_lab::{Lab, SESSION_COOKIE};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::Error as WsError;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

const PATIENCE: Duration = Duration::from_secs(30);

/// Which port to use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Link {
    Plain,
    Tls,
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Connects to a port of the lab; the TLS port must show a certificate that the lab's own authority signed.
pub(crate) async fn dial(lab: &Lab, link: Link) -> Box<dyn Stream> {
    match link {
        Link::Plain => Box::new(TcpStream::connect(lab.http_addr().expect("a plain port")).await.unwrap()),
        Link::Tls => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(lab.certificate_pem().as_bytes()).unwrap()).unwrap();
            let config =
                ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                    .with_safe_default_protocol_versions()
                    .unwrap()
                    .with_root_certificates(roots)
                    .with_no_client_auth();
            let stream = TcpStream::connect(lab.tls_addr().unwrap()).await.unwrap();
            let name = ServerName::try_from("127.0.0.1").unwrap();
            Box::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap())
        }
    }
}

/// The authority of the lab's URL on that port.
pub(crate) fn host(lab: &Lab, link: Link) -> String {
    match link {
        Link::Plain => lab.http_addr(),
        Link::Tls => lab.tls_addr(),
    }
    .unwrap()
    .to_string()
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The session cookie as a `Cookie` header carries it.
    pub(crate) fn cookie(&self) -> String {
        self.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    }
}

/// Sends one HTTP request and reads the answer to its end.
pub(crate) async fn http(
    lab: &Lab,
    link: Link,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
        host(lab, link),
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.push_str(body);
    let mut stream = dial(lab, link).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

pub(crate) async fn get(lab: &Lab, link: Link, path: &str, headers: &[(&str, &str)]) -> Answer {
    http(lab, link, "GET", path, headers, "").await
}

/// Logs in over HTTP.
pub(crate) async fn log_in(lab: &Lab, link: Link, account: SeedAccount) -> Answer {
    let body = serde_json::json!({"user": account.user, "password": account.password}).to_string();
    let answer = http(lab, link, "POST", "/login", &[], &body).await;
    assert_eq!(answer.status, 200);
    assert!(answer.cookie().starts_with(SESSION_COOKIE));
    answer
}

/// A WebSocket to the lab.
#[derive(Debug)]
pub(crate) struct Client {
    socket: WebSocketStream<Box<dyn Stream>>,
}

impl std::fmt::Debug for dyn Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream")
    }
}

impl Client {
    /// Opens the socket with extra headers in the handshake; the error is the status, or 0 when there was no
    /// answer.
    pub(crate) async fn open(lab: &Lab, link: Link, headers: &[(&str, &str)]) -> Result<Self, u16> {
        Self::open_at(lab, link, "/ws", headers).await
    }

    /// The same at another path or with a query.
    pub(crate) async fn open_at(
        lab: &Lab,
        link: Link,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, u16> {
        let mut request = format!("ws://{}{path}", host(lab, link)).into_client_request().unwrap();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        match timeout(PATIENCE, client_async(request, dial(lab, link).await)).await.unwrap() {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(WsError::Http(answer)) => Err(answer.status().as_u16()),
            Err(_) => Err(0),
        }
    }

    /// Logs in over HTTP, opens the socket with the session, and takes the greeting.
    pub(crate) async fn logged_in(lab: &Lab, link: Link, account: SeedAccount) -> Self {
        let cookie = log_in(lab, link, account).await.cookie();
        let mut client = Self::open(lab, link, &[("Cookie", &cookie)]).await.unwrap();
        assert_eq!(client.next().await["user"], account.user);
        client
    }

    /// Opens the socket without a session, and takes the greeting.
    pub(crate) async fn guest(lab: &Lab, link: Link) -> Self {
        let mut client = Self::open(lab, link, &[]).await.unwrap();
        assert_eq!(client.next().await["user"], Value::Null);
        client
    }

    /// Sends a message; false when the connection is gone.
    pub(crate) async fn say(&mut self, text: &str) -> bool {
        timeout(PATIENCE, self.socket.send(Message::text(text))).await.unwrap().is_ok()
    }

    pub(crate) async fn say_binary(&mut self, bytes: &'static [u8]) {
        self.socket.send(Message::Binary(Bytes::from_static(bytes))).await.unwrap();
    }

    /// Sends a frame as it is, without waiting for anything.
    pub(crate) async fn send_raw(&mut self, message: Message) -> bool {
        timeout(PATIENCE, self.socket.send(message)).await.unwrap().is_ok()
    }

    /// Sends a ping or a close frame and returns what the other side answers to it.
    pub(crate) async fn exchange(&mut self, control: Message) -> Option<Message> {
        self.socket.send(control).await.unwrap();
        timeout(PATIENCE, self.socket.next()).await.unwrap().and_then(Result::ok)
    }

    /// Sends a request and returns the next message.
    pub(crate) async fn ask(&mut self, text: &str) -> Value {
        assert!(self.say(text).await);
        self.next().await
    }

    /// Returns the next text message.
    pub(crate) async fn next(&mut self) -> Value {
        self.next_or_close().await.expect("a message, not the end")
    }

    /// Returns the next text message, or the code that the socket was closed with (`None` without one).
    pub(crate) async fn next_or_close(&mut self) -> Result<Value, Option<u16>> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("something in time") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// Reads on until the socket is closed, and returns the code.
    pub(crate) async fn close_code(&mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.next_or_close().await {
                return code;
            }
        }
    }
}
