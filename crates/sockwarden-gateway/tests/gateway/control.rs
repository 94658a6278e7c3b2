//! What an operator sees of a running gateway, and does with it.

use std::time::Duration;

use sockwarden_model::{
    Action, CloseOrder, Control, ControlError, Direction, Event, EventId, Initiator, Limit, MessageClass,
    Mode, ModeChange, ModeScope, Notice, Requester, Role, RouteCounters, Session, SessionQuery, SessionState,
    Treatment,
};

use sockwarden_net::ClientError;

use crate::stage::{App, Seen, Stage, closed, inspected, route_to, soon, text};

fn operator() -> Requester {
    Requester { role: Role::Operator, from: Some("127.0.0.1:7".to_owned()), name: None }
}

fn all() -> SessionQuery {
    SessionQuery { limit: SessionQuery::LIMIT, ..SessionQuery::default() }
}

async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    soon(async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// The only session, once it is established.
async fn only(control: &dyn Control) -> Session {
    until(|| {
        let mut page = control.sessions(&all());
        (page.total == 1 && page.sessions.len() == 1).then(|| page.sessions.remove(0))
    })
    .await
}

fn count(counters: &RouteCounters, from: Direction, kind: MessageClass, treatment: Treatment) -> u64 {
    let found =
        counters.messages.iter().find(|m| (m.direction, m.kind, m.treatment) == (from, kind, treatment));
    found.map_or(0, |message| message.count)
}

#[tokio::test]
async fn a_session_and_its_traffic_are_seen_while_it_lives() {
    let app = App::start().await;
    let stage = Stage::plain(route_to(app.address)).await;
    let control = stage.control();
    assert_eq!(control.sessions(&all()).total, 0);
    let headers = vec![
        ("Origin".to_owned(), format!("http://{}", stage.address).into_bytes()),
        ("Cookie".to_owned(), b"session=secret".to_vec()),
    ];
    let mut client = stage.connect("/", |handshake| handshake.headers = headers).await.unwrap();
    assert_eq!(text(&mut client).await, "hello");
    for _ in 0..3 {
        client.send_text("1234567").await.unwrap();
        assert_eq!(text(&mut client).await, "1234567");
    }
    let session = only(&*control).await;
    assert_eq!(session.from_client, inspected(3, 21));
    assert_eq!(session.from_server, inspected(4, 26));
    assert_eq!((session.route.as_str(), session.state, session.tls), ("app", SessionState::Open, false));
    assert_eq!(session.origin, Some(format!("http://{}", stage.address)));
    assert_eq!(control.session(session.id), Some(session));

    let counters = control.counters();
    let route = &counters.routes[0];
    assert_eq!((route.opened, route.active), (1, 1));
    assert_eq!((route.bytes_from_client, route.bytes_from_server), (21, 26));
    assert_eq!(count(route, Direction::Client, MessageClass::Text, Treatment::Pass), 3);
    assert_eq!(count(route, Direction::Server, MessageClass::Text, Treatment::Pass), 4);
    assert!(counters.inspection.buckets.iter().sum::<u64>() > 0);
    assert_eq!(counters.closes, []);

    client.close(sockwarden_proto::CloseCode(4321), "").await.unwrap();
    closed(&mut client).await;
    until(|| (control.sessions(&all()).total == 0).then_some(())).await;
    let counters = control.counters();
    let closes: Vec<_> = counters.closes.iter().map(|c| (c.code.to_string(), c.initiator, c.count)).collect();
    assert_eq!(closes, [("4xxx".to_owned(), Initiator::Client, 1)]);
    assert_eq!((counters.routes[0].opened, counters.routes[0].active), (1, 0));
    assert_eq!(control.sessions(&all()).sessions, []);
}

#[tokio::test]
async fn a_session_is_closed_by_order_on_both_sides_and_the_log_says_by_whom() {
    let app = App::start().await;
    let stage = Stage::plain(route_to(app.address)).await;
    let control = stage.control();
    let mut client = stage.greeted().await;
    let mut other = stage.greeted().await;
    let first = until(|| control.sessions(&all()).sessions.first().cloned()).await;
    client.send_text("whose is it").await.unwrap();
    text(&mut client).await;
    // Of the two, the session that has moved is the first client's.
    let moved = control.session(first.id).unwrap().from_client.messages == 1;
    let (mine, theirs) = if moved { (&mut client, &mut other) } else { (&mut other, &mut client) };
    let order = CloseOrder { code: 4003, reason: "by order".to_owned() };
    control.close(first.id, &order, &operator()).unwrap();
    assert_eq!(closed(mine).await, (4003, "by order".to_owned()));
    assert_eq!(app.close_seen().await, Some((4003, "by order".to_owned())));
    until(|| control.session(first.id).is_none().then_some(())).await;
    theirs.send_text("still here").await.unwrap();
    assert_eq!(text(theirs).await, "still here");

    let events = stage.events();
    let ended: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Close(close) => Some((close.connection, close.code, close.initiator)),
            Event::Open(_) | Event::Verdict(_) | Event::Audit(_) | Event::Notice(_) | Event::Request(_) => {
                None
            }
        })
        .collect();
    assert_eq!(ended, [(first.id, 4003, Initiator::Operator)]);
    let action = Action::CloseSession { connection: first.id, code: 4003, reason: "by order".to_owned() };
    let audited = |event: &Event| match event {
        Event::Audit(audit) => audit.by == operator() && audit.action == action,
        Event::Open(_) | Event::Verdict(_) | Event::Close(_) | Event::Notice(_) | Event::Request(_) => false,
    };
    assert_eq!(events.iter().filter(|event| audited(event)).count(), 1);
}

