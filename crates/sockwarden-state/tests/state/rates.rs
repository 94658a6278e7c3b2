//! Limiters of several replicas that share their buckets on one server.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use sockwarden_config::{Hidden, Secret};
use sockwarden_rate::{BanPolicy, Cost, Lane, Lending, Limiter, Limits, Offer, Queue, Quota, Subject, TICKS};
use sockwarden_state::{RateNews, State, StateConfig};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    common::{new_ticket, record, wait_until},
    redis::{RIGHTS, up},
    server::Server,
};

const MESSAGES: Quota = Quota { rate: 200, burst: 50 };

/// What one lease of messages holds: a tenth of a second's worth.
const LEASE: u64 = 20;

fn limits() -> Limits {
    Limits {
        messages: Some(MESSAGES),
        bytes: Some(Quota { rate: 1_000_000, burst: 1_000_000 }),
        kinds: Vec::new(),
        all_messages: Some(Quota { rate: 10_000, burst: 1000 }),
        all_bytes: None,
        queue: Queue { messages: 100_000, bytes: 1 << 30 },
        ban: BanPolicy { after: 0, within: 0, first: 0, most: 0 },
    }
}

/// A limiter with its shell.
struct Replica {
    limiter: Limiter,
    since: Instant,
    news: Arc<Mutex<Vec<RateNews>>>,
    tasks: [JoinHandle<()>; 2],
}

impl Replica {
    fn start(state: &State, scope: &str, since: Instant) -> Self {
        let now = move || since.elapsed().as_nanos() as u64;
        let (bell, asks) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let ring = |bell: &Arc<Notify>| {
            let bell = Arc::clone(bell);
            move || bell.notify_one()
        };
        let limiter = Limiter::new(limits(), ring(&bell));
        limiter.share(Lending::default(), ring(&asks));
        let polled = limiter.clone();
        let poll = tokio::spawn(async move {
            loop {
                let next = polled.poll(now());
                let wait = next.map_or(3600 * TICKS, |next| next.saturating_sub(now()));
                let _ = tokio::time::timeout(Duration::from_nanos(wait), bell.notified()).await;
            }
        });
        let news = Arc::<Mutex<Vec<RateNews>>>::default();
        let told = Arc::clone(&news);
        let (served, leases) = (limiter.clone(), state.leases(scope).unwrap());
        let serve = tokio::spawn(async move {
            leases.serve(&served, &asks, now, |news| told.lock().unwrap().push(news)).await;
        });
        Self { limiter, since, news, tasks: [poll, serve] }
    }

    fn now(&self) -> u64 {
        self.since.elapsed().as_nanos() as u64
    }

    fn lane(&self, user: &str) -> Lane {
        self.limiter.lane(self.limiter.user(&Subject::User(user.into()), self.now()))
    }

