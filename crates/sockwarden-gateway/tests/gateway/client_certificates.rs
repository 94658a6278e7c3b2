//! A client is who its certificate says, where an authority of the listener's vouches for it.

use std::io::Write as _;

use sockwarden_defend::{Way, defences::RequireKind};
use sockwarden_gateway::{Auth, LimitsConfig, ListenerConfig, RouteConfig};
use sockwarden_net::{ClientError, DevCertificate};

use crate::stage::{App, Seen, Stage, route_to, text};

async fn stage(app: &App, authority: &DevCertificate, route: RouteConfig) -> Stage {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(authority.authority.as_bytes()).unwrap();
    let listener = ListenerConfig {
        tls_dev: true,
        client_ca: Some(file.path().to_owned()),
        ..ListenerConfig::new("127.0.0.1:0")
    };
    let upstream = format!("ws://{}", app.address);
    Stage::listening(listener, RouteConfig { upstream, ..route }, LimitsConfig::default()).await
}

#[tokio::test]
async fn a_certificate_lets_in_who_it_names_and_nothing_else_does() {
    let app = App::start().await;
    let (known, foreign) = (DevCertificate::generate().unwrap(), DevCertificate::generate().unwrap());
    let route = RouteConfig { auth: Auth::by(Way::Mtls), ..route_to(app.address) };
    let stage = stage(&app, &known, route).await;
    let refused = stage.connect("/", |_| ()).await;
    assert!(matches!(refused, Err(ClientError::Refused { status: 401, .. })));
    assert!(stage.verdict().await.reason.starts_with("certificate-absent"));
    assert!(stage.connect_showing(&foreign).await.is_err());
    assert!(app.seen().is_empty());
    let mut client = stage.connect_showing(&known).await.unwrap();
    assert_eq!(text(&mut client).await, "hello");
    let named = |seen: &Seen| match seen {
        Seen::Headers(headers) => headers.iter().any(|(n, v)| n == "sockwarden-user" && v == "localhost"),
        Seen::Text(_) | Seen::Binary(_) | Seen::Close(_) | Seen::Vanished => false,
    };
    assert!(app.seen().iter().any(named), "{:?}", app.seen());
}

#[tokio::test]
async fn where_all_ways_are_required_a_certificate_alone_is_not_enough() {
    let app = App::start().await;
    let known = DevCertificate::generate().unwrap();
    let mut route = RouteConfig { auth: vec![Way::Mtls, Way::Ticket].into(), ..route_to(app.address) };
    let some = stage(&app, &known, route.clone()).await;
    assert!(some.connect_showing(&known).await.is_ok());
    route.authentication.require = RequireKind::All;
    let all = stage(&app, &known, route).await;
    assert!(all.connect_showing(&known).await.is_err());
    assert!(all.verdict().await.reason.starts_with("ticket-absent"));
}
