//! The client against servers that are scripts of bytes.

use std::time::Duration;

use sockwarden_net::{Client, Heard, Incoming, Stream};
use sockwarden_proto::{
    CloseCode, Limits, MessageKind, Violation,
    handshake::{ClientHandshake, switching_protocols},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_close_frame_that_comes_with_the_answer_is_answered_at_once() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = switching_protocols(KEY.as_bytes(), None);
        bytes.extend_from_slice(b"\x88\x02\x03\xe8");
        stream.write_all(&bytes).await.unwrap();
        let mut request = Vec::new();
        while !request.windows(4).any(|window| window == b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        let end = request.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let mut answer = request.split_off(end);
        while answer.len() < 8 {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
        }
        // Masked with a random key: the opcode, the length and the number of bytes are what can be known.
        assert_eq!((answer[0], answer[1], answer.len()), (0x88, 0x82, 8));
    };
    let client = async {
        let stream = Stream::Plain(TcpStream::connect(address).await.unwrap());
        let handshake = ClientHandshake::new("localhost", "/", KEY);
        let mut client = Client::upgrade(stream, &handshake, Limits::default()).await.unwrap();
        // Nothing is read from here on before the server has its answer.
        (client.next().await.unwrap(), client)
    };
    let ((), (incoming, _client)) =
        timeout(SOON, async { tokio::join!(server, client) }).await.expect("no answer in time");
    assert_eq!(incoming, Incoming::Close(Some(CloseCode::NORMAL), String::new()));
}

#[tokio::test]
async fn a_message_can_be_answered_before_the_violation_that_follows_it() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = switching_protocols(KEY.as_bytes(), None);
        // All at once: a text, a frame with a reserved bit.
        bytes.extend_from_slice(b"\x81\x02hi\xa1\x00");
        stream.write_all(&bytes).await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        let end = said.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        // A masked text of two bytes, then a masked close frame.
        assert_eq!((said[end], said[end + 1]), (0x81, 0x82));
        assert_eq!((said[end + 8], said[end + 9]), (0x88, 0x82));
    };
    let client = async {
        let stream = Stream::Plain(TcpStream::connect(address).await.unwrap());
        let handshake = ClientHandshake::new("localhost", "/", KEY);
        let mut client = Client::upgrade(stream, &handshake, Limits::default()).await.unwrap();
        let first = client.next().await.unwrap();
        assert_eq!(first, Incoming::Message(MessageKind::Text, b"hi".to_vec()));
        client.send(MessageKind::Text, b"hi").await.unwrap();
        let last = client.next().await.unwrap();
        assert_eq!(last, Incoming::Violation(Violation::ReservedBits { rsv: 2 }));
    };
    timeout(SOON, async { tokio::join!(server, client) }).await.expect("it does not end");
}

#[tokio::test]
async fn control_frames_are_told_to_who_asks_for_them_and_pings_are_answered_first() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = switching_protocols(KEY.as_bytes(), None);
        // A ping, a pong, a text.
        bytes.extend_from_slice(b"\x89\x02hi\x8a\x00\x81\x01x");
        stream.write_all(&bytes).await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        let end = said.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        // A masked pong of two bytes, then a masked ping of three.
        assert_eq!((said[end], said[end + 1]), (0x8a, 0x82));
        assert_eq!((said[end + 8], said[end + 9]), (0x89, 0x83));
    };
    let client = async {
        let stream = Stream::Plain(TcpStream::connect(address).await.unwrap());
        let handshake = ClientHandshake::new("localhost", "/", KEY);
        let mut client = Client::upgrade(stream, &handshake, Limits::default()).await.unwrap();
        assert_eq!(client.answer().status, 101);
        assert_eq!(client.hear().await.unwrap(), Heard::Ping(b"hi".to_vec()));
        assert_eq!(client.hear().await.unwrap(), Heard::Pong(Vec::new()));
        let text = Incoming::Message(MessageKind::Text, b"x".to_vec());
        assert_eq!(client.hear().await.unwrap(), Heard::Said(text));
        client.ping(b"you").await.unwrap();
    };
    timeout(SOON, async { tokio::join!(server, client) }).await.expect("it does not end");
}
