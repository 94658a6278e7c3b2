//! A limiter whose buckets replicas share.

use std::sync::Arc;

use super::{Limiter, Limits};
use crate::{Answer, Ask, Lending, lending::Desk};

impl Limiter {
    /// Begins with nothing: what may pass is lent by whoever answers what is [asked](Limiter::asks).
    ///
    /// `bell` is that of [`Limiter::new`]; `asks_bell` is rung when [`Limiter::asks`] is wanted sooner than [`Limiter::next_ask`] told.
    /// Neither may call back.
    pub fn shared(
        limits: Limits,
        lending: Lending,
        bell: impl Fn() + Send + Sync + 'static,
        asks_bell: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self::with(limits, bell, Some(Arc::new(Desk::new(lending, asks_bell))))
    }

    /// Takes what is to be asked for now, up to a number; each is to be [answered](Limiter::answer) or given [up](Limiter::cut_off).
    pub fn asks(&self, now: u64, most: usize) -> Vec<Ask> {
        self.0.desk.as_ref().map_or_else(Vec::new, |desk| desk.take(now, most))
    }

    /// Tells when something is to be asked for next; never, as far as is known, where there is nothing.
    pub fn next_ask(&self) -> Option<u64> {
        self.0.desk.as_ref()?.next()
    }

    /// Takes in what is lent, and lets those pass who waited for it.
    pub fn answer(&self, answers: impl IntoIterator<Item = (Ask, Answer)>, now: u64) {
        let mut users = Vec::new();
        for (Ask { purse, wishes, .. }, answer) in answers {
            // Who was forgotten meanwhile has nothing that waits.
            if let Some(user) = purse.subject().and_then(|subject| self.known(subject)) {
                if !purse.has_untold_ban() {
                    user.hear_ban(answer.banned, now);
                }
                users.push(user);
            }
            purse.fill(&wishes, &answer, now);
        }
        self.poll_after(now, |turns| users.iter().for_each(|user| turns.try_again(user)));
    }

    /// Goes on with buckets of its own, since these were not answered.
    pub fn cut_off(&self, asks: impl IntoIterator<Item = Ask>, now: u64) {
        if let Some(desk) = &self.0.desk {
            desk.open(false);
        }
        asks.into_iter().for_each(|ask| ask.purse.is_unanswered(ask.ban, now));
        self.poll_after(now, |turns| turns.try_all_again());
    }

    /// Uses what is lent again.
    pub fn reconnect(&self, now: u64) {
        if let Some(desk) = &self.0.desk {
            desk.open(true);
        }
        self.poll_after(now, |turns| turns.try_all_again());
    }

    /// Tells whether its buckets are shared now: not where it began with its own, nor during an outage.
    pub fn is_shared(&self) -> bool {
        self.0.desk.as_ref().is_some_and(|desk| desk.is_open())
    }
}
