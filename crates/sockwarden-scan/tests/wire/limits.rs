//! Limits on the wire: what the intrusive checks measure, and whom they leave alone.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use sockwarden_model::Profile;
use sockwarden_net::{DevCertificate, ServerTls};
use sockwarden_scan::{CheckResult, Options, ScanError, Target};

use crate::{echo, options, run, serve, target};

/// Makes one check with the intrusive profile and tells what it came to and what it remarked.
fn intrude(target: Target, id: &str, options: Options) -> (CheckResult, Vec<String>, Vec<String>) {
    let options = Options { profile: Profile::Intrusive, checks: vec![id.to_owned()], ..options };
    let report = run(target, &options).unwrap();
    let summaries = report.findings.iter().map(|finding| finding.summary.clone()).collect();
    (report.outcomes[0].result.clone(), report.outcomes[0].remarks.clone(), summaries)
}

#[test]
fn a_target_elsewhere_is_not_intruded_upon_without_its_owners_word() {
    let check = |url: &str, authorised: bool, expected: bool| {
        // Nothing listens where the name is said to be: only a scan that was refused does not say so.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut options = options();
        (options.profile, options.authorised) = (Profile::Intrusive, authorised);
        options.dial.connect_to = Some(closed);
        let error = run(Target::new(url.parse().unwrap()), &options).unwrap_err();
        assert_eq!(matches!(error, ScanError::NotAuthorised(_)), expected, "{url}: {error}");
    };
    for here in ["ws://127.0.0.1/", "ws://127.8.8.8/", "ws://[::1]/", "ws://localhost/", "ws://a.localhost/"]
    {
        check(here, false, false);
    }
    for elsewhere in ["ws://app.example/", "ws://10.0.0.1/", "ws://[2001:db8::1]/", "ws://localhost.example/"]
    {
        check(elsewhere, false, true);
        check(elsewhere, true, false);
    }
    let mut safe = options();
    safe.dial.connect_to = Some(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let error = run(Target::new("ws://app.example/".parse().unwrap()), &safe).unwrap_err();
    assert!(matches!(error, ScanError::Unreachable(_)), "{error}");
}

#[test]
fn a_server_that_hurries_its_clients_is_seen_to_do_so() {
    // Gives a request as long as the timeout of its socket, which a byte each 200 ms never reaches, but no more than 5 s.
    let (address, _) = serve(|mut stream| {
        let begun = std::time::Instant::now();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if begun.elapsed() > Duration::from_secs(5) || !matches!(stream.read(&mut byte), Ok(1)) {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        let _ = stream.write_all(answer.as_bytes());
        let mut socket =
            tungstenite::WebSocket::from_raw_socket(stream, tungstenite::protocol::Role::Server, None);
        while socket.read().is_ok() {}
    });
    let (result, remarks, _) = intrude(target(address), "handshake-slow-accepted", options());
    assert_eq!(result, CheckResult::Clean);
    assert!(remarks[0].starts_with("a slow request is ended after 5."), "{remarks:?}");
}

#[test]
fn a_client_that_does_not_begin_tls_is_waited_for_or_not() {
    let check = |patience: Duration, expected: usize| {
        let certificate = DevCertificate::generate().unwrap();
        let server =
            ServerTls::from_pem(certificate.certificate.as_bytes(), certificate.key.as_bytes()).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (address, listening) = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            (listener.local_addr().unwrap(), listener)
        });
        runtime.spawn(async move {
            while let Ok((stream, _)) = listening.accept().await {
                let acceptor = server.acceptor().clone();
                tokio::spawn(async move {
                    let handshake = tokio::time::timeout(patience, acceptor.accept(stream)).await;
                    if let Ok(Ok(mut stream)) = handshake {
                        answer_slowly(&mut stream).await;
                    }
                });
            }
        });
        let target = Target::new(format!("wss://{address}/ws").parse().unwrap());
        let (_, remarks, summaries) = intrude(target, "handshake-slow-accepted", options());
        let late = summaries.iter().filter(|summary| summary.contains("begins TLS after 16 s")).count();
        assert_eq!(late, expected, "{remarks:?} {summaries:?}");
        if expected == 0 {
            assert!(
                remarks[0].starts_with("a connection that does not begin TLS is ended after 1."),
                "{remarks:?}"
            );
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| check(Duration::from_secs(60), 1));
        scope.spawn(|| check(Duration::from_millis(1500), 0));
    });
}

