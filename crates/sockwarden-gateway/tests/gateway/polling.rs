//! Long polling of Engine.IO is one session with its WebSocket: the same messages, the same verdicts, whatever carries them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use sockwarden_defend::{
    Way,
    defences::{OperationConfig, SenderKind},
};
use sockwarden_gateway::{Auth, ForwardAuthConfig, RouteConfig};
use sockwarden_model::{Decision, Uninspected};
use sockwarden_net::Stream;
use sockwarden_proto::MessageKind;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    http::{ask, is_whole, passing},
    stage::{Seen, Stage, closed, echo, soon, status, text},
};

/// An application that opens the session `abc`, takes packets, says `42["news",1]` and `42["secret"]` to whoever polls, and echoes on
/// WebSockets.
struct Poller {
    address: SocketAddr,
    /// The bodies that were posted.
    posted: Arc<Mutex<Vec<String>>>,
    socket: Arc<Mutex<Vec<Seen>>>,
}

impl Poller {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (posted, socket) = (Arc::default(), Arc::default());
        let app = Self { address, posted: Arc::clone(&posted), socket: Arc::clone(&socket) };
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, Arc::clone(&posted), Arc::clone(&socket)));
            }
        });
        app
    }

    fn posted(&self) -> Vec<String> {
        self.posted.lock().unwrap().clone()
    }
}

