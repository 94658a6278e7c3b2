//! Scans over real sockets: an independent echo server, refusals, TLS, budgets.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its server has failed")]

mod limits;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use sockwarden_model::{Profile, Severity};
use sockwarden_net::{ClientTls, DevCertificate, DialOptions, ServerTls};
use sockwarden_scan::{CheckResult, Halt, Identity, Options, Report, ScanError, Skip, Target, scan};

fn options() -> Options {
    let tls = ClientTls::insecure().unwrap();
    Options::new(DialOptions { tls, timeout: Duration::from_secs(5), connect_to: None })
}

fn target(address: SocketAddr) -> Target {
    Target::new(format!("ws://{address}/ws").parse().unwrap())
}

fn run(target: Target, options: &Options) -> Result<Report, ScanError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(scan(target, options, &()))
}

/// Serves each connection by `serve` in a thread of its own, until the process ends; counts the connections.
fn serve(serve: impl Fn(std::net::TcpStream) + Send + Sync + 'static) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let (counter, serve) = (Arc::clone(&count), Arc::new(serve));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counter.fetch_add(1, Ordering::SeqCst);
            let serve = Arc::clone(&serve);
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            thread::spawn(move || serve(stream));
        }
    });
    (address, count)
}

/// An echo by tungstenite, which shares no code with ours.
fn echo() -> (SocketAddr, Arc<AtomicUsize>) {
    serve(|stream| {
        let Ok(mut socket) = tungstenite::accept(stream) else { return };
        while let Ok(message) = socket.read() {
            if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
                return;
            }
        }
    })
}

/// Answers every request with the same bytes.
fn answering(answer: &'static [u8]) -> (SocketAddr, Arc<AtomicUsize>) {
    serve(move |mut stream| {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(answer);
    })
}

fn result_of<'a>(report: &'a Report, id: &str) -> &'a CheckResult {
    &report.outcomes.iter().find(|outcome| outcome.rule.id == id).unwrap().result
}

#[test]
fn an_independent_echo_lacks_tls_and_limits_and_nothing_else_that_matters() {
    let (address, _) = echo();
    let mut target = target(address);
    target.identities.push(Identity::new("mara", "Cookie", "session=0123456789"));
    target.say.push(r#"{"type":"account"}"#.to_owned());
    let mut options = options();
    options.profile = Profile::Intrusive;
    let report = run(target, &options).unwrap();
    let serious: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.severity >= Severity::Medium)
        .map(|finding| finding.rule)
        .collect();
    let without_limits = ["message-size-unbounded", "rate-unbounded", "connections-unbounded"];
    assert_eq!(serious, [&["cleartext-transport"], &without_limits[..]].concat());
    let light: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Low)
        .map(|finding| finding.rule)
        .collect();
    // Its library gives up on a request that comes byte by byte.
    let endless = ["fragments-unbounded", "ping-flood-accepted"];
    assert!(endless.iter().all(|rule| light.contains(rule)), "{light:?}");
    assert!(!report.is_incomplete());
    let not_tested: Vec<&str> = report
        .outcomes
        .iter()
        .filter(|outcome| matches!(outcome.result, CheckResult::NotTested(_)))
        .map(|outcome| outcome.rule.id)
        .collect();
    // Those that need a second user, a token, a request that was not given, more time, or compression.
    let needy = [
        "horizontal-access",
        "vertical-access",
        "token-in-url",
        "token-never-expires",
        "ticket-replayable",
        "ticket-not-bound",
        "idle-never-closed",
        "compression-bomb-accepted",
        "session-outlives-logout",
    ];
    assert_eq!(not_tested, needy);
    let everything = format!("{:?}", report.findings);
    assert!(!everything.contains("0123456789"), "the cookie is in the report");
}

