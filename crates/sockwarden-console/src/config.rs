//! What an operator says of the admin listener.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_model::{ListenAddress, NoListenAddress};

use crate::{
    access::RoleNames,
    host,
    token::{Token, TokenError, Tokens},
};

/// The admin listener: health, metrics and the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// The address and port, such as `127.0.0.1:9443`, or `fd:NAME` for a socket that the service manager has opened; beyond this machine only with `certificate` and `key`.
    pub address: String,
    /// The file with the operators' token: 32 characters or more, readable by its owner only. `sockwarden config --new-token FILE` makes one. Needed unless `operator_names` says who operates.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The file with the token of those who only look.
    #[serde(default)]
    pub viewer_token_file: Option<PathBuf>,
    /// The file with the token of the application's own server, which issues tickets for its users and revokes, and sees nothing.
    #[serde(default)]
    pub issuer_token_file: Option<PathBuf>,
    /// The certificate chain in PEM.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// The certificate's private key in PEM.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// The authorities whose certificates clients may show instead of a token, in PEM; needs `certificate` and `key`.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Who operates, by a name in the certificate they show: a DNS name, an e-mail address, a URI or the subject's common name, compared as it is written.
    #[serde(default)]
    pub operator_names: Vec<String>,
    /// Who only looks, by a name in the certificate they show.
    #[serde(default)]
    pub viewer_names: Vec<String>,
    /// Who only issues tickets and revokes, by a name in the certificate they show.
    #[serde(default)]
    pub issuer_names: Vec<String>,
    /// Whether nobody is let in without such a certificate, not even to ask for health; then the role comes by its name or by a token.
    #[serde(default)]
    pub require_client_certificate: bool,
    /// Names besides the listener's own address by which it may be asked for, each with its port unless that is 443, such as `admin.example:9443`.
    #[serde(default)]
    pub hosts: Vec<String>,
}

impl AdminConfig {
    /// Makes the configuration of a listener without TLS and viewers.
    pub fn new(address: &str, token_file: &Path) -> Self {
        Self {
            address: address.to_owned(),
            token_file: Some(token_file.to_owned()),
            viewer_token_file: None,
            issuer_token_file: None,
            certificate: None,
            key: None,
            client_ca: None,
            operator_names: Vec::new(),
            viewer_names: Vec::new(),
            issuer_names: Vec::new(),
            require_client_certificate: false,
            hosts: Vec::new(),
        }
    }

    /// Tells whether anybody is an issuer by it.
    pub const fn names_issuers(&self) -> bool {
        self.issuer_token_file.is_some() || !self.issuer_names.is_empty()
    }

    /// Names the files that are read for it, by its keys.
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        let files = [
            ("token_file", &self.token_file),
            ("viewer_token_file", &self.viewer_token_file),
            ("issuer_token_file", &self.issuer_token_file),
            ("certificate", &self.certificate),
            ("key", &self.key),
            ("client_ca", &self.client_ca),
        ];
        files.into_iter().filter_map(|(key, path)| Some((key, path.as_deref()?))).collect()
    }
}

/// What is wrong with the configuration of an admin listener, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key within `admin`.
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<&'static str>,
}

/// A configuration of an admin listener that can run.
#[derive(Debug)]
pub struct Admin {
    pub(crate) address: ListenAddress,
    pub(crate) tokens: Tokens,
    pub(crate) names: RoleNames,
    pub(crate) hosts: Vec<String>,
    /// Whether whoever starts it must give it an acceptor for TLS.
    pub needs_tls: bool,
}

