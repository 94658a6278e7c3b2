//! The values of a message one by one, by the kind of variable that they fill.

use sockwarden_model::Direction;

use crate::message::{Fields, Handshake, Message};
use crate::target::{Target, Variable};

/// The kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Arg,
    ArgName,
    Query,
    QueryName,
    Body,
    Header,
    HeaderName,
    Cookie,
    CookieName,
    Uri,
    UriRaw,
    Filename,
    Basename,
    QueryString,
}

impl Class {
    pub(crate) const ALL: [Self; 14] = [
        Self::Arg,
        Self::ArgName,
        Self::Query,
        Self::QueryName,
        Self::Body,
        Self::Header,
        Self::HeaderName,
        Self::Cookie,
        Self::CookieName,
        Self::Uri,
        Self::UriRaw,
        Self::Filename,
        Self::Basename,
        Self::QueryString,
    ];

    pub(crate) const fn bit(self) -> u16 {
        1 << self as u16
    }

    /// The variable that a match is told by.
    pub(crate) fn variable(self, direction: Direction) -> Variable {
        match self {
            Self::Arg | Self::Query => Variable::Args,
            Self::ArgName | Self::QueryName => Variable::ArgsNames,
            Self::Body => match direction {
                Direction::Client => Variable::RequestBody,
                Direction::Server => Variable::ResponseBody,
            },
            Self::Header => Variable::RequestHeaders,
            Self::HeaderName => Variable::RequestHeadersNames,
            Self::Cookie => Variable::RequestCookies,
            Self::CookieName => Variable::RequestCookiesNames,
            Self::Uri => Variable::RequestUri,
            Self::UriRaw => Variable::RequestUriRaw,
            Self::Filename => Variable::RequestFilename,
            Self::Basename => Variable::RequestBasename,
            Self::QueryString => Variable::QueryString,
        }
    }

    /// Its values are names.
    pub(crate) fn is_name(self) -> bool {
        matches!(self, Self::ArgName | Self::QueryName | Self::HeaderName | Self::CookieName)
    }

    /// It comes with the message, not with the handshake.
    pub(crate) fn of_message(self) -> bool {
        matches!(self, Self::Arg | Self::ArgName | Self::Body)
    }
}

/// The kinds of values that fill a variable, as bits; `None` where it is filled while rules are evaluated.
pub(crate) fn classes(variable: Variable, direction: Direction) -> Option<u16> {
    let client = |classes: &[Class]| match direction {
        Direction::Client => classes.iter().fold(0, |bits, class| bits | class.bit()),
        Direction::Server => 0,
    };
    Some(match variable {
        Variable::Args => client(&[Class::Arg, Class::Query]),
        Variable::ArgsNames => client(&[Class::ArgName, Class::QueryName]),
        Variable::ArgsGet => client(&[Class::Query]),
        Variable::ArgsGetNames => client(&[Class::QueryName]),
        Variable::ArgsPost => client(&[Class::Arg]),
        Variable::ArgsPostNames => client(&[Class::ArgName]),
        Variable::RequestBody => client(&[Class::Body]),
        Variable::ResponseBody => match direction {
            Direction::Client => 0,
            Direction::Server => Class::Body.bit(),
        },
        Variable::RequestHeaders => client(&[Class::Header]),
        Variable::RequestHeadersNames => client(&[Class::HeaderName]),
        Variable::RequestCookies => client(&[Class::Cookie]),
        Variable::RequestCookiesNames => client(&[Class::CookieName]),
        Variable::RequestUri => client(&[Class::Uri]),
        Variable::RequestUriRaw => client(&[Class::UriRaw]),
        Variable::RequestFilename => client(&[Class::Filename]),
        Variable::RequestBasename => client(&[Class::Basename]),
        Variable::QueryString => client(&[Class::QueryString]),
        Variable::ArgsCombinedSize
        | Variable::RequestBodyLength
        | Variable::MatchedVar
        | Variable::MatchedVarName
        | Variable::MatchedVars
        | Variable::MatchedVarsNames
        | Variable::Tx
        | Variable::RemoteAddr
        | Variable::Foreign(_) => return None,
    })
}

/// Tells whether a target means a value of this kind and name.
pub(crate) fn covers(target: &Target, class: Class, name: &[u8], direction: Direction) -> bool {
    classes(target.variable, direction).is_some_and(|bits| bits & class.bit() != 0)
        && target.selector.selects(name)
}

/// One value: its kind, its number within it, its name and what it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) class: Class,
    pub(crate) number: u32,
    pub(crate) name: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// Gives each value of a kind.
pub(crate) fn of_class<'a>(message: &Message<'a>, class: Class) -> impl Iterator<Item = Subject<'a>> {
    let handshake = message.handshake;
    let of = |part: fn(&'a Handshake) -> &'a Fields| handshake.map(part);
    let (fields, names): (Option<&'a Fields>, bool) = match class {
        Class::Arg => (Some(message.fields), false),
        Class::ArgName => (Some(message.fields), true),
        Class::Query => (of(|one| &one.query), false),
        Class::QueryName => (of(|one| &one.query), true),
        Class::Header => (of(|one| &one.headers), false),
        Class::HeaderName => (of(|one| &one.headers), true),
        Class::Cookie => (of(|one| &one.cookies), false),
        Class::CookieName => (of(|one| &one.cookies), true),
        Class::Body | Class::Uri | Class::UriRaw | Class::Filename | Class::Basename | Class::QueryString => {
            (None, false)
        }
    };
    let single: Option<&'a [u8]> = match class {
        Class::Body => Some(message.body),
        Class::Uri | Class::UriRaw => handshake.map(|one| one.target.as_slice()),
        Class::Filename => handshake.map(Handshake::path),
        Class::Basename => handshake.map(Handshake::base),
        Class::QueryString => handshake.map(Handshake::query_text),
        Class::Arg
        | Class::ArgName
        | Class::Query
        | Class::QueryName
        | Class::Header
        | Class::HeaderName
        | Class::Cookie
        | Class::CookieName => None,
    };
    let count = fields.map_or(0, Fields::len);
    let many = (0..count).map(move |number| {
        let (name, value) = fields.map_or((&b""[..], &b""[..]), |fields| fields.get(number));
        Subject {
            class,
            number: u32::try_from(number).unwrap_or(u32::MAX),
            name,
            value: if names { name } else { value },
        }
    });
    many.chain(single.map(|value| Subject { class, number: 0, name: b"", value }))
}