async fn serve(mut tcp: TcpStream, posted: Arc<Mutex<Vec<String>>>, socket: Arc<Mutex<Vec<Seen>>>) {
    let mut begin = [0; 4096];
    let count = tcp.peek(&mut begin).await.unwrap();
    if String::from_utf8_lossy(&begin[..count]).to_lowercase().contains("upgrade: websocket") {
        return echo(Stream::Plain(tcp), &socket).await;
    }
    let mut bytes = Vec::new();
    while !is_whole(&bytes) {
        if !matches!(tcp.read_buf(&mut bytes).await, Ok(n) if n > 0) {
            return;
        }
    }
    let request = String::from_utf8_lossy(&bytes);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let (kind, said) = if head.starts_with("POST ") {
        posted.lock().unwrap().push(body.to_owned());
        ("text/html", "ok")
    } else if head.contains("socket.io.js") {
        ("application/javascript", "script()")
    } else if head.contains("sid=") {
        ("text/plain; charset=UTF-8", "42[\"news\",1]\u{1e}42[\"secret\"]")
    } else {
        ("text/plain; charset=UTF-8", r#"0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000}"#)
    };
    let length = said.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{said}");
    let _ = tcp.write_all(answer.as_bytes()).await;
}

fn event(name: &str, from: SenderKind) -> OperationConfig {
    let (action, name) = (Some("event".to_owned()), Some(name.to_owned()));
    OperationConfig { action, name, from, ..OperationConfig::default() }
}

fn listing(app: &Poller) -> RouteConfig {
    let mut route = passing(app.address);
    route.operation_policy.allow =
        vec![event("say", SenderKind::Client), event("picture", SenderKind::Client)];
    route
}

const TARGET: &str = "/socket.io/?EIO=4&transport=polling";

async fn get(stage: &Stage, target: &str) -> (u16, String) {
    let told = ask(stage, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
    let text = String::from_utf8_lossy(&told).into_owned();
    (status(&told), text.split_once("\r\n\r\n").unwrap().1.to_owned())
}

async fn post(stage: &Stage, sid: &str, body: &str) -> u16 {
    let length = body.len();
    let head =
        format!("POST {TARGET}&sid={sid} HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain;charset=UTF-8\r\n");
    status(&ask(stage, format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes()).await)
}

/// Opens the session.
async fn opened(stage: &Stage) {
    let (status, body) = get(stage, TARGET).await;
    assert!(status == 200 && body.contains("abc"), "{body}");
}

const PICTURE: &str = r#"451-["picture",{"_placeholder":true,"num":0}]"#;

#[tokio::test]
async fn a_forbidden_event_is_left_out_while_the_session_lives() {
    let app = Poller::start().await;
    let stage = Stage::plain(listing(&app)).await;
    opened(&stage).await;
    let table = [
        (r#"42["say",1]"#, r#"42["say",1]"#),
        ("42[\"say\",1]\u{1e}42[\"wipe\"]\u{1e}42[\"say\",2]", "42[\"say\",1]\u{1e}42[\"say\",2]"),
        ("42[\"say\",1]\u{1e}42[\"wipe\"]", "42[\"say\",1]"),
        (r#"42["wipe"]"#, "3"),
        ("40", "40"),
        ("2probe", "2probe"),
    ];
    for (sent, _) in table {
        assert_eq!(post(&stage, "abc", sent).await, 200, "{sent}");
    }
    assert_eq!(app.posted(), table.map(|(_, arrives)| arrives));
    let verdict = stage.verdict().await;
    assert_eq!((verdict.rule.as_str(), verdict.decision), ("operation-policy", Decision::Drop));
    assert_eq!(verdict.reason, "socket-io: event `wipe` on `/` is not in `allow`");
    // What is wrapped in a form cannot be taken apart: all of it is refused.
    assert_eq!(post(&stage, "abc", "d=42%5B%22wipe%22%5D").await, 403);
    assert_eq!(post(&stage, "abc", "d=42%5B%22say%22%5D").await, 200);
    assert_eq!(app.posted().len(), table.len() + 1);
    // What ends a WebSocket is refused here.
    assert_eq!(post(&stage, "abc", r#"42["say",{"a":1,"a":2}]"#).await, 400);
    assert_eq!(post(&stage, "abc", r#"42["say",1]"#).await, 200);
    assert_eq!(stage.control().counters().routes[0].uninspected, []);
}

#[tokio::test]
async fn what_the_application_must_not_say_is_left_out_of_what_is_polled() {
    let app = Poller::start().await;
    let mut route = listing(&app);
    route.operation_policy.allow.push(event("news", SenderKind::Server));
    let stage = Stage::plain(route.clone()).await;
    opened(&stage).await;
    assert_eq!(get(&stage, &format!("{TARGET}&sid=abc")).await, (200, r#"42["news",1]"#.to_owned()));
    route.operation_policy.allow = vec![event("other", SenderKind::Server)];
    let stage = Stage::plain(route).await;
    opened(&stage).await;
    assert_eq!(get(&stage, &format!("{TARGET}&sid=abc")).await, (200, "6".to_owned()));
    // The client's script is none of it.
    assert_eq!(get(&stage, "/socket.io/socket.io.js").await, (200, "script()".to_owned()));
}

#[tokio::test]
async fn what_an_event_announced_is_awaited_in_later_requests_and_on_the_websocket() {
    let app = Poller::start().await;
    let stage = Stage::plain(listing(&app)).await;
    opened(&stage).await;
    // What nobody has announced breaks the protocol, in another session too.
    assert_eq!(post(&stage, "abc", "bAQID").await, 400);
    assert_eq!(post(&stage, "abc", PICTURE).await, 200);
    assert_eq!(post(&stage, "other", "bAQID").await, 400);
    assert_eq!(post(&stage, "abc", "bAQID").await, 200);
    assert_eq!(app.posted(), [PICTURE, "bAQID"]);
    // Begun by polling, ended on the WebSocket that goes on with it; another session has announced nothing.
    assert_eq!(post(&stage, "abc", PICTURE).await, 200);
    for (sid, arrives) in [("other", false), ("abc", true)] {
        let target = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}");
        let mut client = stage.connect(&target, |_| ()).await.unwrap();
        assert_eq!(text(&mut client).await, "hello");
        client.send(MessageKind::Binary, b"123").await.unwrap();
        if arrives {
            soon(async {
                while !app.socket.lock().unwrap().contains(&Seen::Binary(3)) {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            })
            .await;
        } else {
            assert_eq!(closed(&mut client).await.0, 1007);
            assert!(!app.socket.lock().unwrap().contains(&Seen::Binary(3)));
        }
    }
}

#[tokio::test]
async fn a_target_that_says_less_than_it_could_is_no_way_around() {
    let app = Poller::start().await;
    let mut route = passing(app.address);
    route.operation_policy.deny = vec![event("wipe", SenderKind::Client)];
    let stage = Stage::plain(route).await;
    let (status, _) = get(&stage, "/custom/?EIO=4&transport=polling").await;
    assert_eq!(status, 200);
    let body = "42[\"wipe\"]\u{1e}42[\"say\"]";
    for target in
        ["/custom/?transport=polling&sid=abc", "/custom/?sid=abc", "/custom/?transport=polling&sid=x"]
    {
        let length = body.len();
        let request = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
        assert_eq!(crate::stage::status(&ask(&stage, request.as_bytes()).await), 200, "{target}");
    }
    assert_eq!(app.posted(), [r#"42["say"]"#; 3]);
    let mut client = stage.connect("/custom/?transport=websocket&sid=abc", |_| ()).await.unwrap();
    for name in ["wipe", "say"] {
        client.send_text(&format!(r#"42["{name}"]"#)).await.unwrap();
    }
    assert_eq!(text(&mut client).await, "hello");
    assert_eq!(text(&mut client).await, r#"42["say"]"#);
    assert!(!app.socket.lock().unwrap().contains(&Seen::Text(r#"42["wipe"]"#.to_owned())));
}

#[tokio::test]
async fn the_guards_of_a_session_know_its_user_by_polling_and_on_the_websocket() {
    let app = Poller::start().await;
    let who =
        crate::http::Script::start(b"HTTP/1.1 200 OK\r\nX-User: mara\r\nContent-Length: 0\r\n\r\n").await;
    let mut forward = ForwardAuthConfig::new(&format!("http://{}/who", who.address));
    forward.user_header = Some("X-User".to_owned());
    let mut route =
        RouteConfig { auth: Auth::by(Way::Forward), forward_auth: Some(forward), ..passing(app.address) };
    route.operation_policy.allow = vec![event("{user}", SenderKind::Client)];
    let stage = Stage::plain(route).await;
    opened(&stage).await;
    for name in ["mara", "bob"] {
        assert_eq!(post(&stage, "abc", &format!(r#"42["{name}"]"#)).await, 200);
    }
    assert_eq!(app.posted(), [r#"42["mara"]"#, "3"]);
    let target = "/socket.io/?EIO=4&transport=websocket&sid=abc";
    let mut client = stage.connect(target, |_| ()).await.unwrap();
    for name in ["bob", "mara"] {
        client.send_text(&format!(r#"42["{name}"]"#)).await.unwrap();
    }
    soon(async {
        while !app.socket.lock().unwrap().contains(&Seen::Text(r#"42["mara"]"#.to_owned())) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(!app.socket.lock().unwrap().contains(&Seen::Text(r#"42["bob"]"#.to_owned())));
}

#[tokio::test]
async fn where_the_defence_is_off_everything_arrives_and_is_counted() {
    let app = Poller::start().await;
    let mut route = listing(&app);
    route.operation_policy.mode = sockwarden_model::Mode::Off;
    let stage = Stage::plain(route).await;
    opened(&stage).await;
    assert_eq!(post(&stage, "abc", r#"42["wipe"]"#).await, 200);
    assert_eq!(app.posted(), [r#"42["wipe"]"#]);
    let counted = stage.control().counters().routes[0].uninspected.clone();
    assert!(
        counted.iter().all(|(_, why, _)| *why == Uninspected::DefenceOff) && counted.len() == 2,
        "{counted:?}"
    );
}
