//! Which route a request takes.
//!
//! A route is for requests of a host, of a path and of a sub-protocol; what it does not say, it leaves open. Of the routes
//! that fit, the most specific is taken. They are compared by the first of these that tells them apart:
//!
//! 1. host: an exact one, then `*.…` with more labels before fewer, then none;
//! 2. path, segment by segment from the left: a literal segment, then `*`, then the end of the path, then `**`, with a
//!    prefix counted as a path that ends in `**`;
//! 3. sub-protocol: one, then none;
//! 4. the place in the configuration: the first.
//!
//! A path that reads differently once it is decoded (`%2e%2e`, `//`, `\`, `;`) must lead to the same route both ways:
//! nobody knows which way the application reads it, and a route's defences are not to be walked around.

use std::cmp::{Ordering, Reverse};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_proto::{Origin, handshake::is_token};

use crate::config::RouteConfig;

/// The most segments of a route's path.
const MOST_SEGMENTS: usize = 32;

/// How a route's path is compared with that of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PathMatch {
    /// The path and everything below it, by whole segments.
    #[default]
    Prefix,
    /// The path and no other.
    Exact,
    /// As it is written, but `*` stands for any one segment and `**` for any number of them.
    Glob,
}

impl PathMatch {
    /// Names it as the configuration spells it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Prefix => "prefix",
            Self::Exact => "exact",
            Self::Glob => "glob",
        }
    }
}

/// Which requests a route is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matcher {
    host: HostPattern,
    path: PathPattern,
    subprotocol: Option<String>,
}

/// What of a request decides its route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The host that the client asked for, perhaps with a port.
    pub(crate) host: Option<&'a str>,
    /// The request's target, with its query.
    pub(crate) target: &'a str,
    /// The sub-protocols that it offers.
    pub(crate) subprotocols: &'a [String],
}

/// What of a route is no pattern.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MatchError {
    #[error("`{0}` is no host such as `app.example` or `*.app.example`, without a port")]
    Host(String),
    #[error("a path begins with `/` and has no query")]
    PathForm,
    #[error("a path has no `.`, `..` or empty segment, plain or encoded")]
    PathSegments,
    #[error("a path has at most {MOST_SEGMENTS} segments")]
    PathLength,
    #[error("`*` and `**` stand for whole segments")]
    PartialWildcard,
    #[error("`*` is a wildcard with `match = \"glob\"` only")]
    WildcardWithoutGlob,
    #[error("`{0}` is no sub-protocol")]
    Subprotocol(String),
}

impl MatchError {
    /// The key of the route that is wrong.
    pub(crate) const fn key(&self) -> &'static str {
        match self {
            Self::Host(_) => "host",
            Self::PathForm
            | Self::PathSegments
            | Self::PathLength
            | Self::PartialWildcard
            | Self::WildcardWithoutGlob => "path",
            Self::Subprotocol(_) => "subprotocol",
        }
    }
}

/// Why a request has no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unrouted {
    /// None is for it.
    NoRoute,
    /// Its path, once decoded, would lead elsewhere.
    Ambiguous,
}

impl Matcher {
    /// Reads what a route says about its requests.
    pub(crate) fn new(config: &RouteConfig) -> Result<Self, MatchError> {
        let subprotocol = config.subprotocol.clone();
        if let Some(name) = subprotocol.as_ref().filter(|name| !is_token(name.as_bytes())) {
            return Err(MatchError::Subprotocol(name.clone()));
        }
        Ok(Self {
            host: HostPattern::new(config.host.as_deref())?,
            path: PathPattern::new(&config.path, config.path_match)?,
            subprotocol,
        })
    }

