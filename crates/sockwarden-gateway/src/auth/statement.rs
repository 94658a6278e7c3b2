//! What the gateway signs about a caller, for the application.

use sockwarden_identity::Statement;
use sockwarden_model::Identity;
use sockwarden_net::random_array;

use crate::{answer::Answer, build::Route, connection::Client, journal::unix_ms};

impl Client {
    /// Signs who the caller is, where the route wants that.
    pub(crate) fn sign(&self, route: &Route, identity: &Identity) -> Result<Option<String>, Answer> {
        let Some(signer) = &route.signer else { return Ok(None) };
        let session = self.journal.connection().to_string();
        let (now, id) = (unix_ms() / 1000, random_array());
        let signed = signer.sign(&Statement { identity, route: &route.name, session: &session, now, id });
        let refuse = |error: sockwarden_identity::SignError| {
            self.refuse_ourselves(503, &error.to_string(), "authentication is not available, try again later")
        };
        signed.map(Some).map_err(refuse)
    }
}
