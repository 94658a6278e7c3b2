//! Keys that are fetched, rotated and out of reach, against a server on the loopback.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Mutex as StdMutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::json;
use sockwarden_config::{Hidden, HumanDuration, Secret};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::*;
use crate::{
    Algorithm,
    testing::{Issuer, NOW, jwks},
};

/// An issuer's server: it answers every request with the same bytes, and counts.
struct Server {
    address: SocketAddr,
    answer: Arc<StdMutex<Vec<u8>>>,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(StdMutex::new(answer));
        let asked = Arc::new(AtomicUsize::new(0));
        let (answers, count) = (Arc::clone(&answer), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = socket.read(&mut request).await;
                count.fetch_add(1, Ordering::SeqCst);
                let answer = answers.lock().unwrap().clone();
                if answer.is_empty() {
                    // It never answers, and holds on to the connection.
                    tokio::spawn(async move { (sleep(Duration::from_secs(5)).await, socket) });
                    continue;
                }
                let _ = socket.write_all(&answer).await;
            }
        });
        Self { address, answer, asked, task }
    }

    fn answers(&self, answer: Vec<u8>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn found(document: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{document}", document.len()).into_bytes()
}

fn status(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

fn config(server: &Server) -> JwtConfig {
    JwtConfig {
        jwks_url: Some(format!("http://{}/keys?tenant=secret", server.address)),
        audience: vec!["app".to_owned()],
        timeout: HumanDuration::from_millis(400),
        ..JwtConfig::new(&[Algorithm::ES256])
    }
}

fn tls() -> ClientTls {
    ClientTls::insecure().unwrap()
}

fn built(config: &JwtConfig) -> Tokens {
    Tokens::build(config, &tls()).unwrap()
}

/// Lets the last question for new keys be so long ago that there may be another.
async fn forget_asking(tokens: &Tokens) {
    let long_ago = Instant::now().checked_sub(ASK_AGAIN);
    tokens.shared.effort.lock().await.asked_at = Some(long_ago.unwrap());
}

async fn news(tokens: &Tokens) -> Vec<String> {
    let mut inbox = tokens.news.lock().await;
    let mut told = Vec::new();
    while let Ok(news) = inbox.try_recv() {
        told.push(format!("{:?} {news}", news.notice()));
    }
    told
}

#[tokio::test]
async fn keys_are_fetched_for_the_first_token_and_kept() {
    let issuer = Issuer::new_p256();
    let server = Server::start(found(&jwks(&[issuer.jwk(Some("a"))]))).await;
    let tokens = built(&config(&server));
    assert!(!tokens.has_keys());
    let token = issuer.token(Algorithm::ES256, Some("a"));
    for _ in 0..3 {
        assert_eq!(tokens.verify(&token, NOW).await.unwrap().user.as_deref(), Some("mara"));
    }
    assert_eq!(tokens.verify("x", NOW).await, Err(TokenError::Malformed));
    assert!(tokens.has_keys());
    assert_eq!(server.asked(), 1);
    let told = news(&tokens).await;
    assert_eq!(told, [format!("KeysRead http://{}/keys: 1 keys", server.address)]);
}

#[tokio::test]
async fn a_new_key_is_asked_for_once_however_many_tokens_name_one_that_nobody_knows() {
    let (old, new) = (Issuer::new_p256(), Issuer::new_p256());
    let server = Server::start(found(&jwks(&[old.jwk(Some("old"))]))).await;
    let tokens = Arc::new(built(&config(&server)));
    assert!(tokens.verify(&old.token(Algorithm::ES256, Some("old")), NOW).await.is_ok());
    forget_asking(&tokens).await;

    server.answers(found(&jwks(&[new.jwk(Some("new"))])));
    let fresh = new.token(Algorithm::ES256, Some("new"));
    assert!(tokens.verify(&fresh, NOW).await.is_ok());
    assert_eq!(server.asked(), 2);
    let gone = tokens.verify(&old.token(Algorithm::ES256, Some("old")), NOW).await;
    assert_eq!(gone, Err(TokenError::UnknownKey));

    forget_asking(&tokens).await;
    let flood: Vec<_> = (0..50)
        .map(|number| {
            let (tokens, token) =
                (Arc::clone(&tokens), new.token(Algorithm::ES256, Some(&format!("no-{number}"))));
            tokio::spawn(async move { tokens.verify(&token, NOW).await })
        })
        .collect();
    for judged in flood {
        assert_eq!(judged.await.unwrap(), Err(TokenError::UnknownKey));
    }
    assert_eq!(server.asked(), 3);
    assert!(tokens.verify(&fresh, NOW).await.is_ok());
    assert_eq!(news(&tokens).await.len(), 2);
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_take_the_answer_along() {
    let issuer = Issuer::new_p256();
    let server = Server::start(found(&jwks(&[issuer.jwk(Some("a"))]))).await;
    let tokens = built(&config(&server));
    let token = issuer.token(Algorithm::ES256, Some("a"));
    // It asks when it is polled for the first time, and is dropped then.
    let is_cut = tokio::select! {
        biased;
        _ = tokens.verify(&token, NOW) => false,
        () = std::future::ready(()) => true,
    };
    assert!(is_cut);
    assert!(tokens.verify(&token, NOW).await.is_ok());
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn an_outage_leaves_the_old_keys_in_use_for_a_day() {
    let issuer = Issuer::new_p256();
    let server = Server::start(found(&jwks(&[issuer.jwk(Some("a"))]))).await;
    let tokens = built(&config(&server));
    let token = issuer.token(Algorithm::ES256, Some("a"));
    let other = issuer.token(Algorithm::ES256, Some("b"));
    assert!(tokens.verify(&token, NOW).await.is_ok());
    assert_eq!(news(&tokens).await.len(), 1);

    server.answers(status("503 Service Unavailable"));
    for _ in 0..2 {
        forget_asking(&tokens).await;
        assert_eq!(tokens.verify(&other, NOW).await, Err(TokenError::UnknownKey));
        assert!(tokens.verify(&token, NOW).await.is_ok());
    }
    assert_eq!(server.asked(), 3);
    let told = news(&tokens).await;
    let expected = format!(
        "KeysUnavailable http://{}/keys: the answer is 503; the last ones stay in use for a day at most",
        server.address
    );
    assert_eq!(told, [expected]);

    let held = tokens.shared.held.load_full().unwrap();
    let a_day_ago = Instant::now().checked_sub(LONGEST_STALE + Duration::from_secs(1)).unwrap();
    let stale = Held { verifier: held.verifier.clone(), of: held.of.clone(), read_at: a_day_ago };
    tokens.shared.held.store(Some(Arc::new(stale)));
    assert_eq!(tokens.verify(&token, NOW).await, Err(TokenError::KeysUnavailable));
    assert!(!tokens.has_keys());

    server.answers(found(&jwks(&[issuer.jwk(Some("a"))])));
    forget_asking(&tokens).await;
    assert!(tokens.verify(&token, NOW).await.is_ok());
    assert!(news(&tokens).await[0].starts_with("KeysRead"));
}

#[tokio::test]
async fn no_answer_but_a_good_one_gives_keys() {
    let issuer = Issuer::new_p256();
    let good = jwks(&[issuer.jwk(Some("a"))]);
    let elsewhere = Server::start(found(&good)).await;
    let server = Server::start(Vec::new()).await;
    let token = issuer.token(Algorithm::ES256, Some("a"));
    let redirect = format!("302 Found\r\nLocation: http://{}/keys", elsewhere.address);
    let length = crate::keys::LONGEST_DOCUMENT + 1;
    for (answer, expected) in [
        (Vec::new(), "no answer within 400ms"),
        (status("500 Internal Server Error"), "the answer is 500"),
        (status("404 Not Found"), "the answer is 404"),
        (status(&redirect), "the answer is 302"),
        (status("204 No Content"), "the answer is 204"),
        (b"no HTTP at all\r\n\r\n".to_vec(), ""),
        (found("<html>"), "it is no JWKS"),
        (found(""), "it is no JWKS"),
        (found("{\"keys\":[]}"), "it has no key that can be used"),
        (found(&jwks(&[Issuer::ed25519().jwk(None)])), "no key in it fits any of the `algorithms`"),
        (found(&format!("{good}{}", " ".repeat(length))), "length limit exceeded"),
        (format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{good}").into_bytes(), ""),
    ] {
        server.answers(answer.clone());
        let tokens = built(&config(&server));
        assert_eq!(tokens.verify(&token, NOW).await, Err(TokenError::KeysUnavailable), "{expected}");
        let told = news(&tokens).await;
        assert!(
            told.len() == 1 && told[0].contains(expected) && told[0].ends_with("there are none"),
            "{told:?}"
        );
    }
    assert_eq!(elsewhere.asked(), 0);
    server.task.abort();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let tokens = built(&JwtConfig { jwks_url: Some(format!("http://{gone}/")), ..config(&server) });
    assert_eq!(tokens.verify(&token, NOW).await, Err(TokenError::KeysUnavailable));
}

#[tokio::test]
async fn keys_are_read_again_and_again_while_it_runs() {
    let (old, new) = (Issuer::new_p256(), Issuer::new_p256());
    let server = Server::start(status("503 Service Unavailable")).await;
    let mut tokens = built(&config(&server));
    Arc::get_mut(&mut tokens.shared).unwrap().refresh = Duration::from_millis(20);
    let tokens = Arc::new(tokens);
    let (sender, mut told) = mpsc::unbounded_channel();
    let running = tokio::spawn(Arc::clone(&tokens).run(move |news| drop(sender.send(news))));
    let mut next = async || timeout(Duration::from_secs(5), told.recv()).await.unwrap().unwrap();
    assert!(matches!(next().await, KeyNews::Unavailable { has_older: false, .. }));
    for issuer in [&old, &new] {
        server.answers(found(&jwks(&[issuer.jwk(None)])));
        assert!(matches!(next().await, KeyNews::Read { keys: 1, .. }));
        assert!(tokens.verify(&issuer.token(Algorithm::ES256, None), NOW).await.is_ok());
    }
    assert_eq!(tokens.verify(&old.token(Algorithm::ES256, None), NOW).await, Err(TokenError::Signature));
    server.answers(status("500 Internal Server Error"));
    assert!(matches!(next().await, KeyNews::Unavailable { has_older: true, .. }));
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_file_is_read_at_the_start_and_again_when_it_changes() {
    let (old, new) = (Issuer::new_p256(), Issuer::new_p256());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let replace = |text: &str| {
        // As programs do that replace a file in one step.
        let beside = directory.path().join("new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, &path).unwrap();
    };
    let base = || JwtConfig { any_audience: true, ..JwtConfig::new(&[Algorithm::ES256]) };
    type Form = (fn(&Path) -> JwtConfig, fn(&Issuer) -> String);
    let forms: [Form; 2] = [
        (
            |path| JwtConfig { jwks_file: Some(path.to_owned()), ..JwtConfig::new(&[]) },
            |issuer| jwks(&[issuer.jwk(None)]),
        ),
        (|path| JwtConfig { public_key: Some(path.to_owned()), ..JwtConfig::new(&[]) }, Issuer::public_pem),
    ];
    for (form, written) in forms {
        replace(&written(&old));
        let named = form(&path);
        let config = JwtConfig { jwks_file: named.jwks_file, public_key: named.public_key, ..base() };
        let tokens = built(&config);
        assert!(tokens.verify(&old.token(Algorithm::ES256, None), NOW).await.is_ok());
        replace(&written(&new));
        assert_eq!(tokens.verify(&new.token(Algorithm::ES256, None), NOW).await, Err(TokenError::Signature));
        tokens.shared.read(&mut *tokens.shared.effort.lock().await).await;
        assert!(tokens.verify(&new.token(Algorithm::ES256, None), NOW).await.is_ok());
        replace("rubbish");
        tokens.shared.read(&mut *tokens.shared.effort.lock().await).await;
        assert!(tokens.verify(&new.token(Algorithm::ES256, None), NOW).await.is_ok());
        let told = news(&tokens).await;
        assert!(told.len() == 2 && told[1].starts_with("KeysUnavailable"), "{told:?}");
        let bad = Tokens::build(&config, &tls()).unwrap_err();
        let key = if config.public_key.is_some() { "public_key" } else { "jwks_file" };
        assert_eq!(bad.iter().map(|bad| bad.key.as_str()).collect::<Vec<_>>(), [key]);
        assert_eq!(config.files(), [(key, path.as_path())]);
    }
}

#[tokio::test]
async fn a_secret_does_not_change() {
    let mut config = JwtConfig { any_audience: true, ..JwtConfig::new(&[Algorithm::HS256]) };
    let text = String::from_utf8(crate::testing::SECRET.to_vec()).unwrap();
    config.secret = Some(Secret { inline: Some(Hidden::new(text)), ..Secret::default() });
    let tokens = Arc::new(built(&config));
    assert!(tokens.verify(&Issuer::secret().token(Algorithm::HS256, None), NOW).await.is_ok());
    let unknown = tokens.verify(&Issuer::secret().token(Algorithm::HS256, Some("a")), NOW).await;
    assert_eq!(unknown, Err(TokenError::UnknownKey));
    timeout(Duration::from_secs(5), Arc::clone(&tokens).run(|_| ())).await.unwrap();
}

#[test]
fn settings_that_mean_nothing_are_named() {
    let check = |change: fn(&mut JwtConfig), expected: &[&str]| {
        let mut config = JwtConfig { any_audience: true, ..JwtConfig::new(&[Algorithm::ES256]) };
        config.jwks_url = Some("https://issuer.example/keys".to_owned());
        change(&mut config);
        let bad = Tokens::build(&config, &tls()).err().unwrap_or_default();
        assert_eq!(bad.iter().map(|bad| bad.key.as_str()).collect::<Vec<_>>(), expected);
    };
    fn url(config: &mut JwtConfig, url: &str) {
        config.jwks_url = Some(url.to_owned());
    }
    check(|_| (), &[]);
    check(|config| url(config, "http://127.0.0.1:1/keys"), &[]);
    check(|config| url(config, "http://localhost/keys"), &[]);
    check(|config| url(config, "HTTPS://issuer.example/keys"), &[]);
    check(|config| url(config, "http://issuer.example/keys"), &["jwks_url"]);
    check(|config| url(config, "http://localhost.issuer.example/keys"), &["jwks_url"]);
    check(|config| url(config, "wss://issuer.example/keys"), &["jwks_url"]);
    check(|config| url(config, "file:///etc/passwd"), &["jwks_url"]);
    check(|config| url(config, "https://user:word@issuer.example/"), &["jwks_url"]);
    check(|config| url(config, "issuer.example"), &["jwks_url"]);
    check(|config| config.jwks_url = None, &["jwks_url"]);
    check(|config| config.jwks_file = Some("/keys".into()), &["jwks_url"]);
    check(
        |config| (config.jwks_url, config.jwks_file) = (None, Some("/no/such/file".into())),
        &["jwks_file"],
    );
    check(|config| config.refresh = HumanDuration::from_secs(9), &["refresh"]);
    check(|config| config.refresh = HumanDuration::from_secs(86_401), &["refresh"]);
    check(|config| config.timeout = HumanDuration::from_secs(0), &["timeout"]);
    check(|config| config.timeout = HumanDuration::from_secs(61), &["timeout"]);
    check(|config| (config.algorithms.clear(), url(config, "x")).1, &["algorithms", "jwks_url"]);
    let secret = |config: &mut JwtConfig, text: &str| {
        config.jwks_url = None;
        config.algorithms = vec![Algorithm::HS256];
        config.secret = Some(Secret { inline: Some(Hidden::new(text.to_owned())), ..Secret::default() });
        Tokens::build(config, &tls()).err().unwrap_or_default()
    };
    let mut config = JwtConfig { any_audience: true, ..JwtConfig::new(&[Algorithm::HS256]) };
    assert_eq!(secret(&mut config, &"s".repeat(32)), []);
    let short = secret(&mut config, &"hunter2".repeat(4));
    assert!(
        short.len() == 1 && short[0].key == "secret" && !format!("{short:?}").contains("hunter"),
        "{short:?}"
    );
    config.algorithms = vec![Algorithm::ES256];
    let unfit = Tokens::build(&config, &tls()).unwrap_err();
    assert_eq!(unfit[0].key, "secret");
}

#[test]
fn a_configuration_is_read_and_knows_its_files() {
    let text = json!({
        "algorithms": ["RS256", "EdDSA"], "jwks_url": "https://issuer.example/keys", "audience": ["app"],
        "issuer": "https://issuer.example", "max_age": "1d", "claims": ["rooms"],
    });
    let config: JwtConfig = serde_json::from_value(text).unwrap();
    assert_eq!(
        (config.leeway, config.refresh),
        (HumanDuration::from_secs(30), HumanDuration::from_secs(300))
    );
    assert!(config.require_expiry && config.files().is_empty());
    let bad = [json!({}), json!({"algorithms": ["none"]}), json!({"algorithms": ["ES256"], "jku": true})];
    assert!(bad.into_iter().all(|text| serde_json::from_value::<JwtConfig>(text).is_err()));
}
