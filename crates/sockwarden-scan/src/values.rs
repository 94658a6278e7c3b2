//! What messages tell: their values, compared between connections.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::exchange::Message;

/// The values of some messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values(BTreeSet<Value>);

/// One value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Value {
    /// The kind of message and the keys that lead to it, joined by dots; list positions are left out. Empty for a word of a
    /// plain text.
    pub(crate) path: String,
    /// The value as text.
    pub(crate) text: String,
}

/// How many values of one connection are compared.
const MAX_VALUES: usize = 20_000;
/// How much of one message is looked at.
const MAX_MESSAGE: usize = 1 << 20;

impl Values {
    /// Collects the values of `messages`.
    pub(crate) fn of<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Self {
        let mut values = Self::default();
        for message in messages {
            values.add(&message.payload[..message.payload.len().min(MAX_MESSAGE)]);
        }
        values
    }

    fn add(&mut self, payload: &[u8]) {
        if let Some(json) = json(payload) {
            self.walk(kind_of(&json).unwrap_or_default(), &json);
            return;
        }
        let text = String::from_utf8_lossy(payload);
        let words = text.split(|c: char| !c.is_alphanumeric() && !"@._-+".contains(c));
        for word in words.map(|word| word.trim_matches(['.', '-'])).filter(|word| word.len() >= 3) {
            self.insert("", word.to_owned());
        }
    }

    fn walk(&mut self, path: &str, json: &Json) {
        match json {
            Json::Null => {}
            Json::Bool(truth) => self.insert(path, truth.to_string()),
            Json::Number(number) => self.insert(path, number.to_string()),
            Json::String(text) => self.insert(path, text.clone()),
            Json::Array(items) => items.iter().for_each(|item| self.walk(path, item)),
            Json::Object(fields) => {
                for (key, value) in fields {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.walk(&path, value);
                }
            }
        }
    }

    fn insert(&mut self, path: &str, text: String) {
        if !text.is_empty() && self.0.len() < MAX_VALUES {
            self.0.insert(Value { path: path.to_owned(), text });
        }
    }

