//! Every way in which there is no connection is told apart.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use sockwarden_net::{
    CertificateProblem, ClientTls, DevCertificate, DialError, DialOptions, Place, PlaceOptions, ServerTls,
    dial, dial_place, proxy_header, read_proxy_header,
};
use tokio::net::{TcpListener, UnixListener};

/// A server that finishes TLS handshakes and then holds the connections open.
async fn server(chain: &str, key: &str) -> SocketAddr {
    let acceptor = ServerTls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap().acceptor();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((tcp, _)) = listener.accept().await {
            open.push(acceptor.accept(tcp).await);
        }
    });
    address
}

async fn attempt(url: &str, tls: ClientTls, connect_to: Option<SocketAddr>) -> Result<(), DialError> {
    let options = DialOptions { tls, timeout: Duration::from_millis(500), connect_to };
    dial(&url.parse().unwrap(), &options)
        .await
        .map(|stream| assert!(stream.tls_info().is_none_or(|i| i.version == "TLSv1_3")))
}

fn problem(outcome: Result<(), DialError>) -> Option<CertificateProblem> {
    match outcome {
        Err(DialError::Certificate(_, problem)) => Some(problem),
        Ok(()) => None,
        Err(error) => panic!("not the certificate: {error}"),
    }
}

#[tokio::test]
async fn a_certificate_is_judged_by_name_issuer_and_time() {
    let dev = DevCertificate::generate().unwrap();
    let trusting = || ClientTls::with_roots(dev.authority.as_bytes()).unwrap();
    let address = server(&dev.certificate, &dev.key).await;
    let url = format!("wss://{address}");
    let elsewhere = "wss://other.example";
    assert_eq!(problem(attempt(&url, trusting(), None).await), None);
    assert_eq!(problem(attempt("wss://localhost", trusting(), Some(address)).await), None);
    assert_eq!(
        problem(attempt(elsewhere, trusting(), Some(address)).await),
        Some(CertificateProblem::NameMismatch)
    );
    assert_eq!(
        problem(attempt(&url, ClientTls::platform().unwrap(), None).await),
        Some(CertificateProblem::UnknownIssuer)
    );
    let stranger = DevCertificate::generate().unwrap();
    let other = ClientTls::with_roots(stranger.authority.as_bytes()).unwrap();
    assert_eq!(problem(attempt(&url, other, None).await), Some(CertificateProblem::UnknownIssuer));
    assert_eq!(problem(attempt(&url, ClientTls::insecure().unwrap(), None).await), None);
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_told_apart() {
    for (from, to, expected) in
        [(2000, 2001, CertificateProblem::Expired), (2200, 2201, CertificateProblem::NotYetValid)]
    {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(to, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let address = server(&certificate, &key.serialize_pem()).await;
        let tls = ClientTls::with_roots(certificate.as_bytes()).unwrap();
        assert_eq!(problem(attempt("wss://localhost", tls, Some(address)).await), Some(expected));
    }
}

#[tokio::test]
async fn network_and_protocol_failures_are_told_apart() {
    let tls = || ClientTls::insecure().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    assert!(attempt(&format!("ws://{silent}"), tls(), None).await.is_ok());
    assert!(matches!(attempt(&format!("wss://{silent}"), tls(), None).await, Err(DialError::Timeout(..))));
    drop(listener);
    assert!(matches!(attempt(&format!("ws://{silent}"), tls(), None).await, Err(DialError::Refused(_))));
    assert!(matches!(
        attempt("ws://no-such-name.invalid", tls(), None).await,
        Err(DialError::Resolve(_) | DialError::Timeout(..))
    ));
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = plain.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut tcp, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    assert!(matches!(attempt(&format!("wss://{address}"), tls(), None).await, Err(DialError::NotTls(_))));
}

#[test]
fn pem_without_what_is_needed_is_refused_by_name() {
    let dev = DevCertificate::generate().unwrap();
    let other = DevCertificate::generate().unwrap();
    let check = |chain: &str, key: &str, expected: &str| {
        let error = ServerTls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("", &dev.key, "no certificate");
    check(&dev.key, &dev.key, "no certificate");
    check(&dev.certificate, "", "no private key");
    check(&dev.certificate, &dev.certificate, "no private key");
    check(&dev.certificate, &other.key, "not that of the certificate");
    assert!(ClientTls::with_roots(b"nothing").is_err());
}

#[tokio::test]
async fn a_unix_socket_is_a_place_with_and_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let place = Place::Unix(path.clone());
    let dev = DevCertificate::generate().unwrap();
    let tls = ClientTls::with_roots(dev.authority.as_bytes()).unwrap();
    let acceptor = ServerTls::from_pem(dev.certificate.as_bytes(), dev.key.as_bytes()).unwrap().acceptor();
    let prelude = proxy_header(Some(("192.0.2.1:5".parse().unwrap(), "192.0.2.2:6".parse().unwrap())));
    let options = PlaceOptions { tls: &tls, timeout: Duration::from_secs(5), prelude: &prelude };
    let attempt = async |url: &str| dial_place(&url.parse().unwrap(), &place, options).await;
    assert!(matches!(attempt("ws://app.example").await, Err(DialError::Network(..))), "there is no socket");
    let listener = UnixListener::bind(&path).unwrap();
    let plain = attempt("ws://app.example").await.unwrap();
    assert_eq!((plain.tls_info(), plain.local_address()), (None, None));
    drop((plain, listener.accept().await));
    let server = tokio::spawn(async move {
        let (mut unix, _) = listener.accept().await.unwrap();
        let client = read_proxy_header(&mut unix).await.unwrap();
        acceptor.accept(unix).await.unwrap();
        client
    });
    let stream = attempt("wss://localhost").await.unwrap();
    assert_eq!((stream.tls_info().unwrap().version.as_str(), stream.local_address()), ("TLSv1_3", None));
    assert_eq!(server.await.unwrap(), Some("192.0.2.1:5".parse().unwrap()), "the header comes before TLS");
    assert!(matches!(attempt("ws://app.example").await, Err(DialError::Refused(_))), "nobody listens");
}

#[tokio::test]
async fn a_server_that_asks_is_shown_the_certificate() {
    let [ours, theirs] = [DevCertificate::generate().unwrap(), DevCertificate::generate().unwrap()];
    let mut roots = rustls::RootCertStore::empty();
    let authority: rustls_pki_types::CertificateDer<'_> =
        rustls_pki_types::pem::PemObject::from_pem_slice(ours.authority.as_bytes()).unwrap();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let chain = rustls_pki_types::pem::PemObject::from_pem_slice(theirs.certificate.as_bytes()).unwrap();
    let key = rustls_pki_types::pem::PemObject::from_pem_slice(theirs.key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![chain], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let anonymous = ClientTls::with_roots(theirs.authority.as_bytes()).unwrap();
    let known = anonymous.with_certificate(ours.certificate.as_bytes(), ours.key.as_bytes()).unwrap();
    let stranger = anonymous.with_certificate(theirs.certificate.as_bytes(), theirs.key.as_bytes()).unwrap();
    for (who, tls, accepted) in [
        ("anonymous", &anonymous, false),
        ("known", &known, true),
        ("stranger", &stranger, false),
        ("known, unverified", &known.unverified(), true),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = Place::Tcp(listener.local_addr().unwrap());
        let options = PlaceOptions { tls, timeout: Duration::from_secs(5), prelude: &[] };
        let url = "wss://localhost".parse().unwrap();
        let (_dialled, served) = tokio::join!(dial_place(&url, &place, options), async {
            acceptor.accept(listener.accept().await.unwrap().0).await
        });
        assert_eq!(served.is_ok(), accepted, "{who}");
    }
    assert!(matches!(
        anonymous.with_certificate(ours.certificate.as_bytes(), theirs.key.as_bytes()),
        Err(sockwarden_net::TlsError::KeyMismatch)
    ));
    let name = "wss://other.example".parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = Place::Tcp(listener.local_addr().unwrap());
    let acceptor =
        ServerTls::from_pem(theirs.certificate.as_bytes(), theirs.key.as_bytes()).unwrap().acceptor();
    for (tls, accepted) in [(&known, false), (&known.unverified(), true), (&known, false)] {
        let options = PlaceOptions { tls, timeout: Duration::from_secs(5), prelude: &[] };
        let (dialled, _served) = tokio::join!(dial_place(&name, &place, options), async {
            acceptor.accept(listener.accept().await.unwrap().0).await
        });
        assert_eq!(dialled.is_ok(), accepted, "an unverified session is never resumed as a verified one");
    }
}