    /// Orders the more specific before the less specific.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let by_host = self.host.rank().cmp(&other.host.rank());
        by_host
            .then_with(|| self.path.compare(&other.path))
            .then_with(|| self.subprotocol.is_none().cmp(&other.subprotocol.is_none()))
    }

    /// Tells whether every request that `other` is for is one of these too; a no may be wrong where globs are intricate.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.host.covers(&other.host)
            && covers(&self.path.written, other.path.written.iter().map(Segment::as_symbol))
            && (self.subprotocol.is_none() || self.subprotocol == other.subprotocol)
    }

    fn fits(&self, request: &Request<'_>, path: Reading) -> bool {
        self.host.fits(request.host.as_deref())
            && match path {
                Reading::Written => covers(&self.path.written, literals(request.written)),
                Reading::Plain => covers(&self.path.plain, request.plain.iter().flat_map(|p| literals(p))),
            }
            && self.subprotocol.as_ref().is_none_or(|name| request.subprotocols == std::slice::from_ref(name))
    }
}

/// Chooses among matchers that are given the most specific first, and tells the place of the one that is taken.
pub(crate) fn choose<'m>(
    matchers: impl Iterator<Item = &'m Matcher> + Clone,
    asked: &Asked<'_>,
) -> Result<usize, Unrouted> {
    let request = Request::new(asked);
    let first = |reading| matchers.clone().position(|matcher| matcher.fits(&request, reading));
    let written = first(Reading::Written);
    if request.plain.is_some() && first(Reading::Plain) != written {
        return Err(Unrouted::Ambiguous);
    }
    written.ok_or(Unrouted::NoRoute)
}

/// Tells whether a path, as it is written or decoded, lies in the part of every site that is the gateway's own.
pub(crate) fn is_reserved(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let written = path.strip_prefix('/').unwrap_or(path);
    [written, &plain(written)].iter().any(|path| {
        let mut segments = path.split('/');
        (segments.next(), segments.next()) == (Some(".well-known"), Some("sockwarden"))
    })
}

/// A request, prepared to be compared with many routes.
struct Request<'a> {
    host: Option<String>,
    /// The path as it was sent, without its first `/`.
    written: &'a str,
    /// The path decoded, where that makes a difference.
    plain: Option<String>,
    subprotocols: &'a [String],
}

#[derive(Clone, Copy)]
enum Reading {
    Written,
    Plain,
}

impl<'a> Request<'a> {
    fn new(asked: &Asked<'a>) -> Self {
        let path = asked.target.split('?').next().unwrap_or_default();
        let written = path.strip_prefix('/').unwrap_or(path);
        let plain = plain(written);
        Self {
            host: asked.host.and_then(bare_host),
            written,
            plain: (plain != written).then_some(plain),
            subprotocols: asked.subprotocols,
        }
    }
}

/// Reads a path as the most obliging of applications would: decoded once, backslashes as slashes, parameters cut off,
/// empty segments left out, dot segments resolved (RFC 3986 §5.2.4).
fn plain(path: &str) -> String {
    let decoded = decoded(path).replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in decoded.split('/') {
        let segment = segment.split(';').next().unwrap_or_default();
        ends_open = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    let mut path = segments.join("/");
    if ends_open && !path.is_empty() {
        path.push('/');
    }
    path
}

/// Decodes what is percent-encoded; bytes that are no text become the replacement character, which is in no route.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|&b| char::from(b).to_digit(16));
        rest = match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                &after[2..]
            }
            _ => {
                bytes.push(byte);
                after
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A host in lower case, without port and final dot; `None` where it is none.
fn bare_host(host: &str) -> Option<String> {
    let origin: Origin = format!("https://{host}").parse().ok()?;
    Some(origin.host.strip_suffix('.').unwrap_or(&origin.host).to_owned())
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostPattern {
    Any,
    /// Everything below a domain, and not the domain itself.
    Below(String),
    Exactly(String),
}

impl HostPattern {
    fn new(text: Option<&str>) -> Result<Self, MatchError> {
        let Some(text) = text else { return Ok(Self::Any) };
        let (name, is_wild) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let wrong = || MatchError::Host(text.to_owned());
        let origin: Origin = format!("https://{name}").parse().map_err(|_| wrong())?;
        let is_address = name.starts_with('[');
        if (name.contains(':') && !is_address) || name.contains("]:") || (is_wild && is_address) {
            return Err(wrong());
        }
        let host = origin.host.strip_suffix('.').unwrap_or(&origin.host).to_owned();
        Ok(if is_wild { Self::Below(host) } else { Self::Exactly(host) })
    }

    fn fits(&self, host: Option<&str>) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Below(domain), Some(host)) => is_below(host, domain),
            (Self::Exactly(name), Some(host)) => name == host,
            (Self::Below(_) | Self::Exactly(_), None) => false,
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Below(domain), Self::Below(lower)) => lower == domain || is_below(lower, domain),
            (_, Self::Exactly(name)) => self.fits(Some(name)),
            (Self::Below(_) | Self::Exactly(_), Self::Any) | (Self::Exactly(_), Self::Below(_)) => false,
        }
    }

    fn rank(&self) -> (u8, Reverse<usize>) {
        match self {
            Self::Exactly(_) => (0, Reverse(0)),
            Self::Below(domain) => (1, Reverse(domain.split('.').count())),
            Self::Any => (2, Reverse(0)),
        }
    }
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// A path by its segments, as it is written and decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PathPattern {
    written: Vec<Segment>,
    plain: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// The same text; empty at the end of a path that ends in `/`.
    Literal(String),
    /// Any one that is not empty.
    One,
    /// Any number of any.
    Any,
}