    /// Gives the values that both have.
    pub(crate) fn common(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// Gives the values that `other` does not have.
    pub(crate) fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).cloned().collect())
    }

    /// Gives the values of both.
    pub(crate) fn and(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// Leaves out what merely comes back: values that stand in what was said, or that hold all of it.
    pub(crate) fn without_echo<S: AsRef<str>>(&self, said: &[S]) -> Self {
        let mut said_values = Self::default();
        said.iter().for_each(|text| said_values.add(text.as_ref().as_bytes()));
        let spoken: BTreeSet<&str> = said_values.0.iter().map(|value| value.text.as_str()).collect();
        let echoes = |value: &Value| {
            spoken.contains(value.text.as_str())
                || said.iter().any(|text| !text.as_ref().is_empty() && value.text.contains(text.as_ref()))
        };
        Self(self.0.iter().filter(|value| !echoes(value)).cloned().collect())
    }

    /// Keeps the values that tell something about someone: texts of three letters, numbers of four digits or with a
    /// fraction. Flags, small counts and the words that shape a message tell nothing by themselves.
    pub(crate) fn telling(&self) -> Self {
        Self(self.0.iter().filter(|value| value.is_telling()).cloned().collect())
    }

    /// Leaves out what holds a digit: identifiers, times and counts, which differ between any two answers.
    pub(crate) fn wordy(&self) -> Self {
        let wordy = |value: &&Value| !value.text.contains(|c: char| c.is_ascii_digit());
        Self(self.0.iter().filter(wordy).cloned().collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Value> {
        self.0.iter()
    }

    /// Names the places of the first values, never the values themselves: `email, balance and 3 more`.
    pub(crate) fn places(&self) -> String {
        let mut places: Vec<&str> = Vec::new();
        for value in &self.0 {
            let place = if value.path.is_empty() { "a word of a text" } else { value.path.as_str() };
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let shown: Vec<String> =
            places.iter().take(4).map(|place| sockwarden_model::printable(place.as_bytes(), 40)).collect();
        let list = shown.join(", ");
        if places.len() > 4 { format!("{list} and {} more", places.len() - 4) } else { list }
    }
}

impl Value {
    /// Gives the last key of the path, in lower case.
    pub(crate) fn key(&self) -> String {
        self.path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase()
    }

    fn is_telling(&self) -> bool {
        const SHAPE: [&str; 14] = [
            "type", "event", "op", "action", "status", "code", "kind", "method", "jsonrpc", "version", "ok",
            "channel", "topic", "error",
        ];
        if !self.path.is_empty() && SHAPE.contains(&self.key().as_str()) {
            return false;
        }
        match self.text.parse::<f64>() {
            Ok(_) => self.text.contains('.') || self.text.trim_start_matches('-').len() >= 4,
            Err(_) => {
                self.text.chars().filter(|c| c.is_alphabetic()).count() >= 3
                    && !matches!(self.text.as_str(), "true" | "false")
            }
        }
    }
}

/// Names the kind of a message: what its `type` or the like says, or the first of a list as Socket.IO sends it.
fn kind_of(json: &Json) -> Option<&str> {
    let kind = match json {
        Json::Object(fields) => {
            ["type", "event", "op", "action", "kind"].iter().find_map(|key| fields.get(*key))
        }
        Json::Array(items) => items.first(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
    };
    kind?.as_str().filter(|kind| kind.len() <= 40)
}

/// Reads a payload as JSON, after the digits that Socket.IO puts in front.
pub(crate) fn json(payload: &[u8]) -> Option<Json> {
    let digits = payload.iter().take(8).take_while(|b| b.is_ascii_digit()).count();
    let body = &payload[digits..];
    let starts = body.trim_ascii_start().first()?;
    if !matches!(starts, b'{' | b'[') {
        return None;
    }
    serde_json::from_slice(body).ok()
}

/// Tells whether a message says that something went wrong: an object with an `error` field that is not empty, or whose type is
/// an error.
pub(crate) fn is_error(payload: &[u8]) -> bool {
    let Some(Json::Object(fields)) = json(payload) else { return false };
    fields.iter().any(|(key, value)| match (key.to_ascii_lowercase().as_str(), value) {
        ("error" | "errors", value) => !matches!(value, Json::Null | Json::Bool(false)),
        ("type" | "event" | "status" | "op" | "kind", Json::String(text)) => {
            let text = text.to_ascii_lowercase();
            ["error", "fail", "denied", "unauthorized", "unauthorised", "forbidden"]
                .iter()
                .any(|w| text.contains(w))
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use sockwarden_proto::MessageKind;

    use super::*;

    fn values(texts: &[&str]) -> Values {
        let messages: Vec<Message> = texts
            .iter()
            .map(|text| Message {
                kind: MessageKind::Text,
                payload: text.as_bytes().to_vec(),
                after_sends: 1,
                at: std::time::Duration::ZERO,
            })
            .collect();
        Values::of(&messages)
    }

    fn texts(values: &Values) -> Vec<String> {
        values
            .iter()
            .map(|v| if v.path.is_empty() { v.text.clone() } else { format!("{}={}", v.path, v.text) })
            .collect()
    }

    #[test]
    fn values_are_leaves_of_json_or_words_of_text() {
        let check = |text: &str, expected: &[&str]| assert_eq!(texts(&values(&[text])), expected, "{text}");
        check(r#"{"a":{"b":[1,"x"]},"c":true,"d":null}"#, &["a.b=1", "a.b=x", "c=true"]);
        check(r#"42["news",{"n":7}]"#, &["news=news", "news.n=7"]);
        check("Hello mara, it is 9", &["Hello", "mara"]);
        check("{not json", &["json", "not"]);
    }

    #[test]
    fn what_two_visits_share_and_nobody_else_has_is_the_victims() {
        let check = |mine: [&str; 2], nobody: &[&str], expected: &[&str]| {
            let private = values(&[mine[0]]).common(&values(&[mine[1]])).without(&values(nobody));
            assert_eq!(texts(&private.telling()), expected);
        };
        check(
            [
                r#"{"user":"mara","nonce":"8f7a","time":17000001}"#,
                r#"{"user":"mara","nonce":"11c2","time":17000009}"#,
            ],
            &[r#"{"user":"guest"}"#],
            &["user=mara"],
        );
        let hello = r#"{"type":"hello","user":"mara"}"#;
        let account = r#"{"type":"account","user":"mara"}"#;
        check([hello, hello], &[account], &["hello.user=mara"]);
        check([hello, hello], &[hello], &[]);
    }

    #[test]
    fn an_echo_tells_nothing() {
        let said = [r#"{"type":"say","text":"hello there"}"#];
        let check = |answer: &str, expected: &[&str]| {
            let telling = values(&[answer]).without_echo(&said).telling();
            assert_eq!(texts(&telling), expected, "{answer}");
        };
        check(said[0], &[]);
        check(r#"{"type":"chat","text":"hello there","from":"guest"}"#, &["chat.from=guest"]);
        check(r#"{"echo":"{\"type\":\"say\",\"text\":\"hello there\"}"}"#, &[]);
        check(r#"{"balance":1204.5,"online":3,"year":2026,"on":true}"#, &["balance=1204.5", "year=2026"]);
    }

    #[test]
    fn an_error_is_known_by_its_shape() {
        let check = |text: &str, expected| assert_eq!(is_error(text.as_bytes()), expected, "{text}");
        check(r#"{"type":"error","message":"no"}"#, true);
        check(r#"{"jsonrpc":"2.0","error":{"code":1}}"#, true);
        check(r#"{"status":"FORBIDDEN"}"#, true);
        check(r#"{"error":null,"result":1}"#, false);
        check(r#"{"text":"error"}"#, false);
        check("error", false);
    }

    #[test]
    fn places_are_named_and_values_are_not() {
        let values = values(&[r#"{"a":"abc","b":"bcd","c":"cde","d":"def","e":"efg"}"#]);
        assert_eq!(values.places(), "a, b, c, d and 1 more");
    }
}
