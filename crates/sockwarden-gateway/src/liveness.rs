//! How long a connection may be silent, slow or old; pure, by the time it is told.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::HumanDuration;
use sockwarden_model::Direction;
use sockwarden_proto::CloseCode;

/// How long a connection may be silent, slow or old; what is absent has no end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutsConfig {
    /// How long a peer may be silent before it is pinged.
    pub ping_interval: Option<HumanDuration>,
    /// How long a peer that was pinged may go on being silent before it counts as gone.
    pub pong: HumanDuration,
    /// How long a message may take from its first byte to its last.
    pub message: Option<HumanDuration>,
    /// How long a peer may take nothing of what waits to be written to it before it is closed with 1008; nothing is read for it meanwhile.
    pub stalled_write: Option<HumanDuration>,
    /// How long neither side may send a message before both are closed with 1001; pings do not count.
    pub idle: Option<HumanDuration>,
    /// How long a connection may last before both sides are closed with 1001.
    pub lifetime: Option<HumanDuration>,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self {
            ping_interval: Some(HumanDuration::from_secs(25)),
            pong: HumanDuration::from_secs(8),
            message: Some(HumanDuration::from_secs(30)),
            // As long as a train is in a tunnel; who comes back later connects anew.
            stalled_write: Some(HumanDuration::from_secs(30)),
            idle: None,
            lifetime: None,
        }
    }
}

/// What has become due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Ping this peer.
    Ping(Direction),
    /// This peer has not answered.
    Silent(Direction),
    /// This peer's message takes too long.
    SlowMessage(Direction, Duration),
    /// This peer has taken nothing of what waits for it for so long.
    Stalled(Direction, Duration),
    /// Nobody has said anything for so long.
    Idle(Duration),
    /// The connection has lasted so long.
    TooOld(Duration),
    /// The session behind the connection has ended.
    SessionOver(CloseCode),
}

/// What is known of both peers' signs of life.
#[derive(Debug)]
pub(crate) struct Liveness {
    ping_interval: Option<Duration>,
    pong: Duration,
    message: Option<Duration>,
    stalled_write: Option<Duration>,
    idle: Option<Duration>,
    lifetime: Option<Duration>,
    /// When the session behind the connection ends.
    session: Option<(Duration, CloseCode)>,
    last_message: Duration,
    client: Pulse,
    server: Pulse,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pulse {
    heard: Duration,
    pinged: Option<Duration>,
    message_since: Option<Duration>,
    /// Since when it takes nothing of what waits for it.
    stalled_since: Option<Duration>,
    /// Nothing is read from it for the other peer's sake.
    unheard: bool,
}

impl Liveness {
    pub(crate) fn new(config: &TimeoutsConfig) -> Self {
        let get = |duration: Option<HumanDuration>| duration.map(HumanDuration::get);
        Self {
            ping_interval: get(config.ping_interval),
            pong: config.pong.get(),
            message: get(config.message),
            stalled_write: get(config.stalled_write),
            idle: get(config.idle),
            lifetime: get(config.lifetime),
            session: None,
            last_message: Duration::ZERO,
            client: Pulse::default(),
            server: Pulse::default(),
        }
    }

    /// Ends the connection at this time with this code, because the session behind it does.
    pub(crate) fn ends_with_session(self, at: Option<Duration>, code: CloseCode) -> Self {
        Self { session: at.map(|at| (at, code)), ..self }
    }

    /// Takes note of a peer's sign of life; `inside` tells whether it has begun a message and not ended it.
    pub(crate) fn heard(&mut self, from: Direction, inside: bool, now: Duration) {
        let pulse = self.pulse(from);
        pulse.heard = now;
        pulse.pinged = None;
        pulse.message_since = inside.then(|| pulse.message_since.unwrap_or(now));
    }

    /// Takes note that a peer takes in what it is sent.
    pub(crate) fn takes(&mut self, to: Direction, now: Duration) {
        let pulse = self.pulse(to);
        pulse.heard = now;
        pulse.pinged = None;
        pulse.stalled_since = None;
    }

    /// Takes note that a peer takes nothing more for now of what it is sent, until [`Liveness::takes`] says that it does.
    pub(crate) fn stalls(&mut self, to: Direction, now: Duration) {
        self.pulse(to).stalled_since.get_or_insert(now);
    }

