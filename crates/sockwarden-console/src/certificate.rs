//! The names in a certificate that was verified.

use x509_cert::{
    Certificate,
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// The most names of one certificate that are looked at.
const MOST: usize = 64;

/// Gives the names in a certificate (DER): of its subject alternative name those that are DNS names, e-mail addresses and
/// URIs, then its subject's common name (RFC 5280 §4.2.1.6). One that cannot be read has none.
pub(crate) fn names(der: &[u8]) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(der) else { return Vec::new() };
    let certificate = certificate.tbs_certificate();
    let alternative = certificate.get_extension::<SubjectAltName>().ok().flatten();
    let mut names: Vec<String> = alternative
        .iter()
        .flat_map(|(_, names)| &names.0)
        .filter_map(|name| match name {
            GeneralName::DnsName(name) | GeneralName::Rfc822Name(name) => Some(name.to_string()),
            GeneralName::UniformResourceIdentifier(name) => Some(name.to_string()),
            GeneralName::OtherName(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EdiPartyName(_)
            | GeneralName::IpAddress(_)
            | GeneralName::RegisteredId(_) => None,
        })
        .take(MOST)
        .collect();
    names.extend(certificate.subject().common_name().ok().flatten().map(|name| name.value().into_owned()));
    names
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn the_names_of_a_certificate_are_those_of_its_holder() {
        let check = |common: Option<&str>, others: &[SanType], expected: &[&str]| {
            let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
            parameters.distinguished_name = rcgen::DistinguishedName::new();
            if let Some(common) = common {
                parameters.distinguished_name.push(DnType::CommonName, common);
            }
            parameters.distinguished_name.push(DnType::OrganizationName, "not a name of the holder");
            parameters.subject_alt_names = others.to_vec();
            let certificate = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap();
            assert_eq!(names(certificate.der()), expected);
        };
        let text = |text: &str| text.try_into().unwrap();
        check(None, &[], &[]);
        check(Some("mara"), &[], &["mara"]);
        check(Some("jörg\n"), &[], &["jörg\n"]);
        let others = [
            SanType::DnsName(text("a.example")),
            SanType::IpAddress([127, 0, 0, 1].into()),
            SanType::Rfc822Name(text("mara@a.example")),
            SanType::URI(text("spiffe://a.example/mara")),
        ];
        let expected = ["a.example", "mara@a.example", "spiffe://a.example/mara", "mara"];
        check(Some("mara"), &others, &expected);
        assert!(names(b"no certificate").is_empty() && names(&[]).is_empty());
    }
}
