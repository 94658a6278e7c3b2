//! The opening handshake against tungstenite, each side in turn, in memory. (fastwebsockets brings no handshake of its own: it
//! is an HTTP server's upgrade.)

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::Cursor;

use sockwarden_proto::{
    CloseCode, Limits, MessageKind, Phase, Role, Session,
    handshake::{
        ClientHandshake, HeadLimits, RequestHead, ResponseHead, UpgradeRequest, switching_protocols,
    },
};
use sockwarden_testkit::{Random, Seen, Transcript, listen_whole};
use tungstenite::{HandshakeError, Message, WebSocket, http};

use crate::peers::Wire;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Whether the other implementation takes the same view of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Same,
    /// It accepts what we refuse; why, and who is right by which section.
    Laxer(&'static str),
    /// It refuses what we accept; why, and who is right.
    Stricter(&'static str),
}

fn compare(what: &str, ours: bool, theirs: bool, view: View) {
    let as_listed = match view {
        View::Same => ours == theirs,
        View::Laxer(_) => !ours && theirs,
        View::Stricter(_) => ours && !theirs,
    };
    assert!(as_listed, "{what:?}: we accept: {ours}, they accept: {theirs}, listed: {view:?}");
}

#[test]
fn a_server_of_theirs_takes_the_same_view_of_a_request_but_for_listed_differences() {
    const GOOD: &str = "GET /chat HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let check = |from: &str, to: &str, view| {
        assert!(GOOD.contains(from), "{from}");
        let request = GOOD.replacen(from, to, 1).into_bytes();
        let ours = match RequestHead::parse(&request, HeadLimits::default()) {
            Ok(Some((head, length))) => {
                UpgradeRequest::judge(head, request.len() - length).violations.is_empty()
            }
            Ok(None) => panic!("{to:?} is incomplete"),
            Err(_) => false,
        };
        let theirs = tungstenite::accept(Wire::holding(&request)).is_ok();
        compare(&format!("{from} -> {to}"), ours, theirs, view);
    };
    use View::{Laxer, Same};
    check("GET", "GET", Same);
    check("Upgrade: websocket", "upgrade: WebSocket", Same);
    check("keep-alive, Upgrade", "upgrade", Same);
    check("GET", "POST", Same);
    check("HTTP/1.1", "HTTP/1.0", Same);
    check("Upgrade: websocket\r\n", "", Same);
    check("Upgrade: websocket", "Upgrade: h2c", Same);
    check("keep-alive, Upgrade", "keep-alive", Same);
    check("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", Same);
    check(KEY, "abc", Same);
    check(KEY, "dGhlIHNhbXBsZSBub25jZQ", Same);
    check(KEY, "dGhlIHNhbXBsZSBub25jZR==", Same);
    check("Sec-WebSocket-Version: 13\r\n", "", Same);
    check("Version: 13", "Version: 8", Same);
    check("\r\n\r\n", "\r\n\r\n\x01", Same);
    check("Host: a.example", "Host : a.example", Same);
    check("\r\n\r\n", "\r\nX: a\0b\r\n\r\n", Same);
    check("\r\n\r\n", "\r\nX: a\r\n folded\r\n\r\n", Same);
    check("\r\n\r\n", "\r\nX: a\x0c\r\n\r\n", Same);
    check("\r\n\r\n", "\r\nno colon\r\n\r\n", Same);
    check("\r\n\r\n", "\r\nX: \u{e9}\r\n\r\n", Same);
    check("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate; a=\"b\"\r\n\r\n", Same);
    check(
        "\r\n\r\n",
        "\r\nSec-WebSocket-Extensions: permessage-deflate; a=\"b,c\"\r\n\r\n",
        Laxer("§9.1: what is in the quotes must be a token; ours"),
    );
    check(
        "/chat",
        "http://evil/chat",
        Laxer("§4.1 item 3 and RFC 9112 §3.2: a server takes a path here; ours"),
    );
    check("Host: a.example\r\n", "", Laxer("§4.2.1 item 2: a Host header is required; ours"));
    check("a.example\r\n", "a.example\r\nHost: evil\r\n", Laxer("RFC 9112 §3.2: 400 for two Hosts; ours"));
    check("a.example", "a b", Laxer("RFC 9112 §3.2: 400 for an invalid Host; ours"));
    check("Upgrade: websocket", "Upgrade: websocket, h2c", Same);
    check(
        KEY,
        "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        Laxer("§11.3.1: MUST NOT appear more than once; ours"),
    );
    check(
        "Version: 13",
        "Version: 13\r\nSec-WebSocket-Version: 8",
        Laxer("§11.3.5: MUST NOT appear more than once in a request; ours"),
    );
    check("\r\n\r\n", "\r\nOrigin: a\r\nOrigin: b\r\n\r\n", Laxer("RFC 6454 §7.3: one origin list; ours"));
    check("\r\n\r\n", "\r\nSec-WebSocket-Protocol: a, a\r\n\r\n", Laxer("§4.1 item 10: unique tokens; ours"));
    check("\r\n\r\n", "\r\nSec-WebSocket-Protocol: a b\r\n\r\n", Laxer("§4.1 item 10: unique tokens; ours"));
    check(
        "\r\n\r\n",
        "\r\nContent-Length: 5\r\n\r\n",
        Laxer("RFC 9112 §6: the body would be read as frames; ours"),
    );
    check("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n", Laxer("as above; ours"));
    check(
        "HTTP/1.1\r\n",
        "HTTP/1.1\n",
        Laxer("RFC 9112 §2.2 lets a reader take a bare line feed; both, ours strict on purpose"),
    );
    check(
        "GET ",
        "\r\nGET ",
        Laxer("RFC 9112 §2.2 lets a server skip an empty line; both, ours strict on purpose"),
    );
}

