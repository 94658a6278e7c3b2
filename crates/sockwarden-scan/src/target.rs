//! What is scanned, and as whom.

use std::time::Duration;

use sockwarden_proto::WsUrl;

use crate::{errand::Errand, ticket::Tickets};

/// An endpoint, and what its user knows about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The endpoint.
    pub url: WsUrl,
    /// The origin of the site's own pages, such as `https://app.example`; that of the URL where it is not given.
    pub origin: Option<String>,
    /// Whom the scan may pretend to be; the first is the victim of the attacks that need one.
    pub identities: Vec<Identity>,
    /// Header fields of every connection, those without credentials included. Credentials that stand here are moved to the
    /// identities when the scan begins.
    pub headers: Vec<(String, String)>,
    /// The sub-protocols to offer, the preferred one first.
    pub subprotocols: Vec<String>,
    /// The messages that ask for data, sent in order after the opening.
    pub say: Vec<String>,
    /// The request that ends a user's session.
    pub logout: Option<Errand>,
    /// How long a socket may outlive its session.
    pub logout_wait: Duration,
    /// Where single-use tickets come from and where they go.
    pub tickets: Option<Tickets>,
    /// Further paths at which the target opens WebSockets, to which a ticket for the URL's own path does not belong.
    pub routes: Vec<String>,
}

/// A user of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What reports call it.
    pub name: String,
    /// The header fields that prove it, such as Cookie or Authorization.
    pub headers: Vec<(String, String)>,
    /// When a browser attaches the cookie to a request from another site.
    pub same_site: SameSite,
    /// The messages that ask for what is this user's alone, sent in order by the checks that compare users.
    pub say: Vec<String>,
    /// Whether those messages are operations that users without privileges may not carry out.
    pub privileged: bool,
}

/// The SameSite attribute of a session cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// Nobody has said.
    #[default]
    Unknown,
    /// The cookie was set without the attribute, which some browsers take for `Lax` and others for `None`.
    Absent,
    /// `None`: it is sent from every site.
    None,
    /// `Lax`: it is sent on navigation only, which a WebSocket is not.
    Lax,
    /// `Strict`: it is sent from the same site only.
    Strict,
}

impl SameSite {
    /// Tells whether a page of another site makes some browser send the cookie; the unknown counts as sent.
    pub const fn is_sent_cross_site(self) -> bool {
        match self {
            Self::Unknown | Self::Absent | Self::None => true,
            Self::Lax | Self::Strict => false,
        }
    }

    /// Names the attribute for a person.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Unknown => "SameSite unknown",
            Self::Absent => "no SameSite attribute",
            Self::None => "SameSite=None",
            Self::Lax => "SameSite=Lax",
            Self::Strict => "SameSite=Strict",
        }
    }

    /// Reads the attributes of a Set-Cookie header for the cookie called `name`.
    pub(crate) fn from_set_cookie(value: &str, name: &str) -> Option<Self> {
        let mut parts = value.split(';').map(str::trim);
        let (cookie, _) = parts.next()?.split_once('=')?;
        if cookie.trim() != name {
            return None;
        }
        let attribute = parts
            .filter_map(|part| part.split_once('='))
            .find(|(key, _)| key.trim().eq_ignore_ascii_case("samesite"));
        Some(match attribute.map(|(_, value)| value.trim().to_ascii_lowercase()).as_deref() {
            None => Self::Absent,
            Some("none") => Self::None,
            Some("strict") => Self::Strict,
            Some("lax") => Self::Lax,
            Some(_) => Self::Absent,
        })
    }
}

impl std::str::FromStr for SameSite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "unknown" => Ok(Self::Unknown),
            "absent" => Ok(Self::Absent),
            "none" => Ok(Self::None),
            "lax" => Ok(Self::Lax),
            "strict" => Ok(Self::Strict),
            _ => Err(format!(
                "`{}` is no SameSite attribute: none, lax, strict, absent or unknown",
                sockwarden_model::printable(text.as_bytes(), 20)
            )),
        }
    }
}

