//! Who is waited for: a peer whose answers are on their way, and one that is not listened to for the other's sake.

use std::time::Duration;

use sockwarden_config::{ByteSize, HumanDuration};
use sockwarden_model::Direction;
use sockwarden_proto::{FrameHeader, Opcode, RawFrame, apply_mask, handshake::accept_value};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};

use crate::stage::{GOOD, Stage, read_out, route_to, soon};

/// Reads a head, up to its end and no further.
async fn head(tcp: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(tcp.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Joins a client to an application through the gateway, both by hand: the client's socket and the application's.
async fn joined(stage: &Stage, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpSocket::new_v4().unwrap();
    // Little is on its way to it that nobody holds.
    client.set_recv_buffer_size(16 * 1024).unwrap();
    let mut client = client.connect(stage.address).await.unwrap();
    client.write_all(format!("{GOOD}\r\n").as_bytes()).await.unwrap();
    let (mut app, _) = soon(listener.accept()).await.unwrap();
    let request = head(&mut app).await;
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept_value(key.as_bytes())
    );
    app.write_all(answer.as_bytes()).await.unwrap();
    head(&mut client).await;
    (client, app)
}

fn sent_by_client(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    RawFrame::client(opcode, payload, &mut || [1, 2, 3, 4]).encode(&mut out);
    out
}

/// Reads frames, unmasked, with their opcodes.
fn frames(mut bytes: &[u8]) -> Vec<(Opcode, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((header, length)) = FrameHeader::parse(bytes) {
        let (payload, rest) = bytes[length..].split_at(header.length.value as usize);
        let mut payload = payload.to_vec();
        if let Some(key) = header.mask {
            apply_mask(key, 0, &mut payload);
        }
        frames.push((header.opcode, payload));
        bytes = rest;
    }
    frames
}

#[tokio::test]
async fn an_application_that_offends_still_gets_the_answer_to_what_came_before() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stage = Stage::plain(route_to(listener.local_addr().unwrap())).await;
    let (mut client, mut app) = joined(&stage, &listener).await;
    // A question, a frame of a reserved opcode, and what must not be heard any more.
    app.write_all(b"\x81\x08question\x83\x00\x81\x05after").await.unwrap();
    let mut heard = vec![0; 10];
    soon(client.read_exact(&mut heard)).await.unwrap();
    assert_eq!(frames(&heard), [(Opcode::Text, b"question".to_vec())]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    client.write_all(&sent_by_client(Opcode::Text, b"answer")).await.unwrap();
    client.write_all(&sent_by_client(Opcode::Close, &1001u16.to_be_bytes())).await.unwrap();
    let told = frames(&read_out(&mut app).await);
    assert_eq!(told[0], (Opcode::Text, b"answer".to_vec()));
    assert_eq!((told[1].0, &told[1].1[..2]), (Opcode::Close, &1002u16.to_be_bytes()[..]));
    assert_eq!(told.len(), 2);
    let farewell = frames(&read_out(&mut client).await);
    assert_eq!((farewell[0].0, &farewell[0].1[..2]), (Opcode::Close, &1001u16.to_be_bytes()[..]));
    let verdict = stage.verdict().await;
    assert_eq!((verdict.rule.as_str(), verdict.direction), ("protocol-rules", Some(Direction::Server)));
}

#[tokio::test]
async fn an_application_is_not_given_up_because_a_slow_client_keeps_it_unheard() {
    const SIZE: u64 = 9_000_000;
    // What the system takes at once.
    const IN_FLIGHT: usize = 2_700_000;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut route = route_to(listener.local_addr().unwrap());
    route.timeouts.ping_interval = Some(HumanDuration::from_millis(600));
    route.timeouts.pong = HumanDuration::from_millis(600);
    let limits = &mut route.frame_limits;
    (limits.server_frame, limits.server_message) = (ByteSize::mib(16), ByteSize::mib(16));
    let stage = Stage::plain(route).await;
    let (mut client, mut app) = joined(&stage, &listener).await;
    let talking = tokio::spawn(async move {
        let mut bytes = Vec::new();
        FrameHeader::new(Opcode::Binary, SIZE).encode(&mut bytes);
        bytes.resize(bytes.len() + SIZE as usize, b'x');
        bytes.extend_from_slice(b"\x81\x05after");
        app.write_all(&bytes).await.unwrap();
        app
    });
    let mut expected = 10 + SIZE as usize;
    let (mut heard, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
    while !heard.windows(5).any(|bytes| bytes == b"after") {
        let length = soon(client.read(&mut chunk)).await.unwrap();
        assert_ne!(length, 0, "ended with {expected} bytes to come");
        let of_message = length.min(expected);
        expected -= of_message;
        heard.extend_from_slice(&chunk[of_message..length]);
        // Slow while the gateway waits for it, and lively enough to be no dead client.
        if expected > IN_FLIGHT {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    drop(soon(talking).await.unwrap());
}

#[tokio::test]
async fn a_client_that_ends_its_half_with_its_last_message_is_noticed_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stage = Stage::plain(route_to(listener.local_addr().unwrap())).await;
    for _ in 0..50 {
        let (mut client, mut app) = joined(&stage, &listener).await;
        // So close together that one look at the socket finds both.
        client.write_all(&sent_by_client(Opcode::Text, b"last")).await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = Vec::new();
        while frames(&heard).len() < 2 {
            assert_ne!(soon(app.read_buf(&mut heard)).await.unwrap(), 0);
        }
        let heard = frames(&heard);
        assert_eq!(heard[0], (Opcode::Text, b"last".to_vec()));
        assert_eq!((heard[1].0, &heard[1].1[..2]), (Opcode::Close, &1001u16.to_be_bytes()[..]));
    }
}
