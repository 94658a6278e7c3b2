//! Taking credentials out of a request: what is a secret between the client and the gateway goes no further.

use sockwarden_proto::handshake::{Header, RequestHead, is_token};

/// What a client adds to a sub-protocol to send a ticket.
pub(crate) const TICKET_SUBPROTOCOL: &str = "sockwarden.ticket.";
/// The sub-protocol that is agreed on with a client that has offered nothing of its own: browsers insist on one where they offer any.
pub(crate) const OWN_SUBPROTOCOL: &str = "sockwarden.v1";
/// What a client adds to a sub-protocol to send a token.
pub(crate) const BEARER_SUBPROTOCOL: &str = "authorization.bearer.";

/// What a request has shown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// Tickets, as they came.
    pub(crate) tickets: Vec<Vec<u8>>,
    /// Bearer tokens, as they came.
    pub(crate) tokens: Vec<Vec<u8>>,
    /// Whether the client would take [`OWN_SUBPROTOCOL`].
    pub(crate) takes_ours: bool,
}

/// Takes those sub-protocols out that `is_wanted` takes a part of, and gives these parts.
pub(crate) fn take_subprotocols(head: &mut RequestHead, prefix: &str) -> Vec<Vec<u8>> {
    let mut taken = Vec::new();
    take_members(head, |member| {
        let found = member.strip_prefix(prefix.as_bytes());
        taken.extend(found.map(<[u8]>::to_vec));
        found.is_some()
    });
    taken
}

/// Takes [`OWN_SUBPROTOCOL`] out; tells whether it was there.
pub(crate) fn take_own_subprotocol(head: &mut RequestHead) -> bool {
    let mut was_there = false;
    take_members(head, |member| {
        let is_ours = member == OWN_SUBPROTOCOL.as_bytes();
        was_there |= is_ours;
        is_ours
    });
    was_there
}

/// Takes members of Sec-WebSocket-Protocol out. A field with something that is no token is left as it is: the handshake is malformed.
fn take_members(head: &mut RequestHead, mut is_taken: impl FnMut(&[u8]) -> bool) {
    let is_ours = |header: &Header| header.name.eq_ignore_ascii_case("sec-websocket-protocol");
    for header in head.headers.0.iter_mut().filter(|header| is_ours(header)) {
        let members: Vec<&[u8]> = header.value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).collect();
        if !members.iter().all(|member| member.is_empty() || is_token(member)) {
            continue;
        }
        let before = members.len();
        let kept: Vec<&[u8]> = members.into_iter().filter(|member| !is_taken(member)).collect();
        if kept.len() < before {
            header.value = kept.join(&b", "[..]);
        }
    }
    head.headers.0.retain(|header| !is_ours(header) || !header.value.is_empty());
}

/// Takes every parameter of this name out of the query, and gives their values, percent-decoded.
pub(crate) fn take_parameters(head: &mut RequestHead, name: &str) -> Vec<Vec<u8>> {
    let Some((path, query)) = head.target.split_once('?') else { return Vec::new() };
    let mut taken = Vec::new();
    let mut kept = Vec::new();
    for parameter in query.split('&') {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if decoded(key) == name.as_bytes() {
            taken.push(decoded(value));
        } else {
            kept.push(parameter);
        }
    }
    if !taken.is_empty() {
        head.target = if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) };
    }
    taken
}

/// Takes every cookie of this name out, and gives their values.
pub(crate) fn take_cookies(head: &mut RequestHead, name: &str) -> Vec<Vec<u8>> {
    let mut taken = Vec::new();
    let is_cookie = |header: &Header| header.name.eq_ignore_ascii_case("cookie");
    for header in head.headers.0.iter_mut().filter(|header| is_cookie(header)) {
        let pairs = header.value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let mut kept = Vec::new();
        let before = taken.len();
        for pair in pairs {
            let end = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
            if pair[..end].trim_ascii() == name.as_bytes() {
                taken.push(pair.get(end + 1..).unwrap_or_default().trim_ascii().to_vec());
            } else {
                kept.push(pair);
            }
        }
        if taken.len() > before {
            header.value = kept.join(&b"; "[..]);
        }
    }
    head.headers.0.retain(|header| !is_cookie(header) || !header.value.is_empty());
    taken
}