/// Why what the user knows about a target cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A header's name is no token, or its value holds a control character.
    #[error("the header `{0}` has a malformed name or value")]
    Header(String),
    /// A sub-protocol is no token.
    #[error("the sub-protocol `{0}` is no token")]
    SubProtocol(String),
    /// The origin of the site is none.
    #[error("the origin `{0}` is not a scheme, a host and perhaps a port")]
    Origin(String),
    /// Two identities share a name, or one has no headers.
    #[error("the identity `{0}` is given twice or has no header")]
    Identity(String),
    /// A further route is no path.
    #[error("the route `{0}` is not a path such as `/admin`")]
    Route(String),
    /// There are more identities, headers or messages than a scan can use.
    #[error("at most {limit} {what} can be given")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
}

impl Identity {
    /// Makes an identity with one header, its cookie's SameSite attribute unknown.
    pub fn new(name: &str, header: &str, value: &str) -> Self {
        Self {
            name: name.to_owned(),
            headers: vec![(header.to_owned(), value.to_owned())],
            same_site: SameSite::Unknown,
            say: Vec::new(),
            privileged: false,
        }
    }

    /// Gives the headers that a browser attaches by itself: Cookie, and HTTP's own Basic and Digest.
    pub fn ambient(&self) -> impl Iterator<Item = &(String, String)> {
        self.headers.iter().filter(|(name, value)| {
            let scheme = value.split(' ').next().unwrap_or_default();
            name.eq_ignore_ascii_case("cookie")
                || name.eq_ignore_ascii_case("authorization")
                    && (scheme.eq_ignore_ascii_case("basic") || scheme.eq_ignore_ascii_case("digest"))
        })
    }

    /// Gives the names of the identity's cookies.
    pub(crate) fn cookie_names(&self) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("cookie"))
            .flat_map(|(_, value)| value.split(';'))
            .filter_map(|cookie| cookie.split_once('=').map(|(name, _)| name.trim()))
    }
}

impl Target {
    /// How many identities a scan can use.
    pub const MAX_IDENTITIES: usize = 8;
    /// How many messages a scan says on one connection.
    pub const MAX_SAY: usize = 32;

    /// Makes a target of which nothing but the address is known.
    pub const fn new(url: WsUrl) -> Self {
        Self {
            url,
            origin: None,
            identities: Vec::new(),
            headers: Vec::new(),
            subprotocols: Vec::new(),
            say: Vec::new(),
            logout: None,
            logout_wait: Duration::from_secs(5),
            tickets: None,
            routes: Vec::new(),
        }
    }

    /// Gives the origin that the site's own pages have.
    pub fn site_origin(&self) -> String {
        self.origin.clone().unwrap_or_else(|| self.url.web_origin())
    }

    /// Judges what was given and moves credentials out of the common headers: to each identity, or to one called `given`.
    ///
    /// # Errors
    /// Something cannot be sent as it is, or there is too much of it.
    pub(crate) fn prepared(mut self) -> Result<Self, TargetError> {
        for (what, count, limit) in [
            ("identities", self.identities.len(), Self::MAX_IDENTITIES),
            ("messages to say", self.say.len(), Self::MAX_SAY),
            (
                "messages of one identity",
                self.identities.iter().map(|i| i.say.len()).max().unwrap_or(0),
                Self::MAX_SAY,
            ),
            ("headers", self.headers.len(), 64),
            ("sub-protocols", self.subprotocols.len(), 16),
            ("routes", self.routes.len(), 16),
        ] {
            if count > limit {
                return Err(TargetError::TooMany { what, limit });
            }
        }
        let fields = self.headers.iter().chain(self.identities.iter().flat_map(|i| &i.headers));
        for (name, value) in fields {
            let sound = sockwarden_proto::handshake::is_token(name.as_bytes())
                && value.bytes().all(|b| b == b'\t' || (0x20..=0xff).contains(&b) && b != 0x7f);
            if !sound {
                return Err(TargetError::Header(shown(name)));
            }
        }
        for protocol in &self.subprotocols {
            if !sockwarden_proto::handshake::is_token(protocol.as_bytes()) {
                return Err(TargetError::SubProtocol(shown(protocol)));
            }
        }
        for route in &self.routes {
            if !route.starts_with('/') || !route.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
                return Err(TargetError::Route(shown(route)));
            }
        }
        if let Some(origin) = &self.origin
            && origin.parse::<sockwarden_proto::Origin>().is_err()
        {
            return Err(TargetError::Origin(shown(origin)));
        }
        for (at, identity) in self.identities.iter().enumerate() {
            if identity.headers.is_empty() || self.identities[..at].iter().any(|i| i.name == identity.name) {
                return Err(TargetError::Identity(shown(&identity.name)));
            }
        }
        let (credentials, headers): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.headers).into_iter().partition(|(name, _)| is_credential(name));
        self.headers = headers;
        if !credentials.is_empty() {
            if self.identities.is_empty() {
                self.identities.push(Identity { headers: Vec::new(), ..Identity::new("given", "", "") });
            }
            for identity in &mut self.identities {
                identity.headers.splice(0..0, credentials.iter().cloned());
            }
        }
        Ok(self)
    }
}