#[test]
fn a_client_of_theirs_takes_the_same_view_of_an_answer_but_for_listed_differences() {
    let check = |from: &str, to: &str, view| {
        let (mid, key) = their_client(&["chat", "mqtt"]);
        let good = String::from_utf8(switching_protocols(key.as_bytes(), Some("chat"))).unwrap();
        assert!(good.contains(from), "{from}");
        let answer = good.replacen(from, to, 1).into_bytes();
        let mut handshake = ClientHandshake::new("a.example", "/chat", &key);
        handshake.protocols = vec!["chat".to_owned(), "mqtt".to_owned()];
        let ours = match ResponseHead::parse(&answer, HeadLimits::default()) {
            Ok(Some((head, _))) => handshake.verify(&head).is_ok(),
            Ok(None) => panic!("{to:?} is incomplete"),
            Err(_) => false,
        };
        compare(&format!("{from} -> {to}"), ours, answered(mid, &answer).is_some(), view);
    };
    use View::{Laxer, Same, Stricter};
    check("101", "101", Same);
    check("Protocol: chat", "Protocol: mqtt", Same);
    check("101 Switching Protocols", "426 Upgrade Required", Same);
    check("101 Switching Protocols", "200 OK", Same);
    check("HTTP/1.1", "HTTP/1.0", Same);
    check("Upgrade: websocket\r\n", "", Same);
    check("Upgrade: websocket", "Upgrade: websocket, h2c", Same);
    check("Connection: Upgrade", "Connection: close", Same);
    check("Sec-WebSocket-Accept: ", "X: ", Same);
    check("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x", Same);
    check("Protocol: chat", "Protocol: Chat", Same);
    check("Protocol: chat", "Protocol: other", Same);
    check("\r\n\r\n", "\r\nX : a\r\n\r\n", Same);
    check(
        "Connection: Upgrade",
        "Connection: keep-alive, Upgrade",
        Stricter("§4.1 item 3: a token of the list; ours"),
    );
    check(
        "Sec-WebSocket-Protocol: chat\r\n",
        "",
        Stricter("§4.2.2 item 5.5 /subprotocol/: a server that takes none omits the field; ours"),
    );
    check(
        "\r\n\r\n",
        "\r\nSec-WebSocket-Accept: x\r\n\r\n",
        Laxer("§11.3.3: MUST NOT appear more than once; ours"),
    );
    check(
        "\r\n\r\n",
        "\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
        Laxer("§11.3.4: MUST NOT appear more than once in a response; ours"),
    );
    check(
        "\r\n\r\n",
        "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        Laxer("§4.1 item 5: MUST fail for an extension that was not offered; ours"),
    );
    check(
        "\r\n\r\n",
        "\r\nTransfer-Encoding: chunked\r\n\r\n",
        Laxer("RFC 9112 §6.1: MUST NOT in a 1xx; ours"),
    );
}

