//! TLS as the one who is connected to.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    client::verify_server_name,
    server::{ClientHello, ParsedCertificate, ResolvesServerCert, danger::ClientCertVerifier},
    sign::CertifiedKey,
};
use rustls_pki_types::ServerName;

use crate::{TlsError, tls_client::certified_key};

/// Certificates with their keys, ready to accept TLS 1.2 and 1.3; they can be replaced while connections are accepted.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
}

impl ServerTls {
    /// Reads a certificate chain and its private key, both in PEM.
    ///
    /// # Errors
    /// Either is missing or malformed, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::from_pems(&[(chain, key)])
    }

    /// Reads several certificate chains with their keys; a client gets the first that is for the name it asks for, and
    /// the very first where it asks for none or for another.
    ///
    /// # Errors
    /// There is none, or one is missing or malformed, or does not belong to its key.
    pub fn from_pems(pairs: &[(&[u8], &[u8])]) -> Result<Self, TlsError> {
        Self::verifying(pairs, rustls::server::WebPkiClientVerifier::no_client_auth())
    }

    /// Asks clients for a certificate too, signed by an authority in `authorities` (PEM). Who has none is let in unless it is
    /// `required`; who shows a wrong one is not.
    ///
    /// # Errors
    /// As [`ServerTls::from_pem`]; or there is no authority.
    pub fn asking_clients(
        chain: &[u8],
        key: &[u8],
        authorities: &[u8],
        required: bool,
    ) -> Result<Self, TlsError> {
        Self::from_pems_asking_clients(&[(chain, key)], authorities, required)
    }

    /// The same with several certificates of our own, of which a client gets the first that is for the name it asks for.
    ///
    /// # Errors
    /// As [`ServerTls::from_pems`]; or there is no authority.
    pub fn from_pems_asking_clients(
        pairs: &[(&[u8], &[u8])],
        authorities: &[u8],
        required: bool,
    ) -> Result<Self, TlsError> {
        Self::verifying(pairs, client_verifier(authorities, required)?)
    }

    fn verifying(pairs: &[(&[u8], &[u8])], clients: Arc<dyn ClientCertVerifier>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let certificates = Arc::new(Certificates { keys: ArcSwap::from_pointee(read(pairs)?) });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
        // RFC 6455 runs over HTTP/1.1; a client that insists on h2 must be told here and not after the upgrade failed.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), certificates })
    }

    /// Replaces the certificates for the connections to come.
    ///
    /// # Errors
    /// As [`ServerTls::from_pems`]; then the old ones stay.
    pub fn replace(&self, pairs: &[(&[u8], &[u8])]) -> Result<(), TlsError> {
        self.certificates.keys.store(Arc::new(read(pairs)?));
        Ok(())
    }

    /// Gives the acceptor for one listener.
    pub fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        tokio_rustls::TlsAcceptor::from(Arc::clone(&self.config))
    }
}

fn client_verifier(authorities: &[u8], required: bool) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = Arc::new(crate::tls_client::roots(authorities)?);
    let builder = rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider);
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    // There are no revocation lists, and the roots are not empty: nothing else can be wrong.
    builder.build().map_err(|_| TlsError::NoCertificate)
}

fn read(pairs: &[(&[u8], &[u8])]) -> Result<Vec<Arc<CertifiedKey>>, TlsError> {
    if pairs.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let one = |(chain, key): &(&[u8], &[u8])| certified_key(chain, key, &provider).map(Arc::new);
    pairs.iter().map(one).collect()
}

/// Chooses a certificate by the name that the client asks for (RFC 6066 §3).
#[derive(Debug)]
struct Certificates {
    keys: ArcSwap<Vec<Arc<CertifiedKey>>>,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let keys = self.keys.load();
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let named = name.and_then(|name| keys.iter().find(|key| is_for(key, &name)));
        named.or_else(|| keys.first()).cloned()
    }
}

fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = key.cert.first().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
    parsed.is_some_and(|leaf| verify_server_name(&leaf, name).is_ok())
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
