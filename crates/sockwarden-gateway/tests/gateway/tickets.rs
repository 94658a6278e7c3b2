//! Tickets: who gets one, and that it opens one socket, for the right one, once.

use std::{net::SocketAddr, time::Duration};

use sockwarden_defend::Way;
use sockwarden_gateway::{
    Auth, ForwardAuthConfig, LimitsConfig, ListenerConfig, RouteConfig, TicketConfig, TicketPlace,
};
use sockwarden_model::{AccessError, Event, Identity, Requester, Revoke, RevokeOrder, Role, TicketOrder};
use sockwarden_net::ClientError;
use tokio::{io::AsyncWriteExt as _, net::TcpSocket};

use crate::{
    defences::session_endpoint,
    stage::{App, GOOD, Seen, Stage, closed, read_out, route_to, soon, status, text},
};

const ENDPOINT: &str = "/.well-known/sockwarden/ticket";
const BY: Requester = Requester { role: Role::Operator, from: None, name: None };

async fn route(app: &App, name: &str, path: &str) -> RouteConfig {
    RouteConfig {
        name: name.to_owned(),
        path: path.to_owned(),
        auth: Auth::by(Way::Ticket),
        ticket: Some(TicketConfig {
            issue_to: vec![Way::Forward],
            outstanding: 1000,
            per_minute: 60_000,
            ..TicketConfig::default()
        }),
        forward_auth: Some(ForwardAuthConfig {
            user_header: Some("X-User".to_owned()),
            ..ForwardAuthConfig::new(&session_endpoint().await)
        }),
        ..route_to(app.address)
    }
}

async fn stage(app: &App) -> Stage {
    let routes = [route(app, "chat", "/chat").await, route(app, "feed", "/feed").await];
    Stage::routing(ListenerConfig::new("127.0.0.1:0"), &routes, LimitsConfig::default()).await
}

