//! Each defence at the handshake: the attack succeeds without it and fails with it.

use sockwarden_defend::{Way, defences::AuthenticationConfig};
use sockwarden_gateway::{Auth, ForwardAuthConfig, RouteConfig};
use sockwarden_model::{Decision, Event, Mode};
use sockwarden_net::{ClientError, DevCertificate};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::stage::{App, GOOD, Seen, Stage, route_to, status, text};

/// Tells whether a handshake with these header lines gets in, and which rule refused it.
async fn attempt(stage: &Stage, headers: &[(&str, &str)]) -> Result<(), (u16, String)> {
    let headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect();
    match stage.connect("/", |handshake| handshake.headers = headers).await {
        Ok(mut client) => {
            assert_eq!(text(&mut client).await, "hello");
            Ok(())
        }
        Err(ClientError::Refused { status, body }) => {
            let verdict = stage.verdict().await;
            assert_eq!(verdict.decision, Decision::Refuse(status));
            assert!(String::from_utf8(body).unwrap().contains(&verdict.id.to_string()));
            Err((status, verdict.rule))
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_foreign_page_is_kept_out_by_the_origin_policy() {
    let app = App::start().await;
    for (mode, expected) in
        [(Mode::Block, Err((403, "origin-policy".to_owned()))), (Mode::Observe, Ok(())), (Mode::Off, Ok(()))]
    {
        let mut route = route_to(app.address);
        route.origin_policy.mode = mode;
        let stage = Stage::tls(route).await;
        let hijack = [("Origin", "https://evil.example"), ("Cookie", "session=victim")];
        assert_eq!(attempt(&stage, &hijack).await, expected);
        let own = format!("https://{}", stage.address);
        assert_eq!(attempt(&stage, &[("Origin", &own)]).await, Ok(()));
        let noted = stage.events().iter().filter(|e| matches!(e, Event::Verdict(_))).count();
        assert_eq!(noted, usize::from(mode == Mode::Observe));
    }
}

/// An application's session endpoint: 204 with the user for `session=mara`, 401 otherwise, and a crash for `session=crash`.
pub(crate) async fn session_endpoint() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/session", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && tcp.read_buf(&mut request).await.unwrap_or(0) > 0 {}
            let text = String::from_utf8_lossy(&request).to_lowercase();
            assert!(text.starts_with("get /api/session http/1.1"), "{text}");
            let answer: &[u8] = if text.contains("cookie: session=mara") {
                b"HTTP/1.1 204 No Content\r\nX-User: mara\r\n\r\n"
            } else if text.contains("cookie: session=crash") {
                b""
            } else {
                b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
            };
            let _ = tcp.write_all(answer).await;
        }
    });
    url
}

#[tokio::test]
async fn a_stranger_is_kept_out_by_forward_auth_and_a_user_is_named_upstream() {
    let app = App::start().await;
    let endpoint = session_endpoint().await;
    for mode in [Mode::Block, Mode::Observe, Mode::Off] {
        let route = RouteConfig {
            auth: Auth::by(Way::Forward),
            authentication: AuthenticationConfig { mode, ..AuthenticationConfig::default() },
            forward_auth: Some(ForwardAuthConfig {
                user_header: Some("X-User".to_owned()),
                ..ForwardAuthConfig::new(&endpoint)
            }),
            ..route_to(app.address)
        };
        let stage = Stage::plain(route).await;
        let no =
            |status| if mode == Mode::Block { Err((status, "authentication".to_owned())) } else { Ok(()) };
        assert_eq!(attempt(&stage, &[]).await, no(401));
        assert_eq!(attempt(&stage, &[("Cookie", "session=forged")]).await, no(401));
        assert_eq!(attempt(&stage, &[("Cookie", "session=crash")]).await, no(503));
        assert_eq!(attempt(&stage, &[("Sockwarden-User", "mara")]).await, no(401));
        assert_eq!(
            attempt(&stage, &[("Cookie", "session=mara"), ("Sockwarden-User", "admin")]).await,
            Ok(())
        );
        let users: Vec<String> = app
            .seen()
            .iter()
            .filter_map(|seen| match seen {
                Seen::Headers(headers) => {
                    headers.iter().find(|(n, _)| n == "sockwarden-user").map(|(_, v)| v.clone())
                }
                Seen::Text(_) | Seen::Binary(_) | Seen::Close(_) | Seen::Vanished => None,
            })
            .collect();
        assert!(users.iter().all(|user| user == "mara"), "{users:?}");
    }
}

#[tokio::test]
async fn cleartext_is_kept_out_where_tls_is_offered() {
    let app = App::start().await;
    for (mode, expected) in [(Mode::Block, 403), (Mode::Observe, 101), (Mode::Off, 101)] {
        let mut route = route_to(app.address);
        route.tls_required.mode = mode;
        let stage = Stage::tls(route).await;
        let answer = stage.raw(format!("{GOOD}\r\n").as_bytes()).await;
        assert_eq!(status(&answer), expected);
        if expected == 403 {
            assert_eq!(stage.verdict().await.rule, "tls-required");
            assert!(String::from_utf8_lossy(&answer).contains("wss://"));
        }
        assert_eq!(attempt(&stage, &[]).await, Ok(()));
    }
}

#[tokio::test]
async fn a_machine_in_the_middle_of_the_upstream_is_kept_out() {
    let (genuine, posing) = (DevCertificate::generate().unwrap(), DevCertificate::generate().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, &genuine.authority).unwrap();
    let bad = Err((502, "upstream-tls".to_owned()));
    for (certificate, mode, expected) in [
        (&genuine, Mode::Block, Ok(())),
        (&posing, Mode::Block, bad),
        (&posing, Mode::Observe, Ok(())),
        (&posing, Mode::Off, Ok(())),
    ] {
        let app = App::start_tls(certificate).await;
        let mut route = RouteConfig::new("app", &format!("wss://{}", app.address), Auth::NONE);
        route.upstream_ca = Some(authority.clone());
        route.upstream_tls.mode = mode;
        let stage = Stage::plain(route).await;
        assert_eq!(attempt(&stage, &[]).await, expected);
        if expected.is_err() {
            assert_eq!(app.seen(), [], "something was sent to whoever posed as the application");
        }
    }
}
