//! A running gateway, as the commands that operate it see it: its admin listener, asked over HTTP.

mod columns;
mod target;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request,
    body::Bytes,
    header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use sockwarden_config::HumanDuration;
use sockwarden_model::printable;
use sockwarden_net::{DialError, DialOptions, dial};

pub(crate) use columns::columns;
pub(crate) use target::Connect;

use target::Target;

/// How long a question and its answer may take, connecting included.
const TIME: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
const LARGEST: usize = 8 * 1024 * 1024;
/// The longest text of a gateway that an error repeats, in bytes.
const REPEATED: usize = 4_000;

/// A gateway's admin listener.
pub(crate) struct Operator {
    target: Target,
    runtime: tokio::runtime::Runtime,
    /// Whether answers are shown as they came.
    pub(crate) json: bool,
}

/// Why there is no answer to go by.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OperateError {
    /// Nobody answers there.
    #[error("no gateway answers at {url}: {source}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        source: DialError,
    },
    /// Somebody answers with a certificate that is not the gateway's own.
    #[error("what answers at {url} does not show the certificate of `{file}`")]
    OtherCertificate {
        /// Where.
        url: String,
        /// The file of the certificate that was expected.
        file: String,
    },
    /// The connection ended before the answer did.
    #[error("no gateway answers at {url}: {why}")]
    Broken {
        /// Where.
        url: String,
        /// Why.
        why: String,
    },
    /// It is something else.
    #[error("what answers at {url} is not the admin listener of a gateway (it says {status})")]
    NotOurs {
        /// Where.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// It lets in who shows another certificate.
    #[error("the gateway wants a certificate that it trusts: `--cert FILE --key FILE`")]
    Certificate,
    /// There is no such token, or none was given.
    #[error("the gateway does not know who asks: {0}")]
    Unknown(String),
    /// Whoever asks may look only.
    #[error("the role does not suffice: {0}")]
    Role(String),
    /// The gateway says no.
    #[error("{said}")]
    Refused {
        /// Why.
        said: String,
        /// Everything that is wrong with a configuration, each with its place.
        details: Vec<String>,
    },
}

impl OperateError {
    /// Tells whether no gateway was there to answer.
    pub(crate) const fn is_absence(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::OtherCertificate { .. }
            | Self::Broken { .. }
            | Self::NotOurs { .. } => true,
            Self::Certificate | Self::Unknown(_) | Self::Role(_) | Self::Refused { .. } => false,
        }
    }
}

/// What a gateway says that does not do as it is told.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    details: Vec<String>,
}

impl Operator {
    /// Finds the listener; nothing is asked yet.
    pub(crate) fn new(connect: &Connect) -> anyhow::Result<Option<Self>> {
        let Some(target) = connect.target()? else { return Ok(None) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Some(Self { target, runtime, json: connect.json }))
    }

    /// Gives its address.
    pub(crate) fn url(&self) -> String {
        self.target.url.web_origin()
    }

    /// Asks for something that cannot be refused, and gives the status and the answer.
    pub(crate) fn look(&self, path: &str) -> anyhow::Result<(u16, Value)> {
        let (status, bytes) = self.ask(Method::GET, path, None)?;
        let value = serde_json::from_slice(&bytes).map_err(|_| self.not_ours(status))?;
        Ok((status, value))
    }

