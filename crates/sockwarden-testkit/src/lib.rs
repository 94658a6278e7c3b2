//! What the tests of all crates share. A dev-dependency only: nothing here is part of the program.
//!
//! - [`Script`] writes bytes by mnemonics: legal frames, illegal ones, raw bytes.
//! - [`Transcript`] keeps what a receiver said, the pieces of a frame joined; [`listen`] drives a receiver through any cuts.
//! - [`Pair`] is a connection in memory with chosen chunks and latency, [`Clock`] the time it runs on.
//! - [`HostilePeer`] makes traffic from a seed, legal but for chosen violations, and tells what it did.
//! - [`RedisServer`] is a real one, for what replicas share.
//! - [`parsers`] holds one function per parser, shared by the fuzz targets and the test that replays their corpus.

mod clock;
mod hostile;
mod listen;
mod pair;
pub mod parsers;
mod random;
mod redis;
mod script;
mod transcript;

pub use clock::Clock;
pub use hostile::{Deed, HostilePeer, Weights};
pub use listen::{Cuts, listen, listen_whole};
pub use pair::{End, Link, Pair};
pub use random::Random;
pub use redis::{RedisServer, free_port};
pub use script::{KEY, Script};
pub use transcript::{Seen, Transcript};
