//! Asking the application's own endpoint about a caller.

use http_body_util::Empty;
use hyper::{Request, body::Bytes};
use hyper_util::rt::TokioIo;
use sockwarden_defend::Answer;
use sockwarden_net::{ClientTls, DialOptions, dial};
use sockwarden_proto::handshake::Headers;

use crate::build::ForwardAuthTarget;

/// The caller's headers that the application is shown.
const SHOWN: [&str; 4] = ["Cookie", "Authorization", "Origin", "User-Agent"];

/// Asks with the caller's Cookie and Authorization; `target` and `client` tell the application what for and from where.
pub(crate) async fn ask(
    whom: &ForwardAuthTarget,
    tls: &ClientTls,
    caller: &Headers,
    target: &str,
    client: std::net::IpAddr,
) -> Answer {
    let asked = tokio::time::timeout(whom.timeout, exchange(whom, tls, caller, target, client)).await;
    match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(why)) => Answer::Failed(why),
        Err(_) => Answer::Failed(format!("no answer within {:?}", whom.timeout)),
    }
}

async fn exchange(
    whom: &ForwardAuthTarget,
    tls: &ClientTls,
    caller: &Headers,
    target: &str,
    client: std::net::IpAddr,
) -> Result<Answer, String> {
    let options = DialOptions { tls: tls.clone(), timeout: whom.timeout, connect_to: None };
    let stream = dial(&whom.url, &options).await.map_err(|e| e.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let mut request = Request::get(&whom.url.target)
        .header("Host", whom.url.authority())
        .header("Connection", "close")
        .header("X-Original-URI", target)
        .header("X-Forwarded-For", client.to_canonical().to_string());
    for name in SHOWN {
        for value in caller.all(name) {
            request = request.header(name, value);
        }
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|e| e.to_string())?;
    // The connection's own future must run while the answer is awaited; when it ends, the answer has come or never will.
    let mut answer = std::pin::pin!(sender.send_request(request));
    let response = tokio::select! {
        biased;
        response = &mut answer => response,
        _ = connection => answer.await,
    };
    let response = response.map_err(|e| e.to_string())?;
    let user = whom
        .user_header
        .as_deref()
        .and_then(|name| response.headers().get(name))
        .and_then(|value| value.to_str().ok())
        .filter(|user| !user.is_empty() && user.len() <= 256)
        .map(str::to_owned);
    Ok(Answer::ForwardAuth { status: response.status().as_u16(), user })
}