/// What a pattern is held against: a segment of a path, or of another pattern.
#[derive(Clone, Copy)]
enum Symbol<'a> {
    Literal(&'a str),
    One,
    Any,
}

impl Segment {
    fn as_symbol(&self) -> Symbol<'_> {
        match self {
            Self::Literal(text) => Symbol::Literal(text),
            Self::One => Symbol::One,
            Self::Any => Symbol::Any,
        }
    }
}

impl PathPattern {
    fn new(text: &str, kind: PathMatch) -> Result<Self, MatchError> {
        let path = text.strip_prefix('/').ok_or(MatchError::PathForm)?;
        if path.contains(['?', '#']) {
            return Err(MatchError::PathForm);
        }
        let (path, is_prefix) = match kind {
            PathMatch::Prefix => (path.trim_end_matches('/'), true),
            PathMatch::Exact | PathMatch::Glob => (path, false),
        };
        let mut written = Vec::new();
        let mut names = if is_prefix && path.is_empty() { None } else { Some(path.split('/')) };
        let mut names = names.iter_mut().flatten().peekable();
        while let Some(name) = names.next() {
            written.push(match (name, kind) {
                ("*", PathMatch::Glob) => Segment::One,
                // Two in a row say no more than one.
                ("**", PathMatch::Glob) if written.last() == Some(&Segment::Any) => continue,
                ("**", PathMatch::Glob) => Segment::Any,
                (name, PathMatch::Glob) if name.contains('*') => return Err(MatchError::PartialWildcard),
                (name, _) if name.contains('*') => return Err(MatchError::WildcardWithoutGlob),
                ("", _) if names.peek().is_none() => Segment::Literal(String::new()),
                (name, _) => {
                    // A route that is read in two ways would be taken by nobody.
                    let decoded = decoded(name);
                    if name.is_empty() || plain(name) != decoded || decoded.contains('/') {
                        return Err(MatchError::PathSegments);
                    }
                    Segment::Literal(name.to_owned())
                }
            });
        }
        if is_prefix {
            written.push(Segment::Any);
        }
        if written.len() > MOST_SEGMENTS {
            return Err(MatchError::PathLength);
        }
        let plain = written
            .iter()
            .map(|segment| match segment {
                Segment::Literal(text) => Segment::Literal(decoded(text)),
                wild @ (Segment::One | Segment::Any) => wild.clone(),
            })
            .collect();
        Ok(Self { written, plain })
    }