    /// Takes note of whether a peer is listened to: while the other one takes too little, nothing is read from it, so that it
    /// can neither answer a ping nor end a message. When that is over, its time begins anew.
    pub(crate) fn listens(&mut self, to: Direction, listens: bool, now: Duration) {
        let pulse = self.pulse(to);
        if pulse.unheard == listens {
            pulse.unheard = !listens;
            pulse.heard = now;
            pulse.pinged = None;
            pulse.message_since = pulse.message_since.map(|_| now);
        }
    }

    /// Takes note that a message was forwarded.
    pub(crate) const fn forwarded(&mut self, now: Duration) {
        self.last_message = now;
    }

    /// Tells when something becomes due, unless something happens before.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let deadlines = [
            self.silence_ends(Direction::Client),
            self.silence_ends(Direction::Server),
            self.message_ends(Direction::Client),
            self.message_ends(Direction::Server),
            self.stall_ends(Direction::Client),
            self.stall_ends(Direction::Server),
            self.idle.map(|idle| self.last_message + idle),
            self.lifetime,
            self.session.map(|(at, _)| at),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Gives what is due, one thing at a time; what must be sent counts as sent.
    pub(crate) fn due(&mut self, now: Duration) -> Option<Due> {
        if let Some((_, code)) = self.session.filter(|(at, _)| *at <= now) {
            return Some(Due::SessionOver(code));
        }
        if let Some(lifetime) = self.lifetime.filter(|lifetime| *lifetime <= now) {
            return Some(Due::TooOld(lifetime));
        }
        if let Some(idle) = self.idle.filter(|idle| self.last_message + *idle <= now) {
            return Some(Due::Idle(idle));
        }
        for peer in [Direction::Client, Direction::Server] {
            if self.message_ends(peer).is_some_and(|end| end <= now) {
                return Some(Due::SlowMessage(peer, self.message.unwrap_or_default()));
            }
            if self.stall_ends(peer).is_some_and(|end| end <= now) {
                return Some(Due::Stalled(peer, self.stalled_write.unwrap_or_default()));
            }
            if self.silence_ends(peer).is_some_and(|end| end <= now) {
                let pulse = self.pulse(peer);
                return Some(match pulse.pinged.replace(now) {
                    None => Due::Ping(peer),
                    Some(_) => Due::Silent(peer),
                });
            }
        }
        None
    }

    fn silence_ends(&self, peer: Direction) -> Option<Duration> {
        let interval = self.ping_interval?;
        let pulse = self.of(peer);
        if pulse.unheard {
            return None;
        }
        Some(pulse.pinged.map_or(pulse.heard + interval, |pinged| pinged + self.pong))
    }

    fn message_ends(&self, peer: Direction) -> Option<Duration> {
        let pulse = self.of(peer);
        if pulse.unheard { None } else { Some(pulse.message_since? + self.message?) }
    }

    fn stall_ends(&self, peer: Direction) -> Option<Duration> {
        Some(self.of(peer).stalled_since? + self.stalled_write?)
    }

    const fn of(&self, peer: Direction) -> &Pulse {
        match peer {
            Direction::Client => &self.client,
            Direction::Server => &self.server,
        }
    }