#[tokio::test]
async fn a_peer_that_does_not_answer_the_order_is_not_waited_for() {
    let app = App::start().await;
    let limits = sockwarden_gateway::LimitsConfig {
        close_timeout: sockwarden_config::HumanDuration::from_secs(1),
        ..sockwarden_gateway::LimitsConfig::default()
    };
    let stage = Stage::start(route_to(app.address), false, limits).await;
    let control = stage.control();
    // It is never polled again, so it answers nothing.
    let _client = stage.greeted().await;
    let session = only(&*control).await;
    control.close(session.id, &CloseOrder { code: 1012, reason: String::new() }, &operator()).unwrap();
    let closing =
        until(|| control.session(session.id).filter(|session| session.state == SessionState::Closing));
    assert_eq!(closing.await.id, session.id);
    until(|| control.session(session.id).is_none().then_some(())).await;
}

#[tokio::test]
async fn an_order_that_cannot_be_carried_out_is_refused() {
    let app = App::start().await;
    let stage = Stage::plain(route_to(app.address)).await;
    let control = stage.control();
    let _client = stage.greeted().await;
    let id = only(&*control).await.id;
    let check = |id: EventId, code, reason: &str, expected| {
        let order = CloseOrder { code, reason: reason.to_owned() };
        assert_eq!(control.close(id, &order, &operator()), Err(expected));
    };
    check(id, 1005, "", ControlError::CloseCode(1005));
    check(id, 1006, "", ControlError::CloseCode(1006));
    check(id, 0, "", ControlError::CloseCode(0));
    check(id, 1000, &"é".repeat(62), ControlError::CloseReason);
    check(id, 1000, "\u{1b}[2J", ControlError::CloseReason);
    let nobody = EventId::from_random(id.number() ^ 1);
    check(nobody, 1000, "", ControlError::NoSession(nobody));
    assert!(stage.events().iter().all(|event| !matches!(event, Event::Audit(_))));
    assert_eq!(control.session(id).unwrap().state, SessionState::Open);
}

