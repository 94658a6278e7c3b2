//! Which servers the commands that connect trust.

use std::path::Path;

use sockwarden_net::ClientTls;

use crate::exit::UsageError;

/// Trusts the authorities in the file, else those of the platform; whoever answers where that is asked for.
pub(crate) fn trust(authorities: Option<&Path>, insecure: bool) -> anyhow::Result<ClientTls> {
    Ok(match (authorities, insecure) {
        (_, true) => ClientTls::insecure()?,
        (Some(path), false) => {
            let shown = path.display();
            let pem = std::fs::read(path)
                .map_err(|error| UsageError(format!("--ca: `{shown}` cannot be read: {error}")))?;
            ClientTls::with_roots(&pem).map_err(|error| UsageError(format!("--ca: `{shown}`: {error}")))?
        }
        (None, false) => ClientTls::platform()?,
    })
}