#[test]
fn what_cannot_be_scanned_is_told_in_one_line() {
    let check = |target: Target, options: &Options, expected: &str| {
        let error = run(target, options).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    };
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    check(target(closed), &options(), "connection refused by 127.0.0.1:");

    for (answer, expected) in [
        (
            &b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"[..],
            "answered 404: there is nothing at this path",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "answered 200: an ordinary page"),
        (b"HTTP/1.1 426 Upgrade Required\r\n\r\n", "answered 426: no WebSocket"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "answered 302: a redirect"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "answered 503: the server failed"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no HTTP answer"),
        (b"", "no HTTP answer"),
    ] {
        check(target(answering(answer).0), &options(), expected);
    }
    let (guarded, _) = answering(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let mut as_mara = target(guarded);
    as_mara.identities.push(Identity::new("mara", "Cookie", "session=0123456789"));
    check(as_mara, &options(), "neither `mara` nor anybody else is let in: the handshake was answered 401");

    let mut unknown = options();
    unknown.checks.push("no-such-check".to_owned());
    check(target(guarded), &unknown, "there is no check `no-such-check`");
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = answering(b"HTTP/1.1 200 OK\r\n\r\n");
    let answer = format!("HTTP/1.1 302 Found\r\nLocation: http://{}/\r\n\r\n", elsewhere.0);
    let (address, _) = answering(answer.leak().as_bytes());
    assert!(run(target(address), &options()).is_err());
    assert_eq!(elsewhere.1.load(Ordering::SeqCst), 0);
}

#[test]
fn who_refuses_strangers_is_clean_of_unauthenticated_access() {
    let (address, _) = answering(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let report = run(target(address), &options()).unwrap();
    assert!(report.findings.is_empty());
    assert_eq!(*result_of(&report, "unauthenticated-access"), CheckResult::Clean);
    let refused = CheckResult::NotTested(Skip::NoWayIn("the handshake was answered 401".to_owned()));
    assert_eq!(*result_of(&report, "frame-rules-broken"), refused);
    assert!(!report.is_incomplete());
}

#[test]
fn an_identity_that_is_refused_is_warned_of() {
    let (address, _) = serve(|stream| {
        #[expect(clippy::result_large_err, reason = "the signature that tungstenite asks for")]
        let gate = |request: &tungstenite::handshake::server::Request, response| {
            if request.headers().contains_key("cookie") {
                return Err(tungstenite::http::Response::builder().status(401).body(None).unwrap());
            }
            Ok(response)
        };
        let Ok(mut socket) = tungstenite::accept_hdr(stream, gate) else { return };
        while socket.read().is_ok() {}
    });
    let mut target = target(address);
    target.identities.push(Identity::new("mara", "Cookie", "session=0123456789"));
    let mut one = options();
    one.checks.push("cleartext-transport".to_owned());
    let warnings = run(target, &one).unwrap().warnings;
    assert_eq!(
        warnings,
        [
            "the identity `mara` is not let in (the handshake was answered 401): are its credentials still good?"
        ]
    );
}

#[test]
fn a_target_that_has_had_enough_is_not_called_clean() {
    // Lets five in, then says that it is busy.
    let served = AtomicUsize::new(0);
    let (address, _) = serve(move |mut stream| {
        if served.fetch_add(1, Ordering::SeqCst) >= 5 {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n");
            return;
        }
        let Ok(mut socket) = tungstenite::accept(stream) else { return };
        while socket.read().is_ok() {}
    });
    let mut one = options();
    one.checks.push("frame-rules-broken".to_owned());
    let report = run(target(address), &one).unwrap();
    let halted = Halt::Overloaded("the handshake was answered 429".to_owned());
    assert_eq!(*result_of(&report, "frame-rules-broken"), CheckResult::NotTested(Skip::Halted(halted)));
    assert!(report.is_incomplete());
}

#[test]
fn a_target_that_goes_away_is_not_called_clean() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        for stream in listener.incoming().take(3).flatten() {
            let Ok(mut socket) = tungstenite::accept(stream) else { continue };
            while socket.read().is_ok() {}
        }
    });
    let mut one = options();
    one.checks.push("frame-rules-broken".to_owned());
    let report = run(target(address), &one).unwrap();
    server.join().unwrap();
    // A connection that the system had already accepted for the listener ends without an answer instead.
    let result = result_of(&report, "frame-rules-broken");
    let CheckResult::NotTested(Skip::Halted(Halt::Unreachable(why) | Halt::Overloaded(why))) = result else {
        panic!("{result:?}");
    };
    assert!(why.starts_with("connection refused") || why == "the handshake was not answered", "{why}");
}

#[test]
fn a_scan_may_run_in_a_task_of_its_own() {
    const fn is_send<T: Send>(_: &T) {}
    let (target, options) = (target(([127, 0, 0, 1], 1).into()), options());
    is_send(&scan(target, &options, &()));
}

#[test]
fn a_certificate_for_another_name_is_named_as_such() {
    let certificate = DevCertificate::generate().unwrap();
    let server = ServerTls::from_pem(certificate.certificate.as_bytes(), certificate.key.as_bytes()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = server.acceptor().accept(stream).await;
            }
        });
        let tls = ClientTls::with_roots(certificate.authority.as_bytes()).unwrap();
        let timeout = Duration::from_secs(5);
        let options = Options::new(DialOptions { tls, timeout, connect_to: Some(address) });
        let target = Target::new("wss://app.example/ws".parse().unwrap());
        let error = scan(target, &options, &()).await.unwrap_err().to_string();
        assert_eq!(error, "TLS with app.example:443 failed: the certificate is for another name");
    });
}

