//! When a session ends because what vouches for it does.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::HumanDuration;
use sockwarden_defend::Denial;
use sockwarden_model::{EventId, Identity, Initiator};
use sockwarden_proto::{CloseCode, handshake::RequestHead};
use tokio::time::sleep;

use crate::{
    build::Route, client_address::ClientAddress, connection::Shared, journal::unix_ms, mailbox::Dismissal,
};

/// What the client is told when its session is over.
pub(crate) const SESSION_ENDED: &str = "the session has ended";
/// How soon the application is asked again where it could not be.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// When sockets end because the session behind them does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// How much longer than its session a socket lives.
    pub grace: HumanDuration,
    /// The close code that the client is told: 1008, or one of the application's own from 3000 to 4999, such as 4401.
    #[schemars(range(min = 1000, max = 4999))]
    pub code: u16,
    /// How often the application is asked again whether it knows the caller; needs `forward_auth`. At least 1 s.
    pub revalidate: Option<HumanDuration>,
    /// How long the application may be unable to answer that before the socket is closed.
    pub revalidate_grace: HumanDuration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            grace: HumanDuration::from_secs(0),
            code: CloseCode::POLICY.0,
            revalidate: None,
            revalidate_grace: HumanDuration::from_secs(60),
        }
    }
}

impl SessionConfig {
    /// Tells what no client can be told.
    pub(crate) const fn is_code_wrong(&self) -> bool {
        !matches!(self.code, 1008 | 3000..=4999)
    }

    pub(crate) const fn code(&self) -> CloseCode {
        CloseCode(self.code)
    }

    /// Gives the order that closes a socket whose session is over.
    pub(crate) fn farewell(&self, initiator: Initiator) -> Dismissal {
        Dismissal { code: self.code(), reason: SESSION_ENDED.to_owned(), initiator }
    }

    /// Gives when a session of this identity ends, from now on.
    pub(crate) fn time_left(&self, identity: &Identity) -> Option<Duration> {
        let end = Duration::from_secs(identity.expires_at?).saturating_add(self.grace.get());
        Some(end.saturating_sub(Duration::from_millis(unix_ms())))
    }
}

/// A caller that the application is asked about again and again while its session lives.
pub(crate) struct Revalidation {
    pub(crate) head: RequestHead,
    pub(crate) from: ClientAddress,
    pub(crate) user: Option<String>,
}

impl Revalidation {
    /// Asks every `interval`, and closes the session once the answer is no, or another user, or none for too long.
    pub(crate) async fn run(
        self,
        shared: Weak<Shared>,
        route: Arc<Route>,
        session: EventId,
        interval: Duration,
    ) {
        let config = route.config().session;
        let mut patience = config.revalidate_grace.get();
        let mut pause = interval;
        loop {
            sleep(pause).await;
            // Whoever has left is not asked about.
            let entry = shared.upgrade().and_then(|shared| shared.registry.find(session));
            let Some(entry) = entry else { return };
            let Some(forward) = route.authenticator.forward() else { return };
            match forward.ask(&self.head.headers, &self.head.target, self.from.ip).await {
                Ok(identity) if identity.user == self.user => {
                    (pause, patience) = (interval, config.revalidate_grace.get());
                }
                Err(denied) if denied.denial == Denial::Unavailable && !patience.is_zero() => {
                    pause = ASK_AGAIN.min(interval);
                    patience = patience.saturating_sub(pause);
                }
                Ok(_) | Err(_) => {
                    entry.mailbox.post(config.farewell(Initiator::Gateway));
                    return;
                }
            }
        }
    }

    /// Keeps of a request what the application is asked with.
    pub(crate) fn of(head: &RequestHead, from: &ClientAddress, identity: &Identity) -> Self {
        Self { head: head.clone(), from: from.clone(), user: identity.user.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_with_its_word_and_the_grace() {
        let config = SessionConfig { grace: HumanDuration::from_secs(60), ..SessionConfig::default() };
        let left = |expires_at| config.time_left(&Identity { expires_at, ..Identity::default() });
        assert_eq!(left(None), None);
        assert_eq!(left(Some(0)), Some(Duration::ZERO));
        let soon = left(Some(unix_ms() / 1000 + 10)).unwrap();
        assert!((Duration::from_secs(68)..=Duration::from_secs(71)).contains(&soon), "{soon:?}");
    }

    #[test]
    fn codes_that_mean_something_else_are_not_told() {
        let is_wrong = |code| SessionConfig { code, ..SessionConfig::default() }.is_code_wrong();
        assert!(!is_wrong(1008) && !is_wrong(4401) && !is_wrong(3000));
        assert!(is_wrong(1000) && is_wrong(1005) && is_wrong(1006) && is_wrong(2999) && is_wrong(5000));
    }
}
