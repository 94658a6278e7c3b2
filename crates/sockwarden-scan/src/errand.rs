//! Errands: the ordinary requests that the user of a scan asks for, such as that which logs a user out.

use sockwarden_proto::{
    WsUrl,
    handshake::{HeadLimits, ResponseHead, is_token},
    http::{BodyReader, Framing},
};

use crate::target::Target;

/// A request over HTTP, written `METHOD URL [BODY]`; it is sent with a user's headers and the site's Origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    /// The method.
    pub method: String,
    /// Where it goes; `http:` and `https:` stand as `ws:` and `wss:`.
    pub url: WsUrl,
    /// What is sent along, as JSON where it begins like that, else as a form.
    pub body: String,
}

/// Which errand a check wants run. Where it goes and what it says is not for a check to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// That which ends a user's session.
    Logout,
    /// That which fetches a ticket.
    Ticket,
}

/// What an errand brought back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The status; none where no HTTP answer came.
    pub status: Option<u16>,
    /// The body, as far as it came.
    pub body: Vec<u8>,
}

/// The most that is read of an answer, in bytes.
pub(crate) const MOST: usize = 64 * 1024;

impl std::str::FromStr for Errand {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.trim().splitn(3, ' ');
        let (method, url) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if !is_token(method.as_bytes()) || method.contains(':') || url.is_empty() {
            return Err(
                "a request is `METHOD URL [BODY]`, such as `POST https://app.example/logout`".to_owned()
            );
        }
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err("the URL of a request begins with http:// or https://".to_owned());
        }
        // The URL is not repeated, for it may hold a secret.
        let parsed: WsUrl = url.parse().map_err(|error| format!("the URL of a request is wrong: {error}"))?;
        let body = words.next().unwrap_or_default().trim().to_owned();
        Ok(Self { method: method.to_ascii_uppercase(), url: parsed, body })
    }
}

impl Which {
    /// Finds the errand of a target.
    pub(crate) fn of(self, target: &Target) -> Option<&Errand> {
        match self {
            Self::Logout => target.logout.as_ref(),
            Self::Ticket => target.tickets.as_ref().map(|tickets| &tickets.from),
        }
    }
}

impl Errand {
    /// Writes the request as the target's identity `index`.
    pub(crate) fn request(&self, target: &Target, index: usize) -> Vec<u8> {
        let mut out = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\nOrigin: {}\r\nConnection: close\r\n",
            self.method,
            self.url.target,
            self.url.authority(),
            target.site_origin()
        );
        if !self.body.is_empty() || self.method != "GET" {
            let json = self.body.starts_with(['{', '[']) || self.body.is_empty();
            let kind = if json { "application/json" } else { "application/x-www-form-urlencoded" };
            out.push_str(&format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", self.body.len()));
        }
        let own = target.identities.get(index).into_iter().flat_map(|identity| &identity.headers);
        for (name, value) in target.headers.iter().chain(own) {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        out.push_str("\r\n");
        out.push_str(&self.body);
        out.into_bytes()
    }
}

impl Reply {
    /// Reads the answer to a request of `method`; nothing where more of it must come.
    pub(crate) fn read(bytes: &[u8], method: &str, is_over: bool) -> Option<Self> {
        let limits = HeadLimits { bytes: 32 * 1024, fields: 128, target: 0 };
        let (head, mut rest) = match ResponseHead::parse(bytes, limits) {
            Err(_) => return Some(Self::default()),
            Ok(None) => return is_over.then(Self::default),
            Ok(Some((head, length))) => (head, &bytes[length..]),
        };
        let mut reply = Self { status: Some(head.status), body: Vec::new() };
        // What is framed wrongly has a status all the same.
        let Ok(framing) = Framing::of_response(&head, method) else { return Some(reply) };
        let mut reader = BodyReader::new(framing);
        while !reader.is_done() {
            match reader.read(rest) {
                Ok(piece) if piece.taken > 0 => {
                    reply.body.extend_from_slice(piece.data);
                    rest = &rest[piece.taken..];
                }
                Ok(_) => return is_over.then_some(reply),
                Err(_) => break,
            }
        }
        Some(reply)
    }

    /// Tells whether the server did what it was asked for, or sends the browser on after it.
    pub(crate) fn is_done(&self) -> bool {
        self.status.is_some_and(|status| (200..400).contains(&status))
    }

    /// Says how the request was answered, for a person.
    pub(crate) fn answered(&self) -> String {
        match self.status {
            Some(status) => format!("it was answered {status}"),
            None => "it got no HTTP answer".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Identity;

    #[test]
    fn an_errand_is_a_method_an_address_and_perhaps_a_body() {
        let check = |text: &str, method: &str, url: &str, body: &str| {
            let errand: Errand = text.parse().unwrap();
            assert_eq!((errand.method.as_str(), errand.url.to_string().as_str()), (method, url));
            assert_eq!(errand.body, body);
        };
        check("post https://a.example/logout", "POST", "wss://a.example/logout", "");
        check(r#"POST http://a/t {"a": 1}"#, "POST", "ws://a/t", r#"{"a": 1}"#);
        for text in ["", "POST", "https://a/logout", "POST wss://a/", "POST /logout", "P(ST http://a/"] {
            assert!(text.parse::<Errand>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_errand_goes_as_a_user() {
        let mut target = Target::new("wss://app.example/ws".parse().unwrap());
        target.identities.push(Identity::new("mara", "Cookie", "s=1"));
        let errand: Errand = "POST https://app.example/out?x=1 a=b".parse().unwrap();
        assert_eq!(
            String::from_utf8(errand.request(&target, 0)).unwrap(),
            "POST /out?x=1 HTTP/1.1\r\nHost: app.example\r\nOrigin: https://app.example\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\nCookie: s=1\r\n\r\na=b"
        );
    }

    #[test]
    fn an_answer_is_read_to_its_end() {
        let check = |bytes: &str, is_over: bool, expected: Option<(Option<u16>, &str)>| {
            let expected = expected.map(|(status, body)| Reply { status, body: body.into() });
            assert_eq!(Reply::read(bytes.as_bytes(), "POST", is_over), expected, "{bytes}");
        };
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false, Some((Some(200), "hi")));
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", false, None);
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", true, Some((Some(200), "hi")));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
        check(chunked, false, Some((Some(200), "hi")));
        check("HTTP/1.1 204 No\r\n\r\n", false, Some((Some(204), "")));
        check("HTTP/1.1 200 OK\r\n\r\nhi", true, Some((Some(200), "hi")));
        check("HTTP/1.1 200 OK\r\n\r\nhi", false, None);
        check("HTTP/1.1 200 OK\r\n", false, None);
        check("HTTP/1.1 200 OK\r\n", true, Some((None, "")));
        check("SSH-2.0\r\n\r\n", false, Some((None, "")));
    }
}
