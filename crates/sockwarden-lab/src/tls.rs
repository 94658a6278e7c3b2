//! The certificate of the TLS port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::Certificate;
use crate::error::LabError;

/// A TLS port's side of the handshake, and what a client must trust to like it.
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) trust_pem: String,
}

/// Prepares the given certificate, or makes an authority and a certificate for loopback.
pub(crate) fn prepare(given: Option<&Certificate>) -> Result<Tls, LabError> {
    match given {
        Some(given) => Ok(Tls {
            acceptor: acceptor(&given.chain_pem, &given.key_pem)?,
            trust_pem: given.chain_pem.clone(),
        }),
        None => {
            let (chain_pem, key_pem, trust_pem) =
                issue().map_err(|error| LabError::Certificate(error.to_string()))?;
            Ok(Tls { acceptor: acceptor(&chain_pem, &key_pem)?, trust_pem })
        }
    }
}

fn acceptor(chain_pem: &str, key_pem: &str) -> Result<TlsAcceptor, LabError> {
    let unusable = |what: &str, why: String| LabError::Certificate(format!("{what}: {why}"));
    let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable("chain", error.to_string()))?;
    if chain.is_empty() {
        return Err(unusable("chain", "no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
        .map_err(|error| unusable("private key", error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| unusable("chain and key", error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Makes a chain, its key and the authority that signed it, all in PEM.
fn issue() -> Result<(String, String, String), rcgen::Error> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "Harbor lab authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);

    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(["localhost".to_owned()])?;
    leaf.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    leaf.subject_alt_names.push(SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    leaf.distinguished_name.push(DnType::CommonName, "localhost");
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = leaf.signed_by(&key, &issuer)?;
    Ok((certificate.pem(), key.serialize_pem(), authority_certificate.pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_cannot_be_used_is_an_error_that_says_which_part() {
        let (chain_pem, key_pem, _) = issue().unwrap();
        let (_, other_key, _) = issue().unwrap();
        for (chain, key, expected) in [
            ("", key_pem.as_str(), "chain: no certificate in it"),
            (chain_pem.as_str(), "", "private key: "),
            (&chain_pem, &other_key, "chain and key: "),
        ] {
            let given = Certificate { chain_pem: chain.to_owned(), key_pem: key.to_owned() };
            let error = prepare(Some(&given)).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(expected), "{error:?} has no {expected:?}");
        }
        let given = Certificate { chain_pem: chain_pem.clone(), key_pem };
        assert_eq!(prepare(Some(&given)).unwrap().trust_pem, chain_pem);
    }
}
