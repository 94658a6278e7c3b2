//! `sockwarden demo`: real attacks on a real application, without the gateway and through it.
//!
//! [`Stage`] starts Harbor and the gateway, [`ATTACKS`] is the ordered list of what is tried, one file each, and [`run`]
//! scans and attacks both. An attack succeeds by what the attacker holds in the end or by what Harbor's database says, never
//! by a status code; it counts as stopped by a defence only if the gateway's own event says so; and a flaw is found or gone
//! only by what the scanner reports. Nothing leaves the loopback.

mod attacks;
mod directions;
mod events;
mod interceptor;
mod json;
mod relay;
mod run;
mod scans;
mod stage;
mod table;
mod victim;

pub use attacks::{ATTACKS, Attack, Outcome, Place, Target};
pub use directions::directions;
pub use json::lines;
pub use run::{Row, STEPS, Shown, run};
pub use scans::Sighting;
pub use stage::{SWITCHES, Stage, switch_off};
pub use table::table;