#[tokio::test]
async fn break_glass_lets_a_message_pass_on_a_live_socket_and_ends_by_itself() {
    let app = App::start().await;
    let stage = Stage::plain(route_to(app.address)).await;
    let control = stage.control();
    let mut client = stage.greeted().await;
    let big = "x".repeat(200_000);
    let change = ModeChange {
        scope: ModeScope { route: None, rule: Some("frame-limits".to_owned()) },
        mode: Mode::Observe,
        time: Duration::from_secs(2),
    };
    assert_eq!(control.set_mode(&change, &operator()), Ok(1));
    client.send_text(&big).await.unwrap();
    assert_eq!(text(&mut client).await, big);
    let limits = || {
        let routes = control.routes();
        routes[0].defences.iter().find(|defence| defence.rule == "frame-limits").cloned().unwrap()
    };
    until(|| (limits().mode == Mode::Block).then_some(())).await;
    assert_eq!(limits().seconds_left, None);
    client.send_text(&big).await.unwrap();
    assert_eq!(closed(&mut client).await.0, 1009);
    assert_eq!(app.close_seen().await.map(|(code, _)| code), Some(1001));
    assert_eq!(app.seen().iter().filter(|seen| **seen == Seen::Text(big.clone())).count(), 1);

    let route = &control.counters().routes[0];
    assert_eq!(count(route, Direction::Client, MessageClass::Text, Treatment::Observe), 1);
    assert_eq!(count(route, Direction::Client, MessageClass::Text, Treatment::Block), 1);
    let audited: Vec<_> = stage
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Audit(audit) => Some((audit.by.role, audit.action)),
            Event::Open(_) | Event::Verdict(_) | Event::Close(_) | Event::Notice(_) | Event::Request(_) => {
                None
            }
        })
        .collect();
    let (route, rule) = ("app".to_owned(), "frame-limits".to_owned());
    let set = Action::SetMode { route: route.clone(), rule: rule.clone(), mode: Mode::Observe, seconds: 2 };
    let restored = Action::RestoreMode { route, rule, mode: Mode::Block };
    assert_eq!(audited, [(Role::Operator, set), (Role::Timer, restored)]);
}

#[tokio::test]
async fn refusals_are_counted_by_rule_and_what_is_overlooked_by_its_reason() {
    let app = App::start().await;
    let mut route = route_to(app.address);
    route.frame_limits.mode = Mode::Off;
    let stage = Stage::plain(route).await;
    let control = stage.control();
    let evil = vec![("Origin".to_owned(), b"https://evil.example".to_vec())];
    assert!(stage.connect("/", |handshake| handshake.headers = evil).await.is_err());
    stage.raw(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n").await;
    let mut client = stage.greeted().await;
    client.send_text("unmeasured").await.unwrap();
    text(&mut client).await;
    let traffic = only(&*control).await.from_client;
    assert_eq!((traffic.messages, traffic.inspected_messages, traffic.inspected_bytes), (1, 0, 0));
    let counters = control.counters();
    assert_eq!(counters.refused_without_route, [("strict-handshake".to_owned(), 1)]);
    let route = &counters.routes[0];
    assert_eq!(route.refused, [("origin-policy".to_owned(), 1)]);
    use sockwarden_model::Uninspected::DefenceOff;
    assert_eq!(route.uninspected, [(Direction::Client, DefenceOff, 1), (Direction::Server, DefenceOff, 2)]);
    assert_eq!(route.opened, 1);
}

#[tokio::test]
async fn who_is_turned_away_at_the_limit_is_counted() {
    let app = App::start().await;
    let limits =
        sockwarden_gateway::LimitsConfig { connections: 1, ..sockwarden_gateway::LimitsConfig::default() };
    let stage = Stage::start(route_to(app.address), false, limits).await;
    let _only = stage.greeted().await;
    assert!(stage.connect("/", |_| ()).await.is_err());
    assert_eq!(stage.control().counters().limits_without_route, [(Limit::Connections, 1)]);
}

#[tokio::test]
async fn while_memory_is_short_who_is_new_is_refused_and_who_is_there_goes_on() {
    let app = App::start().await;
    // One connection counts for 32 KiB: there is room for one.
    let limits = sockwarden_gateway::LimitsConfig {
        memory: sockwarden_config::ByteSize::kib(60),
        ..sockwarden_gateway::LimitsConfig::default()
    };
    let stage = Stage::start(route_to(app.address), false, limits).await;
    let mut first = stage.greeted().await;
    let Err(ClientError::Refused { status, .. }) = stage.connect("/", |_| ()).await else { panic!() };
    assert_eq!(status, 503);
    let counters = stage.control().counters();
    assert_eq!(counters.limits_without_route, [(Limit::Memory, 1)]);
    let notices = stage
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Notice(notice) if notice.notice == Notice::TurningAway));
    assert_eq!(notices.count(), 1);
    first.send_text("still here").await.unwrap();
    assert_eq!(text(&mut first).await, "still here");
}
