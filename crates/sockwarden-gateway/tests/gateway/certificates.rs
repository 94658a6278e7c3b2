//! Certificates per name, replaced while connections live.

use std::{net::SocketAddr, path::Path, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use sockwarden_config::HumanDuration;
use sockwarden_gateway::{CertificateConfig, LimitsConfig, ListenerConfig};
use sockwarden_model::{Event, Notice};
use sockwarden_net::{Client, ClientTls, DialOptions};
use sockwarden_proto::Limits;

use crate::stage::{App, PATIENCE, Stage, route_to, soon, text};

/// Writes a self-signed certificate for `name` into `folder` and gives it in PEM.
fn certificate(folder: &Path, name: &str) -> String {
    let key = KeyPair::generate().unwrap();
    let pem = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("cert.pem"), &pem).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    pem
}

fn files(folder: &Path) -> CertificateConfig {
    CertificateConfig { certificate: folder.join("cert.pem"), key: folder.join("key.pem") }
}

/// Connects by `name`, trusting only `pem`.
async fn connect(address: SocketAddr, name: &str, pem: &str) -> Result<Client, String> {
    let tls = ClientTls::with_roots(pem.as_bytes()).unwrap();
    let options = DialOptions { tls, timeout: PATIENCE, connect_to: Some(address) };
    let url = format!("wss://{name}").parse().unwrap();
    let connecting = Client::connect(&url, &options, Limits::default(), |_| ());
    soon(connecting).await.map_err(|error| error.to_string())
}

async fn noticed(stage: &Stage) -> Notice {
    soon(async {
        loop {
            for event in stage.events() {
                match event {
                    Event::Notice(event) => return event.notice,
                    Event::Open(_)
                    | Event::Close(_)
                    | Event::Request(_)
                    | Event::Verdict(_)
                    | Event::Audit(_) => {}
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

#[tokio::test]
async fn each_name_gets_its_certificate_and_new_ones_are_taken_while_connections_live() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let first = certificate(&at("v1"), "one.example");
    let second = certificate(&at("two"), "two.example");
    // As Kubernetes mounts secrets: a link to a folder, which is pointed elsewhere.
    std::os::unix::fs::symlink(at("v1"), at("live")).unwrap();
    let CertificateConfig { certificate: chain, key } = files(&at("live"));
    let listener = ListenerConfig {
        certificate: Some(chain),
        key: Some(key),
        more_certificates: vec![files(&at("two"))],
        ..ListenerConfig::new("127.0.0.1:0")
    };
    let limits = LimitsConfig { certificate_poll: HumanDuration::from_millis(50), ..LimitsConfig::default() };
    let app = App::start().await;
    let stage = Stage::listening(listener, route_to(app.address), limits).await;

    let mut living = connect(stage.address, "one.example", &first).await.unwrap();
    assert!(connect(stage.address, "two.example", &second).await.is_ok());
    assert!(connect(stage.address, "one.example", &second).await.is_err());

    let renewed = certificate(&at("v2"), "one.example");
    std::os::unix::fs::symlink(at("v2"), at("next")).unwrap();
    std::fs::rename(at("next"), at("live")).unwrap();
    assert_eq!(noticed(&stage).await, Notice::CertificateReplaced);
    assert!(connect(stage.address, "one.example", &renewed).await.is_ok());
    assert!(connect(stage.address, "one.example", &first).await.is_err());

    // What cannot be used leaves the last good one in place.
    std::fs::write(at("v2").join("key.pem"), "nonsense").unwrap();
    assert_eq!(noticed(&stage).await, Notice::CertificateRejected);
    assert!(connect(stage.address, "one.example", &renewed).await.is_ok());

    assert_eq!(text(&mut living).await, "hello");
    living.send_text("still here").await.unwrap();
    assert_eq!(text(&mut living).await, "still here");
}
