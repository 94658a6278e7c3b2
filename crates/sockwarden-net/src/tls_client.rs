//! TLS as the one who connects.

use std::{io, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    client::{Resumption, danger},
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _};

use crate::TlsError;

/// How a server's certificate is judged.
#[derive(Clone, Debug)]
pub struct ClientTls {
    pub(crate) config: Arc<ClientConfig>,
}

impl ClientTls {
    /// Trusts what the platform trusts.
    ///
    /// # Errors
    /// The platform's trusted certificates cannot be read.
    pub fn platform() -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = rustls_platform_verifier::Verifier::new(Arc::clone(&provider))
            .map_err(|e| TlsError::Roots(e.to_string()))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config) })
    }

    /// Trusts only the certificates of `pem`.
    ///
    /// # Errors
    /// The text holds no certificate, or a malformed one.
    pub fn with_roots(pem: &[u8]) -> Result<Self, TlsError> {
        let roots = roots(pem)?;
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
        Ok(Self { config: Arc::new(config) })
    }

    /// Trusts whoever shows the first certificate of `pem`, whatever its name and issuer. For a program that has the server's
    /// own certificate at hand.
    ///
    /// # Errors
    /// The text holds no certificate.
    pub fn pinned(pem: &[u8]) -> Result<Self, TlsError> {
        let certificate = CertificateDer::from_pem_slice(pem).map_err(|_| TlsError::NoCertificate)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let anyone = TrustAnyone(Arc::clone(&provider));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustOne { certificate, anyone }))
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config) })
    }

    /// Trusts whoever answers. For scanning a test system, never for guarding.
    ///
    /// # Errors
    /// None in practice; the library's own checks of its settings.
    pub fn insecure() -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustAnyone(provider)))
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config) })
    }

    /// Shows the server that asks for it this certificate chain, whose private key is `key`, both in PEM.
    ///
    /// # Errors
    /// Either is missing or malformed, or they do not belong together.
    pub fn with_certificate(&self, chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let certified = certified_key(chain, key, self.config.crypto_provider())?;
        let mut config = ClientConfig::clone(&self.config);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        config.resumption = Resumption::default();
        Ok(Self { config: Arc::new(config) })
    }

    /// Trusts whoever answers and is otherwise the same.
    #[must_use]
    pub fn unverified(&self) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        let anyone = TrustAnyone(Arc::clone(config.crypto_provider()));
        config.dangerous().set_certificate_verifier(Arc::new(anyone));
        // A session that nobody verified must not be resumed as one that was.
        config.resumption = Resumption::default();
        Self { config: Arc::new(config) }
    }
}

/// Reads authorities in PEM, one at least.
pub(crate) fn roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(|_| TlsError::NoCertificate)?)?;
    }
    if roots.is_empty() { Err(TlsError::NoCertificate) } else { Ok(roots) }
}

/// Reads a certificate chain and its private key, both in PEM.
pub(crate) fn certified_key(
    chain: &[u8],
    key: &[u8],
    provider: &rustls::crypto::CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or(TlsError::NoCertificate)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::NoKey)?;
    Ok(CertifiedKey::from_der(chain, key, provider)?)
}

/// What is wrong with a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    /// It is for another name.
    #[error("the certificate is for another name")]
    NameMismatch,
    /// Nobody we trust has signed it.
    #[error("the certificate's issuer is not trusted")]
    UnknownIssuer,
    /// Its time is over.
    #[error("the certificate has expired")]
    Expired,
    /// Its time has not come.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// Something else, such as a bad signature or a wrong purpose.
    #[error("the certificate is invalid")]
    Invalid,
}

impl CertificateProblem {
    /// Finds the problem in an error of a TLS connection; `None` where the certificate is not to blame.
    pub fn in_error(error: &io::Error) -> Option<Self> {
        let rustls::Error::InvalidCertificate(problem) = error.get_ref()?.downcast_ref::<rustls::Error>()?
        else {
            return None;
        };
        #[expect(clippy::wildcard_enum_match_arm, reason = "another crate's open-ended list")]
        Some(match problem {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::NameMismatch
            }
            // A bad signature is that of somebody who bears the name of one we trust.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            // webpki and the platform's verifier say this of a self-signed certificate that is no authority.
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                Self::UnknownIssuer
            }
            _ => Self::Invalid,
        })
    }
}

#[derive(Debug)]
struct TrustAnyone(Arc<rustls::crypto::CryptoProvider>);

impl danger::ServerCertVerifier for TrustAnyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<danger::ServerCertVerified, rustls::Error> {
        Ok(danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Whoever has the key of one certificate: its signatures are verified as anyone's are.
#[derive(Debug)]
struct TrustOne {
    certificate: CertificateDer<'static>,
    anyone: TrustAnyone,
}

impl danger::ServerCertVerifier for TrustOne {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<danger::ServerCertVerified, rustls::Error> {
        if *end_entity == self.certificate {
            Ok(danger::ServerCertVerified::assertion())
        } else {
            Err(CertificateError::UnknownIssuer.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<danger::HandshakeSignatureValid, rustls::Error> {
        self.anyone.verify_tls12_signature(message, certificate, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<danger::HandshakeSignatureValid, rustls::Error> {
        self.anyone.verify_tls13_signature(message, certificate, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.anyone.supported_verify_schemes()
    }
}
