//! Ending a socket so that what was written last is read.

use std::time::Duration;

use sockwarden_net::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How long a peer may take to fall silent, and how much it may still send.
pub(crate) const LINGER: Duration = Duration::from_secs(1);
pub(crate) const LINGER_BYTES: usize = 64 << 20;

/// Ends a socket so that what was written last is read: our half first, then what the peer still sends is thrown away.
pub(crate) async fn linger(mut stream: Stream) {
    let farewell = async {
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut sink = [0; 4096];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match stream.read(&mut sink).await {
                Ok(0) | Err(_) => return,
                Ok(n) => left = left.saturating_sub(n),
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, farewell).await;
}
