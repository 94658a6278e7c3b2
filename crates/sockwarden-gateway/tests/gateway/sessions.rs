//! A socket ends when the session behind it does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sockwarden_config::{Hidden, HumanDuration, Secret};
use sockwarden_defend::Way;
use sockwarden_gateway::{Auth, BearerConfig, ForwardAuthConfig, RouteConfig, SessionConfig};
use sockwarden_identity::{Algorithm, JwtConfig, Keys, SignerConfig, Verifier};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::stage::{App, Seen, Stage, closed, route_to, text};

const SECRET: &str = "a secret of at least thirty-two bytes";

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn token(claims: &serde_json::Value) -> String {
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(&claims.to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
}

pub(crate) fn by_token(app: &App) -> RouteConfig {
    RouteConfig {
        auth: Auth::by(Way::Jwt),
        jwt: Some(JwtConfig {
            secret: Some(Secret { inline: Some(Hidden::new(SECRET.to_owned())), ..Secret::default() }),
            audience: vec!["chat".to_owned()],
            leeway: HumanDuration::from_secs(0),
            ..JwtConfig::new(&[Algorithm::HS256])
        }),
        bearer: BearerConfig { query: Some("access_token".to_owned()), ..BearerConfig::default() },
        session: SessionConfig { code: 4401, ..SessionConfig::default() },
        ..route_to(app.address)
    }
}

#[tokio::test]
async fn a_token_lets_in_until_it_expires_wherever_it_stands() {
    let app = App::start().await;
    let stage = Stage::plain(by_token(&app)).await;
    let good = token(&serde_json::json!({
        "sub": "mara", "aud": "chat", "exp": now() + 2, "roles": ["reader"], "team": "blue",
    }));
    let header = ("Authorization".to_owned(), format!("Bearer {good}").into_bytes());
    let mut by_header = stage.connect("/", |handshake| handshake.headers.push(header)).await.unwrap();
    assert_eq!(text(&mut by_header).await, "hello");
    let offer = vec!["chat".to_owned(), format!("authorization.bearer.{good}")];
    let mut by_protocol = stage.connect("/", |handshake| handshake.protocols = offer).await.unwrap();
    assert_eq!(text(&mut by_protocol).await, "hello");
    let mut by_query = stage.connect(&format!("/?access_token={good}"), |_| ()).await.unwrap();
    assert_eq!(text(&mut by_query).await, "hello");
    let seen = format!("{:?}", app.seen());
    assert!(!seen.contains(&good), "the application sees the token");
    assert!(seen.contains(r#"("sockwarden-roles", "reader")"#) && seen.contains("team"), "{seen}");
    for client in [&mut by_header, &mut by_protocol, &mut by_query] {
        assert_eq!(closed(client).await, (4401, "the session has ended".to_owned()));
    }
}

#[tokio::test]
async fn tokens_that_are_not_good_are_refused_before_the_upgrade() {
    let app = App::start().await;
    let stage = Stage::plain(by_token(&app)).await;
    let claims = serde_json::json!({ "sub": "mara", "aud": "chat", "exp": now() + 60 });
    let with = |change: serde_json::Value| {
        let mut all = claims.as_object().unwrap().clone();
        all.extend(change.as_object().unwrap().clone());
        token(&all.into())
    };
    let check = async |token: &str, code: &str| {
        let header = ("Authorization".to_owned(), format!("Bearer {token}").into_bytes());
        assert!(stage.connect("/", |handshake| handshake.headers.push(header)).await.is_err(), "{code}");
        let reason = stage.verdict().await.reason;
        assert_eq!(reason.split(':').next(), Some(code));
        assert!(token.is_empty() || !reason.contains(token));
    };
    check(&with(serde_json::json!({ "exp": now() - 1 })), "token-expired").await;
    check(&with(serde_json::json!({ "aud": "other" })), "token-audience").await;
    check(&with(serde_json::json!({ "nbf": now() + 60 })), "token-not-yet").await;
    let none = format!(
        "{}.{}.",
        BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        BASE64_URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    check(&none, "token-algorithm").await;
    let (good, other) = (token(&claims), with(serde_json::json!({ "sub": "nils" })));
    let forged = format!("{}.{}", other.rsplit_once('.').unwrap().0, good.rsplit_once('.').unwrap().1);
    check(&forged, "token-signature").await;
    assert!(app.seen().is_empty());
}

#[tokio::test]
async fn a_logout_in_the_application_closes_the_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/session", listener.local_addr().unwrap());
    let says = Arc::new(AtomicU16::new(204));
    let answer = Arc::clone(&says);
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && tcp.read_buf(&mut request).await.unwrap_or(0) > 0 {}
            let status = answer.load(Ordering::Relaxed);
            let answer = format!("HTTP/1.1 {status} X\r\nX-User: mara\r\nContent-Length: 0\r\n\r\n");
            let _ = tcp.write_all(answer.as_bytes()).await;
        }
    });
    let app = App::start().await;
    let mut route = RouteConfig {
        auth: Auth::by(Way::Forward),
        forward_auth: Some(ForwardAuthConfig {
            user_header: Some("X-User".to_owned()),
            ..ForwardAuthConfig::new(&url)
        }),
        ..route_to(app.address)
    };
    route.session.revalidate = Some(HumanDuration::from_secs(1));
    let stage = Stage::plain(route).await;
    let mut client = stage.greeted().await;
    // An application that cannot answer for a moment logs nobody out.
    says.store(500, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    client.send_text("still here").await.unwrap();
    assert_eq!(text(&mut client).await, "still here");
    says.store(401, Ordering::Relaxed);
    let since = std::time::Instant::now();
    assert_eq!(closed(&mut client).await, (1008, "the session has ended".to_owned()));
    assert!(since.elapsed() < Duration::from_secs(5));
    assert!(app.seen().iter().any(|seen| matches!(seen, Seen::Text(text) if text == "still here")));
}

#[tokio::test]
async fn the_application_can_verify_who_the_gateway_let_in() {
    let app = App::start().await;
    let mut route = by_token(&app);
    route.upstream_token = Some(SignerConfig::default());
    let stage = Stage::plain(route).await;
    let claims = serde_json::json!({
        "sub": "mara", "aud": "chat", "exp": now() + 60, "roles": ["reader"], "team": "blue",
    });
    let header = ("Authorization".to_owned(), format!("Bearer {}", token(&claims)).into_bytes());
    // What a client says of itself under our names is left out.
    let lie = ("Sockwarden-Token".to_owned(), b"a.b.c".to_vec());
    let mut client = stage.connect("/", |handshake| handshake.headers.extend([header, lie])).await.unwrap();
    assert_eq!(text(&mut client).await, "hello");
    let signed = app
        .wait_for(|seen| match seen {
            Seen::Headers(headers) => {
                let found: Vec<_> = headers.iter().filter(|(name, _)| name == "sockwarden-token").collect();
                (found.len() == 1).then(|| found[0].1.clone())
            }
            Seen::Text(_) | Seen::Binary(_) | Seen::Close(_) | Seen::Vanished => None,
        })
        .await;
    let jwks = stage.control().signing_keys().to_string();
    let rules = JwtConfig {
        issuer: Some("sockwarden".to_owned()),
        audience: vec!["app".to_owned()],
        jwks_file: Some("keys.json".into()),
        ..JwtConfig::new(&[Algorithm::ES256])
    };
    let verifier = Verifier::new(&rules, Keys::from_jwks(jwks.as_bytes()).unwrap()).unwrap();
    let identity = verifier.verify(&signed, now()).unwrap();
    assert_eq!((identity.user.as_deref(), &identity.roles[..]), (Some("mara"), &["reader".to_owned()][..]));
    assert_eq!(identity.claims["claims"]["team"], "blue");
    assert!(!jwks.contains("\"d\""), "the private key is given away");
}
