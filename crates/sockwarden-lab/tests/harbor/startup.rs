//! Starting, stopping, and what keeps Harbor from starting.

use std::net::SocketAddr;
use std::time::Duration;

use crate::client::{Client, Link};
use sockwarden_lab::{Certificate, Config, Flaw, Lab, LabError, Storage, seed};

#[tokio::test]
async fn any_address_beyond_loopback_is_refused() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "10.0.0.1:8443", "[::ffff:10.0.0.1]:0"] {
        let address: SocketAddr = address.parse().unwrap();
        for config in [
            Config { tls_listen: address, ..Config::safe() },
            Config { http_listen: address, ..Config::vulnerable() },
        ] {
            let error = Lab::start(config).await.err().unwrap();
            assert!(matches!(error, LabError::NotLoopback(refused) if refused == address), "{error}");
        }
    }
}

#[tokio::test]
async fn a_port_in_use_is_a_clean_error() {
    let lab = Lab::start(Config::vulnerable()).await.unwrap();
    let taken = lab.http_addr().unwrap();
    let error = Lab::start(Config { http_listen: taken, ..Config::vulnerable() }).await.err().unwrap();
    assert!(matches!(&error, LabError::Bind { address, .. } if *address == taken));
    assert!(error.to_string().starts_with(&format!("listen on {taken}: ")), "{error}");
    lab.shutdown().await;
    let config = Config { http_listen: taken, ..Config::vulnerable() };
    Lab::start(config).await.unwrap().shutdown().await;
}

#[tokio::test]
async fn a_certificate_that_is_none_is_a_clean_error() {
    let certificate = Some(Certificate { chain_pem: "no".into(), key_pem: "no".into() });
    let error = Lab::start(Config { certificate, ..Config::safe() }).await.err().unwrap();
    assert!(matches!(error, LabError::Certificate(_)), "{error}");
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_a_clean_error() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::File(folder.path().join("missing").join("harbor.db"));
    let error = Lab::start(Config { storage, ..Config::safe() }).await.err().unwrap();
    assert!(matches!(error, LabError::Database(_)), "{error}");
}

#[tokio::test]
async fn data_in_a_file_outlive_the_lab() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { storage: Storage::File(folder.path().join("harbor.db")), ..Config::safe() };
    let lab = Lab::start(config.clone()).await.unwrap();
    let posts = lab.ledger().post_count().unwrap();
    let mut mara = Client::logged_in(&lab, Link::Tls, seed::MARA).await;
    mara.ask(r#"{"type":"post","room":"office","text":"Written down."}"#).await;
    drop(mara);
    lab.shutdown().await;

    let lab = Lab::start(config).await.unwrap();
    assert_eq!(lab.ledger().post_count().unwrap(), posts + 1);
    assert_eq!(lab.ledger().last_post_in("office").unwrap().unwrap().text, "Written down.");
    lab.shutdown().await;
}

#[tokio::test]
async fn shutdown_says_goodbye_to_open_sockets() {
    let lab = Lab::start(Config::vulnerable()).await.unwrap();
    let mut guest = Client::open(&lab, Link::Plain, &[]).await.unwrap();
    guest.next().await;
    let (closed, ()) = tokio::join!(guest.close_code(), lab.shutdown());
    assert_eq!(closed, Some(1001));
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_counted() {
    let lab = Lab::start(Config { max_connections: 2, ..Config::vulnerable() }).await.unwrap();
    let first = Client::open(&lab, Link::Plain, &[]).await.unwrap();
    let second = Client::open(&lab, Link::Plain, &[]).await.unwrap();
    assert!(Client::open(&lab, Link::Plain, &[]).await.is_err());
    assert_eq!(lab.refused_connections(), 1);
    drop((first, second));
    let mut tries = 0;
    while Client::open(&lab, Link::Plain, &[]).await.is_err() {
        tries += 1;
        assert!(tries < 100, "a place that was given back is never free again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    lab.shutdown().await;
}

#[tokio::test]
async fn a_silent_socket_is_closed_in_the_end() {
    let config =
        Config { idle_timeout: Duration::from_millis(100), ..Config::vulnerable().without(Flaw::IdleSocket) };
    let lab = Lab::start(config).await.unwrap();
    let mut guest = Client::open(&lab, Link::Plain, &[]).await.unwrap();
    guest.next().await;
    assert_eq!(guest.close_code().await, Some(1001));
    lab.shutdown().await;
}

#[tokio::test]
async fn each_set_of_flaws_opens_the_ports_it_should() {
    for (config, plain) in [
        (Config::vulnerable(), true),
        (Config::vulnerable().without(Flaw::Cleartext), false),
        (Config::safe(), false),
        (Config::safe().with(Flaw::Cleartext), true),
    ] {
        let lab = Lab::start(config).await.unwrap();
        assert_eq!(lab.http_addr().is_some(), plain);
        assert!(lab.tls_addr().is_some_and(|address| address.ip().is_loopback() && address.port() != 0));
        lab.shutdown().await;
    }
}
