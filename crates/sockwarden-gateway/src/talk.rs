//! Conversations that go over several requests, and on over WebSocket: what was understood of them, and what their guards remember.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sockwarden_defend::Chain;
use sockwarden_inspect::{Chosen, Protocol, polling};
use sockwarden_model::Identity;

use crate::inspection::Inspector;

/// The most sessions of one route that are remembered; then the one that was silent longest is forgotten.
const MOST: usize = 10_000;
/// How long a session is remembered of which nothing is heard: servers end one after less than a minute.
const PATIENCE: Duration = Duration::from_secs(300);

/// The guards of a conversation, and what was read of it.
pub(crate) struct Talk {
    pub(crate) chain: Chain,
    pub(crate) inspector: Inspector,
}

/// A conversation that several connections bring.
pub(crate) struct Session {
    identity: Identity,
    protocol: Option<(Protocol, Chosen)>,
    begun: Instant,
    talk: Mutex<Talk>,
}

impl Session {
    /// Begins one of this caller.
    pub(crate) fn new(identity: Identity, talk: Talk, now: Instant) -> Self {
        let protocol = talk.inspector.protocol();
        Self { identity, protocol, begun: now, talk: Mutex::new(talk) }
    }

    /// Lends what is remembered; who has it judges, and never waits for anything.
    pub(crate) fn talk(&self) -> MutexGuard<'_, Talk> {
        lock(&self.talk)
    }

    /// Tells how long it has lasted.
    pub(crate) fn lasted(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.begun)
    }
}

/// The sessions of one route, by the names that the application gave them.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<Table>);

#[derive(Default)]
struct Table {
    by_name: HashMap<Arc<str>, Entry>,
    /// The names, the one that was silent longest first.
    by_silence: BTreeMap<u64, Arc<str>>,
    turn: u64,
}

struct Entry {
    session: Arc<Session>,
    turn: u64,
    heard: Instant,
}

impl Sessions {
    /// Finds the session that a target names, unless the one that asks is known to speak otherwise. Another user's is none: who knows
    /// its name is judged by what is allowed to himself.
    pub(crate) fn find(
        &self,
        target: &str,
        identity: &Identity,
        as_this: &Inspector,
        now: Instant,
    ) -> Option<Arc<Session>> {
        let name = polling::session_of(target)?;
        let mut table = lock(&self.0);
        table.forget(now);
        let session = Arc::clone(&table.by_name.get(name.as_str())?.session);
        // A target need not say what it is for, once a session is named.
        let speaks = as_this.protocol().is_none() || session.protocol == as_this.protocol();
        if !speaks || !is_same(&session.identity, identity) {
            return None;
        }
        table.heard(&name, now);
        Some(session)
    }

    /// Remembers a session under its name, unless there is one of that name; tells whether another one was forgotten for it.
    pub(crate) fn enter(&self, name: &str, session: &Arc<Session>, now: Instant) -> bool {
        let mut table = lock(&self.0);
        table.forget(now);
        if name.len() > polling::LONGEST || table.by_name.contains_key(name) {
            return false;
        }
        let is_full = table.by_name.len() >= MOST;
        if is_full && let Some((_, oldest)) = table.by_silence.pop_first() {
            table.by_name.remove(&oldest);
        }
        let turn = table.next_turn();
        let name: Arc<str> = name.into();
        table.by_silence.insert(turn, Arc::clone(&name));
        table.by_name.insert(name, Entry { session: Arc::clone(session), turn, heard: now });
        is_full
    }
}

impl Table {
    fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    fn heard(&mut self, name: &str, now: Instant) {
        let turn = self.next_turn();
        let Some(entry) = self.by_name.get_mut(name) else { return };
        entry.heard = now;
        let before = std::mem::replace(&mut entry.turn, turn);
        if let Some(name) = self.by_silence.remove(&before) {
            self.by_silence.insert(turn, name);
        }
    }

    /// Forgets who was silent too long.
    fn forget(&mut self, now: Instant) {
        while let Some((turn, name)) = self.by_silence.first_key_value() {
            let heard = self.by_name.get(name).map(|entry| entry.heard);
            if heard.is_some_and(|heard| now.saturating_duration_since(heard) < PATIENCE) {
                return;
            }
            let (turn, name) = (*turn, Arc::clone(name));
            self.by_silence.remove(&turn);
            self.by_name.remove(&name);
        }
    }
}

/// Tells whether guards would judge both alike: the word for a caller may be renewed meanwhile.
fn is_same(one: &Identity, other: &Identity) -> bool {
    one.user == other.user && one.roles == other.roles && one.claims == other.claims
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sessions").field(&lock(&self.0).by_name.len()).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use sockwarden_inspect::Opening;

    use super::*;
    use crate::inspection::InspectConfig;

    const TARGET: &str = "/socket.io/?EIO=4&transport=polling";

    fn inspector(target: &str) -> Inspector {
        let opening = Opening { subprotocol: None, target };
        InspectConfig::default().build().unwrap().begin(&opening)
    }

    fn of(user: Option<&str>) -> Identity {
        user.map(Identity::of_user).unwrap_or_default()
    }

    fn session(user: Option<&str>, now: Instant) -> Arc<Session> {
        let talk = Talk { chain: Chain::new(&[].into()), inspector: inspector(TARGET) };
        Arc::new(Session::new(of(user), talk, now))
    }

    #[test]
    fn a_session_is_its_users_and_is_forgotten_when_it_is_silent() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let (first, second) = (session(Some("ann"), now), session(Some("bob"), now));
        assert!(!sessions.enter("a", &first, now));
        assert!(!sessions.enter("a", &second, now));
        let check = |target: &str, user: Option<&str>, after: Duration, expected: bool| {
            let found = sessions.find(&format!("{target}&sid=a"), &of(user), &inspector(target), now + after);
            assert_eq!(
                found.is_some_and(|found| Arc::ptr_eq(&found, &first)),
                expected,
                "{user:?} {after:?}"
            );
        };
        check(TARGET, Some("ann"), Duration::ZERO, true);
        check("/engine.io/?EIO=4", Some("ann"), Duration::ZERO, false);
        check("/other?a=b", Some("ann"), Duration::ZERO, true);
        check(TARGET, Some("bob"), Duration::ZERO, false);
        check(TARGET, None, Duration::ZERO, false);
        check(TARGET, Some("ann"), PATIENCE - Duration::from_secs(1), true);
        check(TARGET, Some("ann"), PATIENCE * 2 - Duration::from_secs(2), true);
        check(TARGET, Some("ann"), PATIENCE * 4, false);
    }

    #[test]
    fn of_too_many_the_most_silent_one_is_forgotten() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let one = session(None, now);
        for number in 0..MOST {
            assert!(!sessions.enter(&number.to_string(), &one, now));
        }
        let inspector = inspector(TARGET);
        let is_there =
            |name| sessions.find(&format!("{TARGET}&sid={name}"), &of(None), &inspector, now).is_some();
        assert!(is_there("0"));
        assert!(sessions.enter("more", &one, now));
        assert_eq!(["0", "1", "2", "more"].map(is_there), [true, false, true, true]);
    }
}
