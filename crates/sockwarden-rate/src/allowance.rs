//! What somebody may send: messages, bytes, and messages of some kinds.

use std::sync::{Arc, OnceLock};

use crate::{Bucket, Meter, TICKS, lending::Purse};

/// What one message costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Its length in bytes.
    pub bytes: u64,
    /// Which of the quotas for kinds of messages it takes from besides, a bit each.
    pub kinds: u32,
}

/// Units in a second, and units at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Units in a second.
    pub rate: u64,
    /// Units at once.
    pub burst: u64,
}

impl Quota {
    fn bucket(self) -> Bucket {
        Bucket::new(Meter::new(self.rate, self.burst, TICKS))
    }
}

/// What units are taken from: a bucket, or what was lent of one.
pub(crate) trait Source {
    /// Takes units, or tells after how many ticks to try again.
    fn take(&self, units: u64, now: u64) -> Result<(), u64>;

    /// Gives back units that were taken and did not pass.
    fn give_back(&self, units: u64);
}

impl Source for Bucket {
    #[inline]
    fn take(&self, units: u64, now: u64) -> Result<(), u64> {
        Self::take(self, units, now)
    }

    fn give_back(&self, units: u64) {
        Self::give_back(self, units);
    }
}

/// The sources of one user, or of one application.
#[derive(Debug)]
pub(crate) struct Sources<S> {
    pub(crate) messages: Option<S>,
    pub(crate) bytes: Option<S>,
    pub(crate) kinds: Box<[S]>,
}

impl<S: Source> Sources<S> {
    /// Makes them of quotas.
    pub(crate) fn new(quotas: &Sources<Quota>, make: impl Fn(Quota) -> S) -> Self {
        Self {
            messages: quotas.messages.map(&make),
            bytes: quotas.bytes.map(&make),
            kinds: quotas.kinds.iter().map(|quota| make(*quota)).collect(),
        }
    }

    /// Takes what a message costs from all, or from none.
    #[inline]
    pub(crate) fn take(&self, cost: Cost, now: u64) -> Result<(), u64> {
        let Some(messages) = &self.messages else { return self.take_bytes(cost, now) };
        messages.take(1, now)?;
        self.take_bytes(cost, now).inspect_err(|_| messages.give_back(1))
    }

    #[inline]
    fn take_bytes(&self, cost: Cost, now: u64) -> Result<(), u64> {
        let Some(bytes) = &self.bytes else { return self.take_kinds(cost, now) };
        bytes.take(cost.bytes, now)?;
        self.take_kinds(cost, now).inspect_err(|_| bytes.give_back(cost.bytes))
    }

    #[inline]
    fn take_kinds(&self, cost: Cost, now: u64) -> Result<(), u64> {
        if cost.kinds == 0 {
            return Ok(());
        }
        for (number, source) in self.of(cost.kinds) {
            if let Err(wait) = source.take(1, now) {
                self.of(cost.kinds & ((1 << number) - 1)).for_each(|(_, taken)| taken.give_back(1));
                return Err(wait);
            }
        }
        Ok(())
    }

    /// Gives back what was taken for a message that did not pass.
    pub(crate) fn give_back(&self, cost: Cost) {
        self.messages.iter().for_each(|source| source.give_back(1));
        self.bytes.iter().for_each(|source| source.give_back(cost.bytes));
        self.of(cost.kinds).for_each(|(_, source)| source.give_back(1));
    }

    /// Gives those for kinds of messages, with their numbers.
    pub(crate) fn of(&self, kinds: u32) -> impl Iterator<Item = (usize, &S)> {
        self.kinds.iter().enumerate().filter(move |(number, _)| kinds & (1 << number) != 0)
    }
}

/// What one user, or one application, may send: by its own buckets, or by what replicas lend each other.
#[derive(Debug)]
pub(crate) struct Allowance {
    own: Sources<Bucket>,
    /// What was lent, where buckets are shared.
    purse: OnceLock<Arc<Purse>>,
}

/// Where something was taken from, and goes back to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Taken {
    Own,
    Lent,
}

impl Allowance {
    pub(crate) fn new(quotas: &Sources<Quota>) -> Self {
        Self { own: Sources::new(quotas, Quota::bucket), purse: OnceLock::new() }
    }

