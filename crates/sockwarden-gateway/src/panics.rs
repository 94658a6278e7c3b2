//! A fault of ours in one connection: it ends that one, is counted and reported, and concerns no other.

use std::sync::Arc;

use sockwarden_model::{EventId, EventSender, Notice};

use crate::{connection::Shared, counters::Tally, journal::notice};

/// Counts the panic that drops it, if one does.
#[derive(Debug)]
pub(crate) struct PanicWatch {
    shared: Arc<Shared>,
    connection: EventId,
}

impl PanicWatch {
    /// Watches over what serves one connection.
    pub(crate) fn over(shared: &Arc<Shared>, connection: EventId) -> Self {
        Self { shared: Arc::clone(shared), connection }
    }
}

impl Drop for PanicWatch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            report(&self.shared.tally, &self.shared.events, self.connection);
        }
    }
}

/// Counts a fault that ends a connection, and says whose. The message of a panic may hold what a peer sent: it is left out.
pub(crate) fn report(tally: &Tally, events: &EventSender, connection: EventId) {
    tally.panicked();
    let detail = format!("connection {connection} ended by a fault of the gateway");
    notice(events, Notice::Panicked, detail);
}

/// Panics where a test asks for it.
#[cfg(test)]
pub(crate) fn on_purpose(target: &str) {
    assert!(!target.ends_with("/panic-on-purpose"), "a fault that a test wants, with {target}");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{SinkExt as _, StreamExt as _};
    use sockwarden_model::{Event, event_channel};
    use tokio::{
        net::{TcpListener, TcpStream},
        time::timeout,
    };
    use tokio_tungstenite::tungstenite::Message;

    use super::*;
    use crate::{Auth, Gateway, LimitsConfig, ListenerConfig, RouteConfig, build};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_panic_ends_its_own_connection_and_no_other_and_is_counted() {
        let application = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = format!("ws://{}", application.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((tcp, _)) = application.accept().await {
                tokio::spawn(async move {
                    let mut socket = tokio_tungstenite::accept_async(tcp).await.unwrap();
                    while let Some(Ok(message)) = socket.next().await {
                        if socket.send(message).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        let routes = [RouteConfig::new("app", &upstream, Auth::NONE)];
        let limits = LimitsConfig { connections: 2, ..LimitsConfig::default() };
        let built = build(&[ListenerConfig::new("127.0.0.1:0")], &routes, &limits).unwrap();
        let (sender, events) = event_channel(100);
        let gateway = Gateway::start(built, sender).await.unwrap();
        let address = gateway.listening()[0].address;
        let connect = async |path: &str| {
            let tcp = TcpStream::connect(address).await.unwrap();
            let asked = tokio_tungstenite::client_async(format!("ws://{address}{path}"), tcp);
            timeout(Duration::from_secs(10), asked).await.unwrap()
        };
        let (mut other, _) = connect("/").await.unwrap();
        // More of them than there are places: each gives its place back.
        for count in 1..=5 {
            let counted = async {
                while gateway.control().counters().panics < count {
                    // Who comes before the place is given back is turned away.
                    assert!(connect("/panic-on-purpose").await.is_err());
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            timeout(Duration::from_secs(10), counted).await.unwrap();
        }
        // One whose session is established panics in the thread that relays.
        let mut established = None;
        for _ in 0..100 {
            // Those before give their places back in their own time.
            established = connect("/").await.ok();
            if established.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (mut established, _) = established.unwrap();
        let before = gateway.control().counters().panics;
        established.send(Message::text("/panic-on-purpose")).await.unwrap();
        let ended = timeout(Duration::from_secs(10), established.next()).await.unwrap();
        assert!(!matches!(ended, Some(Ok(_))), "{ended:?}");
        other.send(Message::text("still here")).await.unwrap();
        let answer = timeout(Duration::from_secs(10), other.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(answer, Message::text("still here"));
        assert_eq!(gateway.control().counters().panics, before + 1);
        let notices: Vec<_> = events
            .try_iter()
            .filter_map(|event| match event {
                Event::Notice(notice) if notice.notice == Notice::Panicked => Some(notice.detail),
                Event::Notice(_)
                | Event::Open(_)
                | Event::Close(_)
                | Event::Request(_)
                | Event::Verdict(_)
                | Event::Audit(_) => None,
            })
            .collect();
        assert_eq!(notices.len() as u64, before + 1);
        assert!(notices.iter().all(|detail| !detail.contains("purpose")), "{notices:?}");
        gateway.stop().await;
    }
}
