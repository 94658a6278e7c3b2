//! What `listen` shows of a conversation with a real server.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::{
    Message, WebSocket,
    handshake::server::{Request, Response},
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::{
    bench::Bench,
    run::{Guard, finished, program},
};

#[test]
fn lines_and_commands_are_sent_and_answers_shown() {
    let input = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"add\"}\n/binary 00 ff\n//slash\n/ping x\n";
    let output = listen(&format!("ws://{}/ --wait 500ms", echo()), input);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    insta::assert_snapshot!(sorted(&without_times(&shown(&output))), @r#"
    → text 39 B  json-rpc  call add (1)
        {
          "jsonrpc": "2.0",
          "id": 1,
          "method": "add"
        }
    → binary 2 B  json-rpc
        00000000  00 ff                                             |..|
        ! the message: json-rpc: no message of the protocol
    → text 6 B  json-rpc
        /slash
        ! the message: json-rpc: no message of the protocol
    → ping 1 B x
    → close 1000 (normal)
    ← text 39 B  json-rpc  call add (1)
        {
          "jsonrpc": "2.0",
          "id": 1,
          "method": "add"
        }
    ← binary 2 B  json-rpc
        00000000  00 ff                                             |..|
        ! the message: json-rpc: no message of the protocol
    ← text 6 B  json-rpc
        /slash
        ! the message: json-rpc: no message of the protocol
    ← pong 1 B x
    ← close 1000 (normal)
    "#);
}

#[test]
fn programs_get_one_object_a_line() {
    let output = listen(&format!("ws://{}/ --json --count 2", echo()), "one\n/binary ff\n");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let events: Vec<Value> = shown(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&events[0]["event"], &events[0]["subprotocol"]), (&json!("open"), &Value::Null));
    let of = |direction: &str, what: &str| -> Vec<Value> {
        let those = events.iter().filter(|event| event["direction"] == direction);
        those.filter(|event| event["event"] == what).cloned().collect()
    };
    for direction in ["client", "server"] {
        let messages = of(direction, "message");
        assert_eq!(
            (messages.len(), &messages[0]["text"], &messages[1]["base64"]),
            (2, &json!("one"), &json!("/w=="))
        );
        assert_eq!(messages[0]["seen"]["values"][0]["kind"], "identifier");
    }
    assert_eq!(of("client", "close")[0]["code"], 1000);
    assert_eq!(of("server", "close").len(), 1);
}

#[test]
fn lines_of_a_binary_input_are_bytes() {
    let output = listen(&format!("ws://{}/ --json --binary --count 1", echo()), "00 01\n");
    assert!(
        shown(&output).contains(r#""direction":"server","opcode":"binary","size":2"#),
        "{}",
        shown(&output)
    );
}

#[test]
fn the_code_of_the_server_decides_the_exit_code() {
    let check = |code: Option<u16>, exit: i32, words: &str| {
        let address = serve(move |mut socket| {
            let frame =
                code.map(|code| CloseFrame { code: CloseCode::from(code), reason: "bye\u{1b}[2J".into() });
            socket.close(frame).unwrap();
            while socket.read().is_ok() {}
        });
        let output = listen(&format!("ws://{address}/ --wait 5s"), "");
        assert_eq!(output.status.code(), Some(exit), "{code:?}: {}", said(&output));
        assert!(shown(&output).contains(words), "{}", shown(&output));
    };
    check(Some(1000), 0, r"← close 1000 (normal) bye\u{1b}[2J");
    check(Some(1001), 0, "← close 1001 (going away)");
    check(None, 0, "← close without a code");
    check(Some(1008), 1, "← close 1008 (policy)");
    check(Some(4000), 1, "← close 4000 (of the application)");
}

#[test]
fn a_typed_close_reaches_the_server_with_code_and_reason() {
    let address = serve(|mut socket| {
        let Message::Close(Some(frame)) = socket.read().unwrap() else { panic!("no close frame") };
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4002, "see you"));
        while socket.read().is_ok() {}
    });
    let output = listen(&format!("ws://{address}/"), "/close 4002 see you\n");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let lines = without_times(&shown(&output));
    assert_eq!(
        lines,
        "→ close 4002 (of the application) see you\n← close 4002 (of the application) see you\n"
    );
}

#[test]
fn a_server_that_breaks_the_protocol_or_goes_is_1() {
    let check = |bytes: &'static [u8], words: &str| {
        let address = serve(move |mut socket| {
            socket.get_mut().write_all(bytes).unwrap();
            // Our half stays open until the client has read it all.
            let _ = socket.get_mut().shutdown(std::net::Shutdown::Write);
            let _ = socket.get_mut().read_to_end(&mut Vec::new());
        });
        let output = listen(&format!("ws://{address}/ --wait 5s"), "");
        assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
    };
    check(b"\xc1\x00", "error: the server broke the protocol: ");
    check(b"\x89\x02hi", "error: the server ended the connection without a close frame");
    check(b"\x81\x05he", "error: the server ended the connection without a close frame");
}

