//! `sockwarden demo`: real attacks on a real application, without the gateway and through it.
//!
//! [`Stage`] starts Harbor and the gateway, [`ATTACKS`] is the ordered list of what is tried, one file each. An attack
//! succeeds by what the attacker holds in the end or by what Harbor's database says, never by a status code; and it counts
//! as stopped by a defence only if the gateway's own event says so. Nothing leaves the loopback.

mod attacks;
mod events;
mod interceptor;
mod relay;
mod stage;
mod victim;

pub use attacks::{ATTACKS, Attack, Outcome, Target};
pub use stage::{Stage, switch_off};