    const fn pulse(&mut self, peer: Direction) -> &mut Pulse {
        match peer {
            Direction::Client => &mut self.client,
            Direction::Server => &mut self.server,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn with(change: impl FnOnce(&mut TimeoutsConfig)) -> Liveness {
        let mut config = TimeoutsConfig {
            ping_interval: None,
            message: None,
            stalled_write: None,
            ..TimeoutsConfig::default()
        };
        change(&mut config);
        Liveness::new(&config)
    }

    #[test]
    fn a_silent_peer_is_pinged_and_then_given_up() {
        let mut liveness = with(|c| c.ping_interval = Some(HumanDuration::from_secs(25)));
        liveness.heard(Direction::Server, false, s(20));
        assert_eq!((liveness.deadline(), liveness.due(s(24))), (Some(s(25)), None));
        assert_eq!(liveness.due(s(25)), Some(Due::Ping(Direction::Client)));
        assert_eq!((liveness.due(s(25)), liveness.deadline()), (None, Some(s(33))));
        assert_eq!(liveness.due(s(33)), Some(Due::Silent(Direction::Client)));
    }

    #[test]
    fn a_pong_or_progress_is_a_sign_of_life() {
        let signs: [fn(&mut Liveness); 2] =
            [|l| l.heard(Direction::Client, false, s(30)), |l| l.takes(Direction::Client, s(30))];
        for sign in signs {
            let mut liveness = with(|c| c.ping_interval = Some(HumanDuration::from_secs(25)));
            liveness.heard(Direction::Server, false, s(25));
            assert_eq!(liveness.due(s(25)), Some(Due::Ping(Direction::Client)));
            sign(&mut liveness);
            assert_eq!(liveness.deadline(), Some(s(50)));
            assert_eq!(liveness.due(s(40)), None);
        }
    }

    #[test]
    fn who_is_not_listened_to_is_not_silent() {
        let mut liveness = with(|c| {
            c.ping_interval = Some(HumanDuration::from_secs(25));
            c.message = Some(HumanDuration::from_secs(30));
        });
        liveness.heard(Direction::Client, false, s(1000));
        liveness.heard(Direction::Server, true, s(10));
        liveness.listens(Direction::Server, false, s(20));
        assert_eq!((liveness.due(s(1020)), liveness.deadline()), (None, Some(s(1025))));
        liveness.listens(Direction::Server, true, s(1021));
        liveness.heard(Direction::Client, false, s(1021));
        assert_eq!((liveness.due(s(1045)), liveness.deadline()), (None, Some(s(1046))));
        liveness.heard(Direction::Client, false, s(1046));
        liveness.heard(Direction::Server, true, s(1046));
        assert_eq!(liveness.due(s(1051)), Some(Due::SlowMessage(Direction::Server, s(30))));
    }

    #[test]
    fn who_takes_nothing_for_long_is_not_waited_for_and_who_takes_a_little_is() {
        let mut liveness = with(|c| c.stalled_write = Some(HumanDuration::from_secs(30)));
        liveness.stalls(Direction::Client, s(5));
        liveness.stalls(Direction::Client, s(20));
        // What it says is no sign that it reads.
        liveness.heard(Direction::Client, false, s(34));
        assert_eq!((liveness.due(s(34)), liveness.deadline()), (None, Some(s(35))));
        liveness.takes(Direction::Client, s(34));
        assert_eq!((liveness.due(s(36)), liveness.deadline()), (None, None));
        liveness.stalls(Direction::Client, s(36));
        assert_eq!(liveness.due(s(66)), Some(Due::Stalled(Direction::Client, s(30))));
    }

    #[test]
    fn a_message_must_end_in_time_however_it_trickles() {
        let mut liveness = with(|c| c.message = Some(HumanDuration::from_secs(30)));
        for second in 1..31 {
            liveness.heard(Direction::Client, true, s(second));
            assert_eq!(liveness.due(s(second)), None);
        }
        assert_eq!(liveness.deadline(), Some(s(31)));
        assert_eq!(liveness.due(s(31)), Some(Due::SlowMessage(Direction::Client, s(30))));
        liveness.heard(Direction::Client, false, s(31));
        assert_eq!((liveness.deadline(), liveness.due(s(99))), (None, None));
    }

    #[test]
    fn idle_and_lifetime_end_a_connection_that_answers_pings() {
        let mut liveness = with(|c| c.idle = Some(HumanDuration::from_secs(60)));
        liveness.heard(Direction::Client, false, s(59));
        assert_eq!(liveness.due(s(60)), Some(Due::Idle(s(60))));
        liveness.forwarded(s(59));
        assert_eq!((liveness.due(s(60)), liveness.deadline()), (None, Some(s(119))));
        let mut liveness = with(|c| c.lifetime = Some(HumanDuration::from_secs(100)));
        liveness.forwarded(s(99));
        assert_eq!(liveness.due(s(99)), None);
        assert_eq!(liveness.due(s(100)), Some(Due::TooOld(s(100))));
    }

    #[test]
    fn a_session_ends_whatever_is_said() {
        let mut liveness = with(|_| {}).ends_with_session(Some(s(50)), CloseCode(4401));
        liveness.forwarded(s(49));
        assert_eq!((liveness.due(s(49)), liveness.deadline()), (None, Some(s(50))));
        assert_eq!(liveness.due(s(50)), Some(Due::SessionOver(CloseCode(4401))));
    }
}
