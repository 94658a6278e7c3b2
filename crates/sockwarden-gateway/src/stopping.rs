//! The one signal by which a gateway ends its connections.

use tokio::sync::watch;

/// Tells a connection when the gateway stops.
#[derive(Clone, Debug)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    pub(crate) const fn new(signal: watch::Receiver<bool>) -> Self {
        Self(signal)
    }

    /// Waits until the gateway stops; one that was dropped has stopped.
    pub(crate) async fn begins(&mut self) {
        let _ = self.0.wait_for(|stops| *stops).await;
    }
}