/// Tells whether a header of this name carries credentials.
pub fn is_credential(name: &str) -> bool {
    ["cookie", "authorization", "proxy-authorization", "x-api-key", "x-auth-token", "x-csrf-token"]
        .iter()
        .any(|credential| name.eq_ignore_ascii_case(credential))
}

fn shown(text: &str) -> String {
    sockwarden_model::printable(text.as_bytes(), 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target::new("ws://app.example/ws".parse().unwrap())
    }

    #[test]
    fn the_same_site_attribute_is_read_from_the_cookie_of_that_name() {
        let check =
            |value: &str, expected| assert_eq!(SameSite::from_set_cookie(value, "s"), expected, "{value}");
        check("s=1; Path=/; SameSite=None; Secure", Some(SameSite::None));
        check("s=1; samesite = LAX", Some(SameSite::Lax));
        check("s=1; HttpOnly", Some(SameSite::Absent));
        check("s=1; SameSite=Sometimes", Some(SameSite::Absent));
        check("t=1; SameSite=None", None);
        check("s", None);
    }

    #[test]
    fn credentials_among_the_common_headers_become_an_identity() {
        let mut given = target();
        given.headers = vec![("Cookie".into(), "s=1".into()), ("X-Team".into(), "red".into())];
        let prepared = given.prepared().unwrap();
        assert_eq!(prepared.headers, [("X-Team".to_owned(), "red".to_owned())]);
        assert_eq!(prepared.identities, [Identity::new("given", "Cookie", "s=1")]);
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let check = |change: fn(&mut Target), expected| {
            let mut given = target();
            change(&mut given);
            assert_eq!(given.prepared().err(), Some(expected));
        };
        check(|t| t.headers.push(("X".into(), "a\r\nHost: b".into())), TargetError::Header("X".into()));
        check(|t| t.headers.push(("X Y".into(), "a".into())), TargetError::Header("X Y".into()));
        check(|t| t.subprotocols.push("a b".into()), TargetError::SubProtocol("a b".into()));
        check(|t| t.routes.push("admin".into()), TargetError::Route("admin".into()));
        check(|t| t.routes.push("/a b".into()), TargetError::Route("/a b".into()));
        check(|t| t.origin = Some("app.example".into()), TargetError::Origin("app.example".into()));
        check(
            |t| t.identities = vec![Identity::new("a", "Cookie", "s=1"), Identity::new("a", "Cookie", "s=2")],
            TargetError::Identity("a".into()),
        );
        check(
            |t| t.say = vec![String::new(); 33],
            TargetError::TooMany { what: "messages to say", limit: 32 },
        );
    }

    #[test]
    fn only_what_a_browser_attaches_is_ambient() {
        let check = |header: &str, value: &str, expected: usize| {
            assert_eq!(Identity::new("a", header, value).ambient().count(), expected, "{header}: {value}");
        };
        check("Cookie", "s=1", 1);
        check("authorization", "Basic dXNlcjpwYXNz", 1);
        check("Authorization", "Bearer x", 0);
        check("X-Api-Key", "x", 0);
    }
}