type TheirClient = tungstenite::handshake::MidHandshake<tungstenite::ClientHandshake<Wire>>;

/// Starts a client of theirs: it has sent its request, whose key is given too, and waits.
fn their_client(protocols: &[&str]) -> (TheirClient, String) {
    let uri: http::Uri = "ws://a.example/chat?x=1".parse().unwrap();
    let request = protocols
        .iter()
        .fold(tungstenite::ClientRequestBuilder::new(uri), |request, p| request.with_sub_protocol(*p));
    let Err(HandshakeError::Interrupted(mid)) = tungstenite::client(request, Wire::default()) else {
        panic!("it waits for an answer")
    };
    let sent = &mid.get_ref().get_ref().output;
    let (head, length) = RequestHead::parse(sent, HeadLimits::default()).unwrap().unwrap();
    assert_eq!(length, sent.len());
    assert_eq!(head.target, "/chat?x=1");
    let request = UpgradeRequest::judge(head, 0);
    assert_eq!(request.violations, []);
    assert_eq!(request.protocols(), protocols);
    let key = String::from_utf8(request.key().to_vec()).unwrap();
    (mid, key)
}

/// Gives an answer to a client of theirs; the open connection where it accepts.
fn answered(mut mid: TheirClient, answer: &[u8]) -> Option<WebSocket<Wire>> {
    mid.get_mut().get_mut().input = Cursor::new(answer.to_vec());
    match mid.handshake() {
        Ok((socket, _)) => Some(socket),
        Err(HandshakeError::Failure(_)) => None,
        Err(HandshakeError::Interrupted(_)) => panic!("the answer is complete"),
    }
}

#[test]
#[expect(clippy::result_large_err, reason = "the type of the callback is theirs")]
fn our_client_and_their_server_open_talk_and_close() {
    let mut random = Random::new(5);
    let key = ClientHandshake::key_from_random([9; 16]);
    let mut handshake = ClientHandshake::new("a.example:8080", "/chat", &key)
        .with_header("Origin", "https://a.example")
        .with_header("X-Latin", &b"caf\xe9"[..]);
    handshake.protocols = vec!["chat".to_owned(), "mqtt".to_owned()];
    let choose = |request: &http::Request<()>, mut response: http::Response<()>| {
        assert_eq!(request.uri().path(), "/chat");
        assert_eq!(request.headers()["origin"], "https://a.example");
        assert_eq!(request.headers()["sec-websocket-protocol"], "chat, mqtt");
        response.headers_mut().insert("sec-websocket-protocol", http::HeaderValue::from_static("mqtt"));
        Ok(response)
    };
    let mut server = tungstenite::accept_hdr(Wire::holding(&handshake.encode()), choose).unwrap();
    let answer = std::mem::take(&mut server.get_mut().output);
    let (head, length) = ResponseHead::parse(&answer, HeadLimits::default()).unwrap().unwrap();
    assert_eq!(length, answer.len());
    assert_eq!(handshake.verify(&head).unwrap().protocol.as_deref(), Some("mqtt"));
    let mut client =
        Session::new(Role::Client, Limits::default(), move || (random.bits() as u32).to_be_bytes());
    talk(&mut client, &mut server);
}