#[test]
fn a_line_that_is_not_understood_is_2_and_not_sent() {
    let check = |line: &[u8], words: &str| {
        let address = serve(|mut socket| assert!(matches!(socket.read(), Ok(Message::Close(_)))));
        let output = listen_bytes(Path::new("."), &format!("ws://{address}/"), line);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
    };
    check(b"/quit\n", "error: there is no command `/quit`");
    check(b"/binary 0\n", "error: bytes are written as pairs of hexadecimal digits");
    check(b"\xff\n", "error: a line of the input is not UTF-8: send bytes with /binary HEX");
}

#[test]
fn what_cannot_be_asked_is_2() {
    let mut bench = Bench::new();
    let mut check =
        |arguments: &str, expected: &str| bench.check(&format!("listen {arguments}"), 2, expected);
    check("", "error: the following required arguments were not provided: <URL>");
    check("app.example", "error: `app.example`: a URL begins with ws:// or wss://");
    check(
        "ws://a:marked-secret@app/",
        "error: `ws://***@app/`: a user name or password in the URL is not supported: use a header",
    );
    check(
        "ws://127.0.0.1:1/ -H marked-secret",
        "error: invalid value for '--header <NAME: VALUE>': a header is `Name: value`",
    );
    check("ws://127.0.0.1:1/ -H A~B:~marked-secret", "error: the header `A B` has a malformed name or value");
    check("ws://127.0.0.1:1/ -H Host:~x", "error: the header `Host` is written by the handshake itself");
    check("ws://127.0.0.1:1/ --subprotocol a~b", "error: the sub-protocol `a b` is no token");
    check(
        "ws://127.0.0.1:1/ --origin app",
        "error: the origin `app` is not a scheme, a host and perhaps a port",
    );
    check(
        "ws://127.0.0.1:1/ -o x.har",
        "error: invalid value 'x.har' for '--output <har=FILE>': a recording is `har=FILE`",
    );
    check(
        "ws://127.0.0.1:1/ -o har=absent/x.har",
        "error: `absent/x.har` cannot be written: No such file or directory (os error 2)",
    );
    check(
        "ws://127.0.0.1:1/ --count 0",
        "error: invalid value '0' for '--count <N>': a whole number from 1 up is needed",
    );
}

