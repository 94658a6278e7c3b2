//! Both close handshakes.

use sockwarden_model::{Event, Initiator, Traffic};
use sockwarden_proto::CloseCode;

use crate::stage::{App, Seen, Stage, closed, inspected, read_out, route_to, soon, text};

async fn ending(stage: &Stage) -> (u16, Initiator, Traffic, Traffic) {
    soon(async {
        loop {
            for event in stage.events() {
                match event {
                    Event::Close(close) => {
                        return (close.code, close.initiator, close.from_client, close.from_server);
                    }
                    Event::Open(_)
                    | Event::Verdict(_)
                    | Event::Notice(_)
                    | Event::Request(_)
                    | Event::Audit(_) => {}
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await
}

#[tokio::test]
async fn the_clients_code_reaches_the_application_and_its_answer_comes_back() {
    let app = App::start().await;
    let stage = Stage::plain(route_to(app.address)).await;
    let mut client = stage.greeted().await;
    client.send_text("last words").await.unwrap();
    client.close(CloseCode(3456), "enough").await.unwrap();
    assert_eq!(text(&mut client).await, "last words");
    assert_eq!(closed(&mut client).await, (3456, "enough".to_owned()));
    assert_eq!(app.close_seen().await, Some((3456, "enough".to_owned())));
    let from_client = inspected(1, 10);
    let from_server = inspected(2, 15);
    assert_eq!(ending(&stage).await, (3456, Initiator::Client, from_client, from_server));
}

#[tokio::test]
async fn the_applications_code_reaches_the_client() {
    let app = App::start().await;
    let stage = Stage::plain(route_to(app.address)).await;
    let mut client = stage.greeted().await;
    client.send_text("bye").await.unwrap();
    assert_eq!(closed(&mut client).await, (4000, "as you wish".to_owned()));
    let (code, initiator, ..) = ending(&stage).await;
    assert_eq!((code, initiator), (4000, Initiator::Server));
}

#[tokio::test]
async fn an_application_that_crashes_is_told_to_the_client() {
    let app = App::start().await;
    let stage = Stage::plain(route_to(app.address)).await;
    let mut client = stage.greeted().await;
    client.send_text("crash").await.unwrap();
    assert_eq!(closed(&mut client).await.0, 1014);
    let (code, initiator, ..) = ending(&stage).await;
    assert_eq!((code, initiator), (1006, Initiator::Server));
}

#[tokio::test]
async fn a_client_that_vanishes_is_told_to_the_application() {
    let app = App::start().await;
    let stage = Stage::plain(route_to(app.address)).await;
    drop(stage.greeted().await);
    assert_eq!(app.close_seen().await.map(|(code, _)| code), Some(1001));
    app.wait_for(|seen| (*seen == Seen::Vanished).then_some(())).await;
    let (code, initiator, ..) = ending(&stage).await;
    assert_eq!((code, initiator), (1006, Initiator::Client));
}

#[tokio::test]
async fn a_gateway_that_stops_tells_both_sides_and_reports_the_end() {
    let app = App::start().await;
    let stage = Stage::plain(route_to(app.address)).await;
    let mut client = stage.greeted().await;
    client.send_text("before the end").await.unwrap();
    assert_eq!(text(&mut client).await, "before the end");
    let mut idle = tokio::net::TcpStream::connect(stage.address).await.unwrap();
    let address = stage.address;
    let stopped = async { stage.stop().await };
    let (events, told) = tokio::join!(stopped, closed(&mut client));
    assert_eq!(told, (1001, "the gateway stops".to_owned()));
    assert_eq!(app.close_seen().await, Some((1001, "the gateway stops".to_owned())));
    let closes: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Close(close) => Some((close.code, close.initiator, close.from_client)),
            Event::Open(_) | Event::Verdict(_) | Event::Notice(_) | Event::Request(_) | Event::Audit(_) => {
                None
            }
        })
        .collect();
    assert_eq!(closes, [(1001, Initiator::Gateway, inspected(1, 14))]);
    assert_eq!(read_out(&mut idle).await, b"", "who has not asked yet gets no answer");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_gateway_that_stops_does_not_wait_for_a_client_that_is_silent() {
    let app = App::start().await;
    let limits = sockwarden_gateway::LimitsConfig {
        close_timeout: sockwarden_config::HumanDuration::from_millis(100),
        ..Default::default()
    };
    let stage = Stage::start(route_to(app.address), false, limits).await;
    // It never reads, so that it never answers the close frame.
    let silent = stage.greeted().await;
    let events = stage.stop().await;
    assert!(matches!(events.last(), Some(Event::Close(close)) if close.code == 1001), "{events:?}");
    drop(silent);
}
