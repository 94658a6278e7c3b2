//! Crates that must not be built in; deny.toml says the same to cargo-deny.

use super::{Complaint, Repository, Rule};

pub(super) const RULE: Rule = Rule {
    name: "banned-crates",
    holds: "one crypto provider, aws-lc-rs, and nothing else beside it",
    check,
};

/// Each banned crate and what to take in its place.
const BANNED: &[(&str, &str)] = &[
    ("native-tls", "use rustls: one TLS library everywhere"),
    ("openssl", "use rustls with aws-lc-rs: one crypto provider everywhere"),
    ("openssl-sys", "use rustls with aws-lc-rs: one crypto provider everywhere"),
    ("ring", "use aws-lc-rs: one crypto provider everywhere"),
    ("rsa", "use aws-lc-rs: its timing leaks (RUSTSEC-2023-0071) are not fixed"),
];

fn check(repository: &Repository) -> Vec<Complaint> {
    let metadata = &repository.metadata;
    let built = metadata.built();
    built
        .iter()
        .filter_map(|package| {
            let (_, right) = BANNED.iter().find(|(name, _)| *name == package.name)?;
            let users: Vec<&str> = built
                .iter()
                .filter(|user| metadata.uses(&user.id).any(|edge| edge.pkg == package.id))
                .map(|user| user.name.as_str())
                .collect();
            let what =
                format!("{} {} is banned and wanted by {}", package.name, package.version, users.join(", "));
            Some(Complaint::new("Cargo.lock", 0, what, right))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::crates;
    use super::*;

    #[test]
    fn a_banned_crate_is_named_with_its_user() {
        let bad = crates(&[("sockwarden-net", &["helper"]), ("helper", &["ring"]), ("ring", &[])]);
        let complaints = check(&bad);
        assert_eq!(complaints.len(), 1);
        assert_eq!(complaints[0].what, "ring 1.0.0 is banned and wanted by helper");
    }

    #[test]
    fn names_that_only_resemble_are_fine() {
        let good = crates(&[
            ("sockwarden-net", &["ringbuf", "openssl-probe"]),
            ("ringbuf", &[]),
            ("openssl-probe", &[]),
        ]);
        assert_eq!(check(&good), []);
    }
}
