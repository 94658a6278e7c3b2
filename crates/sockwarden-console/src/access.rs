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
    pub(crate) issuers: Vec<String>,
    pub(crate) viewers: Vec<String>,
}

impl RoleNames {
    /// Gives every role that one of the names gives, an operator's first, with that name.
    fn roles<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = (Role, &'a String)> {
        [(Role::Operator, &self.operators), (Role::Issuer, &self.issuers), (Role::Viewer, &self.viewers)]
            .into_iter()
            .filter_map(|(role, listed)| Some((role, names.iter().find(|name| listed.contains(name))?)))
    }
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

    /// Tells the role in which whoever shows an Authorization header, a certificate or both asks for what `needed` may: of
    /// several an operator's, or else one that suffices. With it comes the certificate's name: the one that gives a role, or
    /// else its first. A certificate counts as long as the same authorities vouch for clients.
    pub(crate) fn role(
        &self,
        header: Option<&[u8]>,
        shown: Option<&Shown>,
        needed: Role,
    ) -> (Role, Option<String>) {
        let by_token = header.and_then(|header| self.tokens.role(header)).unwrap_or(Role::Nobody);
        let Some(shown) = shown.filter(|shown| shown.authorities == self.authorities()) else {
            return (by_token, None);
        };
        let named: Vec<(Role, &String)> = self.names.roles(&shown.names).collect();
        let best = named.iter().find(|(role, _)| role.may(needed)).or(named.first());
        let by_name = best.map_or(Role::Nobody, |(role, _)| *role);
        let name = best.map(|(_, name)| *name).or(shown.names.first());
        let is_by_token = by_name == Role::Nobody
            || by_token == Role::Operator
            || by_token.may(needed) && !by_name.may(needed);
        (if is_by_token { by_token } else { by_name }, name.cloned())
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
            tokens: Tokens::default(),
            names: RoleNames {
                operators: names(&["ops", "root"]),
                issuers: names(&["app", "both"]),
                viewers: names(&["look", "both"]),
            },
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
            let (role, name) = access.role(None, Some(&shown(names, b"ours")), Role::Viewer);
            assert_eq!((role, name.as_deref()), (expected, named), "{names:?}");
        };
        check(&["ops"], Role::Operator, Some("ops"));
        check(&["other", "look"], Role::Viewer, Some("look"));
        check(&["look", "root"], Role::Operator, Some("root"));
        check(&["other", "more"], Role::Nobody, Some("other"));
        check(&["OPS"], Role::Nobody, Some("OPS"));
        check(&["ops.example"], Role::Nobody, Some("ops.example"));
        check(&[], Role::Nobody, None);
        check(&["app"], Role::Issuer, Some("app"));
        check(&["app", "look"], Role::Viewer, Some("look"));
        check(&["both", "ops"], Role::Operator, Some("ops"));
        let shown_elsewhere = shown(&["ops"], b"theirs");
        assert_eq!(access.role(None, Some(&shown_elsewhere), Role::Viewer), (Role::Nobody, None));
        assert_eq!(access.role(None, None, Role::Viewer), (Role::Nobody, None));
    }

    #[test]
    fn of_several_roles_an_operators_counts_or_else_one_that_suffices() {
        let access = Access { tokens: Tokens::of_roles(), ..access(b"ours") };
        let check = |token: &str, name: &str, needed: Role, expected: Role| {
            let header = format!("Bearer {token}");
            let (role, _) = access.role(Some(header.as_bytes()), Some(&shown(&[name], b"ours")), needed);
            assert_eq!(role, expected, "{token} {name} {needed}");
        };
        check("issuer", "look", Role::Viewer, Role::Viewer);
        check("issuer", "look", Role::Issuer, Role::Issuer);
        check("viewer", "app", Role::Issuer, Role::Issuer);
        check("viewer", "app", Role::Viewer, Role::Viewer);
        check("issuer", "ops", Role::Issuer, Role::Operator);
        check("operator", "app", Role::Issuer, Role::Operator);
        check("wrong", "app", Role::Issuer, Role::Issuer);
        check("issuer", "other", Role::Issuer, Role::Issuer);
        check("wrong", "both", Role::Issuer, Role::Issuer);
        check("wrong", "both", Role::Viewer, Role::Viewer);
        check("issuer", "app", Role::Operator, Role::Issuer);
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