    /// Has it use what is lent from now on; a second call changes nothing.
    pub(crate) fn share(&self, purse: Arc<Purse>) {
        let _ = self.purse.set(purse);
    }

    /// Takes what a message costs, all of it or nothing.
    #[inline]
    pub(crate) fn take(&self, cost: Cost, now: u64) -> Result<Taken, u64> {
        match self.purse.get() {
            Some(purse) if purse.is_used() => purse.take(cost, now).map(|()| Taken::Lent),
            _ => self.take_own(cost, now),
        }
    }

    /// Takes what a message costs from its own buckets, whether it shares others or not.
    #[inline]
    pub(crate) fn take_own(&self, cost: Cost, now: u64) -> Result<Taken, u64> {
        self.own.take(cost, now).map(|()| Taken::Own)
    }

    /// Gives back what was taken for a message that did not pass.
    pub(crate) fn give_back(&self, cost: Cost, taken: Taken) {
        match (taken, self.purse.get()) {
            (Taken::Lent, Some(purse)) => purse.give_back(cost),
            (Taken::Own | Taken::Lent, _) => self.own.give_back(cost),
        }
    }

    pub(crate) fn purse(&self) -> Option<&Arc<Purse>> {
        self.purse.get()
    }

    /// Tells after how long so many more would have passed; of a shared bucket it is not known what is in it.
    pub(crate) fn clears_in(&self, messages: u64, bytes: u64, now: u64) -> u64 {
        let is_lent = self.purse().is_some_and(|purse| purse.is_used());
        let of = |bucket: &Option<Bucket>, units| {
            let bucket = bucket.as_ref();
            bucket.map_or(0, |it| if is_lent { it.price(units) } else { it.clears_in(units, now) })
        };
        of(&self.own.messages, messages).max(of(&self.own.bytes, bytes))
    }

    pub(crate) fn is_full(&self, now: u64) -> bool {
        let mut all = self.own.messages.iter().chain(&self.own.bytes).chain(&self.own.kinds);
        all.all(|bucket| bucket.is_full(now)) && self.purse.get().is_none_or(|purse| purse.is_idle(now))
    }

    /// Gives what a message costs as one figure, to compare users by; where nothing is limited each message counts alike.
    pub(crate) fn price(&self, cost: Cost) -> u64 {
        let messages = self.own.messages.as_ref().map_or(1, |bucket| bucket.price(1));
        let bytes = self.own.bytes.as_ref().map_or(1, |bucket| bucket.price(cost.bytes));
        messages.max(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn cost(bytes: u64, kinds: u32) -> Cost {
        Cost { bytes, kinds }
    }

    #[test]
    fn all_buckets_are_taken_from_or_none() {
        let quota = |rate, burst| Quota { rate, burst };
        let quotas = Sources {
            messages: Some(quota(10, 3)),
            bytes: Some(quota(100, 100)),
            kinds: [quota(1, 1), quota(1, 2)].into(),
        };
        let sources = Sources::new(&quotas, Quota::bucket);
        assert_eq!(sources.take(cost(10, 0b11), 0), Ok(()));
        assert_eq!(sources.take(cost(10, 0b01), 0), Err(TICKS), "of its kind one a second may pass");
        assert_eq!(sources.take(cost(10, 0b10), 0), Ok(()));
        assert_eq!(sources.take(cost(10, 0b11), 0), Err(TICKS));
        assert_eq!(
            sources.take(cost(91, 0), 0),
            Err(TICKS / 10 + TICKS / 100),
            "a hundred bytes, of which twenty are taken"
        );
        assert_eq!(sources.take(cost(80, 0), 0), Ok(()), "nothing was taken by what did not pass");
        assert_eq!(sources.take(cost(0, 0), 0), Err(TICKS / 10));
        sources.give_back(cost(80, 0));
        assert_eq!(sources.take(cost(80, 0), 0), Ok(()));
    }

    #[test]
    fn an_allowance_is_full_when_all_its_buckets_are() {
        let quota = |rate, burst| Some(Quota { rate, burst });
        let allowance =
            Allowance::new(&Sources { messages: quota(10, 3), bytes: quota(100, 100), kinds: [].into() });
        assert!(allowance.is_full(0));
        assert!(allowance.take(cost(50, 0), 0).is_ok());
        assert!(!allowance.is_full(TICKS / 10) && allowance.is_full(TICKS / 2));
    }
}
