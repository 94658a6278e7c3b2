//! The shell around the protocol core: everything that opens, waits, encrypts or draws a random number.
//!
//! Crypto is aws-lc-rs through rustls; certificates are verified unless the caller says [`ClientTls::insecure`].

mod client;
mod dial;
mod place;
mod proxy_protocol;
mod random;
mod stream;
mod tls_client;
mod tls_server;
mod wire;

pub use client::{Client, ClientError, Heard, Incoming};
pub use dial::{DialError, DialOptions, PlaceOptions, dial, dial_from, dial_late, dial_place};
pub use place::Place;
pub use proxy_protocol::{ProxyProtocolError, proxy_header, read_proxy_header};
pub use random::{SystemMaskKeys, random_array, random_u64};
pub use stream::{Socket, Stream, TlsInfo};
pub use tls_client::{CertificateProblem, ClientTls};
pub use tls_server::{DevCertificate, ServerTls};
pub use wire::{Received, Wire};

/// What is wrong with a certificate, a key or a TLS setting.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The text holds no certificate in PEM.
    #[error("there is no certificate in PEM in it")]
    NoCertificate,
    /// The text holds no private key in PEM.
    #[error("there is no private key in PEM in it")]
    NoKey,
    /// The certificate is no X.509 certificate.
    #[error("the certificate is malformed")]
    Malformed,
    /// The certificate and the key do not belong together.
    #[error("the key is not that of the certificate")]
    KeyMismatch,
    /// The certificate or the key is malformed, or of a kind that is not supported.
    #[error("the certificate or its key is unusable: {0}")]
    Unusable(rustls::Error),
    /// A development certificate could not be made.
    #[error("a development certificate could not be made: {0}")]
    Generate(#[from] rcgen::Error),
    /// The platform's trusted roots could not be read.
    #[error("the platform's trusted certificates could not be read: {0}")]
    Roots(String),
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "another crate's open-ended list")]
        match error {
            rustls::Error::InconsistentKeys(_) => Self::KeyMismatch,
            rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding) => Self::Malformed,
            other => Self::Unusable(other),
        }
    }
}
