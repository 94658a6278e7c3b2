//! How much room one user has: sockets at a time, and messages in a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many sockets a user may have open while `unlimited-connections` is off.
pub(crate) const SOCKETS: u32 = 16;

/// How many messages a user may send in a row while `unlimited-rate` is off, and how long each takes to be
/// forgotten: 50 in a second.
const BURST: u32 = 100;
const EVERY: Duration = Duration::from_millis(20);

/// How many users are remembered; beyond it those who have left are forgotten.
const MOST: usize = 1024;

/// Every user who has a socket open, or had lately.
#[derive(Default)]
pub(crate) struct Places(Mutex<HashMap<String, Place>>);

#[derive(Default)]
struct Place {
    sockets: u32,
    /// When all messages will be forgotten.
    empty_at: Option<Instant>,
}

/// A socket of a user, given back when it is dropped.
pub(crate) struct Seat {
    places: Arc<Places>,
    user: String,
}

impl Places {
    /// Gives a user one socket more, of `most` at a time.
    pub(crate) fn enter(self: &Arc<Self>, user: String, most: u32, now: Instant) -> Option<Seat> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= MOST {
            places.retain(|_, place| place.sockets > 0 || place.empty_at.is_some_and(|at| at > now));
        }
        let place = places.entry(user.clone()).or_default();
        if place.sockets >= most {
            return None;
        }
        place.sockets += 1;
        Some(Seat { places: Arc::clone(self), user })
    }
}

impl Seat {
    /// Takes a message; tells whether the user may send it.
    pub(crate) fn may_say(&self, now: Instant) -> bool {
        let mut places = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = places.get_mut(&self.user) else { return false };
        let full = place.empty_at.map_or(now, |at| at.max(now)) + EVERY;
        if full > now + EVERY * BURST {
            return false;
        }
        place.empty_at = Some(full);
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut places = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get_mut(&self.user) {
            place.sockets -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_that_is_given_back_is_free_again() {
        let (places, now) = (Arc::new(Places::default()), Instant::now());
        let seats: Vec<_> = (0..3).map(|_| places.enter("mara".into(), 2, now)).collect();
        assert_eq!(seats.iter().flatten().count(), 2);
        assert!(places.enter("joris".into(), 2, now).is_some());
        drop(seats);
        assert!(places.enter("mara".into(), 2, now).is_some());
    }

    #[test]
    fn all_sockets_of_a_user_share_one_bucket_that_outlives_them() {
        let (places, now) = (Arc::new(Places::default()), Instant::now());
        let (one, other) =
            (places.enter("mara".into(), 9, now).unwrap(), places.enter("mara".into(), 9, now).unwrap());
        let said = (0..BURST).filter(|at| if at % 2 == 0 { one.may_say(now) } else { other.may_say(now) });
        assert_eq!(said.count(), BURST as usize);
        assert!(!one.may_say(now));
        drop((one, other));
        let again = places.enter("mara".into(), 9, now).unwrap();
        assert!(!again.may_say(now));
        assert!(again.may_say(now + EVERY) && !again.may_say(now + EVERY));
    }

    #[test]
    fn who_has_left_is_forgotten_where_there_are_many() {
        let (places, now) = (Arc::new(Places::default()), Instant::now());
        for number in 0..3 * MOST {
            drop(places.enter(number.to_string(), 1, now));
        }
        assert!(places.0.lock().unwrap().len() <= MOST);
    }
}
