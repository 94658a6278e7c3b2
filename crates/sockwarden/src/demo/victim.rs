//! Harbor's users, honest or not: they log in, open the socket, ask, and note how they are turned away.

use std::{io, time::Duration};

use anyhow::Context as _;
use serde_json::Value;
use sockwarden_lab::{SESSION_COOKIE, seed::SeedAccount};
use sockwarden_model::{EventId, printable};
use sockwarden_net::{
    CertificateProblem, Client, ClientError, ClientTls, DialError, DialOptions, Incoming, dial,
};
use sockwarden_proto::{
    Limits, WsUrl,
    handshake::{HeadLimits, ResponseHead},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::Outcome;

/// How long anybody waits for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many messages are read for one answer; chat and status of others come in between.
const MESSAGES: usize = 256;

/// An address and whose certificates are trusted there.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) url: WsUrl,
    pub(crate) tls: ClientTls,
}

impl Endpoint {
    fn options(&self) -> DialOptions {
        DialOptions { tls: self.tls.clone(), timeout: PATIENCE, connect_to: None }
    }
}

/// A session cookie as Harbor sets it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The value of a Cookie header.
    pub(crate) cookie: String,
    /// Whether a browser sends it along for a page of another site: `SameSite=None` and `Secure`.
    pub(crate) is_sent_cross_site: bool,
}

/// Logs in over HTTP.
pub(crate) async fn log_in(at: &Endpoint, account: SeedAccount) -> anyhow::Result<Session> {
    let head =
        timeout(PATIENCE, post_login(at, account)).await.context("no answer to the login in time")??;
    let set = head.headers.text("set-cookie").context("the login set no cookie")?;
    let cookie = set.split(';').next().unwrap_or_default().to_owned();
    anyhow::ensure!(cookie.starts_with(SESSION_COOKIE), "the login set another cookie");
    let has = |attribute: &str| set.split(';').any(|part| part.trim().eq_ignore_ascii_case(attribute));
    Ok(Session { cookie, is_sent_cross_site: has("SameSite=None") && has("Secure") })
}

async fn post_login(at: &Endpoint, account: SeedAccount) -> anyhow::Result<ResponseHead> {
    let body = serde_json::json!({"user": account.user, "password": account.password}).to_string();
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        at.url.authority(),
        body.len()
    );
    let mut stream = dial(&at.url, &at.options()).await?;
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    loop {
        if let Some((head, _)) = ResponseHead::parse(&answer, HeadLimits::default())? {
            anyhow::ensure!(head.status == 200, "the login was answered {}", head.status);
            return Ok(head);
        }
        anyhow::ensure!(stream.read_buf(&mut answer).await? > 0, "the login was not answered");
    }
}

/// An open socket to Harbor.
#[derive(Debug)]
pub(crate) struct Socket {
    client: Client,
    asked: u64,
}

/// How somebody was turned away.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Denied {
    /// The handshake was refused.
    #[error("refused with {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The body.
        told: String,
    },
    /// The socket was closed.
    #[error("closed with {code}")]
    Closed {
        /// The close code.
        code: u16,
        /// The reason.
        told: String,
    },
    /// The server could not prove who it is.
    #[error("{0}")]
    Certificate(CertificateProblem),
    /// The connection ended without a word.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// There is no connection, or none that speaks WebSocket.
    #[error("{0}")]
    Unreachable(String),
    /// Nothing came.
    #[error("no answer in time")]
    Silence,
}

impl Denied {
    /// Finds the id of the event that the gateway told: `Event: ID` in a body, `(event ID)` in a reason.
    fn event(&self) -> Option<EventId> {
        let told = match self {
            Self::Refused { told, .. } | Self::Closed { told, .. } => told,
            Self::Certificate(_) | Self::Broken(_) | Self::Unreachable(_) | Self::Silence => return None,
        };
        let mut words = told.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        words.find(|word| word.eq_ignore_ascii_case("event"))?;
        words.next()?.parse().ok()
    }
}