/// Asks at the endpoint; gives the whole answer.
async fn asked(stage: &Stage, method: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    let host = stage.address;
    let request = format!(
        "{method} {ENDPOINT} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    String::from_utf8(stage.raw(request.as_bytes()).await).unwrap()
}

const MARA: &str = "Cookie: session=mara\r\nContent-Type: application/json\r\n";

/// Gets a ticket for mara, who comes from `origin`, to a path.
async fn ticket(stage: &Stage, origin: &str, path: &str) -> String {
    let answer = asked(stage, "POST", &format!("{MARA}{origin}"), &format!("{{\"path\":\"{path}\"}}")).await;
    assert_eq!(status(answer.as_bytes()), 200, "{answer}");
    let grant: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(grant["expires_in"], 30);
    assert_eq!(grant["url"], format!("ws://{}{path}", stage.address));
    let ticket = grant["ticket"].as_str().unwrap().to_owned();
    assert_eq!(grant["subprotocol"], format!("sockwarden.ticket.{ticket}"));
    ticket
}

/// Opens a socket with a ticket; tells with which code it was refused.
async fn open(
    stage: &Stage,
    path: &str,
    ticket: &str,
    origin: Option<&str>,
) -> Result<sockwarden_net::Client, String> {
    let opened = stage
        .connect(path, |handshake| {
            handshake.protocols = vec!["chat".to_owned(), format!("sockwarden.ticket.{ticket}")];
            handshake.headers.extend(origin.map(|origin| ("Origin".to_owned(), origin.as_bytes().to_vec())));
        })
        .await;
    match opened {
        Ok(client) => Ok(client),
        Err(ClientError::Refused { status: 401, .. }) => {
            let verdict = stage.verdict().await;
            assert!(!verdict.reason.contains(ticket) || ticket.is_empty(), "a ticket stands in an event");
            Err(verdict.reason.split(':').next().unwrap().to_owned())
        }
        Err(error) => panic!("{error}"),
    }
}

fn headers_seen(app: &App) -> Vec<(String, String)> {
    let last = |seen: &Seen| match seen {
        Seen::Headers(headers) => Some(headers.clone()),
        Seen::Text(_) | Seen::Binary(_) | Seen::Close(_) | Seen::Vanished => None,
    };
    app.seen().iter().rev().find_map(last).unwrap()
}

#[tokio::test]
async fn a_ticket_opens_one_socket_for_its_user_and_the_application_never_sees_it() {
    let app = App::start().await;
    let stage = stage(&app).await;
    let secret = ticket(&stage, "", "/chat").await;
    let mut client = open(&stage, "/chat", &secret, None).await.unwrap();
    assert_eq!(text(&mut client).await, "hello");
    let headers = headers_seen(&app);
    let value = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    assert_eq!((value("sockwarden-user"), value("sec-websocket-protocol")), (Some("mara"), Some("chat")));
    assert!(!format!("{headers:?}").contains("swt_"));
    assert_eq!(open(&stage, "/chat", &secret, None).await.err().unwrap(), "ticket-used");
    assert!(!format!("{:?}", stage.stop().await).contains(&secret), "the ticket stands in an event");
}

#[tokio::test]
async fn a_ticket_is_good_for_nobody_else_and_nothing_else() {
    let app = App::start().await;
    let stage = stage(&app).await;
    let own = format!("http://{}", stage.address);
    let with = format!("Origin: {own}\r\n");
    let refused = async |path: &str, ticket: &str, origin: Option<&str>| {
        open(&stage, path, ticket, origin).await.err().unwrap()
    };
    assert_eq!(refused("/feed", &ticket(&stage, "", "/chat").await, None).await, "ticket-other-route");
    assert_eq!(refused("/chat", &ticket(&stage, &with, "/chat").await, None).await, "ticket-other-origin");
    assert_eq!(refused("/chat", &ticket(&stage, "", "/chat").await, Some(&own)).await, "ticket-other-origin");
    let good = ticket(&stage, "", "/chat").await;
    assert_eq!(refused("/chat", &good[..46], None).await, "ticket-malformed");
    assert_eq!(refused("/chat", &format!("swt_{}", "A".repeat(43)), None).await, "ticket-unknown");
    assert_eq!(refused("/chat", &format!("{}-", &good[..46]), None).await.split_at(7).0, "ticket-");
    // Who has seen a ticket and presents it from elsewhere burns it.
    assert_eq!(refused_from("127.0.0.2", &stage, &good).await, "ticket-other-address");
    assert_eq!(refused("/chat", &good, None).await, "ticket-used");
    assert_eq!(
        stage.connect("/chat", |_| ()).await.err().map(|error| error.to_string().contains("401")),
        Some(true)
    );
    assert_eq!(stage.verdict().await.reason, "ticket-absent: the handshake has no ticket");
    let two = [ticket(&stage, "", "/chat").await, ticket(&stage, "", "/chat").await];
    let offer = two.map(|ticket| format!("sockwarden.ticket.{ticket}"));
    assert!(stage.connect("/chat", |handshake| handshake.protocols = offer.to_vec()).await.is_err());
    assert!(stage.verdict().await.reason.starts_with("ticket-repeated"));
    assert!(app.seen().is_empty(), "nothing reached the application");
}

/// Presents a ticket from another address of this machine.
async fn refused_from(address: &str, stage: &Stage, ticket: &str) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
    let mut tcp = socket.connect(stage.address).await.unwrap();
    let request = GOOD.replace("GET /", "GET /chat");
    let request = format!("{request}Sec-WebSocket-Protocol: sockwarden.ticket.{ticket}\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(status(&read_out(&mut tcp).await), 401);
    stage.verdict().await.reason.split(':').next().unwrap().to_owned()
}

#[tokio::test]
async fn of_a_thousand_sockets_with_one_ticket_one_opens() {
    let app = App::start().await;
    let stage = stage(&app).await;
    let secret = ticket(&stage, "", "/chat").await;
    let offer = ["a".to_owned(), format!("sockwarden.ticket.{secret}")];
    let tries = (0..1000).map(|_| stage.connect("/chat", |handshake| handshake.protocols = offer.to_vec()));
    let opened = futures_util::future::join_all(tries).await.iter().filter(|opened| opened.is_ok()).count();
    assert_eq!(opened, 1);
}

#[tokio::test]
async fn foreign_pages_and_strangers_get_no_ticket() {
    let app = App::start().await;
    let stage = stage(&app).await;
    let own = format!("Origin: http://{}\r\n", stage.address);
    let evil = "Origin: https://evil.example\r\n";
    let wish = "{\"path\":\"/chat\"}";
    let check = async |method: &str, headers: &str, body: &str, expected: u16| {
        let answer = asked(&stage, method, headers, body).await;
        assert_eq!(status(answer.as_bytes()), expected, "{method} {headers} {body}: {answer}");
        assert!(!(expected >= 400 && answer.contains("swt_")));
        answer
    };
    let yes = check("POST", &format!("{MARA}{own}"), wish, 200).await;
    assert!(
        yes.contains("Access-Control-Allow-Credentials: true\r\n") && yes.contains("Cache-Control: no-store")
    );
    check("POST", &format!("{MARA}{evil}"), wish, 403).await;
    check("POST", &format!("{MARA}Origin: null\r\n"), wish, 403).await;
    check("POST", "Content-Type: application/json\r\n", wish, 401).await;
    let no = check("POST", &format!("Content-Type: application/json\r\n{own}"), wish, 401).await;
    assert!(no.contains("Access-Control-Allow-Origin"), "the page may know that it is to log in: {no}");
    assert!(no.contains("Access-Control-Expose-Headers: Retry-After\r\n"), "and when to come again: {no}");
    // What a form of any page could send.
    check("POST", "Cookie: session=mara\r\nContent-Type: text/plain\r\n", wish, 415).await;
    check("POST", "Cookie: session=mara\r\nSockwarden-Ticket: 1\r\n", "", 404).await;
    check("POST", "Cookie: session=mara\r\nSockwarden-Ticket: 1\r\n", wish, 200).await;
    check("GET", MARA, "", 405).await;
    check("POST", MARA, "{\"path\":\"/nowhere\"}", 404).await;
    check("POST", MARA, "{\"path\":\"/chat\",\"user\":\"admin\"}", 400).await;
    check("POST", MARA, &" ".repeat(5000), 413).await;
    check("POST", "Cookie: session=crash\r\nContent-Type: application/json\r\n", wish, 503).await;
    let asks = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n";
    let may = check("OPTIONS", &format!("{own}{asks}"), "", 204).await;
    assert!(
        may.contains("Access-Control-Allow-Headers")
            && may.contains("Access-Control-Allow-Origin: http://127")
    );
    let may_not = check("OPTIONS", &format!("{evil}{asks}"), "", 403).await;
    assert!(!may_not.contains("Access-Control"));
}

#[tokio::test]
async fn who_asks_too_often_waits() {
    let app = App::start().await;
    let mut route = route(&app, "chat", "/chat").await;
    route.ticket = Some(TicketConfig {
        per_minute: 3,
        outstanding: 2,
        issue_to: vec![Way::Forward],
        ..TicketConfig::default()
    });
    let stage = Stage::plain(route).await;
    let wish = "{\"path\":\"/chat\"}";
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(asked(&stage, "POST", MARA, wish).await);
    }
    let codes: Vec<u16> = answers.iter().map(|answer| status(answer.as_bytes())).collect();
    assert_eq!(codes, [200, 200, 429, 429]);
    assert!(answers[2].contains("outstanding") && answers[3].contains("Retry-After: "), "{answers:?}");
}

