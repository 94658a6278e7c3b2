//! Requests take the route that is for them, by what the client asked for and not by what it claims.

use sockwarden_gateway::{LimitsConfig, ListenerConfig, PathMatch, ProxiesConfig, RouteConfig};
use sockwarden_model::Event;

use crate::stage::{App, GOOD, Stage, route_to, status};

/// Sends a handshake for `target` with further header lines; gives the status and the route that it took.
async fn taken(stage: &Stage, target: &str, headers: &str) -> (u16, String) {
    let request = format!("{}{headers}\r\n", GOOD.replacen("GET / ", &format!("GET {target} "), 1));
    let status = status(&stage.raw(request.as_bytes()).await);
    let route = stage.events().into_iter().find_map(|event| match event {
        Event::Open(open) => Some(open.route),
        Event::Verdict(verdict) => Some(verdict.route),
        Event::Close(_) | Event::Notice(_) | Event::Request(_) | Event::Audit(_) => None,
    });
    (status, route.unwrap_or_default())
}

#[tokio::test]
async fn a_request_takes_the_route_of_its_host_path_and_sub_protocol() {
    let app = App::start().await;
    let route = |name: &str| RouteConfig { name: name.to_owned(), ..route_to(app.address) };
    let routes = [
        RouteConfig { host: Some("app.example".to_owned()), ..route("inner") },
        RouteConfig { host: Some("*.public".to_owned()), path: "/chat".to_owned(), ..route("outer") },
        RouteConfig { subprotocol: Some("v2".to_owned()), path: "/chat".to_owned(), ..route("v2") },
        RouteConfig { path: "/chat/*/log".to_owned(), path_match: PathMatch::Glob, ..route("log") },
    ];
    let proxies =
        ProxiesConfig { trusted: vec!["127.0.0.1/32".parse().unwrap()], ..ProxiesConfig::default() };
    let trusting = ListenerConfig { proxies, ..ListenerConfig::new("127.0.0.1:0") };
    let trusting = Stage::routing(trusting, &routes, LimitsConfig::default()).await;
    let check = async |target: &str, headers: &str, expected: (u16, &str)| {
        let (status, route) = taken(&trusting, target, headers).await;
        assert_eq!((status, route.as_str()), expected, "{target} {headers:?}");
    };
    check("/x?y", "", (101, "inner")).await;
    check("/chat", "X-Forwarded-Host: a.public\r\n", (101, "outer")).await;
    check("/x", "X-Forwarded-Host: a.public\r\n", (404, "")).await;
    let elsewhere = "X-Forwarded-Host: elsewhere\r\n";
    check("/chat/1/log", elsewhere, (101, "log")).await;
    check("/chat/1", &format!("{elsewhere}Sec-WebSocket-Protocol: v2\r\n"), (101, "v2")).await;
    check("/chat/1", &format!("{elsewhere}Sec-WebSocket-Protocol: v1, v2\r\n"), (404, "")).await;
    check("/x/../chat/1/log", elsewhere, (400, "")).await;

    // Who is no proxy cannot choose another host by what it claims.
    let strict = ListenerConfig::new("127.0.0.1:0");
    let strict = Stage::routing(strict, &routes, LimitsConfig::default()).await;
    let (status, route) = taken(&strict, "/chat", "X-Forwarded-Host: a.public\r\n").await;
    assert_eq!((status, route.as_str()), (101, "inner"));
}
