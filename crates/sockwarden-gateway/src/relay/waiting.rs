//! What a peer sent beyond its rate leaves, or is rejected.

use std::time::Duration;

use sockwarden_model::{Direction, Treatment};
use sockwarden_proto::CloseCode;

use super::{
    Relay,
    gate::{self, Gate, LastWord, Waiting},
    message::Passed,
};
use crate::outgoing;

impl Relay {
    /// Lets go what waited and may leave now. To be called when the connection was woken.
    pub(crate) fn release(&mut self, now: Duration) {
        for from in [Direction::Client, Direction::Server] {
            let is_over = self.ended.is_some();
            let Some(gate) = self.side(from).gate.as_mut().filter(|gate| !gate.is_empty()) else { continue };
            if is_over {
                gate.clear();
                continue;
            }
            let count = gate.released();
            self.let_go(from, count, now);
        }
    }

    /// Sends on the first `count` of what waits, and says the last word once nothing does.
    fn let_go(&mut self, from: Direction, count: usize, now: Duration) {
        if count == 0 {
            return;
        }
        let mut passed = Passed::default();
        outgoing::lend(self.other(from).target.session.output());
        for _ in 0..count {
            let Some(Waiting { kind, form, held, about, .. }) =
                self.side(from).gate.as_mut().and_then(|gate| gate.next())
            else {
                break;
            };
            if let Some(length) = self.other(from).target.send_held(kind, form, held) {
                passed.add(&about, length);
            }
        }
        outgoing::end_loan(self.other(from).target.session.output());
        self.account(from, &passed, now);
        self.say_last_word(from, now);
    }

    fn say_last_word(&mut self, from: Direction, now: Duration) {
        let done = |gate: &&mut Box<Gate>| gate.is_empty();
        match self.side(from).gate.as_mut().filter(done).and_then(|gate| gate.last_word.take()) {
            Some(LastWord::Close(code, reason)) => self.forward_close(from, code, &reason, now),
            Some(LastWord::Gone) => self.vanished(from, now),
            None => {}
        }
    }

    /// Rejects what has waited for too long.
    pub(super) fn expire(&mut self, now: Duration) {
        for from in [Direction::Client, Direction::Server] {
            let Some(gate) = self.side(from).gate.as_mut().filter(|gate| !gate.is_empty()) else { continue };
            let (leave, late) = gate.expire(now);
            self.let_go(from, leave, now);
            if late > 0 && self.ended.is_none() {
                self.reject(from, late, now);
            }
        }
    }

    /// Rejects the first `count` of what waits.
    fn reject(&mut self, from: Direction, count: usize, now: Duration) {
        let Some(gate) = &mut self.side(from).gate else { return };
        let mut part = false;
        let mut classes = Vec::with_capacity(count);
        let mut banned = None;
        for _ in 0..count {
            let Some(Waiting { mut held, about, .. }) = gate.next() else { break };
            held.release();
            part |= about.part;
            classes.push(about.class);
            banned = banned.or(gate.offends(now));
        }
        let (closes, code, after) = (part || !gate.may_leave_out(), gate.close_code, gate.retry_after(now));
        let decided = gate::overdue(closes, count, gate.timeout(), code, banned);
        if closes {
            gate.clear();
        }
        for class in classes {
            self.seat.tally().message(from, class, Treatment::Block);
        }
        if closes {
            let told = match banned {
                Some(span) => format!("too many messages, come back in {} s", span.as_secs() + 1),
                None => format!("too many messages, try again in {after} s"),
            };
            self.stop_and_tell(from, &decided, code, &told, now);
        } else {
            self.journal.decided(&decided, Some(from));
            self.say_last_word(from, now);
        }
    }

    /// Reports that a peer sends more than its share; `waits` tells whether that has consequences.
    pub(super) fn tell_of_excess(&self, from: Direction, waits: bool) {
        self.journal.decided(&gate::excess(waits), Some(from));
    }

    /// Keeps what ends a peer's words until all that it has said before has left; tells whether it did.
    pub(super) fn defer(&mut self, from: Direction, word: LastWord) -> bool {
        if self.ended.is_some() {
            return false;
        }
        let Some(gate) = self.side(from).gate.as_mut().filter(|gate| !gate.is_empty()) else { return false };
        gate.last_word.get_or_insert(word);
        true
    }

    pub(super) fn hear_close(
        &mut self,
        from: Direction,
        code: Option<CloseCode>,
        reason: String,
        now: Duration,
    ) {
        if !self.defer(from, LastWord::Close(code, reason.clone())) {
            self.forward_close(from, code, &reason, now);
        }
    }
}