#[test]
fn where_there_is_no_web_socket_it_says_why_and_is_3() {
    let mut bench = Bench::new();
    bench.check("listen ws://127.0.0.1:1/", 3, "error: connection refused by 127.0.0.1:1");
    let refusing = answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 14\r\n\r\nno \x1b[2J entry\n");
    bench.check(
        &format!("listen ws://{refusing}/"),
        3,
        r"error: the server answered 403 to the handshake: no \u{1b}[2J entry",
    );
    let silent = answering("");
    let begun = Instant::now();
    bench.check(
        &format!("listen ws://{silent}/ --timeout 300ms"),
        3,
        "error: the handshake was not answered within 300ms",
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn it_ends_in_time_though_the_server_says_nothing() {
    let address = serve(|mut socket| while socket.read().is_ok() {});
    let begun = Instant::now();
    let output = listen(&format!("ws://{address}/ --for 300ms"), "");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!((Duration::from_millis(300)..Duration::from_secs(10)).contains(&begun.elapsed()));
    // One that does not answer the farewell either.
    let address = serve(|_socket| thread::sleep(Duration::from_secs(5)));
    let output = listen(&format!("ws://{address}/ --wait 0s"), "");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn a_conversation_is_recorded_without_its_secrets_also_when_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path());
    let url = format!("ws://{}/chat?room=1&token=marked-secret", echo());
    command.args(["listen", &url, "-H", "Cookie: sid=marked-secret", "-H", "X-Team: red", "-o", "har=a.har"]);
    let mut child = command.args(["--subprotocol", "chat"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"hello\n/binary 00ff\n").unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut heard = 0;
    while heard < 2 {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).unwrap(), 0);
        heard += usize::from(line.contains('←'));
    }
    let kill = format!("kill -INT {}", child.id());
    assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let ended = finished(child);
    assert_eq!(ended.status.code(), Some(0), "{}", said(&ended));
    assert!(said(&ended).contains("/chat?room=1&token=[redacted] in "), "{}", said(&ended));
    drop(input);
    let text = fs::read_to_string(folder.path().join("a.har")).unwrap();
    assert!(!text.contains("marked-secret"), "{text}");
    let archive: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(archive["log"]["version"], "1.2");
    let entry = &archive["log"]["entries"][0];
    let headers = entry["request"]["headers"].as_array().unwrap();
    assert!(headers.contains(&json!({"name": "Cookie", "value": "[redacted]"})), "{headers:?}");
    assert!(headers.contains(&json!({"name": "X-Team", "value": "red"})), "{headers:?}");
    assert!(headers.contains(&json!({"name": "Sec-WebSocket-Protocol", "value": "chat"})), "{headers:?}");
    assert_eq!(entry["response"]["status"], 101);
    let messages = entry["_webSocketMessages"].as_array().unwrap();
    let of = |which: &str| -> Vec<(u64, String)> {
        let those = messages.iter().filter(|message| message["type"] == which);
        those
            .map(|message| {
                (message["opcode"].as_u64().unwrap(), message["data"].as_str().unwrap().to_owned())
            })
            .collect()
    };
    let both = [(1, "hello".to_owned()), (2, "AP8=".to_owned())];
    assert_eq!((of("send"), of("receive")), (both.to_vec(), both.to_vec()));
    assert!(messages.iter().all(|message| message["time"].as_f64().unwrap() > 1.6e9));
}

#[test]
fn a_sub_protocol_that_is_agreed_says_what_is_spoken() {
    let address = serve_agreeing("graphql-transport-ws", |mut socket| {
        socket.send(Message::text(r#"{"type":"connection_ack"}"#)).unwrap();
        while socket.read().is_ok() {}
    });
    let output = listen(&format!("ws://{address}/ --subprotocol graphql-transport-ws --count 1"), "");
    assert!(said(&output).contains(", sub-protocol graphql-transport-ws in "), "{}", said(&output));
    assert!(shown(&output).contains("← text 25 B  graphql-transport-ws  connected"), "{}", shown(&output));
}

#[test]
fn it_works_through_a_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let app = format!("ws://{}", echo());
    let guard =
        Guard::start(folder.path(), &["--listen", "127.0.0.1:0", "--upstream", &app, "--auth", "none"]);
    let output = listen(&format!("ws://{}/ --count 1", guard.address), "through\n");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(without_times(&shown(&output)).contains("← text 7 B\n    through\n"), "{}", shown(&output));
    assert_eq!(guard.stop().code, Some(0));
}

fn listen(arguments: &str, input: &str) -> Output {
    listen_bytes(Path::new("."), arguments, input.as_bytes())
}

fn listen_bytes(folder: &Path, arguments: &str, input: &[u8]) -> Output {
    let mut command = program(folder);
    command.arg("listen").args(arguments.split_whitespace()).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    finished(child)
}

fn shown(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Leaves the times out of what was shown.
fn without_times(text: &str) -> String {
    let line = |line: &str| match line.find(['→', '←']) {
        Some(at) if !line.starts_with("    ") || line[..at].ends_with("s ") => format!("{}\n", &line[at..]),
        Some(_) | None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// Sorts by direction, messages with what stands below them; the order of each stays.
fn sorted(text: &str) -> String {
    let (mut ours, mut theirs) = (String::new(), String::new());
    let mut last = &mut ours;
    for line in text.lines() {
        if line.starts_with('→') {
            last = &mut ours;
        } else if line.starts_with('←') {
            last = &mut theirs;
        }
        last.push_str(&format!("{line}\n"));
    }
    ours + &theirs
}

/// Serves one connection.
fn serve(talk: impl FnOnce(WebSocket<TcpStream>) + Send + 'static) -> SocketAddr {
    serve_agreeing("", talk)
}

/// Serves one connection and agrees on a sub-protocol where one is named.
fn serve_agreeing(
    protocol: &'static str,
    talk: impl FnOnce(WebSocket<TcpStream>) + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        #[expect(clippy::result_large_err, reason = "the library's signature")]
        let agree = |_: &Request, mut answer: Response| {
            if !protocol.is_empty() {
                answer.headers_mut().insert("Sec-WebSocket-Protocol", protocol.parse().unwrap());
            }
            Ok(answer)
        };
        talk(tungstenite::accept_hdr(tcp, agree).unwrap());
    });
    address
}

/// Says everything back, on one connection; agrees on no sub-protocol.
fn echo() -> SocketAddr {
    serve(|mut socket| {
        while let Ok(message) = socket.read() {
            if message.is_text() || message.is_binary() {
                socket.send(message).unwrap();
            }
        }
    })
}

/// Answers each connection in turn with that, or with nothing for a while.
fn answering(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for tcp in listener.incoming().take(4) {
            thread::spawn(move || {
                let mut tcp = tcp.unwrap();
                let _ = tcp.read(&mut [0; 4096]);
                let _ = tcp.write_all(answer.as_bytes());
                if answer.is_empty() {
                    thread::sleep(Duration::from_secs(5));
                }
            });
        }
    });
    address
}