    /// Asks for something.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.order(Method::GET, path, None)
    }

    /// Tells the gateway to do something; `path` may have a query made by [`query`].
    pub(crate) fn order(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let (status, bytes) = self.ask(method, path, body)?;
        if (200..300).contains(&status) {
            return Ok(serde_json::from_slice(&bytes).map_err(|_| self.not_ours(status))?);
        }
        let Ok(Refusal { error, details }) = serde_json::from_slice(&bytes) else {
            return Err(self.not_ours(status).into());
        };
        let said = shown(&error);
        Err(match status {
            401 => OperateError::Unknown(format!("{said} ({})", self.target.credentials())),
            403 => OperateError::Role(format!("{said} ({})", self.target.credentials())),
            _ => {
                OperateError::Refused { said, details: details.iter().map(|detail| lines(detail)).collect() }
            }
        }
        .into())
    }

    /// Reads an answer as what it should be.
    pub(crate) fn read<T: DeserializeOwned>(&self, answer: Value) -> anyhow::Result<T> {
        Ok(serde_json::from_value(answer).map_err(|_| self.not_ours(200))?)
    }

    fn not_ours(&self, status: u16) -> OperateError {
        OperateError::NotOurs { url: self.url(), status }
    }

    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<(u16, Bytes)> {
        let url = self.url();
        let request = self.request(method, path, body)?;
        let asking = async { tokio::time::timeout(TIME, self.exchange(request)).await };
        match self.runtime.block_on(asking) {
            Ok(answer) => Ok(answer?),
            Err(_) => {
                let why = format!("it took more than {} seconds", TIME.as_secs());
                Err(OperateError::Broken { url, why }.into())
            }
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.target.url.authority())
            .header(CONNECTION, "close");
        if let Some(token) = &self.target.token {
            request = request.header(AUTHORIZATION, token.header()?);
        }
        let bytes = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                serde_json::to_vec(body)?
            }
            None => Vec::new(),
        };
        Ok(request.body(Full::new(bytes.into()))?)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), OperateError> {
        let broken = |why: String| OperateError::Broken { url: self.url(), why };
        let options =
            DialOptions { tls: self.target.tls.clone(), timeout: TIME, connect_to: self.target.connect_to };
        let stream = dial(&self.target.url, &options).await.map_err(|source| {
            match (&self.target.pinned, &source) {
                (Some(file), DialError::Certificate(..)) => {
                    OperateError::OtherCertificate { url: self.url(), file: file.display().to_string() }
                }
                _ => OperateError::Unreachable { url: self.url(), source },
            }
        })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(error.to_string()))?;
        // It owns the sender: once the answer is there, nothing keeps the connection.
        let answering = async move {
            let answer = sender.send_request(request).await.map_err(|error| with_causes(&error))?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), LARGEST).collect().await;
            Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
        };
        // Why it ended is known to the connection; the request only knows that it is not answered.
        match tokio::join!(answering, connection) {
            (Ok(answer), _) => Ok(answer),
            (Err(_), Err(why)) if is_tls_alert(&why) => Err(OperateError::Certificate),
            (Err(_), Err(why)) => Err(broken(with_causes(&why))),
            (Err(why), Ok(())) => Err(broken(why)),
        }
    }
}

/// Tells whether the other side has ended TLS with an alert. With a server that was believed and reached, it is about our
/// certificate: TLS 1.3 judges it after the client is done (RFC 8446 §4.4.2.4).
fn is_tls_alert(error: &hyper::Error) -> bool {
    with_causes(error).contains("received fatal alert")
}

fn with_causes(error: &hyper::Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Makes a query of those parameters that have a value.
pub(crate) fn query(parameters: &[(&str, Option<String>)]) -> String {
    let mut query = String::new();
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        for byte in value.bytes() {
            match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' | b'~' => {
                    query.push(char::from(byte))
                }
                _ => query.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    query
}

/// Prints an answer as it came.
pub(crate) fn print_json(answer: &Value) -> anyhow::Result<()> {
    anstream::println!("{}", serde_json::to_string_pretty(answer)?);
    Ok(())
}

/// For how long something has been, in whole seconds.
pub(crate) fn age(since_ms: u64) -> String {
    let since = UNIX_EPOCH.checked_add(Duration::from_millis(since_ms));
    let age = since.and_then(|since| SystemTime::now().duration_since(since).ok()).unwrap_or_default();
    HumanDuration::from_secs(age.as_secs()).to_string()
}

/// Makes a gateway's text harmless for a terminal.
pub(crate) fn shown(text: &str) -> String {
    printable(text.as_bytes(), REPEATED)
}

/// The same, line by line.
fn lines(text: &str) -> String {
    text.lines().map(shown).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_escapes_what_has_a_meaning_of_its_own() {
        let check = |value: &str, expected: &str| {
            assert_eq!(query(&[("a", None), ("b", Some(value.to_owned())), ("c", None)]), expected);
        };
        check("plain-1.2_~", "?b=plain-1.2_~");
        check("a b&c=d#é", "?b=a%20b%26c%3Dd%23%C3%A9");
        assert_eq!(query(&[("a", Some("1".to_owned())), ("b", Some("2".to_owned()))]), "?a=1&b=2");
        assert_eq!(query(&[]), "");
    }
}
