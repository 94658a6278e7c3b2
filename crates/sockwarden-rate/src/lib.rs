//! How much may pass: exact arithmetic on time, no clock.
//!
//! A [`Meter`] is the generic cell rate algorithm (ITU-T I.371): a rate and a burst, and the one number that a bucket is. A
//! [`Limiter`] holds what one application can take and what each of its users may send, in messages and in bytes, for one direction.
//! Each connection has a [`Lane`] in it: what does not conform waits there, in its order, and users take turns, so that one who sends
//! much does not starve others.
//!
//! Replicas may share all of it: a [`Limiter`] that is told to [share](Limiter::share) uses up what it was lent ([`Lending`]), so that no message waits for a server.
//!
//! Nothing here waits or sends: a lane counts messages, whoever holds them asks how many may leave. Times are ticks since any fixed
//! moment and are arguments.

mod allowance;
mod bucket;
mod lane;
mod lending;
mod limiter;
mod meter;
mod subject;
mod turns;
mod user;

pub use allowance::{Cost, Quota};
pub use bucket::Bucket;
pub use lane::{Lane, Offer};
pub use lending::{Answer, Ask, BucketName, Grant, Lending, Wish};
pub use limiter::{Limiter, Limits, Queue};
pub use meter::{Lent, Meter};
pub use subject::Subject;
pub use user::{BanPolicy, User};

/// How many ticks a second has where buckets are in memory: a tick is a nanosecond.
pub const TICKS: u64 = 1_000_000_000;
