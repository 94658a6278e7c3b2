//! TLS as the one who is connected to.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::TlsError;

/// A certificate with its key, ready to accept TLS 1.2 and 1.3.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
}

impl ServerTls {
    /// Reads a certificate chain and its private key, both in PEM.
    ///
    /// # Errors
    /// Either is missing or malformed, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .ok()
            .filter(|chain: &Vec<CertificateDer<'_>>| !chain.is_empty())
            .ok_or(TlsError::NoCertificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::NoKey)?;
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(chain, key)?;
        // RFC 6455 runs over HTTP/1.1; a client that insists on h2 must be told here and not after the upgrade failed.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config) })
    }

    /// Gives the acceptor for one listener.
    pub fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        tokio_rustls::TlsAcceptor::from(Arc::clone(&self.config))
    }
}

/// A certificate for development on this machine, signed by an authority that exists only in this value.
#[derive(Clone, Debug)]
pub struct DevCertificate {
    /// The certificate for `localhost`, `127.0.0.1` and `::1`, in PEM.
    pub certificate: String,
    /// Its private key, in PEM.
    pub key: String,
    /// The authority that signed it, for clients to trust, in PEM. Its own key is not kept.
    pub authority: String,
}

impl DevCertificate {
    /// Makes a fresh one.
    ///
    /// # Errors
    /// The crypto library cannot make keys.
    pub fn generate() -> Result<Self, TlsError> {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
        let mut authority = CertificateParams::new(Vec::<String>::new())?;
        authority.distinguished_name.push(DnType::CommonName, "Sockwarden development authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name.push(DnType::CommonName, "localhost");
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = leaf.signed_by(&key, &Issuer::new(authority, authority_key))?;
        Ok(Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            authority: authority_certificate.pem(),
        })
    }
}
