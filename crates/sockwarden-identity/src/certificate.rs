//! From a client's certificate, once TLS has verified it, to an identity.

use aws_lc_rs::digest::{SHA256, digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_model::Identity;
use x509_cert::{
    Certificate,
    der::{
        Decode as _, Tag,
        asn1::{ObjectIdentifier, PrintableStringRef, Utf8StringRef},
    },
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// The most names of one certificate that are looked at.
const MOST: usize = 64;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");

/// What a client's certificate says of its holder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MtlsConfig {
    /// Which name in the certificate is the user; a certificate has exactly one of it, or is refused.
    pub user_from: CertificateName,
    /// Whether the subject's organisational units (OU) are the user's roles.
    pub roles_from_units: bool,
}

/// A name in a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CertificateName {
    /// The subject's common name (CN).
    #[default]
    Cn,
    /// The e-mail address among the subject's alternative names.
    Email,
    /// The URI among them, such as a SPIFFE id.
    Uri,
    /// The DNS name among them.
    Dns,
}

/// Why a certificate names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CertificateError {
    /// It is no certificate of X.509 that can be read.
    #[error("the certificate is malformed")]
    Malformed,
    /// It has no name of the kind that is asked for.
    #[error("the certificate does not name its holder")]
    NoName,
    /// It has several, and which one is the user is not said.
    #[error("the certificate has several names for its holder")]
    ManyNames,
    /// A name is too long or has control characters.
    #[error("a name in the certificate is too long or holds control characters")]
    Name,
}

impl CertificateError {
    /// Gives the code that logs and metrics have for it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "certificate-malformed",
            Self::NoName => "certificate-no-name",
            Self::ManyNames => "certificate-many-names",
            Self::Name => "certificate-name",
        }
    }
}

impl MtlsConfig {
    /// Gives the identity that a certificate (DER) vouches for, as RFC 5280 §4.1.2.6 and §4.2.1.6 write names. The certificate must
    /// have been verified. [`Identity::expires_at`] is its end, [`Identity::token_id`] its SHA-256 in hexadecimal digits.
    ///
    /// # Errors
    /// It names nobody, or nobody for certain.
    pub fn identity(&self, der: &[u8]) -> Result<Identity, CertificateError> {
        let certificate = Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        let certificate = certificate.tbs_certificate();
        let mut names = match self.user_from {
            CertificateName::Cn => subject(certificate.subject(), COMMON_NAME)?,
            CertificateName::Email | CertificateName::Uri | CertificateName::Dns => {
                let alternative =
                    certificate.get_extension::<SubjectAltName>().map_err(|_| CertificateError::Malformed)?;
                let listed = alternative.iter().flat_map(|(_, names)| &names.0);
                listed.filter_map(|name| self.alternative(name)).take(MOST).collect()
            }
        };
        let user = match (names.pop(), names.is_empty()) {
            (None, _) => return Err(CertificateError::NoName),
            (Some(_), false) => return Err(CertificateError::ManyNames),
            (Some(name), true) if name.is_empty() => return Err(CertificateError::NoName),
            (Some(name), true) => name,
        };
        let roles = if self.roles_from_units {
            subject(certificate.subject(), ORGANIZATIONAL_UNIT)?
        } else {
            Vec::new()
        };
        let is_bad =
            |name: &String| name.len() > Identity::LONGEST_USER || name.chars().any(char::is_control);
        if is_bad(&user) || roles.iter().any(is_bad) {
            return Err(CertificateError::Name);
        }
        let validity = certificate.validity();
        let fingerprint = digest(&SHA256, der);
        Ok(Identity {
            user: Some(user),
            roles,
            claims: serde_json::Map::new(),
            issued_at: Some(validity.not_before.to_unix_duration().as_secs()),
            expires_at: Some(validity.not_after.to_unix_duration().as_secs()),
            token_id: Some(fingerprint.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()),
        })
    }

    fn alternative(&self, name: &GeneralName) -> Option<String> {
        match (self.user_from, name) {
            (CertificateName::Email, GeneralName::Rfc822Name(name))
            | (CertificateName::Dns, GeneralName::DnsName(name)) => Some(name.to_string()),
            (CertificateName::Uri, GeneralName::UniformResourceIdentifier(name)) => Some(name.to_string()),
            (
                CertificateName::Cn | CertificateName::Email | CertificateName::Uri | CertificateName::Dns,
                GeneralName::Rfc822Name(_)
                | GeneralName::DnsName(_)
                | GeneralName::UniformResourceIdentifier(_)
                | GeneralName::OtherName(_)
                | GeneralName::DirectoryName(_)
                | GeneralName::EdiPartyName(_)
                | GeneralName::IpAddress(_)
                | GeneralName::RegisteredId(_),
            ) => None,
        }
    }
}

