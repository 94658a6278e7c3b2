//! Which of an application's addresses a connection goes to; pure.

use std::cmp::Reverse;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::health::Standing;

/// How connections are spread over an application's addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// To the one that holds the fewest connections of this gateway now.
    #[default]
    LeastConnections,
    /// The same user to the same address while it is healthy, on every replica; by the client's address where no user is known.
    HashUser,
    /// The same client address to the same address while it is healthy, on every replica.
    HashAddress,
}

/// An address that could be taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) standing: Standing,
    pub(crate) live: u32,
    /// How well it goes with whom it is for: see [`weight`].
    pub(crate) weight: u64,
}

/// Picks a candidate: a good one before an ejected one, then by the rule, then the heaviest.
pub(crate) fn pick(balance: Balance, candidates: impl Iterator<Item = Candidate>) -> Option<usize> {
    candidates
        .enumerate()
        .min_by_key(|(_, candidate)| {
            let load = match balance {
                Balance::LeastConnections => candidate.live,
                Balance::HashUser | Balance::HashAddress => 0,
            };
            (candidate.standing, load, Reverse(candidate.weight))
        })
        .map(|(index, _)| index)
}

/// Gives how well `place` goes with `key`: a number that looks random but is the same on every replica. Who takes the heaviest
/// of several places keeps it when others come and go (rendezvous hashing).
pub(crate) fn weight(key: &[u8], place: &[u8]) -> u64 {
    // FNV-1a, then a finalizer (that of SplitMix64) so that similar keys do not give similar weights.
    let length = (key.len() as u64).to_le_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in length.iter().chain(key).chain(place) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const OUT: Standing = Standing::Ejected(Duration::from_secs(9));
    const OUT_LONGER: Standing = Standing::Ejected(Duration::MAX);

    #[test]
    fn health_comes_before_load_and_load_before_weight() {
        use Balance::{HashAddress, HashUser, LeastConnections};
        use Standing::Good;
        let check = |balance, candidates: &[(Standing, u32, u64)], expected: Option<usize>| {
            let candidates =
                candidates.iter().map(|&(standing, live, weight)| Candidate { standing, live, weight });
            assert_eq!(pick(balance, candidates), expected);
        };
        check(LeastConnections, &[], None);
        check(LeastConnections, &[(Good, 5, 9), (Good, 4, 1)], Some(1));
        check(LeastConnections, &[(Good, 5, 1), (Good, 5, 9)], Some(1));
        check(LeastConnections, &[(OUT, 0, 9), (Good, 900, 1)], Some(1));
        check(HashUser, &[(Good, 900, 9), (Good, 0, 1)], Some(0));
        check(HashAddress, &[(OUT, 0, 9), (Good, 0, 1), (Good, 0, 5)], Some(2));
        check(HashUser, &[(OUT_LONGER, 0, 9), (OUT, 0, 1)], Some(1));
    }

    #[test]
    fn who_loses_its_place_is_spread_and_nobody_else_moves() {
        let places: Vec<String> = (1..=5).map(|n| format!("10.0.0.{n}:8443")).collect();
        let place_of = |user: usize, places: &[String]| {
            let key = format!("user-{user}");
            let weights = places.iter().map(|place| weight(key.as_bytes(), place.as_bytes()));
            weights.enumerate().max_by_key(|(_, weight)| *weight).map(|(index, _)| places[index].clone())
        };
        let mut loads = std::collections::BTreeMap::new();
        for user in 0..10_000 {
            let before = place_of(user, &places).unwrap();
            let after = place_of(user, &places[1..]).unwrap();
            assert!(before == places[0] || before == after, "user {user} moved without need");
            *loads.entry(before).or_insert(0) += 1;
        }
        assert!(loads.values().all(|load| (1_800..2_200).contains(load)), "{loads:?}");
    }
}
