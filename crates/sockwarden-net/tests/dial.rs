//! Every way in which there is no connection is told apart.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::SocketAddr, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use sockwarden_net::{
    CertificateProblem, ClientTls, DevCertificate, DialError, DialOptions, ServerTls, dial,
};
use tokio::net::TcpListener;

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
