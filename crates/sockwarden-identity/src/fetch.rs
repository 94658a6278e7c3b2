//! Fetching a small document over HTTP.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, StatusCode, body::Bytes};
use hyper_util::rt::TokioIo;
use sockwarden_net::{ClientTls, DialOptions, dial};
use sockwarden_proto::WsUrl;

/// Gets a document of at most `most` bytes; only the answer 200 counts, no redirect is followed.
pub(crate) async fn fetch(
    url: &WsUrl,
    tls: &ClientTls,
    timeout: Duration,
    most: usize,
) -> Result<Bytes, String> {
    tokio::time::timeout(timeout, exchange(url, tls, timeout, most))
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {timeout:?}")))
}

async fn exchange(url: &WsUrl, tls: &ClientTls, timeout: Duration, most: usize) -> Result<Bytes, String> {
    let options = DialOptions { tls: tls.clone(), timeout, connect_to: None };
    let stream = dial(url, &options).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let request = Request::get(&url.target)
        .header("Host", url.authority())
        .header("Accept", "application/jwk-set+json, application/json")
        .header("Connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        if response.status() != StatusCode::OK {
            return Err(format!("the answer is {}", response.status().as_u16()));
        }
        let body = Limited::new(response.into_body(), most).collect().await;
        // The limit's own error and the connection's are told by their words.
        body.map(http_body_util::Collected::to_bytes).map_err(|error| error.to_string())
    };
    let mut answer = std::pin::pin!(answer);
    // The connection's own future must run while the answer is awaited; when it ends, the answer has come or never will.
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ = connection => answer.await,
    }
}
