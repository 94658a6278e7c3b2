//! What becomes due when peers are silent, slow, or there for too long.

use std::time::Duration;

use sockwarden_model::{Direction, Initiator, Limit};
use sockwarden_proto::CloseCode;

use super::Relay;
use crate::{auth::SESSION_ENDED, lifecycle::dismissal, liveness::Due};

impl Relay {
    pub(super) fn fall_due(&mut self, due: Due, now: Duration) {
        match due {
            Due::Ping(peer) => self.side(peer).target.session.ping(b""),
            Due::Silent(peer) => {
                self.journal.exceeded(Limit::Silence, Some(peer), "it did not answer a ping".to_owned());
                self.vanished(peer, now);
            }
            Due::SlowMessage(peer, limit) => {
                let reason = format!("a message took longer than {limit:?}");
                self.cut_off(peer, Limit::MessageTime, reason, "the message took too long", now);
            }
            Due::Stalled(peer, limit) => {
                let reason = format!("it took nothing of what waits for it for {limit:?}");
                self.cut_off(peer, Limit::StalledWrite, reason, "too little was read", now);
            }
            Due::Idle(limit) => self.outlasts(Limit::Idle, format!("idle for {limit:?}"), now),
            Due::TooOld(limit) => self.outlasts(Limit::Lifetime, format!("open for {limit:?}"), now),
            Due::SessionOver(code) => {
                let order = dismissal(code, SESSION_ENDED);
                self.dismiss(&order, now);
            }
        }
    }

    /// Closes both sides because the connection has lasted long enough; no peer is to blame.
    fn outlasts(&mut self, limit: Limit, reason: String, now: Duration) {
        self.go_away_because(&reason, now);
        self.journal.exceeded(limit, None, reason);
    }

    /// Closes both sides because of a peer that is slow, or too much work; no defence decided it.
    pub(super) fn cut_off(
        &mut self,
        peer: Direction,
        limit: Limit,
        reason: String,
        told: &str,
        now: Duration,
    ) {
        let code = CloseCode(limit.beyond().close_code());
        let id = self.journal.exceeded(limit, Some(peer), reason);
        self.end(code, Initiator::Gateway, now);
        self.side(peer).deaf = true;
        self.side(peer).target.session.close(Some(code), &format!("{told} (event {id})"));
        self.other(peer).target.session.close(Some(CloseCode::GOING_AWAY), &format!("event {id}"));
    }
}