impl From<Denied> for Outcome {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Refused { .. } | Denied::Closed { .. } | Denied::Certificate(_) | Denied::Broken(_) => {
                Self::Stopped { how: denied.to_string(), event: denied.event() }
            }
            Denied::Unreachable(_) | Denied::Silence => Self::Failed { why: denied.to_string() },
        }
    }
}

impl From<ClientError> for Denied {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused { status, body } => {
                Self::Refused { status, told: String::from_utf8_lossy(&body).into_owned() }
            }
            ClientError::Dial(DialError::Certificate(_, problem)) => Self::Certificate(problem),
            ClientError::Io(error) => Self::Broken(error),
            ClientError::Dial(_) | ClientError::Head(_) | ClientError::Handshake(_) => {
                Self::Unreachable(error.to_string())
            }
        }
    }
}

impl Socket {
    /// Opens the socket with further headers and takes the greeting.
    pub(crate) async fn open(at: &Endpoint, headers: &[(&str, &str)]) -> Result<Self, Denied> {
        let options = at.options();
        let opening = Client::connect(&at.url, &options, Limits::default(), |handshake| {
            let fields = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
            handshake.headers.extend(fields);
        });
        let client = timeout(PATIENCE, opening).await.map_err(|_| Denied::Silence)??;
        let mut socket = Self { client, asked: 0 };
        socket.wait_for(|message| message["type"] == "hello").await?;
        Ok(socket)
    }

    /// Sends something and waits for no answer.
    pub(crate) async fn say(&mut self, request: &Value) -> io::Result<()> {
        self.client.send_text(&request.to_string()).await
    }

    /// Sends a request and gives its answer, whatever it is.
    pub(crate) async fn ask(&mut self, mut request: Value) -> Result<Value, Denied> {
        self.asked += 1;
        let id = self.asked;
        request["id"] = id.into();
        let text = request.to_string();
        let sent = timeout(PATIENCE, self.client.send_text(&text)).await.map_err(|_| Denied::Silence)?;
        match (self.wait_for(|message| message["id"] == id).await, sent) {
            // What the server said last tells more than that it no longer reads.
            (Err(Denied::Broken(_)), Err(error)) => Err(Denied::Broken(error)),
            (answer, _) => answer,
        }
    }

    async fn wait_for(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Value, Denied> {
        for _ in 0..MESSAGES {
            let incoming = timeout(PATIENCE, self.client.next()).await.map_err(|_| Denied::Silence)?;
            match incoming.map_err(Denied::Broken)? {
                Incoming::Message(_, bytes) => match serde_json::from_slice(&bytes) {
                    Ok(message) if wanted(&message) => return Ok(message),
                    Ok(_) | Err(_) => {}
                },
                Incoming::Close(code, told) => {
                    return Err(Denied::Closed { code: code.map_or(1005, |code| code.0), told });
                }
                Incoming::Violation(violation) => return Err(Denied::Unreachable(violation.to_string())),
            }
        }
        Err(Denied::Silence)
    }
}

/// Words an answer that is not what was hoped for.
pub(crate) fn disappointment(answer: &Value) -> Outcome {
    let said = answer["code"].as_str().or_else(|| answer["type"].as_str()).unwrap_or_default();
    Outcome::Stopped {
        how: format!("the application answered `{}`", printable(said.as_bytes(), 40)),
        event: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_is_found_in_what_the_gateway_told() {
        let refused = |told: &str| Denied::Refused { status: 403, told: told.to_owned() };
        let closed = |told: &str| Denied::Closed { code: 1009, told: told.to_owned() };
        let check = |denied: Denied, expected: Option<&str>| {
            assert_eq!(denied.event().map(|id| id.to_string()).as_deref(), expected);
        };
        check(refused("Refused by origin-policy: no.\nEvent: 0123456789\n"), Some("0123456789"));
        check(closed("too big (event ABCDEFGHJK)"), Some("ABCDEFGHJK"));
        check(closed("too big"), None);
        check(refused("in the event of"), None);
        check(Denied::Silence, None);
    }
}
