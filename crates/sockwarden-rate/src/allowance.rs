//! What somebody may send: messages, bytes, and messages of some kinds.

use crate::{Bucket, Meter, TICKS};

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

/// The buckets of one user, or of one application.
#[derive(Debug)]
pub(crate) struct Allowance {
    messages: Option<Bucket>,
    bytes: Option<Bucket>,
    kinds: Box<[Bucket]>,
}

impl Allowance {
    pub(crate) fn new(messages: Option<Quota>, bytes: Option<Quota>, kinds: &[Quota]) -> Self {
        Self {
            messages: messages.map(Quota::bucket),
            bytes: bytes.map(Quota::bucket),
            kinds: kinds.iter().map(|quota| quota.bucket()).collect(),
        }
    }

    /// Takes what a message costs from all buckets, or from none.
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
        for (number, bucket) in self.of(cost.kinds) {
            if let Err(wait) = bucket.take(1, now) {
                self.of(cost.kinds & ((1 << number) - 1)).for_each(|(_, taken)| taken.give_back(1));
                return Err(wait);
            }
        }
        Ok(())
    }

    /// Gives back what was taken for a message that did not pass.
    pub(crate) fn give_back(&self, cost: Cost) {
        self.messages.iter().for_each(|bucket| bucket.give_back(1));
        self.bytes.iter().for_each(|bucket| bucket.give_back(cost.bytes));
        self.of(cost.kinds).for_each(|(_, bucket)| bucket.give_back(1));
    }

    /// Tells after how long so many more would have passed.
    pub(crate) fn clears_in(&self, messages: u64, bytes: u64, now: u64) -> u64 {
        let of =
            |bucket: &Option<Bucket>, units| bucket.as_ref().map_or(0, |bucket| bucket.clears_in(units, now));
        of(&self.messages, messages).max(of(&self.bytes, bytes))
    }

    pub(crate) fn is_full(&self, now: u64) -> bool {
        let mut all = self.messages.iter().chain(&self.bytes).chain(&self.kinds);
        all.all(|bucket| bucket.is_full(now))
    }

    /// Gives what a message costs as one figure, to compare users by; where nothing is limited each message counts alike.
    pub(crate) fn price(&self, cost: Cost) -> u64 {
        let messages = self.messages.as_ref().map_or(1, |bucket| bucket.price(1));
        let bytes = self.bytes.as_ref().map_or(1, |bucket| bucket.price(cost.bytes));
        messages.max(bytes)
    }

    fn of(&self, kinds: u32) -> impl Iterator<Item = (usize, &Bucket)> {
        self.kinds.iter().enumerate().filter(move |(number, _)| kinds & (1 << number) != 0)
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
        let allowance =
            Allowance::new(Some(quota(10, 3)), Some(quota(100, 100)), &[quota(1, 1), quota(1, 2)]);
        assert_eq!(allowance.take(cost(10, 0b11), 0), Ok(()));
        assert_eq!(allowance.take(cost(10, 0b01), 0), Err(TICKS), "of its kind one a second may pass");
        assert_eq!(allowance.take(cost(10, 0b10), 0), Ok(()));
        assert_eq!(allowance.take(cost(10, 0b11), 0), Err(TICKS));
        assert_eq!(
            allowance.take(cost(91, 0), 0),
            Err(TICKS / 10 + TICKS / 100),
            "a hundred bytes, of which twenty are taken"
        );
        assert_eq!(allowance.take(cost(80, 0), 0), Ok(()), "nothing was taken by what did not pass");
        assert_eq!(allowance.take(cost(0, 0), 0), Err(TICKS / 10));
        allowance.give_back(cost(80, 0));
        assert_eq!(allowance.take(cost(80, 0), 0), Ok(()));
        assert!(!allowance.is_full(TICKS) && allowance.is_full(2 * TICKS));
    }
}