/// Gives every value that a subject has for an attribute.
fn subject(of: &x509_cert::name::Name, attribute: ObjectIdentifier) -> Result<Vec<String>, CertificateError> {
    let values = of.iter().filter(|pair| pair.oid == attribute).take(MOST);
    values
        .map(|pair| {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "another crate's list; old forms of text are not read"
            )]
            match x509_cert::der::Tagged::tag(&pair.value) {
                Tag::Utf8String => {
                    pair.value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned())
                }
                Tag::PrintableString => {
                    pair.value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned())
                }
                _ => return Err(CertificateError::Malformed),
            }
            .map_err(|_| CertificateError::Malformed)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType};

    use super::*;

    fn text(text: &str) -> rcgen::string::Ia5String {
        text.try_into().unwrap()
    }

    fn certificate(subject: &[(DnType, &str)], others: &[SanType]) -> Vec<u8> {
        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.distinguished_name = DistinguishedName::new();
        for (kind, value) in subject {
            parameters.distinguished_name.push(kind.clone(), DnValue::Utf8String((*value).to_owned()));
        }
        parameters.subject_alt_names = others.to_vec();
        parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_user_is_the_one_name_of_the_kind_that_is_asked_for() {
        use CertificateName::{Cn, Dns, Email, Uri};
        let subject = [(DnType::CommonName, "jörg"), (DnType::OrganizationalUnitName, "admin")];
        let one = [
            SanType::DnsName(text("station-1.example")),
            SanType::Rfc822Name(text("mara@a.example")),
            SanType::URI(text("spiffe://a.example/mara")),
            SanType::IpAddress([127, 0, 0, 1].into()),
        ];
        let two = [&one[..1], &[SanType::DnsName(text("station-2.example"))]].concat();
        let check = |user_from, others: &[SanType], expected: Result<&str, CertificateError>| {
            let config = MtlsConfig { user_from, roles_from_units: false };
            let identity = config.identity(&certificate(&subject, others));
            let user = identity.as_ref().map(|identity| identity.user.as_deref().unwrap());
            assert_eq!(user.map_err(|error| *error), expected, "{user_from:?}");
            assert!(identity.is_ok_and(|identity| identity.roles.is_empty()) || expected.is_err());
        };
        check(Cn, &one, Ok("jörg"));
        check(Email, &one, Ok("mara@a.example"));
        check(Uri, &one, Ok("spiffe://a.example/mara"));
        check(Dns, &one, Ok("station-1.example"));
        check(Dns, &two, Err(CertificateError::ManyNames));
        check(Email, &two, Err(CertificateError::NoName));
        check(Uri, &[], Err(CertificateError::NoName));
    }

    #[test]
    fn a_name_that_could_deceive_is_refused() {
        let check = |subject: &[(DnType, &str)], expected: CertificateError| {
            let config = MtlsConfig { roles_from_units: true, ..MtlsConfig::default() };
            assert_eq!(config.identity(&certificate(subject, &[])), Err(expected), "{subject:?}");
        };
        check(&[], CertificateError::NoName);
        check(&[(DnType::OrganizationName, "mara")], CertificateError::NoName);
        check(&[(DnType::CommonName, "")], CertificateError::NoName);
        check(&[(DnType::CommonName, "mara\nadmin")], CertificateError::Name);
        check(&[(DnType::CommonName, &"m".repeat(257))], CertificateError::Name);
        let unit = (DnType::OrganizationalUnitName, "a\0b");
        check(&[(DnType::CommonName, "mara"), unit], CertificateError::Name);
        let malformed = MtlsConfig::default().identity(b"no certificate");
        assert_eq!(malformed, Err(CertificateError::Malformed));
    }

    #[test]
    fn a_certificate_gives_roles_an_end_and_an_id() {
        let der =
            certificate(&[(DnType::CommonName, "mara"), (DnType::OrganizationalUnitName, "admin")], &[]);
        let identity = MtlsConfig { roles_from_units: true, ..MtlsConfig::default() }.identity(&der).unwrap();
        assert_eq!(
            (identity.user.as_deref(), &identity.roles[..]),
            (Some("mara"), &["admin".to_owned()][..])
        );
        assert!(identity.issued_at < identity.expires_at);
        assert_eq!(identity.token_id.map(|id| id.len()), Some(64));
    }
}
