//! The Origin matrix: what a careless comparison lets pass.

use sockwarden_proto::Origin;

/// One Origin to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// What reports call it.
    pub(crate) name: &'static str,
    /// The header's value; none where the header is left out.
    pub(crate) value: Option<String>,
    /// Who can make a victim's browser send it.
    pub(crate) reach: Reach,
}

/// Who can make a victim's browser send an Origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Anyone who has a domain, or a sandboxed frame.
    Anyone,
    /// Who controls another host or port of the same site, where SameSite cookies are sent.
    Sibling,
    /// Who is on the path and answers over plain HTTP.
    OnPath,
    /// No browser: it tells how the server compares.
    Nobody,
}

/// A domain that is nobody's (RFC 2606).
const EVIL: &str = "evil.example";

/// Makes the Origin of a page that has nothing to do with the target; `word` keeps it off any list.
pub(crate) fn foreign(word: &str) -> Case {
    Case { name: "any-origin", value: Some(format!("https://o{word}.{EVIL}")), reach: Reach::Anyone }
}

/// Makes the Origins that resemble `site`, for a target that refused a foreign one. An address has no sub-domains and a
/// single label no dots, so that those cases are absent there.
pub(crate) fn matrix(site: &Origin) -> Vec<Case> {
    let (scheme, host) = (site.scheme.as_str(), site.host.as_str());
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    let mut cases = Vec::new();
    let mut add = |name, value: String, reach| cases.push(Case { name, value: Some(value), reach });
    let written = site.to_string();
    add("null", "null".to_owned(), Reach::Anyone);
    if !host.contains(':') {
        add("suffix", format!("{scheme}://{host}.{EVIL}"), Reach::Anyone);
        add("prefix", written.replacen("://", "://evil", 1), Reach::Anyone);
        if host.contains('.') {
            add("dot-as-regex", written.replacen('.', "x", 1), Reach::Anyone);
        }
        for (name, special) in [
            ("special-underscore", '_'),
            ("special-hyphen", '-'),
            ("special-backtick", '`'),
            ("special-brace", '{'),
            ("special-exclamation", '!'),
            ("special-tilde", '~'),
            ("special-ampersand", '&'),
        ] {
            add(name, format!("{scheme}://{host}{special}.{EVIL}"), Reach::Anyone);
        }
        if !is_address {
            add("sub-domain", written.replacen("://", "://sockwarden-probe.", 1), Reach::Sibling);
        }
        add("userinfo", format!("{scheme}://{host}@{EVIL}"), Reach::Nobody);
    }
    if scheme == "https" {
        let plain = Origin {
            scheme: "http".to_owned(),
            port: if site.port == 443 { 80 } else { site.port },
            ..site.clone()
        };
        add("scheme", plain.to_string(), Reach::OnPath);
    }
    let other_port = Origin { port: if site.port == 8444 { 8445 } else { 8444 }, ..site.clone() };
    add("port", other_port.to_string(), Reach::Sibling);
    if host.contains(|c: char| c.is_ascii_alphabetic()) {
        add("case", written.to_ascii_uppercase(), Reach::Nobody);
    }
    cases.push(Case { name: "none", value: None, reach: Reach::Nobody });
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(site: &str) -> Vec<(&'static str, String)> {
        let cases = matrix(&site.parse().unwrap());
        cases.into_iter().map(|case| (case.name, case.value.unwrap_or_default())).collect()
    }

    #[test]
    fn the_matrix_of_a_site_names_every_careless_comparison() {
        let expected = [
            ("null", "null"),
            ("suffix", "https://app.harbor.test.evil.example"),
            ("prefix", "https://evilapp.harbor.test:8443"),
            ("dot-as-regex", "https://appxharbor.test:8443"),
            ("special-underscore", "https://app.harbor.test_.evil.example"),
            ("special-hyphen", "https://app.harbor.test-.evil.example"),
            ("special-backtick", "https://app.harbor.test`.evil.example"),
            ("special-brace", "https://app.harbor.test{.evil.example"),
            ("special-exclamation", "https://app.harbor.test!.evil.example"),
            ("special-tilde", "https://app.harbor.test~.evil.example"),
            ("special-ampersand", "https://app.harbor.test&.evil.example"),
            ("sub-domain", "https://sockwarden-probe.app.harbor.test:8443"),
            ("userinfo", "https://app.harbor.test@evil.example"),
            ("scheme", "http://app.harbor.test:8443"),
            ("port", "https://app.harbor.test:8444"),
            ("case", "HTTPS://APP.HARBOR.TEST:8443"),
            ("none", ""),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        assert_eq!(values("https://app.harbor.test:8443"), expected);
    }

    #[test]
    fn cases_that_make_no_sense_are_absent() {
        let check = |site: &str, absent: &[&str]| {
            let values = values(site);
            for name in absent {
                assert!(!values.iter().any(|(case, _)| case == name), "{site} {name}");
            }
        };
        check("http://127.0.0.1:9000", &["sub-domain", "scheme", "case"]);
        check("http://localhost", &["dot-as-regex", "scheme"]);
        check("http://[::1]:1", &["suffix", "prefix", "sub-domain", "userinfo"]);
    }
}
