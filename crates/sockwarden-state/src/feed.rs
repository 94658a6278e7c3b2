//! Telling everybody who wants to know of a revocation.

use std::sync::Arc;

use tokio::sync::broadcast::{Receiver, Sender, error::RecvError};

use crate::Revocation;

/// The most revocations that wait for one subscriber.
const MOST_WAITING: usize = 1024;

/// What a subscriber hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Something was revoked, here or on another replica.
    Revoked(Arc<Revocation>),
    /// So much was revoked that some of it could not wait: whoever hears this asks [`State::revoked`](crate::State::revoked)
    /// about everything anew.
    Missed,
}

/// Hears each revocation once, from the moment of subscribing.
#[derive(Debug)]
pub struct Subscription(Receiver<Arc<Revocation>>);

impl Subscription {
    /// Waits for the next one; `None` once there is no [`State`](crate::State) any more. May be cancelled at any time.
    pub async fn next(&mut self) -> Option<News> {
        match self.0.recv().await {
            Ok(revocation) => Some(News::Revoked(revocation)),
            Err(RecvError::Lagged(_)) => Some(News::Missed),
            Err(RecvError::Closed) => None,
        }
    }
}

/// Where revocations are told.
#[derive(Debug)]
pub(crate) struct Feed(Sender<Arc<Revocation>>);

impl Feed {
    pub(crate) fn new() -> Self {
        Self(Sender::new(MOST_WAITING))
    }

    pub(crate) fn tell(&self, revocation: Arc<Revocation>) {
        // It fails where nobody listens, which is nobody's loss.
        let _ = self.0.send(revocation);
    }

    pub(crate) fn subscribe(&self) -> Subscription {
        Subscription(self.0.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Revoked;

    #[tokio::test]
    async fn who_is_too_slow_is_told_so_and_hears_the_rest() {
        let feed = Feed::new();
        let tell =
            |at_ms| feed.tell(Arc::new(Revocation { what: Revoked::IssuedBefore, at_ms, until_ms: 0 }));
        tell(0);
        let mut subscription = feed.subscribe();
        let most = MOST_WAITING as u64;
        (1..=most + 1).for_each(tell);
        assert_eq!(subscription.next().await, Some(News::Missed));
        for expected in 2..=most + 1 {
            let Some(News::Revoked(heard)) = subscription.next().await else { panic!("nothing") };
            assert_eq!(heard.at_ms, expected);
        }
        drop(feed);
        assert_eq!(subscription.next().await, None);
    }
}
