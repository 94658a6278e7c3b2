//! Limits that are missing with a flaw on, and hold with only that flaw off.

use std::time::Duration;

use serde_json::Value;
use sockwarden_lab::{Config, Flaw, Lab, seed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::attacks::check;
use crate::client::{Client, Link, dial, host, log_in};

#[tokio::test]
async fn two_sockets_of_one_user_send_two_hundred_messages_at_once() {
    check(Flaw::UnlimitedRate, async |lab| {
        let mut answered = 0;
        let mut sockets = Vec::new();
        for _ in 0..2 {
            let mut socket = Client::logged_in(lab, Link::Tls, seed::MARA).await;
            for _ in 0..100 {
                assert!(socket.send_raw(Message::text(r#"{"type":"me"}"#)).await);
            }
            sockets.push(socket);
        }
        for socket in &mut sockets {
            for _ in 0..100 {
                match socket.next_or_close().await {
                    Ok(account) => assert_eq!(account["user"], "mara"),
                    Err(code) => {
                        assert_eq!(code, Some(1008));
                        break;
                    }
                }
                answered += 1;
            }
        }
        assert!(answered >= 100, "a burst is fine: {answered}");
        answered == 200
    })
    .await;
}

#[tokio::test]
async fn a_user_opens_thirty_sockets_at_once() {
    check(Flaw::UnlimitedConnections, async |lab| {
        let cookie = log_in(lab, Link::Tls, seed::MARA).await.cookie();
        let mut open = Vec::new();
        for _ in 0..30 {
            match Client::open(lab, Link::Tls, &[("Cookie", &cookie)]).await {
                Ok(socket) => open.push(socket),
                Err(status) => assert_eq!(status, 429),
            }
        }
        // Others are not touched by it, and a place that is given back is free again.
        drop(Client::logged_in(lab, Link::Tls, seed::JORIS).await);
        let count = open.len();
        drop(open);
        sleep(Duration::from_millis(300)).await;
        assert!(Client::open(lab, Link::Tls, &[("Cookie", &cookie)]).await.is_ok());
        assert!(count == 16 || count == 30, "{count}");
        count == 30
    })
    .await;
}

/// Opens the socket with a request whose last bytes take twelve seconds.
async fn opened_slowly(config: Config) -> bool {
    let lab = Lab::start(config).await.unwrap();
    let cookie = log_in(&lab, Link::Tls, seed::MARA).await.cookie();
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: {cookie}\r\n",
        host(&lab, Link::Tls)
    );
    let mut stream = dial(&lab, Link::Tls).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    for byte in b"X-Waits: a\r\n" {
        sleep(Duration::from_secs(1)).await;
        // The lab may be gone already, which the answer shows.
        let _ = stream.write_all(&[*byte]).await;
    }
    let _ = stream.write_all(b"\r\n").await;
    let mut answer = [0; 12];
    let read = timeout(Duration::from_secs(5), stream.read_exact(&mut answer)).await;
    drop(stream);
    lab.shutdown().await;
    matches!(read, Ok(Ok(_))) && answer == *b"HTTP/1.1 101"
}

#[tokio::test]
async fn a_request_takes_twelve_seconds() {
    let (with, without, alone, safe) = tokio::join!(
        opened_slowly(Config::vulnerable()),
        opened_slowly(Config::vulnerable().without(Flaw::SlowHandshake)),
        opened_slowly(Config::safe().with(Flaw::SlowHandshake)),
        opened_slowly(Config::safe()),
    );
    assert_eq!([with, without, alone, safe], [true, false, true, false]);
}

#[tokio::test]
async fn a_client_that_has_gone_without_a_word_keeps_its_socket() {
    for (config, expected) in [
        (Config::vulnerable(), true),
        (Config::vulnerable().without(Flaw::IdleSocket), false),
        (Config::safe().with(Flaw::IdleSocket), true),
        (Config::safe(), false),
    ] {
        let lab = Lab::start(Config { ping_interval: Duration::from_millis(100), ..config }).await.unwrap();
        // Who does not read answers no ping.
        let mut gone = Client::logged_in(&lab, Link::Tls, seed::MARA).await;
        sleep(Duration::from_secs(1)).await;
        let heard = match gone.send_raw(Message::text(r#"{"type":"me"}"#)).await {
            true => gone.next_or_close().await,
            false => Err(None),
        };
        assert_eq!(heard.is_ok(), expected, "{heard:?} with {:?}", lab.config().flaws);
        lab.shutdown().await;
    }
}

#[tokio::test]
async fn who_answers_pings_stays_and_is_closed_when_nothing_is_said_for_too_long() {
    let (ping_interval, idle_timeout) = (Duration::from_millis(100), Duration::from_secs(3));
    let lab = Lab::start(Config { ping_interval, idle_timeout, ..Config::safe() }).await.unwrap();
    let mut quiet = Client::logged_in(&lab, Link::Tls, seed::MARA).await;
    // Reading answers pings.
    let begun = std::time::Instant::now();
    assert_eq!(quiet.close_code().await, Some(1001));
    assert!(begun.elapsed() > idle_timeout, "{:?}", begun.elapsed());
    lab.shutdown().await;
}

#[tokio::test]
async fn a_message_comes_in_a_thousand_fragments() {
    check(Flaw::UnboundedFragments, async |lab| {
        let mut mara = Client::logged_in(lab, Link::Tls, seed::MARA).await;
        let frame = |payload: &'static str, data, is_final| {
            Message::Frame(Frame::message(payload, OpCode::Data(data), is_final))
        };
        assert!(mara.send_raw(frame("{\"type\"", Data::Text, false)).await);
        for _ in 0..1000 {
            if !mara.send_raw(frame("", Data::Continue, false)).await {
                break;
            }
        }
        mara.send_raw(frame(":\"me\"}", Data::Continue, true)).await;
        match mara.next_or_close().await {
            Ok(account) => account["user"] == "mara",
            Err(code) => {
                assert_eq!(code, Some(1008));
                false
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_hundred_pings_are_answered_at_once() {
    check(Flaw::PingFlood, async |lab| {
        let mut mara = Client::logged_in(lab, Link::Tls, seed::MARA).await;
        for _ in 0..100 {
            mara.send_raw(Message::Ping("are you there".into())).await;
        }
        mara.send_raw(Message::text(r#"{"type":"me"}"#)).await;
        match mara.next_or_close().await {
            Ok(account) => account["user"] == "mara",
            Err(code) => {
                assert_eq!(code, Some(1008));
                false
            }
        }
    })
    .await;
}

#[tokio::test]
async fn freight_is_found_by_comparing_all_with_all() {
    let lab = Lab::start(Config::safe()).await.unwrap();
    let mut mara = Client::logged_in(&lab, Link::Tls, seed::MARA).await;
    let freight = mara.ask(r#"{"type":"freight"}"#).await;
    assert_eq!(freight["type"], "freight");
    assert!(freight["pairs"].as_u64().is_some_and(|pairs| pairs > 100), "{freight}");
    let best: Vec<&Value> = freight["best"].as_array().unwrap().iter().collect();
    assert_eq!(best.len(), 5);
    assert!(best.iter().all(|pair| pair["out"] != pair["back"]), "{freight}");
    lab.shutdown().await;
}
