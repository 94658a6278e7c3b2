//! The word of a client certificate, which TLS has verified.

use sockwarden_defend::{Denial, Denied};
use sockwarden_identity::MtlsConfig;
use sockwarden_model::Identity;

/// Gives whom the certificate (DER) is for.
pub(super) fn identity(config: &MtlsConfig, certificate: Option<&[u8]>) -> Result<Identity, Denied> {
    let Some(der) = certificate else {
        let reason = "the client has shown no certificate".to_owned();
        return Err(Denied { denial: Denial::Absent, code: "certificate-absent", reason });
    };
    config.identity(der).map_err(|error| Denied {
        denial: Denial::Rejected,
        code: error.code(),
        reason: error.to_string(),
    })
}
