//! Who a caller is: tokens (RFC 7519) verified against the keys of their issuer, certificates read, and a short token of our
//! own that tells the application.
//!
//! What decides is pure: [`Verifier`] is given a token and the time. Around it, [`Tokens`] keeps the keys fresh. Cryptography is
//! aws-lc-rs; the forms of tokens and keys are read here, strictly, because that is where verifiers have been deceived.

mod algorithm;
mod bad_setting;
mod certificate;
mod config;
mod fetch;
mod key;
mod keys;
mod news;
mod object;
mod place;
mod signer;
mod source;
#[cfg(test)]
mod testing;
mod token_error;
mod tokens;
mod verifier;

pub use algorithm::Algorithm;
pub use bad_setting::BadSetting;
pub use certificate::{CertificateError, CertificateName, MtlsConfig};
pub use config::JwtConfig;
pub use keys::{Keys, KeysError};
pub use news::KeyNews;
pub use signer::{SignError, Signer, SignerConfig, SigningAlgorithm, Statement};
pub use token_error::TokenError;
pub use tokens::Tokens;
pub use verifier::Verifier;
