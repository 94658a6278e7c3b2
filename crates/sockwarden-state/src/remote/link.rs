//! The link to the server: made in the background, and again after each outage; what others revoke comes by it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use redis::{
    Cmd, FromRedisValue, RedisError,
    streams::{StreamRangeReply, StreamReadReply},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    Shared,
    keys::{FIELD, MOST_READ},
    wire::{Wire, dial},
};
use crate::{Revocation, config::RedisSettings, health::unix_ms};

/// How long the server holds back its answer while nothing is revoked; then it is asked again, so that its end is noticed.
const HOLD: Duration = Duration::from_secs(1);

/// How long to wait before the link is made anew: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a link must last for the next pause to be short again.
const LASTING: Duration = Duration::from_secs(5);

/// Where every stream begins.
const BEGINNING: &str = "0-0";

/// Keeps the link up for as long as it is not aborted.
pub(crate) async fn keep(shared: Arc<Shared>, settings: RedisSettings) {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = Instant::now();
        // A fault of a library must not end the link for good.
        let mut tasks = JoinSet::new();
        tasks.spawn(link(Arc::clone(&shared), settings.clone()));
        let lost = match tasks.join_next().await {
            Some(Ok(Err(lost))) => lost,
            Some(Err(fault)) => Lost::ByError(fault.to_string()),
            None => Lost::ByError("there was no link".to_owned()),
        };
        shared.wire.store(None);
        shared.pulse.is_down();
        if let Lost::ByError(error) = lost {
            shared.pulse.failed(&error);
        }
        pause = if began.elapsed() < LASTING { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
        sleep(pause).await;
    }
}

/// Why there is no link any more.
enum Lost {
    /// An order failed that somebody gave; it was counted there.
    ByOrder,
    /// It could not be made, or nothing could be read.
    ByError(String),
}

impl From<RedisError> for Lost {
    fn from(error: RedisError) -> Self {
        Self::ByError(error.to_string())
    }
}

/// Makes the link and serves it until it is lost.
async fn link(shared: Arc<Shared>, settings: RedisSettings) -> Result<Infallible, Lost> {
    // The reader has a connection of its own: on one that waits for news nobody else is answered.
    let patience = HOLD + shared.timeout;
    let wire = dial(&settings, shared.timeout).await?;
    let reader = Reader { wire: dial(&settings, patience).await?, patience };
    let order = shared.keys.try_out();
    let tried = timeout(shared.timeout, wire.order::<redis::Value>(&order));
    tried.await.map_err(|_| Lost::ByError("no answer in time".to_owned()))??;

    // First the place from which to go on, so that nothing falls between. All of it is read again each time, for what is
    // known says nothing new, and a server that has lost something may have given the same places to others.
    let mut last = reader.last(&shared).await?;
    reader.catch_up(&shared).await?;

    let lost = shared.lost.notified();
    tokio::pin!(lost);
    lost.as_mut().enable();
    shared.wire.store(Some(Arc::new(wire)));
    shared.pulse.is_up();
    loop {
        tokio::select! {
            () = lost.as_mut() => return Err(Lost::ByOrder),
            read = reader.follow(&shared, &mut last) => read?,
        };
    }
}

/// Reads what is revoked.
struct Reader {
    wire: Wire,
    patience: Duration,
}

impl Reader {
    /// Finds the last revocation that was told.
    async fn last(&self, shared: &Shared) -> Result<String, Lost> {
        let told: StreamRangeReply = self.order(&shared.keys.last_told()).await?;
        Ok(told.ids.into_iter().next().map_or_else(|| BEGINNING.to_owned(), |entry| entry.id))
    }

    /// Puts all in force that is not over.
    async fn catch_up(&self, shared: &Shared) -> Result<(), Lost> {
        let mut skipped = 0;
        loop {
            let order = shared.keys.revoked_after(skipped, unix_ms());
            let revocations: Vec<String> = self.order(&order).await?;
            revocations.iter().for_each(|text| apply(shared, text));
            skipped += revocations.len();
            if revocations.len() < MOST_READ {
                return Ok(());
            }
        }
    }

    /// Waits for what follows `last`, and puts it in force.
    async fn follow(&self, shared: &Shared, last: &mut String) -> Result<(), Lost> {
        let order = shared.keys.told_after(last, HOLD.as_millis() as u64);
        let told: Option<StreamReadReply> = self.order(&order).await?;
        for entry in told.into_iter().flat_map(|told| told.keys).flat_map(|stream| stream.ids) {
            apply(shared, &entry.get::<String>(FIELD).unwrap_or_default());
            *last = entry.id;
        }
        Ok(())
    }

    async fn order<T: FromRedisValue>(&self, order: &Cmd) -> Result<T, Lost> {
        match timeout(self.patience, self.wire.order(order)).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Lost::ByError("no answer in time".to_owned())),
        }
    }
}

/// Puts in force what another replica, or this one, has told.
fn apply(shared: &Shared, text: &str) {
    let revocation = serde_json::from_str::<Revocation>(text).ok();
    let Some(revocation) = revocation.filter(|revocation| revocation.what.check().is_ok()) else {
        shared.pulse.failed("a revocation of another replica cannot be understood");
        return;
    };
    if shared.revocations.apply(&revocation, unix_ms()).is_err() {
        shared.pulse.failed("there is no room for a revocation of another replica");
    }
}