    fn compare(&self, other: &Self) -> Ordering {
        let rank = |segment: Option<&Segment>| match segment {
            Some(Segment::Literal(_)) => 0,
            Some(Segment::One) => 1,
            None => 2,
            Some(Segment::Any) => 3,
        };
        let longest = self.written.len().max(other.written.len());
        (0..longest)
            .map(|at| rank(self.written.get(at)).cmp(&rank(other.written.get(at))))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

fn literals(path: &str) -> impl Iterator<Item = Symbol<'_>> {
    path.split('/').map(Symbol::Literal)
}

/// Tells whether a pattern is for every path that `symbols` stand for; for a path itself that is whether it fits. A no about
/// the wildcards of another pattern may be wrong, a yes never is.
///
/// The pattern's places that have been reached are the bits of one number, so that the work is that of pattern times path.
fn covers<'a>(pattern: &[Segment], symbols: impl Iterator<Item = Symbol<'a>>) -> bool {
    // A place before `**` is also one behind it.
    let settle = |mut places: u64| {
        for (at, segment) in pattern.iter().enumerate() {
            if *segment == Segment::Any && places & (1 << at) != 0 {
                places |= 1 << (at + 1);
            }
        }
        places
    };
    let mut places = settle(1);
    for symbol in symbols {
        let mut next = 0;
        for (at, segment) in pattern.iter().enumerate().filter(|(at, _)| places & (1 << at) != 0) {
            next |= match (segment, symbol) {
                (Segment::Any, _) => 1 << at,
                (Segment::One, Symbol::One) => 2 << at,
                (Segment::One, Symbol::Literal(name)) if !name.is_empty() => 2 << at,
                (Segment::Literal(text), Symbol::Literal(name)) if text == name => 2 << at,
                (Segment::One | Segment::Literal(_), Symbol::Literal(_) | Symbol::One | Symbol::Any) => 0,
            };
        }
        places = settle(next);
        if places == 0 {
            return false;
        }
    }
    places & (1 << pattern.len()) != 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Auth;

    /// A route as `[host]/path[ sub-protocol]`; a path with `*` is a glob, one after `=` exact.
    fn matcher(text: &str) -> Result<Matcher, MatchError> {
        let (place, subprotocol) = match text.split_once(' ') {
            Some((place, name)) => (place, Some(name.to_owned())),
            None => (text, None),
        };
        let (host, path) = place.split_at(place.find('/').unwrap_or(0));
        let (host, path_match) = match host.strip_suffix('=') {
            Some(host) => (host, PathMatch::Exact),
            None if path.contains('*') => (host, PathMatch::Glob),
            None => (host, PathMatch::Prefix),
        };
        Matcher::new(&RouteConfig {
            host: (!host.is_empty()).then(|| host.to_owned()),
            path: path.to_owned(),
            path_match,
            subprotocol,
            ..RouteConfig::new("r", "ws://127.0.0.1:1", Auth::NONE)
        })
    }

    fn chosen<'r>(routes: &[&'r str], request: &str) -> Result<&'r str, Unrouted> {
        let mut sorted: Vec<_> = routes.iter().map(|route| (*route, matcher(route).unwrap())).collect();
        sorted.sort_by(|(_, left), (_, right)| left.compare(right));
        let (place, offered) = request.split_once(' ').unwrap_or((request, ""));
        let (host, target) = place.split_at(place.find('/').unwrap());
        let subprotocols: Vec<String> =
            offered.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let host = (!host.is_empty()).then_some(host);
        let asked = Asked { host, target, subprotocols: &subprotocols };
        choose(sorted.iter().map(|(_, matcher)| matcher), &asked).map(|place| sorted[place].0)
    }

    #[test]
    fn the_most_specific_route_is_taken_wherever_it_stands() {
        let check = |routes: &[&str], request: &str, expected: &str| {
            assert_eq!(chosen(routes, request), Ok(expected), "{request} of {routes:?}");
            let reversed: Vec<_> = routes.iter().rev().copied().collect();
            assert_eq!(chosen(&reversed, request), Ok(expected), "{request} of {reversed:?}");
        };
        let paths = ["/", "/chat", "/chat/admin/", "=/chat", "/chat/*", "/chat/*/log", "/**/log"];
        for (request, expected) in [
            ("/", "/"),
            ("/chatter", "/"),
            ("/chat", "=/chat"),
            ("/chat?x=/chat/admin", "=/chat"),
            ("/chat/", "/chat"),
            ("/chat/1", "/chat/*"),
            ("/chat/1/2", "/chat"),
            ("/chat/1/log", "/chat/*/log"),
            ("/chat/admin", "/chat/admin/"),
            ("/chat/admin/x", "/chat/admin/"),
            ("/chat/admin/log", "/chat/admin/"),
            ("/log", "/**/log"),
            ("/a/b/log", "/**/log"),
            ("/Chat", "/"),
        ] {
            check(&paths, request, expected);
        }
        let hosts = ["/chat/x", "*.example/", "*.app.example/", "app.example/", "app.example/chat", "[::1]/"];
        for (request, expected) in [
            ("app.example/chat/x", "app.example/chat"),
            ("APP.example.:8443/", "app.example/"),
            ("a.app.example/chat/x", "*.app.example/"),
            ("b.a.app.example/", "*.app.example/"),
            ("notapp.example/", "*.example/"),
            ("[0::1]:80/", "[::1]/"),
            ("elsewhere/chat/x", "/chat/x"),
            ("/chat/x", "/chat/x"),
        ] {
            check(&hosts, request, expected);
        }
        let protocols = ["/", "/ chat.v1", "/ chat.v2", "/admin"];
        check(&protocols, "/x chat.v1", "/ chat.v1");
        check(&protocols, "/x chat.v2", "/ chat.v2");
        check(&protocols, "/x chat.v1,chat.v2", "/");
        check(&protocols, "/x Chat.v1", "/");
        check(&protocols, "/x", "/");
        check(&protocols, "/admin chat.v1", "/admin");
    }

    #[test]
    fn the_gateways_own_paths_are_known_however_they_are_written() {
        let check = |target: &str, expected| assert_eq!(is_reserved(target), expected, "{target}");
        check("/.well-known/sockwarden", true);
        check("/.well-known/sockwarden/ticket?a", true);
        check("/%2ewell-known/%73ockwarden/ticket", true);
        check("//.well-known//sockwarden/ticket", true);
        check("/a/../.well-known/sockwarden;b/ticket", true);
        check("/.well-known\\sockwarden/ticket", true);
        check("/.well-known/sockwarden2", false);
        check("/.well-known/security.txt", false);
        check("/a/.well-known/sockwarden", false);
        check("/?/.well-known/sockwarden", false);
    }

    #[test]
    fn of_equals_the_first_is_taken() {
        assert_eq!(chosen(&["/**/a/**", "/**/b/**"], "/a/b"), Ok("/**/a/**"));
        assert_eq!(chosen(&["/**/b/**", "/**/a/**"], "/a/b"), Ok("/**/b/**"));
    }

    #[test]
    fn what_no_route_is_for_has_none() {
        let check = |routes: &[&str], request: &str| {
            assert_eq!(chosen(routes, request), Err(Unrouted::NoRoute), "{request} of {routes:?}");
        };
        check(&["/chat"], "/");
        check(&["=/chat"], "/chat/");
        check(&["=/"], "/x");
        check(&["/a/*"], "/a");
        check(&["/a/*"], "/a/");
        check(&["*.example/"], "example/");
        check(&["app.example/"], "a!b/");
        check(&["app.example/"], "/");
        check(&["app.example/"], "app.example.evil/");
        check(&["/ chat"], "/");
    }

    #[test]
    fn a_path_that_can_be_read_in_two_ways_does_not_walk_around_a_route() {
        let routes = ["/", "/admin", "/caf%C3%A9", "/open/*"];
        let check = |request: &str, expected| assert_eq!(chosen(&routes, request), expected, "{request}");
        for request in [
            "/x/../admin",
            "/x/%2e%2E/admin",
            "/./admin",
            "//admin",
            "/%61dmin",
            "/admin;x=1",
            "/x/..\\admin",
            "/x/..%5cadmin",
            "/x%2f..%2fadmin/users",
            "/admin/..",
            "/open/a%2Fb",
            "/caf%c3%a9",
        ] {
            check(request, Err(Unrouted::Ambiguous));
        }
        check("/admin/a%20b", Ok("/admin"));
        check("/admin/x//y", Ok("/admin"));
        check("/admin/%FF", Ok("/admin"));
        check("/caf%C3%A9", Ok("/caf%C3%A9"));
        check("/x%2Fy", Ok("/"));
        check("/admin%2f..", Ok("/"));
        check("/100%", Ok("/"));
        check("/?next=/../admin", Ok("/"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        use MatchError as E;
        let check = |text: &str, expected: E| assert_eq!(matcher(text), Err(expected), "{text}");
        for host in ["a..b", "app.example:80", "*", "*.", "a.*.example", "*.[::1]", "[::1]:80", "http:"] {
            check(&format!("{host}/"), E::Host(host.to_owned()));
        }
        check("", E::PathForm);
        check("/a?b", E::PathForm);
        check("/a#b", E::PathForm);
        check("/a/../b", E::PathSegments);
        check("/a//b", E::PathSegments);
        check("/%2e/b", E::PathSegments);
        check("/a%2fb", E::PathSegments);
        check("/a;b", E::PathSegments);
        check("/a\\b", E::PathSegments);
        check("/room-*", E::PartialWildcard);
        check("/a/***", E::PartialWildcard);
        check("=/a/*", E::WildcardWithoutGlob);
        check("/a b/c", E::Subprotocol("b/c".to_owned()));
        check(&"/a".repeat(MOST_SEGMENTS + 1), E::PathLength);
        assert!(matcher(&"/a".repeat(MOST_SEGMENTS - 1)).is_ok());
    }

    #[test]
    fn what_one_route_leaves_to_another_is_known() {
        let check = |left: &str, right: &str, expected| {
            assert_eq!(
                matcher(left).unwrap().covers(&matcher(right).unwrap()),
                expected,
                "{left} of {right}"
            );
        };
        check("/", "/a", true);
        check("/a", "/", false);
        check("/a", "/a/**", true);
        check("/a/**", "/a", true);
        check("/a/*", "=/a/b", true);
        check("/a/*", "=/a/", false);
        // True in fact, but not seen.
        check("/*/**", "/**/b/c", false);
        check("/*/**", "/**", false);
        check("/**/b", "/a/**/b", true);
        check("*.example/", "a.example/x", true);
        check("*.example/", "*.a.example/", true);
        check("*.a.example/", "*.example/", false);
        check("*.example/", "/", false);
        check("/", "/ chat", true);
        check("/ chat", "/", false);
        check("/ chat", "/a chat", true);
    }

    fn pattern() -> impl Strategy<Value = Vec<Segment>> {
        let segment = prop_oneof!["[ab]".prop_map(Segment::Literal), Just(Segment::One), Just(Segment::Any),];
        prop::collection::vec(segment, 0..5)
    }

    /// The meaning of a pattern, by definition.
    fn fits(pattern: &[Segment], path: &[String]) -> bool {
        match pattern.split_first() {
            None => path.is_empty(),
            Some((Segment::Any, rest)) => (0..=path.len()).any(|taken| fits(rest, &path[taken..])),
            Some((Segment::One, rest)) => {
                path.first().is_some_and(|p| !p.is_empty()) && fits(rest, &path[1..])
            }
            Some((Segment::Literal(text), rest)) => path.first() == Some(text) && fits(rest, &path[1..]),
        }
    }

    proptest! {
        #[test]
        fn a_pattern_fits_what_its_definition_says(
            pattern in pattern(), path in prop::collection::vec("[abc]?", 0..6),
        ) {
            let symbols = path.iter().map(|name| Symbol::Literal(name));
            prop_assert_eq!(covers(&pattern, symbols), fits(&pattern, &path));
        }

        #[test]
        fn a_pattern_that_covers_another_fits_whatever_that_fits(
            wide in pattern(), narrow in pattern(), path in prop::collection::vec("[ab]", 0..6),
        ) {
            let covered = covers(&wide, narrow.iter().map(Segment::as_symbol));
            prop_assert!(!covered || !fits(&narrow, &path) || fits(&wide, &path));
        }

        #[test]
        fn no_target_makes_it_panic(target in "/[a%2eE5cf./;*\\\\ \u{e9}]{0,30}", host in ".{0,12}") {
            let routes = [matcher("/a").unwrap(), matcher("/**/a").unwrap(), matcher("/").unwrap()];
            let asked = Asked { host: Some(&host), target: &target, subprotocols: &[] };
            prop_assert!(choose(routes.iter(), &asked) != Err(Unrouted::NoRoute));
        }
    }
}
