//! The messages of Harbor's socket, as JSON text.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::{Denied, Role};
use crate::database::accounts::Account;
use crate::database::rooms::{Room, ShownPost};
use crate::database::shipments::{Pair, Shipment};

/// The longest user, room or role that is looked up, in bytes.
const MAX_NAME: usize = 64;
/// The longest password that is hashed, in bytes.
pub(crate) const MAX_PASSWORD: usize = 256;
/// The longest search, in bytes; megabytes of pattern are work that no flaw stands for.
const MAX_QUERY: usize = 4096;

/// What a client asks.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Request<'a> {
    LogIn(Credentials<'a>),
    Me,
    Account { user: Cow<'a, str> },
    Rooms,
    History { room: Cow<'a, str>, find: Option<Cow<'a, str>> },
    Join { room: Cow<'a, str> },
    Post { room: Cow<'a, str>, text: Cow<'a, str> },
    Search { q: Cow<'a, str> },
    Freight,
    Accounts,
    Grant { user: Cow<'a, str>, role: Role },
    Status,
}

/// A user and a password, as `login` carries them over the socket and over HTTP.
#[derive(Deserialize, Eq, PartialEq)]
pub(crate) struct Credentials<'a> {
    #[serde(borrow)]
    pub(crate) user: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) password: Cow<'a, str>,
}

impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The client's own mark on a request, sent back with the answer: a number, or up to 64 letters, digits, `-`
/// and `_`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Correlation {
    Number(u64),
    Text(String),
}

/// Reads a message into its correlation and the request or the reason why it is none.
pub(crate) fn read(text: &str) -> (Option<Correlation>, Result<Request<'_>, ErrorCode>) {
    let Ok(head) = serde_json::from_str::<Head<'_>>(text) else { return (None, Err(ErrorCode::BadMessage)) };
    match head.id.map(Correlation::from_json).transpose() {
        Ok(id) => (id, request(&head.kind, text)),
        Err(code) => (None, Err(code)),
    }
}

fn request<'a>(kind: &str, text: &'a str) -> Result<Request<'a>, ErrorCode> {
    Ok(match kind {
        "login" => Request::LogIn(body(text)?),
        "me" => Request::Me,
        "account" => Request::Account { user: name(body::<OfUser<'_>>(text)?.user)? },
        "rooms" => Request::Rooms,
        "history" => {
            let OfHistory { room, find } = body(text)?;
            Request::History {
                room: name(room)?,
                find: find.map(|find| limited(find, MAX_QUERY)).transpose()?,
            }
        }
        "join" => Request::Join { room: name(body::<OfRoom<'_>>(text)?.room)? },
        "post" => {
            let OfPost { room, text } = body(text)?;
            Request::Post { room: name(room)?, text }
        }
        "search" => Request::Search { q: limited(body::<OfSearch<'_>>(text)?.q, MAX_QUERY)? },
        "freight" => Request::Freight,
        "admin.accounts" => Request::Accounts,
        "admin.grant" => {
            let OfGrant { user, role } = body(text)?;
            Request::Grant { user: name(user)?, role: Role::from_name(&role).ok_or(ErrorCode::NoSuchRole)? }
        }
        "status" => Request::Status,
        _ => return Err(ErrorCode::UnknownType),
    })
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    id: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct OfUser<'a> {
    #[serde(borrow)]
    user: Cow<'a, str>,
}

#[derive(Deserialize)]
struct OfRoom<'a> {
    #[serde(borrow)]
    room: Cow<'a, str>,
}

#[derive(Deserialize)]
struct OfHistory<'a> {
    #[serde(borrow)]
    room: Cow<'a, str>,
    #[serde(borrow)]
    find: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct OfPost<'a> {
    #[serde(borrow)]
    room: Cow<'a, str>,
    #[serde(borrow)]
    text: Cow<'a, str>,
}

#[derive(Deserialize)]
struct OfSearch<'a> {
    #[serde(borrow)]
    q: Cow<'a, str>,
}

#[derive(Deserialize)]
struct OfGrant<'a> {
    #[serde(borrow)]
    user: Cow<'a, str>,
    #[serde(borrow)]
    role: Cow<'a, str>,
}

fn body<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ErrorCode> {
    serde_json::from_str(text).map_err(|_| ErrorCode::BadMessage)
}

fn name(text: Cow<'_, str>) -> Result<Cow<'_, str>, ErrorCode> {
    limited(text, MAX_NAME)
}

fn limited(text: Cow<'_, str>, limit: usize) -> Result<Cow<'_, str>, ErrorCode> {
    if text.len() <= limit { Ok(text) } else { Err(ErrorCode::TooLong) }
}

impl Correlation {
    fn from_json(value: serde_json::Value) -> Result<Self, ErrorCode> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if let Some(number) = value.as_u64() {
            return Ok(Self::Number(number));
        }
        match value.as_str() {
            Some(text) if text.len() <= 64 && text.bytes().all(plain) => Ok(Self::Text(text.to_owned())),
            _ => Err(ErrorCode::BadMessage),
        }
    }
}

/// What Harbor sends.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Reply {
    Hello { app: &'static str, user: Option<String>, role: Option<Role> },
    Welcome { user: String, role: Role },
    Account(Account),
    Rooms { rooms: Vec<Room> },
    History { room: String, posts: Vec<ShownPost> },
    Joined { room: String, listening: usize },
    Posted { room: String, post: i64, bytes: usize, words: usize },
    Chat(ShownPost),
    Results { shipments: Vec<Shipment>, more: bool },
    Freight { pairs: usize, best: Vec<Pair> },
    Accounts { accounts: Vec<Account> },
    Granted { user: String, role: Role },
    Status { seq: u64, at: i64, shipments: BTreeMap<String, u32>, wind_knots: i64, tide_cm: i64 },
    Error { code: ErrorCode, message: Cow<'static, str> },
}

impl Reply {
    /// Writes the reply as JSON, with the correlation of the request that it answers.
    pub(crate) fn to_json(&self, id: Option<&Correlation>) -> String {
        #[derive(Serialize)]
        struct Outgoing<'a> {
            #[serde(flatten)]
            reply: &'a Reply,
            #[serde(skip_serializing_if = "Option::is_none")]
            id: Option<&'a Correlation>,
        }
        // Strings, numbers and maps with string keys always have a form in JSON.
        serde_json::to_string(&Outgoing { reply: self, id }).unwrap_or_default()
    }
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ErrorCode {
    BadMessage,
    UnknownType,
    TooLong,
    NotLoggedIn,
    WrongPassword,
    Forbidden,
    NoSuchAccount,
    NoSuchRoom,
    NoSuchRole,
    SearchFailed,
    StorageFull,
    SessionEnded,
    Internal,
}

impl ErrorCode {
    /// Returns the sentence for people. It never repeats what the client sent.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::BadMessage => "This is not a message that Harbor understands.",
            Self::UnknownType => "There is no such type of message.",
            Self::TooLong => "A field is too long.",
            Self::NotLoggedIn => "Log in first.",
            Self::WrongPassword => "The user or the password is wrong.",
            Self::Forbidden => "You may not do that.",
            Self::NoSuchAccount => "There is no such account.",
            Self::NoSuchRoom => "There is no such room.",
            Self::NoSuchRole => "There is no such role.",
            Self::SearchFailed => "The search failed.",
            Self::StorageFull => "Harbor's storage is full.",
            Self::SessionEnded => "Your session has ended.",
            Self::Internal => "Something went wrong at our end.",
        }
    }
}

impl From<ErrorCode> for Reply {
    fn from(code: ErrorCode) -> Self {
        Self::Error { code, message: Cow::Borrowed(code.message()) }
    }
}

impl From<Denied> for ErrorCode {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NotLoggedIn => Self::NotLoggedIn,
            Denied::Forbidden => Self::Forbidden,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_of_message_is_read() {
        let (user, room) = (Cow::from("mara"), Cow::from("office"));
        for (text, expected) in [
            (
                r#"{"type":"login","user":"mara","password":"x"}"#,
                Request::LogIn(Credentials { user: user.clone(), password: "x".into() }),
            ),
            (r#"{"type":"me"}"#, Request::Me),
            (r#"{"type":"account","user":"mara"}"#, Request::Account { user: user.clone() }),
            (r#"{"type":"rooms","extra":1}"#, Request::Rooms),
            (r#"{"room":"office","type":"history"}"#, Request::History { room: room.clone(), find: None }),
            (
                r#"{"type":"history","room":"office","find":"tugs"}"#,
                Request::History { room: room.clone(), find: Some("tugs".into()) },
            ),
            (r#"{"type":"join","room":"off\u0069ce"}"#, Request::Join { room: room.clone() }),
            (r#"{"type":"post","room":"office","text":"hi"}"#, Request::Post { room, text: "hi".into() }),
            (r#"{"type":"search","q":"rice"}"#, Request::Search { q: "rice".into() }),
            (r#"{"type":"freight"}"#, Request::Freight),
            (r#"{"type":"admin.accounts"}"#, Request::Accounts),
            (
                r#"{"type":"admin.grant","user":"mara","role":"admin"}"#,
                Request::Grant { user, role: Role::Admin },
            ),
            (r#"{"type":"status"}"#, Request::Status),
        ] {
            assert_eq!(read(text), (None, Ok(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_no_message_is_told_apart() {
        let long = format!(r#"{{"type":"account","user":"{}"}}"#, "x".repeat(65));
        for (text, expected) in [
            ("", ErrorCode::BadMessage),
            ("hello", ErrorCode::BadMessage),
            ("[]", ErrorCode::BadMessage),
            (r#"{"type":1}"#, ErrorCode::BadMessage),
            (r#"{"type":"post","room":"office"}"#, ErrorCode::BadMessage),
            (r#"{"type":"account","user":["mara"]}"#, ErrorCode::BadMessage),
            (r#"{"type":"hello"}"#, ErrorCode::UnknownType),
            (r#"{"type":"Me"}"#, ErrorCode::UnknownType),
            (r#"{"type":"admin.grant","user":"mara","role":"god"}"#, ErrorCode::NoSuchRole),
            (r#"{"type":"me","id":"<b>"}"#, ErrorCode::BadMessage),
            (r#"{"type":"me","id":-1}"#, ErrorCode::BadMessage),
            (&long, ErrorCode::TooLong),
        ] {
            assert_eq!(read(text), (None, Err(expected)), "{text}");
        }
    }

    #[test]
    fn a_correlation_comes_back_with_the_answer() {
        for (text, expected) in [
            (r#"{"type":"me","id":7}"#, r#"{"type":"welcome","user":"mara","role":"member","id":7}"#),
            (r#"{"type":"me","id":"a-1"}"#, r#"{"type":"welcome","user":"mara","role":"member","id":"a-1"}"#),
            (r#"{"type":"me"}"#, r#"{"type":"welcome","user":"mara","role":"member"}"#),
        ] {
            let (id, _) = read(text);
            let reply = Reply::Welcome { user: "mara".into(), role: Role::Member };
            assert_eq!(reply.to_json(id.as_ref()), expected);
        }
    }

    #[test]
    fn an_error_has_a_code_and_a_sentence() {
        assert_eq!(
            Reply::from(ErrorCode::NotLoggedIn).to_json(None),
            r#"{"type":"error","code":"not-logged-in","message":"Log in first."}"#
        );
    }
}