/// Reads the tokens and refuses what is unsafe; the certificate is left to whoever starts the listener.
///
/// # Errors
/// Every problem that was found.
pub fn build(config: &AdminConfig) -> Result<Admin, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut add = |key, message: String, help| problems.push(Problem { key, message, help });
    let address = config.address.parse::<ListenAddress>().ok();
    let needs_tls = match (&config.certificate, &config.key) {
        (Some(_), Some(_)) => true,
        (None, None) => false,
        (Some(_), None) => {
            add("certificate", "a certificate needs its key".to_owned(), Some("add `key`"));
            true
        }
        (None, Some(_)) => {
            add("key", "a key needs its certificate".to_owned(), Some("add `certificate`"));
            true
        }
    };
    match &address {
        None => add("address", format!("`{}` {NoListenAddress}", config.address.escape_debug()), None),
        // Where an inherited socket listens shows at the start, and is judged there.
        Some(address) if !needs_tls && address.is_loopback() == Some(false) => add(
            "address",
            "beyond this machine the admin listener needs a certificate".to_owned(),
            Some("add `certificate` and `key`, or listen on a loopback address"),
        ),
        Some(_) => {}
    }
    for name in config.hosts.iter().filter(|name| !host::is_authority(name)) {
        add("hosts", format!("`{}` is no host name with an optional port", name.escape_debug()), None);
    }
    judge_clients(config, &mut add);
    let mut read = |key, path: &Path| {
        Token::read(path)
            .map_err(|error| {
                let help = match error {
                    TokenError::Exposed(_) => Some("take that away: `chmod 600`"),
                    TokenError::Read(_) | TokenError::Short => {
                        Some("`sockwarden config --new-token FILE` makes a good one")
                    }
                    TokenError::NotAFile | TokenError::Long | TokenError::Characters => None,
                };
                add(key, format!("`{}`: {error}", path.display()), help);
            })
            .ok()
    };
    let mut token = |key, path: &Option<PathBuf>| path.as_deref().and_then(|path| read(key, path));
    let tokens = Tokens {
        operator: token("token_file", &config.token_file),
        viewer: token("viewer_token_file", &config.viewer_token_file),
        issuer: token("issuer_token_file", &config.issuer_token_file),
    };
    let are_same = |one: &Option<Token>, other: &Option<Token>| {
        one.as_ref().zip(other.as_ref()).is_some_and(|(one, other)| one.is(other))
    };
    for (one, other, key, message) in [
        (&tokens.viewer, &tokens.operator, "viewer_token_file", "viewers have the operators' token"),
        (&tokens.issuer, &tokens.operator, "issuer_token_file", "issuers have the operators' token"),
        (&tokens.issuer, &tokens.viewer, "issuer_token_file", "issuers have the viewers' token"),
    ] {
        if are_same(one, other) {
            add(key, message.to_owned(), Some("make another one"));
        }
    }
    match address {
        Some(address) if problems.is_empty() => Ok(Admin {
            address,
            tokens,
            names: RoleNames {
                operators: config.operator_names.clone(),
                issuers: config.issuer_names.clone(),
                viewers: config.viewer_names.clone(),
            },
            hosts: config.hosts.iter().map(|name| name.to_ascii_lowercase()).collect(),
            needs_tls,
        }),
        Some(_) | None => Err(problems),
    }
}