#[tokio::test]
async fn a_ticket_comes_by_query_or_cookie_where_the_route_says_so() {
    let app = App::start().await;
    let mut route = route(&app, "chat", "/chat").await;
    let places = vec![TicketPlace::Query, TicketPlace::Cookie];
    route.ticket = Some(TicketConfig { accept: places, ..route.ticket.unwrap() });
    let stage = Stage::plain(route).await;
    let [first, second, third] = [
        ticket(&stage, "", "/chat").await,
        ticket(&stage, "", "/chat").await,
        ticket(&stage, "", "/chat").await,
    ];
    assert!(stage.connect(&format!("/chat?a=1&ticket={first}"), |_| ()).await.is_ok());
    let cookie = ("Cookie".to_owned(), format!("a=b; sockwarden_ticket={second}").into_bytes());
    assert!(stage.connect("/chat", |handshake| handshake.headers.push(cookie)).await.is_ok());
    assert_eq!(headers_seen(&app).iter().find(|(name, _)| name == "cookie").unwrap().1, "a=b");
    assert_eq!(open(&stage, "/chat", &third, None).await.err().unwrap(), "ticket-absent");
}

#[tokio::test]
async fn a_client_with_no_protocol_of_its_own_is_answered_ours() {
    let app = App::start().await;
    let stage = stage(&app).await;
    let offer =
        vec![format!("sockwarden.ticket.{}", ticket(&stage, "", "/chat").await), "sockwarden.v1".to_owned()];
    let client = stage.connect("/chat", |handshake| handshake.protocols = offer).await.unwrap();
    assert_eq!(client.protocol(), Some("sockwarden.v1"));
    assert!(headers_seen(&app).iter().all(|(name, _)| name != "sec-websocket-protocol"));
}

