//! The credentials of a handshake: where each stands, and the handshake without it.

use sockwarden_model::printable;
use sockwarden_proto::handshake::ClientHandshake;

use crate::{redact::is_secret_name, target::is_credential, token};

/// A value in a handshake that may prove who is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) place: Place,
    pub(crate) value: String,
}

/// Where a credential stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A parameter of the query.
    Query(String),
    /// A cookie.
    Cookie(String),
    /// Another header field.
    Header(String),
    /// A sub-protocol that is offered.
    Protocol,
}

impl Place {
    /// Names the place for a person.
    pub(crate) fn describe(&self) -> String {
        let name = |name: &str| printable(name.as_bytes(), 40);
        match self {
            Self::Query(key) => format!("the parameter `{}` of the address", name(key)),
            Self::Cookie(key) => format!("the cookie `{}`", name(key)),
            Self::Header(key) => format!("the header `{}`", name(key)),
            Self::Protocol => "a sub-protocol".to_owned(),
        }
    }
}

/// Lists the credentials of a handshake, in the order in which they are written: what is named like a secret, and JSON Web
/// Tokens under any name.
pub(crate) fn credentials(handshake: &ClientHandshake) -> Vec<Credential> {
    let mut found = Vec::new();
    let mut add = |place, value: &str| found.push(Credential { place, value: value.to_owned() });
    for (name, value) in pairs(query(&handshake.target), '&') {
        if !value.is_empty() && (is_secret_name(name) || token::find(value).is_some()) {
            add(Place::Query(name.to_owned()), value);
        }
    }
    for protocol in &handshake.protocols {
        if token::find(protocol).is_some() {
            add(Place::Protocol, protocol);
        }
    }
    for (name, value) in &handshake.headers {
        let value = String::from_utf8_lossy(value);
        if name.eq_ignore_ascii_case("cookie") {
            for (name, value) in pairs(&value, ';') {
                add(Place::Cookie(name.trim().to_owned()), value.trim());
            }
        } else if is_credential(name) || token::find(&value).is_some() {
            add(Place::Header(name.clone()), &value);
        }
    }
    found
}

/// Gives the handshake without one of its credentials.
pub(crate) fn without(handshake: &ClientHandshake, credential: &Credential) -> ClientHandshake {
    let mut bare = handshake.clone();
    match &credential.place {
        Place::Query(name) => {
            let (path, query) = bare.target.split_once('?').unwrap_or((&bare.target, ""));
            let kept: Vec<&str> = query
                .split('&')
                .filter(|pair| pair.split_once('=') != Some((name, credential.value.as_str())))
                .collect();
            bare.target =
                if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) };
        }
        Place::Protocol => bare.protocols.retain(|protocol| *protocol != credential.value),
        Place::Cookie(name) => {
            for (header, value) in &mut bare.headers {
                if header.eq_ignore_ascii_case("cookie") {
                    let text = String::from_utf8_lossy(value).into_owned();
                    let kept = text.split(';').map(str::trim).filter(|pair| {
                        pair.split_once('=')
                            .is_none_or(|(key, held)| key.trim() != name || held.trim() != credential.value)
                    });
                    *value = kept.collect::<Vec<_>>().join("; ").into_bytes();
                }
            }
            bare.headers
                .retain(|(header, value)| !(header.eq_ignore_ascii_case("cookie") && value.is_empty()));
        }
        Place::Header(name) => {
            bare.headers.retain(|(header, value)| header != name || *value != credential.value.as_bytes());
        }
    }
    bare
}

/// Gives the query of a request target, without the mark.
pub(crate) fn query(target: &str) -> &str {
    target.split_once('?').map_or("", |(_, query)| query)
}

fn pairs(text: &str, separator: char) -> impl Iterator<Item = (&str, &str)> {
    text.split(separator).filter_map(|pair| pair.split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake() -> ClientHandshake {
        let token = token::make("{}");
        let mut handshake = ClientHandshake::new("h", &format!("/ws?room=1&ticket=abc&x={token}"), "key")
            .with_header("Cookie", "theme=dark; session=abc")
            .with_header("Origin", "https://h")
            .with_header("Authorization", format!("Bearer {token}"));
        handshake.protocols = vec!["chat".into(), format!("bearer.{token}")];
        handshake
    }

    #[test]
    fn each_credential_is_found_and_can_be_left_out() {
        let all = credentials(&handshake());
        let places: Vec<String> = all.iter().map(|credential| credential.place.describe()).collect();
        assert_eq!(
            places,
            [
                "the parameter `ticket` of the address",
                "the parameter `x` of the address",
                "a sub-protocol",
                "the cookie `theme`",
                "the cookie `session`",
                "the header `Authorization`",
            ]
        );
        for credential in &all {
            let left = credentials(&without(&handshake(), credential));
            let expected: Vec<_> = all.iter().filter(|other| *other != credential).cloned().collect();
            assert_eq!(left, expected, "{credential:?}");
        }
        let bare = all.iter().fold(handshake(), |handshake, credential| without(&handshake, credential));
        assert_eq!(bare.target, "/ws?room=1");
        assert_eq!(bare.protocols, ["chat"]);
        assert_eq!(bare.headers, [("Origin".to_owned(), b"https://h".to_vec())]);
    }
}