/// Refuses what makes no sense about who may come in, and how.
fn judge_clients(config: &AdminConfig, add: &mut impl FnMut(&'static str, String, Option<&'static str>)) {
    if config.token_file.is_none() && config.operator_names.is_empty() {
        let help = "add `token_file`, or `client_ca` with `operator_names`";
        add("token_file", "nobody could operate the gateway".to_owned(), Some(help));
    }
    let names = [
        ("operator_names", &config.operator_names),
        ("viewer_names", &config.viewer_names),
        ("issuer_names", &config.issuer_names),
    ];
    let are_named = names.iter().any(|(_, names)| !names.is_empty());
    if config.client_ca.is_some() {
        if config.certificate.is_none() && config.key.is_none() {
            let message = "certificates of clients are shown over TLS only".to_owned();
            add("client_ca", message, Some("add `certificate` and `key`"));
        }
        if !are_named && !config.require_client_certificate {
            let help =
                "add `operator_names`, `viewer_names`, `issuer_names` or `require_client_certificate = true`";
            add("client_ca", "a certificate would give nobody a role".to_owned(), Some(help));
        }
    } else {
        for (key, names) in names {
            if !names.is_empty() {
                let message = "nobody vouches for these names".to_owned();
                add(key, message, Some("add `client_ca`"));
            }
        }
        if config.require_client_certificate {
            let message = "nobody vouches for the certificates".to_owned();
            add("require_client_certificate", message, Some("add `client_ca`"));
        }
    }
    for (key, names) in names {
        if names.iter().any(|name| name.trim().is_empty()) {
            add(key, "a name is empty".to_owned(), None);
        }
    }
    for (key, names) in [("viewer_names", &config.viewer_names), ("issuer_names", &config.issuer_names)] {
        for name in names.iter().filter(|name| config.operator_names.contains(name)) {
            let message = format!("`{}` is among the operators already", name.escape_debug());
            add(key, message, Some("leave out one of them"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::write_new;

    #[test]
    fn what_is_unsafe_or_contradictory_does_not_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, byte| {
            let path = folder.path().join(name);
            write_new(&path, [byte; 32]).unwrap();
            path
        };
        let (operator, same, viewer) = (file("operator", 1), file("same", 1), file("viewer", 2));
        let good = AdminConfig::new("127.0.0.1:0", &operator);
        let check = |change: &dyn Fn(&mut AdminConfig), expected: &[&str]| {
            let mut config = good.clone();
            change(&mut config);
            let keys: Vec<&str> = build(&config).err().into_iter().flatten().map(|p| p.key).collect();
            assert_eq!(keys, expected, "{config:?}");
        };
        check(&|_| (), &[]);
        check(&|c| c.address = "[::1]:0".into(), &[]);
        check(&|c| c.address = "0.0.0.0:0".into(), &["address"]);
        check(&|c| c.address = "localhost:0".into(), &["address"]);
        check(&|c| c.address = "fd:admin".into(), &[]);
        let tls = |c: &mut AdminConfig| (c.certificate, c.key) = (Some("c".into()), Some("k".into()));
        check(&|c| (tls(c), c.address = "0.0.0.0:0".into()).0, &[]);
        check(&|c| c.certificate = Some("c".into()), &["certificate"]);
        check(&|c| c.key = Some("k".into()), &["key"]);
        check(&|c| c.token_file = Some("/nonexistent".into()), &["token_file"]);
        check(&|c| c.token_file = None, &["token_file"]);
        check(&|c| c.viewer_token_file = Some(viewer.clone()), &[]);
        check(&|c| c.viewer_token_file = Some(same.clone()), &["viewer_token_file"]);
        check(&|c| c.issuer_token_file = Some(viewer.clone()), &[]);
        check(&|c| c.issuer_token_file = Some(same.clone()), &["issuer_token_file"]);
        check(&|c| c.issuer_token_file = Some("/nonexistent".into()), &["issuer_token_file"]);
        let both = |c: &mut AdminConfig| {
            (c.viewer_token_file, c.issuer_token_file) = (Some(viewer.clone()), Some(viewer.clone()));
        };
        check(&both, &["issuer_token_file"]);
        let mtls = |c: &mut AdminConfig| {
            tls(c);
            c.client_ca = Some("ca".into());
            c.operator_names = vec!["ops".into()];
        };
        check(&mtls, &[]);
        check(&|c| (mtls(c), c.token_file = None).0, &[]);
        check(&|c| (mtls(c), c.viewer_names = vec!["ops".into()]).0, &["viewer_names"]);
        check(&|c| (mtls(c), c.viewer_names = vec![" ".into()]).0, &["viewer_names"]);
        check(&|c| (mtls(c), c.issuer_names = vec!["ops".into()]).0, &["issuer_names"]);
        check(
            &|c| (mtls(c), (c.issuer_names, c.viewer_names) = (vec!["app".into()], vec!["app".into()])).0,
            &[],
        );
        check(&|c| (mtls(c), c.operator_names.clear(), c.issuer_names = vec!["app".into()]).0, &[]);
        check(&|c| c.issuer_names = vec!["app".into()], &["issuer_names"]);
        check(&|c| (mtls(c), c.operator_names.clear()).0, &["client_ca"]);
        check(&|c| (mtls(c), c.operator_names.clear(), c.require_client_certificate = true).0, &[]);
        check(&|c| (mtls(c), (c.certificate, c.key) = (None, None)).0, &["client_ca"]);
        check(&|c| (mtls(c), c.client_ca = None).0, &["operator_names"]);
        check(&|c| c.require_client_certificate = true, &["require_client_certificate"]);
        check(&|c| c.hosts = vec!["admin.example:9443".into()], &[]);
        check(&|c| c.hosts = vec!["https://admin.example".into(), "*".into()], &["hosts", "hosts"]);
    }
}