#[tokio::test]
async fn the_applications_server_gets_tickets_for_its_users_and_takes_them_back() {
    let app = App::start().await;
    let stage = stage(&app).await;
    let control = stage.control();
    let order = |route: &str, identity: Identity| TicketOrder {
        route: route.to_owned(),
        identity,
        client: None,
        origin: None,
        note: None,
    };
    let issue = async |order: TicketOrder| {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        control.issue_ticket(order, &BY, Box::new(move |granted| drop(sender.send(granted))));
        soon(receiver).await.unwrap()
    };
    let revoke = async |what: Revoke| {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let order = RevokeOrder { what, seconds: 60 };
        control.revoke(&order, &BY, Box::new(move |done| drop(sender.send(done))));
        soon(receiver).await.unwrap()
    };
    assert_eq!(issue(order("nowhere", Identity::default())).await, Err(AccessError::NoRoute));
    let over = Identity { expires_at: Some(1), ..Identity::of_user("mara") };
    assert!(matches!(issue(order("chat", over)).await, Err(AccessError::Invalid(_))));

    let nils = issue(order("chat", Identity::of_user("nils"))).await.unwrap();
    let mara = issue(order("chat", Identity::of_user("mara"))).await.unwrap();
    let later = issue(order("chat", Identity::of_user("mara"))).await.unwrap();
    let mut nils = open(&stage, "/chat", &nils.ticket, None).await.unwrap();
    let mut mara_open = open(&stage, "/chat", &mara.ticket, None).await.unwrap();
    assert_eq!((text(&mut nils).await, text(&mut mara_open).await), ("hello".to_owned(), "hello".to_owned()));
    revoke(Revoke::User("mara".to_owned())).await.unwrap();
    assert_eq!(closed(&mut mara_open).await, (1008, "the session has ended".to_owned()));
    assert_eq!(open(&stage, "/chat", &later.ticket, None).await.err().unwrap(), "ticket-revoked");
    nils.send_text("still here").await.unwrap();
    assert_eq!(text(&mut nils).await, "still here");
    tokio::time::sleep(Duration::from_millis(5)).await;
    let anew = issue(order("chat", Identity::of_user("mara"))).await.unwrap();
    let mut anew_open = open(&stage, "/chat", &anew.ticket, None).await.expect("a user may come anew");
    assert_eq!(text(&mut anew_open).await, "hello");
    // A session is ended by the very ticket that it came by.
    revoke(Revoke::Ticket(anew.ticket)).await.unwrap();
    assert_eq!(closed(&mut anew_open).await.0, 1008);
    revoke(Revoke::Address("127.0.0.0/8".to_owned())).await.unwrap();
    assert_eq!(closed(&mut nils).await.0, 1008);
    let audits = stage.stop().await.iter().filter(|event| matches!(event, Event::Audit(_))).count();
    assert_eq!(audits, 3, "those since the last refusal");
}
