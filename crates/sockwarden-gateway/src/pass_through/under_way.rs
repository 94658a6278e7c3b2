//! The requests that are being passed on: an end in order waits for their answers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Counts requests from when they are let in to when they are answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passing(Arc<AtomicUsize>);

/// A request that is being passed on; it is none any more when this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<AtomicUsize>);

impl Passing {
    /// Counts one more.
    pub(crate) fn begin(&self) -> UnderWay {
        self.0.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(&self.0))
    }

    /// Tells whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