#[test]
fn their_client_and_our_server_open_talk_and_close() {
    let (mid, key) = their_client(&["chat"]);
    let mut socket = answered(mid, &switching_protocols(key.as_bytes(), Some("chat"))).unwrap();
    socket.get_mut().output.clear();
    let mut server = Session::new(Role::Server, Limits::default(), || -> [u8; 4] {
        unreachable!("a server does not mask")
    });
    talk(&mut server, &mut socket);
}

/// Exchanges messages of many sizes and pings both ways, then closes from our side.
fn talk<K: sockwarden_proto::MaskKeys>(ours: &mut Session<K>, theirs: &mut WebSocket<Wire>) {
    let mut random = Random::new(1);
    for length in [0, 1, 125, 126, 65535] {
        let (text, binary) = ("é".repeat(length / 2), random.bytes(length));
        ours.send(MessageKind::Text, text.as_bytes());
        ours.send(MessageKind::Binary, &binary);
        ours.ping(b"ours");
        theirs.get_mut().input = Cursor::new(std::mem::take(ours.output()));
        assert_eq!(theirs.read().unwrap(), Message::text(text.as_str()));
        assert_eq!(theirs.read().unwrap(), Message::binary(binary.clone()));
        assert_eq!(theirs.read().unwrap(), Message::Ping("ours".into()));
        theirs.flush().unwrap();
        theirs.send(Message::text(text.as_str())).unwrap();
        theirs.send(Message::binary(binary.clone())).unwrap();
        theirs.send(Message::Ping("theirs".into())).unwrap();
        let expected = [
            Seen::Pong(b"ours".to_vec()),
            Seen::Data { kind: MessageKind::Text, bytes: text.into_bytes(), begins: true, ends: true },
            Seen::Data { kind: MessageKind::Binary, bytes: binary, begins: true, ends: true },
            Seen::Ping(b"theirs".to_vec()),
        ];
        assert_eq!(hear(ours, theirs), expected);
        theirs.get_mut().input = Cursor::new(std::mem::take(ours.output()));
        assert_eq!(theirs.read().unwrap(), Message::Pong("theirs".into()));
    }
    ours.close(Some(CloseCode::GOING_AWAY), "done");
    theirs.get_mut().input = Cursor::new(std::mem::take(ours.output()));
    let Message::Close(Some(frame)) = theirs.read().unwrap() else { panic!("it hears our close frame") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1001, "done"));
    theirs.flush().ok();
    assert_eq!(hear(ours, theirs), [Seen::Close(Some(1001), "done".to_owned())]);
    assert_eq!(ours.phase(), Phase::Closed);
}

/// Gives our side what theirs has written.
fn hear<K: sockwarden_proto::MaskKeys>(ours: &mut Session<K>, theirs: &mut WebSocket<Wire>) -> Vec<Seen> {
    let mut bytes = std::mem::take(&mut theirs.get_mut().output);
    let mut transcript = Transcript::default();
    ours.receive(&mut bytes, |fact| {
        transcript.hear(fact);
        sockwarden_proto::Flow::Continue
    });
    transcript.without_frames()
}

#[test]
fn their_fragments_are_our_message() {
    use tungstenite::protocol::{
        Role as TheirRole,
        frame::{
            Frame,
            coding::{Data, OpCode},
        },
    };
    let mut client = WebSocket::from_raw_socket(Wire::default(), TheirRole::Client, None);
    for (opcode, fin, payload) in
        [(Data::Text, false, "a"), (Data::Continue, false, ""), (Data::Continue, true, "b")]
    {
        client.send(Message::Frame(Frame::message(payload, OpCode::Data(opcode), fin))).unwrap();
    }
    let heard = listen_whole(Role::Server, Limits::default(), &client.get_ref().output);
    assert_eq!(heard.messages(), [(MessageKind::Text, b"ab".to_vec())]);
}
