//! Tokens judged with keys that are kept fresh.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest::{SHA256, digest};
use sockwarden_model::Identity;
use sockwarden_net::ClientTls;
use tokio::{
    sync::{Mutex, mpsc},
    time::{Instant, sleep_until},
};

use crate::{
    bad_setting::BadSetting,
    config::JwtConfig,
    keys::LONGEST_DOCUMENT,
    news::KeyNews,
    source::KeySource,
    token_error::TokenError,
    verifier::{Rules, Verifier},
};

/// How long keys stay in use that cannot be read again.
const LONGEST_STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// How soon after one that asked for new keys the next one may.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// How long a failure is waited out at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const SHORTEST_REFRESH: Duration = Duration::from_secs(10);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How many news wait to be told; more are not kept.
const MOST_NEWS: usize = 16;

/// Judges tokens by one configuration; its keys are read again and again.
#[derive(Debug)]
pub struct Tokens {
    shared: Arc<Shared>,
    news: Mutex<mpsc::Receiver<KeyNews>>,
}

#[derive(Debug)]
struct Shared {
    rules: Arc<Rules>,
    source: KeySource,
    refresh: Duration,
    held: ArcSwapOption<Held>,
    effort: Mutex<Effort>,
    news: mpsc::Sender<KeyNews>,
}

/// The keys in use.
#[derive(Debug)]
struct Held {
    verifier: Verifier,
    /// The hash of the document that they are from.
    of: Vec<u8>,
    read_at: Instant,
}

/// What was tried in order to read keys; whoever tries holds it.
#[derive(Debug, Default)]
struct Effort {
    /// When a token asked last.
    asked_at: Option<Instant>,
    /// What was complained of last, where it still holds.
    complaint: Option<String>,
    failures: u32,
}

impl Tokens {
    /// Makes what judges tokens as `config` says. Files are read; an issuer is asked later, over `tls`, by [`Tokens::run`] or for the
    /// first token.
    ///
    /// # Errors
    /// Every setting that means nothing, and a file or secret that holds no key for the algorithms.
    pub fn build(config: &JwtConfig, tls: &ClientTls) -> Result<Self, Vec<BadSetting>> {
        let mut bad = Vec::new();
        let rules = Rules::new(config).map_err(|more| bad.extend(more)).ok();
        if !(SHORTEST_REFRESH..=LONGEST_STALE).contains(&config.refresh.get()) {
            bad.push(BadSetting::new("refresh", "it is less than ten seconds or more than a day", None));
        }
        if config.timeout.is_zero() || config.timeout.get() > LONGEST_TIMEOUT {
            bad.push(BadSetting::new("timeout", "it is no time at all or more than a minute", None));
        }
        let source = KeySource::new(config, tls).map_err(|wrong| bad.push(wrong)).ok();
        let (Some(rules), Some(source)) = (rules, source) else { return Err(bad) };
        let (news, inbox) = mpsc::channel(MOST_NEWS);
        let shared = Shared {
            rules: Arc::new(rules),
            source,
            refresh: config.refresh.get(),
            held: ArcSwapOption::empty(),
            effort: Mutex::default(),
            news,
        };
        if let Some(document) = shared.source.document_at_start() {
            match document.and_then(|document| shared.held_of(&document)) {
                Ok(held) => shared.held.store(Some(Arc::new(held))),
                Err(why) => bad.push(BadSetting::new(shared.source.key(), why, None)),
            }
        }
        if bad.is_empty() { Ok(Self { shared: Arc::new(shared), news: Mutex::new(inbox) }) } else { Err(bad) }
    }

    /// Gives the identity that a token vouches for at `now`, in seconds since the Unix epoch. A token whose key is not known has
    /// the keys read again, at most every 30 seconds, and waits for them.
    ///
    /// # Errors
    /// What is wrong with the token, or that there are no keys to judge it with.
    pub async fn verify(&self, token: &str, now: u64) -> Result<Identity, TokenError> {
        let seen = self.shared.held.load_full();
        match judge(seen.as_deref(), token, now) {
            Err(why @ (TokenError::UnknownKey | TokenError::KeysUnavailable))
                if self.shared.source.may_change() =>
            {
                // A task of its own: a caller who goes away must not take the answer along that others wait for.
                let shared = Arc::clone(&self.shared);
                let is_read = tokio::spawn(async move { shared.read_for_a_token(seen.as_ref()).await });
                if is_read.await.unwrap_or(false) {
                    judge(self.shared.held.load().as_deref(), token, now)
                } else {
                    Err(why)
                }
            }
            judged => judged,
        }
    }

