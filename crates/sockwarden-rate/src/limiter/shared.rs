//! A limiter whose buckets replicas share.

use std::sync::Arc;

use super::{Inner, Limiter};
use crate::{
    Answer, Ask, Lending, User,
    lending::{Desk, Purse},
};

impl Limiter {
    /// Has it use what it is lent by whoever answers what is [asked](Limiter::asks), rather than buckets of its own: by the application
    /// at once, by users that are entered from now on. It is to be called once, before there are any; a second call changes nothing.
    ///
    /// `bell` is rung when [`Limiter::asks`] is wanted sooner than [`Limiter::next_ask`] told; it must not call back.
    pub fn share(&self, lending: Lending, bell: impl Fn() + Send + Sync + 'static) {
        let Inner { limits, desk, application, .. } = &*self.0;
        let new = Arc::new(Desk::new(lending, bell));
        if desk.set(Arc::clone(&new)).is_err() {
            return;
        }
        if limits.all_messages.is_some() || limits.all_bytes.is_some() {
            let purse = Arc::new(Purse::new(None, &limits.of_all(), new));
            purse.expect_use(0);
            application.share(purse);
        }
    }

    /// Takes what is to be asked for now, up to a number; each is to be [answered](Limiter::answer) or given [up](Limiter::cut_off).
    pub fn asks(&self, now: u64, most: usize) -> Vec<Ask> {
        self.0.desk.get().map_or_else(Vec::new, |desk| desk.take(now, most))
    }

    /// Tells when something is to be asked for next; never, as far as is known, where there is nothing.
    pub fn next_ask(&self) -> Option<u64> {
        self.0.desk.get()?.next()
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
        if let Some(desk) = self.0.desk.get() {
            desk.open(false);
        }
        asks.into_iter().for_each(|ask| ask.purse.is_unanswered(ask.ban, now));
        self.poll_after(now, |turns| turns.try_all_again());
    }

    /// Uses what is lent again.
    pub fn reconnect(&self, now: u64) {
        if let Some(desk) = self.0.desk.get() {
            desk.open(true);
        }
        self.poll_after(now, |turns| turns.try_all_again());
    }

    pub(crate) fn awaits_answer(&self, user: &User, now: u64) -> bool {
        let mut purses = user.allowance.purse().into_iter().chain(self.0.application.purse());
        self.is_shared() && purses.all(|purse| purse.awaits_answer(now))
    }

    /// Tells whether its buckets are shared now: not where it began with its own, nor during an outage.
    pub fn is_shared(&self) -> bool {
        self.0.desk.get().is_some_and(|desk| desk.is_open())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.desk.get().into_iter().for_each(|desk| desk.clear());
    }
}
