//! Counting who holds how many places, so that each is given no more than its share.

use std::{
    collections::HashMap,
    hash::{Hash, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many places each key holds. A key that holds none takes no room, so that there are no more keys than places taken.
///
/// The hasher is random: nobody can choose keys that fall together.
#[derive(Debug)]
pub(crate) struct Occupancy<K>(Mutex<HashMap<K, u32, RandomState>>);

impl<K> Default for Occupancy<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Occupancy<K> {
    /// Takes a place for as long as what is given is kept; `None` where the key holds `most` already.
    pub(crate) fn enter(self: &Arc<Self>, key: K, most: u32) -> Option<Occupied<K>> {
        // Judged and counted in one step: of two that come at once the last place goes to one.
        let mut held = self.held();
        let places = held.entry(key.clone()).or_insert(0);
        if *places >= most {
            if *places == 0 {
                held.remove(&key);
            }
            return None;
        }
        *places += 1;
        drop(held);
        Some(Occupied { of: Arc::clone(self), key })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<K, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Occupied<K: Clone + Eq + Hash> {
    of: Arc<Occupancy<K>>,
    key: K,
}

impl<K: Clone + Eq + Hash> Occupied<K> {
    /// Gives whose place it is.
    pub(crate) const fn key(&self) -> &K {
        &self.key
    }
}

impl<K: Clone + Eq + Hash> Drop for Occupied<K> {
    fn drop(&mut self) {
        let mut held = self.of.held();
        if let Some(places) = held.get_mut(&self.key) {
            *places -= 1;
            if *places == 0 {
                held.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_share_and_takes_no_room_without_a_place() {
        let all = Arc::new(Occupancy::default());
        let enter = |key: &'static str| all.enter(key, 2);
        let (one, two) = (enter("a").unwrap(), enter("a").unwrap());
        assert!(enter("a").is_none());
        let other = enter("b").unwrap();
        assert_eq!((all.held().len(), *other.key()), (2, "b"));
        drop(one);
        assert!(enter("a").is_some());
        drop((two, other));
        assert!(all.enter("c", 0).is_none());
        assert_eq!(all.held().len(), 0);
    }

    #[test]
    fn of_many_that_come_at_once_exactly_so_many_get_in() {
        let all = Arc::new(Occupancy::default());
        let entered: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| (0..100).filter_map(|_| all.enter(1, 50)).collect::<Vec<_>>()))
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(entered.len(), 50);
        drop(entered);
        assert_eq!(all.held().len(), 0);
    }

    #[test]
    fn a_place_comes_back_from_a_thread_that_panics() {
        let all = Arc::new(Occupancy::default());
        let place = all.enter(1, 1).unwrap();
        let ended = std::thread::spawn(move || {
            let _place = place;
            panic!("a connection's task panics");
        });
        assert!(ended.join().is_err());
        assert!(all.enter(1, 1).is_some());
    }
}
