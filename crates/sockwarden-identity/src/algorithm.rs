//! The algorithms that a token may be signed with.

use aws_lc_rs::{
    hmac,
    signature::{self, RsaParameters, VerificationAlgorithm},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An algorithm of RFC 7518 §3.1 or RFC 8037 §3.1. `none` is none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// EdDSA on Ed25519.
    EdDSA,
}

/// Which keys an algorithm is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Secret,
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// How a signature is checked.
pub(crate) enum Means {
    Secret(hmac::Algorithm),
    Rsa(&'static RsaParameters),
    Public(&'static dyn VerificationAlgorithm),
}

impl Algorithm {
    /// Every one of them.
    pub const ALL: [Self; 12] = [
        Self::HS256,
        Self::HS384,
        Self::HS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// Gives the name that the header of a token has for it; names are compared as they are written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub(crate) const fn family(self) -> Family {
        match self {
            Self::HS256 | Self::HS384 | Self::HS512 => Family::Secret,
            Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512 => Family::Rsa,
            Self::ES256 => Family::P256,
            Self::ES384 => Family::P384,
            Self::EdDSA => Family::Ed25519,
        }
    }

    pub(crate) fn means(self) -> Means {
        match self {
            Self::HS256 => Means::Secret(hmac::HMAC_SHA256),
            Self::HS384 => Means::Secret(hmac::HMAC_SHA384),
            Self::HS512 => Means::Secret(hmac::HMAC_SHA512),
            Self::RS256 => Means::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::RS384 => Means::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::RS512 => Means::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::PS256 => Means::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Self::PS384 => Means::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
            Self::PS512 => Means::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
            Self::ES256 => Means::Public(&signature::ECDSA_P256_SHA256_FIXED),
            Self::ES384 => Means::Public(&signature::ECDSA_P384_SHA384_FIXED),
            Self::EdDSA => Means::Public(&signature::ED25519),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_has_one_spelling() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::named(algorithm.name()), Some(algorithm));
            let written = serde_json::to_value(algorithm).unwrap();
            assert_eq!(written, algorithm.name());
        }
        for other in ["none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "ES256K", "ES512", "RSA-OAEP"] {
            assert_eq!(Algorithm::named(other), None, "{other}");
        }
    }
}
