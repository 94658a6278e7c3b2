//! How far a scan may go.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use sockwarden_model::Profile;
use sockwarden_net::DialOptions;

/// The limits of a scan.
#[derive(Clone, Debug)]
pub struct Options {
    /// How much the scan may do to its target.
    pub profile: Profile,
    /// The ids of the checks to make; all where it is empty.
    pub checks: Vec<String>,
    /// Connections opened in a second.
    pub rate: NonZeroU32,
    /// Checks made at a time, each on one connection.
    pub concurrency: NonZeroUsize,
    /// How long the scan may take in all.
    pub time_budget: Duration,
    /// How many bytes may be sent and received in all.
    pub byte_budget: u64,
    /// How many connections may be opened in all.
    pub connection_budget: u32,
    /// The longest message to send, in bytes; matters to the intrusive profile only.
    pub max_size: usize,
    /// How long a silent connection is watched for a ping or an end; matters to the intrusive profile only.
    pub idle_wait: Duration,
    /// Whether its owner agrees that the target is scanned with the intrusive profile. Without it only a target on this very
    /// machine is.
    pub authorised: bool,
    /// How to connect.
    pub dial: DialOptions,
}

impl Options {
    /// The longest message that is ever sent: 16 MiB.
    pub const MAX_SIZE: usize = 16 * 1024 * 1024;

    /// Makes the default limits: safe profile, 50 connections a second, 4 checks at a time, 5 minutes, 256 MiB, 1,000
    /// connections, messages of at most 16 MiB, 90 seconds of silence, no agreement of the owner.
    pub const fn new(dial: DialOptions) -> Self {
        const RATE: NonZeroU32 = NonZeroU32::new(50).expect("50 is not zero");
        const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not zero");
        Self {
            profile: Profile::Safe,
            checks: Vec::new(),
            rate: RATE,
            concurrency: CONCURRENCY,
            time_budget: Duration::from_secs(300),
            byte_budget: 256 * 1024 * 1024,
            connection_budget: 1000,
            max_size: Self::MAX_SIZE,
            idle_wait: Duration::from_secs(90),
            authorised: false,
            dial,
        }
    }

    pub(crate) fn is_intrusive(&self) -> bool {
        self.profile == Profile::Intrusive
    }
}