/// Takes Authorization fields with the Bearer scheme (RFC 6750 §2.1) out, and gives their tokens.
pub(crate) fn take_bearers(head: &mut RequestHead) -> Vec<Vec<u8>> {
    let token = |header: &Header| {
        let (scheme, rest) = header.value.split_at_checked(7)?;
        let is_bearer =
            header.name.eq_ignore_ascii_case("authorization") && scheme.eq_ignore_ascii_case(b"bearer ");
        is_bearer.then(|| rest.trim_ascii().to_vec())
    };
    let tokens = head.headers.0.iter().filter_map(token).collect();
    head.headers.0.retain(|header| token(header).is_none());
    tokens
}

/// Decodes what stands in a query; what is no escape stands for itself.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let mut ahead = bytes.clone();
        match (byte, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                bytes = ahead;
            }
            (b'+', ..) => decoded.push(b' '),
            (other, ..) => decoded.push(other),
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use sockwarden_proto::handshake::HeadLimits;

    use super::*;

    fn head(target: &str, lines: &str) -> RequestHead {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        RequestHead::parse(text.as_bytes(), HeadLimits::default()).unwrap().unwrap().0
    }

    /// Gives what was taken and what is left: the target and the headers but Host.
    #[track_caller]
    fn check(
        (target, lines): (&str, &str),
        take: impl Fn(&mut RequestHead) -> Vec<Vec<u8>>,
        taken: &[&str],
        left: (&str, &[&str]),
    ) {
        let mut head = head(target, lines);
        let found: Vec<_> =
            take(&mut head).into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect();
        assert_eq!(found, taken);
        let line = |header: &Header| format!("{}: {}", header.name, String::from_utf8_lossy(&header.value));
        let lines: Vec<String> = head.headers.0.iter().skip(1).map(line).collect();
        assert_eq!((head.target.as_str(), lines), (left.0, left.1.iter().map(|l| (*l).to_owned()).collect()));
    }

    #[test]
    fn subprotocols_are_taken_out_of_their_list() {
        let take = |head: &mut RequestHead| take_subprotocols(head, TICKET_SUBPROTOCOL);
        let p = "Sec-WebSocket-Protocol";
        check(
            ("/", &format!("{p}: chat, sockwarden.ticket.a,mqtt\r\n")),
            take,
            &["a"],
            ("/", &[&format!("{p}: chat, mqtt")]),
        );
        check(
            ("/", &format!("{p}: sockwarden.ticket.a\r\n{p}: sockwarden.ticket.b\r\n")),
            take,
            &["a", "b"],
            ("/", &[]),
        );
        check(("/", &format!("{p}: chat\r\n")), take, &[], ("/", &[&format!("{p}: chat")]));
        check(
            ("/", &format!("{p}: sockwarden.ticket.a, b c\r\n")),
            take,
            &[],
            ("/", &[&format!("{p}: sockwarden.ticket.a, b c")]),
        );
        let mut head = head("/", &format!("{p}: sockwarden.v1\r\n"));
        assert!(
            take_own_subprotocol(&mut head) && head.headers.0.len() == 1 && !take_own_subprotocol(&mut head)
        );
    }

    #[test]
    fn parameters_are_taken_out_of_the_query_however_they_are_written() {
        let take = |head: &mut RequestHead| take_parameters(head, "ticket");
        check(("/a?b=1&ticket=x%2Dy&c", ""), take, &["x-y"], ("/a?b=1&c", &[]));
        check(("/a?t%69cket=1&ticket=2&ticket", ""), take, &["1", "2", ""], ("/a", &[]));
        check(("/a?tickets=1&Ticket=2", ""), take, &[], ("/a?tickets=1&Ticket=2", &[]));
        check(("/a", ""), take, &[], ("/a", &[]));
        check(("/a?ticket=%&ticket=%2&ticket=a+b", ""), take, &["%", "%2", "a b"], ("/a", &[]));
    }

    #[test]
    fn cookies_are_taken_out_of_their_field() {
        let take = |head: &mut RequestHead| take_cookies(head, "t");
        check(("/", "Cookie: a=b; t=1; c=d\r\n"), take, &["1"], ("/", &["Cookie: a=b; c=d"]));
        check(("/", "Cookie: t=1\r\nCookie: t=a=b\r\n"), take, &["1", "a=b"], ("/", &[]));
        check(("/", "Cookie: tt=1\r\n"), take, &[], ("/", &["Cookie: tt=1"]));
    }

    #[test]
    fn bearer_tokens_are_taken_and_other_schemes_left() {
        let (with, left) =
            ("Authorization: bEaRer  abc \r\nAuthorization: Basic x\r\n", "Authorization: Basic x");
        check(("/", with), take_bearers, &["abc"], ("/", &[left]));
        check(("/", "Authorization: Bearer\r\n"), take_bearers, &[], ("/", &["Authorization: Bearer"]));
    }
}