    fn news(&self) -> Vec<RateNews> {
        self.news.lock().unwrap().clone()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

const fn cost() -> Cost {
    Cost { bytes: 20, kinds: 0 }
}

/// Keeps as much waiting on each lane as passes, for a while; gives when each message passed.
async fn press(replicas: &[Replica], lanes: &mut [Lane], length: Duration) -> Vec<u64> {
    let mut passed = Vec::new();
    let end = Instant::now() + length;
    while Instant::now() < end {
        for (replica, lane) in replicas.iter().zip(&mut *lanes) {
            for _ in 0..lane.granted() {
                passed.push(replica.now());
            }
            while lane.len() < 500 {
                if lane.offer(cost(), replica.now()) == Offer::Pass {
                    passed.push(replica.now());
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    passed
}

/// Finds a span in which more passed than it may; moments are some milliseconds late, which counts for as much.
fn excess(passed: &[u64], extra: u64) -> Option<String> {
    for (first, start) in passed.iter().enumerate() {
        for (sum, at) in (1..).zip(&passed[first..]) {
            let late = 50 * TICKS / 1000;
            let most = MESSAGES.burst + extra + MESSAGES.rate * (at - start + late) / TICKS;
            if sum > most {
                return Some(format!("{sum} of {most} from {start} to {at}"));
            }
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_hold_a_user_to_its_rate() {
    let server = Server::start();
    let states = [up(&server.config()).await, up(&server.config()).await];
    let since = Instant::now();
    let replicas = states.each_ref().map(|state| Replica::start(state, "chat from clients", since));
    let mut lanes = replicas.each_ref().map(|replica| replica.lane("mara"));
    let passed = press(&replicas, &mut lanes, Duration::from_secs(3)).await;
    assert_eq!(excess(&passed, 2 * LEASE), None);
    // Three seconds at 200, and a burst of 50.
    assert!(passed.len() > 550, "{}", passed.len());
    let counts = states.each_ref().map(State::rate_counts);
    assert!(counts.iter().all(|counts| counts.unanswered == 0 && counts.alone == 0), "{counts:?}");
    let asked: u64 = counts.iter().map(|counts| counts.answered).sum();
    assert!(asked < passed.len() as u64 / 2, "{asked} requests for {} messages", passed.len());
    // Others are not concerned, and neither are limiters with another scope.
    let mut other = replicas[0].lane("nils");
    let elsewhere = Replica::start(&states[0], "news from clients", since);
    let mut mara = elsewhere.lane("mara");
    for lane in [&mut other, &mut mara] {
        wait_until("a message", || {
            let offer = if lane.is_empty() { lane.offer(cost(), replicas[0].now()) } else { Offer::Wait };
            offer == Offer::Pass || lane.granted() > 0
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_leaves_each_replica_its_own_limits_and_ends_by_itself() {
    let mut server = Server::start();
    let states = [up(&server.config()).await, up(&server.config()).await];
    let since = Instant::now();
    let replicas = states.each_ref().map(|state| Replica::start(state, "chat", since));
    let mut lanes = replicas.each_ref().map(|replica| replica.lane("mara"));
    let mut passed = press(&replicas, &mut lanes, Duration::from_secs(1)).await;
    assert_eq!(excess(&passed, 2 * LEASE), None);

    server.kill();
    let during = press(&replicas, &mut lanes, Duration::from_secs(2)).await;
    assert!(replicas.iter().all(|replica| !replica.limiter.is_shared()));
    assert!(states.iter().all(|state| state.rate_counts().alone == 1));
    // Each by itself: the half of two seconds at least, though it took up to a timeout to be noticed.
    assert!(during.len() as u64 > MESSAGES.rate * 2, "{}", during.len());
    let most = 2 * (MESSAGES.burst + LEASE + MESSAGES.rate * 21 / 10);
    assert!(during.len() as u64 <= most, "{} of {most}", during.len());

    server.restart();
    wait_until("leases", || replicas.iter().all(|replica| replica.limiter.is_shared())).await;
    // What has passed by own limits is told now; and the server has forgotten everything, so there is one more burst.
    press(&replicas, &mut lanes, Duration::from_millis(50)).await;
    passed = press(&replicas, &mut lanes, Duration::from_secs(2)).await;
    assert_eq!(excess(&passed, 2 * LEASE), None);
    assert!(passed.len() as u64 > MESSAGES.rate * 3 / 2, "{}", passed.len());
    for replica in &replicas {
        let news = replica.news();
        assert!(matches!(news[..], [RateNews::Alone(_), RateNews::Shared]), "{news:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_waited_for_once() {
    let server = Server::start();
    let config = StateConfig { timeout: "200ms".parse().unwrap(), ..server.config() };
    let states = [up(&config).await];
    let replicas = [Replica::start(&states[0], "chat", Instant::now())];
    let mut lanes = [replicas[0].lane("mara")];
    press(&replicas, &mut lanes, Duration::from_millis(500)).await;
    server.freeze(true);
    let during = press(&replicas, &mut lanes, Duration::from_secs(2)).await;
    assert!(during.len() as u64 > MESSAGES.rate, "{}", during.len());
    assert!(!replicas[0].limiter.is_shared());
    server.freeze(false);
    wait_until("leases", || replicas[0].limiter.is_shared()).await;
    let after = press(&replicas, &mut lanes, Duration::from_millis(500)).await;
    assert!(!after.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_shut_out_by_one_replica_is_shut_out_by_all_within_a_second() {
    let server = Server::start();
    let states = [up(&server.config()).await, up(&server.config()).await];
    let since = Instant::now();
    let replicas = states.each_ref().map(|state| Replica::start(state, "chat", since));
    let mut lanes = replicas.each_ref().map(|replica| replica.lane("mara"));
    press(&replicas, &mut lanes, Duration::from_millis(100)).await;
    let began = Instant::now();
    lanes[0].user().ban_until(replicas[0].now() + 60 * TICKS);
    while lanes[1].user().banned(replicas[1].now()).is_none() {
        assert!(began.elapsed() < Duration::from_secs(1));
        press(&replicas[1..], &mut lanes[1..], Duration::from_millis(10)).await;
    }
    let left = lanes[1].user().banned(replicas[1].now()).unwrap();
    assert!((58 * TICKS..=60 * TICKS).contains(&left), "{left}");
    // One that starts later hears it when the user comes.
    let third = Replica::start(&states[0], "chat", since);
    let lane = third.lane("mara");
    wait_until("the ban", || lane.user().banned(third.now()).is_some()).await;
    lane.user().ban_until(0);
    wait_until("its end", || {
        let user = replicas[1].lane("mara").user().banned(replicas[1].now());
        user.is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_is_on_the_server_and_nothing_stays_for_good() {
    let server = Server::start();
    let state = up(&server.config()).await;
    let replicas = [Replica::start(&state, "chat", Instant::now())];
    let mut lanes = [replicas[0].lane("mara\r\n{x} \u{0}")];
    press(&replicas, &mut lanes, Duration::from_millis(300)).await;
    let keys = server.tell("KEYS *");
    assert!(keys.contains("sockwarden:rate:{") && !keys.contains("mara"), "{keys}");
    drop((lanes, replicas));
    // All of it was paid for within a second or so.
    wait_until("the end", || server.tell("KEYS *") == "*0\r\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_for_rates_does_not_end_the_link_for_tickets() {
    let few = RIGHTS.replace(" +time", "");
    assert_ne!(few, RIGHTS);
    let server = Server::with(|port, _| {
        let users = [("all", RIGHTS), ("few", &few)]
            .map(|(name, rights)| format!("user {name} on >hunter2 {rights}\n"));
        format!("port {port}\nuser default off\n{}", users.concat())
    });
    let config = |user: &str| StateConfig {
        password: Some(Secret { inline: Some(Hidden::new("hunter2".to_owned())), ..Secret::default() }),
        ..server.config_of(&format!("redis://{user}@127.0.0.1:{}", server.port))
    };
    let states = [up(&config("all")).await, up(&config("few")).await];
    let replicas = states.each_ref().map(|state| Replica::start(state, "chat", Instant::now()));
    let mut lanes = replicas.each_ref().map(|replica| replica.lane("mara"));
    let passed = press(&replicas[1..], &mut lanes[1..], Duration::from_secs(1)).await;
    assert!(passed.len() as u64 > MESSAGES.burst, "{}", passed.len());
    assert!(matches!(replicas[1].news()[..], [RateNews::Alone(_)]), "{:?}", replicas[1].news());
    for _ in 0..20 {
        states[1].issue(&new_ticket(), &record("ben"), 1000, 1000).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(states[1].health().up);
    let passed = press(&replicas[..1], &mut lanes[..1], Duration::from_millis(500)).await;
    assert!(passed.len() as u64 > MESSAGES.burst, "{}", passed.len());
    let counts = states[0].rate_counts();
    assert!(counts.answered > 0 && counts.unanswered == 0, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_lends_from_wherever_a_bucket_lies() {
    let server = crate::server::cluster().await;
    let config = StateConfig { cluster: true, ..server.config() };
    let states = [up(&config).await, up(&config).await];
    let since = Instant::now();
    let replicas = states.each_ref().map(|state| Replica::start(state, "chat", since));
    let mut lanes = replicas.each_ref().map(|replica| replica.lane("mara"));
    let _others: Vec<Lane> = (0..40).map(|number| replicas[0].lane(&format!("user {number}"))).collect();
    let passed = press(&replicas, &mut lanes, Duration::from_secs(1)).await;
    assert_eq!(excess(&passed, 2 * LEASE), None);
    assert!(passed.len() as u64 > MESSAGES.rate / 2, "{}", passed.len());
    assert!(states.iter().all(|state| state.rate_counts().unanswered == 0));
}

#[tokio::test]
async fn there_is_nothing_to_share_in_memory() {
    assert!(State::memory(1).leases("chat").is_none());
}
