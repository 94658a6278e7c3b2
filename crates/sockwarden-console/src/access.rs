//! Who may come in and as what. It is replaced as a whole while the listener runs.

use std::sync::Arc;

use sockwarden_model::Role;
use tokio_rustls::TlsAcceptor;

use crate::{config::Admin, token::Tokens};

/// What an admin listener needs for TLS.
#[derive(Clone)]
pub struct Tls {
    /// Accepts connections; asks clients for certificates where there are `authorities`.
    pub acceptor: TlsAcceptor,
    /// Who vouches for the certificates of clients, in PEM; empty where nobody does.
    pub authorities: Arc<[u8]>,
}

/// Who may come in and as what.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) tls: Option<Tls>,
    pub(crate) hosts: Arc<[String]>,
    tokens: Tokens,
    names: RoleNames,
}

/// Which names in certificates give which role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RoleNames {
    pub(crate) operators: Vec<String>,
    pub(crate) viewers: Vec<String>,
}

/// A certificate that a client showed and that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The names in it.
    pub(crate) names: Vec<String>,
    /// Who vouched for it when the connection began.
    pub(crate) authorities: Arc<[u8]>,
}

impl Access {
    pub(crate) fn new(admin: Admin, tls: Option<Tls>) -> Self {
        Self { tls, hosts: admin.hosts.into(), tokens: admin.tokens, names: admin.names }
    }

    /// Gives the same with other certificates.
    pub(crate) fn with_tls(&self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self.clone() }
    }

    /// Tells the role of whoever shows an Authorization header, a certificate or both, and the certificate's name: the one
    /// that gives the role, or else its first. A certificate counts as long as the same authorities vouch for clients.
    pub(crate) fn role(&self, header: Option<&[u8]>, shown: Option<&Shown>) -> (Role, Option<String>) {
        let by_token = header.and_then(|header| self.tokens.role(header)).unwrap_or(Role::Nobody);
        let Some(shown) = shown.filter(|shown| shown.authorities == self.authorities()) else {
            return (by_token, None);
        };
        let named = |names: &[String]| shown.names.iter().find(|name| names.contains(name));
        let (by_name, name) = match (named(&self.names.operators), named(&self.names.viewers)) {
            (Some(name), _) => (Role::Operator, Some(name)),
            (None, Some(name)) => (Role::Viewer, Some(name)),
            (None, None) => (Role::Nobody, shown.names.first()),
        };
        (by_token.max(by_name), name.cloned())
    }

    /// Tells whether somebody may come in under one that might not, or not as the same, under the other.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        !self.tokens.are(&other.tokens)
            || self.names != other.names
            || self.authorities() != other.authorities()
    }

    fn authorities(&self) -> Arc<[u8]> {
        self.tls.as_ref().map(|tls| Arc::clone(&tls.authorities)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who may come in where `authorities` vouch for clients.
    fn access(authorities: &[u8]) -> Access {
        let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(Arc::new(
            tokio_rustls::rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(tokio_rustls::rustls::server::ResolvesServerCertUsingSni::new()));
        let tls = Tls { acceptor: Arc::new(config).into(), authorities: authorities.into() };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Access {
            tls: Some(tls),
            hosts: Arc::default(),
            tokens: Tokens::new(None, None),
            names: RoleNames { operators: names(&["ops", "root"]), viewers: names(&["look"]) },
        }
    }

    fn shown(names: &[&str], authorities: &[u8]) -> Shown {
        Shown {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            authorities: authorities.into(),
        }
    }

    #[test]
    fn a_name_gives_its_role_to_whoever_holds_a_certificate_of_the_same_authorities() {
        let access = access(b"ours");
        let check = |names: &[&str], expected: Role, named: Option<&str>| {
            let (role, name) = access.role(None, Some(&shown(names, b"ours")));
            assert_eq!((role, name.as_deref()), (expected, named), "{names:?}");
        };
        check(&["ops"], Role::Operator, Some("ops"));
        check(&["other", "look"], Role::Viewer, Some("look"));
        check(&["look", "root"], Role::Operator, Some("root"));
        check(&["other", "more"], Role::Nobody, Some("other"));
        check(&["OPS"], Role::Nobody, Some("OPS"));
        check(&["ops.example"], Role::Nobody, Some("ops.example"));
        check(&[], Role::Nobody, None);
        assert_eq!(access.role(None, Some(&shown(&["ops"], b"theirs"))), (Role::Nobody, None));
        assert_eq!(access.role(None, None), (Role::Nobody, None));
    }

    #[test]
    fn only_what_decides_about_rights_makes_a_difference() {
        let ours = access(b"ours");
        let mut hosts = access(b"ours");
        hosts.hosts = Arc::new(["admin.example".to_owned()]);
        assert!(!ours.differs(&hosts));
        assert!(ours.differs(&access(b"theirs")));
        let mut names = access(b"ours");
        names.names.viewers.clear();
        assert!(ours.differs(&names));
    }
}
