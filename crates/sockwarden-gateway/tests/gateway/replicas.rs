//! Several gateways in front of one application share tickets and revocations, by a real server.

use std::time::{Duration, Instant};

use sockwarden_defend::Way;
use sockwarden_gateway::{Auth, ListenerConfig, RouteConfig, TicketConfig};
use sockwarden_model::{AccessError, Control, Identity, Requester, Revoke, RevokeOrder, Role, TicketOrder};
use sockwarden_net::ClientError;
use sockwarden_state::StateConfig;
use sockwarden_testkit::RedisServer;
use tokio::sync::oneshot;

use crate::stage::{App, Stage, closed, route_to, soon, text};

const BY: Requester = Requester { role: Role::Operator, from: None, name: None };

async fn replica(app: &App, server: &RedisServer) -> Stage {
    let route = RouteConfig {
        auth: Auth::by(Way::Ticket),
        ticket: Some(TicketConfig { outstanding: 1000, ..TicketConfig::default() }),
        ..route_to(app.address)
    };
    let url = format!("redis://127.0.0.1:{}", server.port).parse().unwrap();
    let config = StateConfig { url, ..StateConfig::default() };
    let state = sockwarden_state::build(&config).unwrap();
    Stage::sharing(ListenerConfig::new("127.0.0.1:0"), route, state).await
}

async fn issue(stage: &Stage, user: &str) -> Result<String, AccessError> {
    let (sender, receiver) = oneshot::channel();
    let order = TicketOrder {
        route: "app".to_owned(),
        identity: Identity::of_user(user),
        client: None,
        origin: None,
        note: None,
    };
    stage.control().issue_ticket(order, &BY, Box::new(move |granted| drop(sender.send(granted))));
    soon(receiver).await.unwrap().map(|grant| grant.subprotocol)
}

/// Issues a ticket as soon as the server can be reached.
async fn issue_soon(stage: &Stage, user: &str) -> String {
    soon(async {
        loop {
            match issue(stage, user).await {
                Ok(offer) => return offer,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await
}

async fn open(stage: &Stage, offer: &str) -> Result<sockwarden_net::Client, ClientError> {
    stage.connect("/", |handshake| handshake.protocols = vec!["a".to_owned(), offer.to_owned()]).await
}

async fn revoke(control: &dyn Control, what: Revoke) -> Result<(), AccessError> {
    let (sender, receiver) = oneshot::channel();
    let order = RevokeOrder { what, seconds: 60 };
    control.revoke(&order, &BY, Box::new(move |done| drop(sender.send(done))));
    soon(receiver).await.unwrap()
}

#[tokio::test]
async fn a_ticket_opens_one_socket_on_one_replica() {
    let (app, server) = (App::start().await, RedisServer::start());
    let (one, other) = (replica(&app, &server).await, replica(&app, &server).await);
    issue_soon(&other, "nobody").await;
    for _ in 0..5 {
        let offer = issue_soon(&one, "mara").await;
        let tries = (0..100).map(|n| open(if n % 2 == 0 { &one } else { &other }, &offer));
        let opened =
            futures_util::future::join_all(tries).await.iter().filter(|opened| opened.is_ok()).count();
        assert_eq!(opened, 1);
    }
}

#[tokio::test]
async fn a_revoked_user_is_disconnected_on_every_replica_within_a_second() {
    let (app, server) = (App::start().await, RedisServer::start());
    let (one, other) = (replica(&app, &server).await, replica(&app, &server).await);
    let mut clients = Vec::new();
    for stage in [&one, &other] {
        let offer = issue_soon(stage, "mara").await;
        clients.push(open(stage, &offer).await.unwrap());
    }
    let mut nils = open(&other, &issue_soon(&one, "nils").await).await.unwrap();
    for client in clients.iter_mut().chain([&mut nils]) {
        assert_eq!(text(client).await, "hello");
    }
    let since = Instant::now();
    revoke(&*one.control(), Revoke::User("mara".to_owned())).await.unwrap();
    for client in &mut clients {
        assert_eq!(closed(client).await.0, 1008);
    }
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    nils.send_text("still here").await.unwrap();
    assert_eq!(text(&mut nils).await, "still here");
}

#[tokio::test]
async fn an_outage_of_the_store_refuses_tickets_and_nothing_else_and_ends_by_itself() {
    let (app, mut server) = (App::start().await, RedisServer::start());
    let stage = replica(&app, &server).await;
    let spare = issue_soon(&stage, "mara").await;
    let mut client = open(&stage, &issue_soon(&stage, "mara").await).await.unwrap();
    assert_eq!(text(&mut client).await, "hello");
    server.kill();
    match open(&stage, &spare).await {
        Err(ClientError::Refused { status: 503, .. }) => {}
        other => panic!("{:?}", other.map(|_| "opened")),
    }
    assert!(stage.verdict().await.reason.starts_with("ticket-unavailable"));
    assert!(matches!(issue(&stage, "mara").await, Err(AccessError::Unavailable(_))));
    client.send_text("still here").await.unwrap();
    assert_eq!(text(&mut client).await, "still here");
    server.restart();
    let offer = issue_soon(&stage, "mara").await;
    let mut anew = open(&stage, &offer).await.unwrap();
    assert_eq!(text(&mut anew).await, "hello");
}