#[test]
fn a_budget_ends_a_scan_and_the_report_says_so() {
    let (address, count) = echo();
    let mut few = options();
    few.connection_budget = 5;
    let report = run(target(address), &few).unwrap();
    assert!(report.is_incomplete());
    assert_eq!(report.stats.connections, 5);
    assert_eq!(count.load(Ordering::SeqCst), 5);
    let halted = CheckResult::NotTested(Skip::Halted(Halt::Connections(5)));
    assert!(report.outcomes.iter().any(|outcome| outcome.result == halted));

    let mut short = options();
    short.time_budget = Duration::from_millis(900);
    short.rate = std::num::NonZeroU32::new(10).unwrap();
    let report = run(target(address), &short).unwrap();
    assert!(report.is_incomplete());
    assert!(report.stats.elapsed < Duration::from_secs(3));

    let mut small = options();
    small.byte_budget = 100;
    assert_eq!(run(target(address), &small).unwrap_err(), ScanError::Budget(Halt::Bytes(100)));
}

#[test]
fn a_passive_scan_says_nothing_that_an_honest_client_does_not() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let (address, _) = serve(move |stream| {
        let mut head = vec![0; 4096];
        let length = stream.peek(&mut head).unwrap_or(0);
        seen.lock().unwrap().push(String::from_utf8_lossy(&head[..length]).into_owned());
        let Ok(mut socket) = tungstenite::accept(stream) else { return };
        while socket.read().is_ok() {}
    });
    let mut passive = options();
    passive.profile = Profile::Passive;
    let report = run(target(address), &passive).unwrap();
    let heads = heads.lock().unwrap();
    assert_eq!(heads.len(), 2);
    for head in heads.iter() {
        assert!(head.contains(&format!("Origin: http://{address}\r\n")), "{head}");
        assert!(head.starts_with("GET /ws HTTP/1.1\r\n"), "{head}");
    }
    assert!(matches!(
        result_of(&report, "origin-not-checked"),
        CheckResult::NotTested(Skip::Profile { profile: Profile::Safe, .. })
    ));
    assert_eq!(*result_of(&report, "cleartext-transport"), CheckResult::Found(1));
}

/// A server that lets in whoever has the session, answers with that user's data, and ends it by `POST /logout`; open sockets
/// go on where `forgets` says so.
fn with_sessions(forgets: bool) -> SocketAddr {
    let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (address, _) = serve(move |mut stream| {
        let mut head = vec![0; 4096];
        let length = stream.peek(&mut head).unwrap_or(0);
        let head = String::from_utf8_lossy(&head[..length]).into_owned();
        let knows = head.contains("session=0123456789") && !is_over.load(Ordering::SeqCst);
        if head.starts_with("POST /logout") {
            is_over.store(true, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            return;
        }
        if !knows {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
            return;
        }
        let Ok(mut socket) = tungstenite::accept(stream) else { return };
        while let Ok(message) = socket.read() {
            if is_over.load(Ordering::SeqCst) && !forgets {
                return;
            }
            let account = r#"{"type":"account","email":"mara@harbor.example"}"#;
            if message.is_text() && socket.send(tungstenite::Message::text(account)).is_err() {
                return;
            }
        }
    });
    address
}

#[test]
fn a_logout_is_carried_out_last_and_on_the_wire() {
    let check = |forgets: bool, expected: CheckResult| {
        let address = with_sessions(forgets);
        let mut target = target(address);
        target.identities.push(Identity::new("mara", "Cookie", "session=0123456789"));
        target.say.push(r#"{"type":"account"}"#.to_owned());
        target.logout = Some(format!("POST http://{address}/logout").parse().unwrap());
        target.logout_wait = Duration::from_millis(300);
        let report = run(target, &options()).unwrap();
        assert_eq!(*result_of(&report, "session-outlives-logout"), expected);
        assert!(!report.is_incomplete(), "no other check lost its session: {:?}", report.outcomes);
    };
    check(true, CheckResult::Found(1));
    check(false, CheckResult::Clean);
}

#[test]
fn a_report_has_the_order_of_the_list() {
    let (address, _) = echo();
    let ids = |report: &Report| report.outcomes.iter().map(|o| o.rule.id).collect::<Vec<_>>();
    let report = run(target(address), &options()).unwrap();
    let all: Vec<&str> = sockwarden_scan::checks::ALL.iter().map(|check| check.rule().id).collect();
    assert_eq!(ids(&report), all);
    let mut two = options();
    two.checks = vec!["frame-rules-broken".to_owned(), "cleartext-transport".to_owned()];
    assert_eq!(ids(&run(target(address), &two).unwrap()), ["cleartext-transport", "frame-rules-broken"]);
}
