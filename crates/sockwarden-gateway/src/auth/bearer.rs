//! Tokens in the handshake itself: where they stand, and what they vouch for.

use std::sync::{Arc, OnceLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_defend::{Denial, Denied};
use sockwarden_identity::{KeyNews, Tokens};
use sockwarden_model::{EventSender, Identity};
use sockwarden_proto::handshake::RequestHead;
use tokio::task::AbortHandle;

use super::credentials::{
    BEARER_SUBPROTOCOL, Credentials, take_bearers, take_cookies, take_parameters, take_subprotocols,
};
use crate::journal::{notice, unix_ms};

/// Where in a request a token stands (`auth` with `jwt`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BearerConfig {
    /// Whether it may stand in the Authorization header (RFC 6750 §2.1); browsers cannot set it for a WebSocket.
    pub header: bool,
    /// Whether it may stand in the sub-protocol `authorization.bearer.` with the token behind it.
    pub subprotocol: bool,
    /// The parameter of the query that it may stand in, such as `access_token`; other proxies may log it.
    pub query: Option<String>,
    /// The cookie that it may stand in; browsers send it from any site's page, so `origin_policy` must block.
    pub cookie: Option<String>,
    /// Whether the application sees it too; else it is taken out of the request.
    pub keep: bool,
}

impl Default for BearerConfig {
    fn default() -> Self {
        Self { header: true, subprotocol: true, query: None, cookie: None, keep: false }
    }
}

/// The tokens of one route.
#[derive(Debug)]
pub(crate) struct Bearer {
    config: BearerConfig,
    tokens: Arc<Tokens>,
    /// Reads the keys again and again.
    tending: OnceLock<AbortHandle>,
}

impl Bearer {
    pub(crate) fn new(config: &BearerConfig, tokens: Arc<Tokens>) -> Self {
        Self { config: config.clone(), tokens, tending: OnceLock::new() }
    }

    /// Begins to read the keys again and again, until it is dropped.
    pub(crate) fn tend(&self, events: &EventSender) {
        self.tending.get_or_init(|| {
            let events = events.clone();
            let tell = move |news: KeyNews| notice(&events, news.notice(), news.to_string());
            tokio::spawn(Arc::clone(&self.tokens).run(tell)).abort_handle()
        });
    }

    /// Finds every token of a request, wherever the route lets one stand.
    pub(crate) fn find(&self, head: &mut RequestHead, found: &mut Credentials) {
        let before = self.config.keep.then(|| head.clone());
        if self.config.header {
            found.tokens.extend(take_bearers(head));
        }
        if self.config.subprotocol {
            found.tokens.extend(take_subprotocols(head, BEARER_SUBPROTOCOL));
        }
        if let Some(name) = &self.config.query {
            found.tokens.extend(take_parameters(head, name));
        }
        if let Some(name) = &self.config.cookie {
            found.tokens.extend(take_cookies(head, name));
        }
        if let Some(before) = before {
            *head = before;
        }
    }

    /// Verifies the one token of a request.
    pub(crate) async fn verify(&self, credentials: &Credentials) -> Result<Identity, Denied> {
        let token = match credentials.tokens.as_slice() {
            [] => {
                let reason = "the request has no token".to_owned();
                return Err(Denied { denial: Denial::Absent, code: "token-absent", reason });
            }
            [one] => String::from_utf8_lossy(one),
            [_, _, ..] => {
                let reason = "the request has more than one token".to_owned();
                return Err(Denied { denial: Denial::Rejected, code: "token-repeated", reason });
            }
        };
        self.tokens.verify(&token, unix_ms() / 1000).await.map_err(|error| {
            let denial = if error.is_ours() { Denial::Unavailable } else { Denial::Rejected };
            Denied { denial, code: error.code(), reason: error.to_string() }
        })
    }
}

impl Drop for Bearer {
    fn drop(&mut self) {
        if let Some(task) = self.tending.get() {
            task.abort();
        }
    }
}