    /// Tells whether there are keys to judge tokens with.
    pub fn has_keys(&self) -> bool {
        self.shared.held.load().as_ref().is_some_and(|held| !held.is_stale())
    }

    /// Reads the keys again and again, and tells what happens to them, until it is dropped. It ends at once where they cannot change.
    pub async fn run(self: Arc<Self>, mut tell: impl FnMut(KeyNews) + Send) {
        if !self.shared.source.may_change() {
            return;
        }
        let mut inbox = self.news.lock().await;
        let wait = if self.has_keys() { self.shared.refresh } else { Duration::ZERO };
        let mut next = Instant::now() + wait;
        loop {
            tokio::select! {
                Some(news) = inbox.recv() => tell(news),
                () = sleep_until(next) => {
                    let mut effort = self.shared.effort.lock().await;
                    self.shared.read(&mut effort).await;
                    next = Instant::now() + self.shared.pause(&effort);
                }
            }
        }
    }
}

fn judge(held: Option<&Held>, token: &str, now: u64) -> Result<Identity, TokenError> {
    match held.filter(|held| !held.is_stale()) {
        Some(held) => held.verifier.verify(token, now),
        None => Err(TokenError::KeysUnavailable),
    }
}

impl Held {
    /// Tells whether its keys have not been read for so long that they must not be used any more. Those of a secret are
    /// never read again, and a day is more than the longest pause between two looks.
    fn is_stale(&self) -> bool {
        !self.of.is_empty() && self.read_at.elapsed() > LONGEST_STALE
    }
}

impl Shared {
    fn held_of(&self, document: &[u8]) -> Result<Held, String> {
        if document.len() > LONGEST_DOCUMENT {
            return Err(crate::KeysError::Long.to_string());
        }
        let keys = self.source.keys(document).map_err(|error| error.to_string())?;
        if !keys.fit_any(&self.rules.algorithms) {
            return Err("no key in it fits any of the `algorithms`".to_owned());
        }
        let of =
            if self.source.may_change() { digest(&SHA256, document).as_ref().to_vec() } else { Vec::new() };
        let verifier = Verifier::of(Arc::clone(&self.rules), keys);
        Ok(Held { verifier, of, read_at: Instant::now() })
    }

    /// Reads the keys for a token that could not be judged with those that it has `seen`; tells whether there are others now.
    async fn read_for_a_token(&self, seen: Option<&Arc<Held>>) -> bool {
        let mut effort = self.effort.lock().await;
        let differs = || match (self.held.load().as_ref(), seen) {
            (Some(now), Some(seen)) => !Arc::ptr_eq(now, seen),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if differs() {
            return true;
        }
        if effort.asked_at.is_some_and(|at| at.elapsed() < ASK_AGAIN) {
            return false;
        }
        effort.asked_at = Some(Instant::now());
        self.read(&mut effort).await;
        differs()
    }

    async fn read(&self, effort: &mut Effort) {
        let read = self.source.document().await.and_then(|document| self.held_of(&document));
        let from = self.source.name();
        match read {
            Ok(held) => {
                let before = self.held.load_full();
                let is_new = before.is_none_or(|before| before.of != held.of);
                let (keys, left_out) = (held.verifier.keys().len(), held.verifier.keys().left_out().to_vec());
                self.held.store(Some(Arc::new(held)));
                if is_new || effort.complaint.is_some() {
                    self.tell(KeyNews::Read { from, keys, left_out });
                }
                (effort.complaint, effort.failures) = (None, 0);
            }
            Err(why) => {
                effort.failures = effort.failures.saturating_add(1);
                if effort.complaint.as_ref() != Some(&why) {
                    let has_older = self.held.load().as_ref().is_some_and(|held| !held.is_stale());
                    self.tell(KeyNews::Unavailable { from, why: why.clone(), has_older });
                    effort.complaint = Some(why);
                }
            }
        }
    }

    /// Gives how long to wait before the next look: longer with each failure.
    fn pause(&self, effort: &Effort) -> Duration {
        match effort.failures {
            0 => self.refresh,
            failures => Duration::from_secs(1 << failures.min(6)).min(LONGEST_PAUSE).min(self.refresh),
        }
    }

    fn tell(&self, news: KeyNews) {
        // Nobody may be listening.
        let _ = self.news.try_send(news);
    }
}

#[cfg(test)]
mod tests;