/// Opens a WebSocket for a request however long it takes, and holds it.
async fn answer_slowly(stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin)) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(count) if count > 0) {}
}

#[test]
fn a_limit_on_connections_is_measured_on_the_wire() {
    let open = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&open);
    let (address, _) = serve(move |mut stream| {
        if counter.fetch_add(1, Ordering::SeqCst) >= 30 {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n");
        } else if let Ok(mut socket) = tungstenite::accept(stream) {
            while socket.read().is_ok() {}
        }
        counter.fetch_sub(1, Ordering::SeqCst);
    });
    let (result, remarks, _) = intrude(target(address), "connections-unbounded", options());
    assert_eq!(result, CheckResult::Clean);
    assert_eq!(remarks, ["with 30 connections open: the handshake was answered 429"]);
}

#[test]
fn a_silent_connection_that_is_pinged_or_ended_is_seen_to_be() {
    let check = |pings: bool, expected: &str| {
        let (address, _) = serve(move |stream| {
            let _ = stream.set_read_timeout(Some(Duration::from_millis(700)));
            let Ok(mut socket) = tungstenite::accept(stream) else { return };
            while socket.read().is_ok() {}
            if pings && socket.send(tungstenite::Message::Ping("are you there".into())).is_ok() {
                thread::sleep(Duration::from_secs(5));
            }
        });
        let mut brief = options();
        (brief.idle_wait, brief.time_budget) = (Duration::from_secs(3), Duration::from_secs(20));
        let (result, remarks, _) = intrude(target(address), "idle-never-closed", brief);
        assert_eq!(result, CheckResult::Clean);
        assert!(remarks[0].starts_with(expected), "{remarks:?}");
    };
    check(true, "a silent connection is pinged after 0.");
    check(false, "a silent connection is dropped after 0.");
    let (address, _) = echo();
    let mut brief = options();
    (brief.idle_wait, brief.time_budget) = (Duration::from_secs(2), Duration::from_secs(20));
    let (result, _, summaries) = intrude(target(address), "idle-never-closed", brief);
    assert_eq!(result, CheckResult::Found(1));
    assert_eq!(summaries, ["a connection that was silent for 2.00 s is neither pinged nor closed"]);
}

#[test]
fn a_flood_that_is_cut_off_or_held_back_is_measured_on_the_wire() {
    let check = |limit: usize, pause: Duration, expected: &str| {
        let (address, _) = serve(move |stream| {
            let Ok(mut socket) = tungstenite::accept(stream) else { return };
            let mut heard = 0;
            while let Ok(message) = socket.read() {
                if message.is_text() {
                    heard += 1;
                    if heard > limit {
                        let frame =
                            tungstenite::protocol::CloseFrame { code: 1008.into(), reason: "".into() };
                        let _ = socket.close(Some(frame));
                        continue;
                    }
                    thread::sleep(pause);
                    if socket.send(message).is_err() {
                        return;
                    }
                }
            }
        });
        let (result, remarks, _) = intrude(target(address), "rate-unbounded", options());
        assert_eq!(result, CheckResult::Clean, "{remarks:?}");
        assert!(remarks[0].starts_with(expected), "{remarks:?}");
    };
    check(121, Duration::ZERO, "of 200 messages sent at once 70 were answered, then closed with 1008 after ");
    check(usize::MAX, Duration::from_millis(30), "50 messages sent at once were answered over 1.");
}
