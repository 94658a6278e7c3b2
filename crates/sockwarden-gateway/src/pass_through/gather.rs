//! A request's body before it goes on.

use sockwarden_net::Stream;
use sockwarden_proto::{
    handshake::RequestHead,
    http::{BodyReader, Framing},
};
use tokio::time::timeout;

use super::{
    config::HttpLimitsConfig,
    exchange::{Failure, fill, tells_to_go_on},
    reading::Reading,
};
use sockwarden_model::Direction;

/// A request's body, as far as it has come.
pub(super) struct Body {
    pub(super) framing: Framing,
    pub(super) reader: BodyReader,
    /// What it holds.
    pub(super) first: Vec<u8>,
    /// What else the client has sent.
    pub(super) behind: Vec<u8>,
    /// Whether the client waits to be told to send it.
    pub(super) waits: bool,
}

impl Body {
    /// Reads all of it and judges it, where it is to be read: then nothing of it goes on before all of it may.
    pub(super) async fn read(
        &mut self,
        stream: &mut Stream,
        head: &RequestHead,
        reading: &mut Reading<'_>,
        limits: &HttpLimitsConfig,
    ) -> Result<(), Failure> {
        let Some(most) = reading.wants_request(head, self.framing).map_err(Failure::Stopped)? else {
            return Ok(());
        };
        let patience = limits.body_timeout.get();
        let gathering = timeout(patience, self.gather(stream, most, limits.body.as_u64()));
        if !gathering.await.unwrap_or(Err(Failure::Slow(patience)))? {
            return reading.exceeded(Direction::Client).map_err(Failure::Stopped);
        }
        let before = self.first.len();
        self.first = reading.request(head, std::mem::take(&mut self.first)).map_err(Failure::Stopped)?;
        if self.first.len() != before {
            self.framing = Framing::Length(self.first.len() as u64);
        }
        Ok(())
    }

    /// Reads it to its end, but not far beyond `most`; tells whether that was all of it.
    async fn gather(&mut self, stream: &mut Stream, most: u64, allowed: u64) -> Result<bool, Failure> {
        if self.asks_to_go_on() {
            self.waits = false;
            if !tells_to_go_on(stream).await {
                return Err(Failure::Gone);
            }
        }
        while !self.reader.is_done() {
            let piece = self.reader.read(&self.behind).map_err(Failure::Body)?;
            let taken = piece.taken;
            self.first.extend_from_slice(piece.data);
            self.behind.drain(..taken);
            if self.first.len() as u64 > allowed {
                return Err(Failure::TooLarge);
            }
            if self.first.len() as u64 > most {
                return Ok(false);
            }
            if taken == 0 && !fill(stream, &mut self.behind).await.unwrap_or(false) {
                return Err(Failure::Gone);
            }
        }
        Ok(self.first.len() as u64 <= most)
    }

    /// Tells whether the client sends nothing before it is told to.
    pub(super) fn asks_to_go_on(&self) -> bool {
        self.waits && self.behind.is_empty() && !self.reader.is_done()
    }
}
