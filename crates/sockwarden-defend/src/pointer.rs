//! A place in messages, as a configuration writes it.

use sockwarden_inspect::{Place, Step};
use sockwarden_model::printable;

/// A place as `sockwarden inspect` shows it: a JSON pointer (RFC 6901) with steps such as `|json` into what a value encodes, and `*` for
/// any one step.
///
/// A pointer that begins with a name is sought in every message that is carried in an array or an encoding, too: what stands at
/// `/room` in a message stands at `/3/room` where four of them come in one array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    steps: Vec<Part>,
    /// Whether it begins with a name.
    is_named: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// A member of this name, or the element of this number.
    Name(String),
    /// Any one member or element.
    Any,
    /// What a value holds when it is decoded.
    Inside(String),
}

/// How a value's place is related to a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) nearness: Nearness,
    /// The element of the outermost array that it stands in, where the pointer does not say so itself.
    pub(crate) element: Option<u32>,
}

/// How near a value is to where a pointer leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nearness {
    /// There.
    Exact,
    /// There, for a reader to whom upper and lower case are one.
    Similar,
    /// Below it: what stands there is no single value.
    Below,
}

/// Why a text is no pointer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PointerError {
    #[error("`{}` does not begin with `/` or `|`", printable(.0.as_bytes(), 60))]
    Start(String),
    #[error("`{}` has more than {most} steps", printable(.0.as_bytes(), 60), most = Pointer::MOST)]
    Long(String),
}

impl Pointer {
    /// The most steps that a pointer has.
    pub(crate) const MOST: usize = 32;

    pub(crate) fn new(text: &str) -> Result<Self, PointerError> {
        if !text.starts_with(['/', '|']) {
            return Err(PointerError::Start(text.to_owned()));
        }
        let mut steps = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let end = rest[1..].find(['/', '|']).map_or(rest.len(), |at| at + 1);
            let (step, after) = rest.split_at(end);
            // The names of members are escaped as places are shown.
            let name = step[1..].replace("~2", "|").replace("~1", "/").replace("~0", "~");
            steps.push(match (first, name.as_str()) {
                ('|', _) => Part::Inside(name),
                (_, "*") => Part::Any,
                _ => Part::Name(name),
            });
            rest = after;
        }
        if steps.len() > Self::MOST {
            return Err(PointerError::Long(text.to_owned()));
        }
        let is_number = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        let is_named = matches!(steps.first(), Some(Part::Name(name)) if !is_number(name));
        Ok(Self { steps, is_named })
    }

    /// Finds how a place is related to this one; `None` where it is not.
    pub(crate) fn find(&self, place: Place<'_>) -> Option<Found> {
        let start =
            if self.is_named { place.steps().position(|step| matches!(step, Step::Key(_)))? } else { 0 };
        let mut is_exact = true;
        for (number, part) in self.steps.iter().enumerate() {
            let is_there = match (part, place.step(start + number)?) {
                (Part::Name(name), Step::Key(key)) => {
                    is_exact &= name.as_bytes() == key;
                    name.as_bytes().eq_ignore_ascii_case(key)
                }
                (Part::Name(name), Step::Index(index)) => name.parse() == Ok(index),
                (Part::Any, Step::Key(_) | Step::Index(_)) => true,
                (Part::Inside(name), Step::Inside(format)) => name == format.name(),
                (Part::Name(_) | Part::Any, Step::Inside(_))
                | (Part::Inside(_), Step::Key(_) | Step::Index(_)) => false,
            };
            if !is_there {
                return None;
            }
        }
        let nearness = match place.step(start + self.steps.len()) {
            // What a text encodes is told besides the text itself.
            Some(Step::Inside(_)) => return None,
            Some(Step::Key(_) | Step::Index(_)) => Nearness::Below,
            None if is_exact => Nearness::Exact,
            None => Nearness::Similar,
        };
        let element = match place.step(0) {
            Some(Step::Index(index)) if start > 0 => Some(index),
            Some(_) | None => None,
        };
        Some(Found { nearness, element })
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_inspect::{
        Anomaly, Conversation, InspectLimits, Message, Opening, Operation, Reader, Role, Sink, Value,
    };
    use sockwarden_model::Direction;
    use sockwarden_proto::MessageKind;

    use super::*;

    /// Notes what a pointer finds, as the nearness, the element and the value.
    struct Finds {
        pointer: Pointer,
        found: Vec<String>,
    }

    impl Sink for Finds {
        fn value(&mut self, value: &Value<'_>) {
            if let Some(Found { nearness, element }) =
                self.pointer.find(value.place).filter(|_| value.role == Role::Value)
            {
                let text = value.text().unwrap_or_default();
                let element = element.map(|element| format!("{element}:")).unwrap_or_default();
                self.found.push(format!("{element}{nearness:?}={text}"));
            }
        }

        fn operation(&mut self, _: &Operation<'_>) {}

        fn anomaly(&mut self, _: Anomaly, _: Place<'_>) {}
    }

    #[test]
    fn a_pointer_finds_what_a_receiver_may_take_for_the_field() {
        let check = |pointer: &str, text: &str, expected: &[&str]| {
            let mut finds = Finds { pointer: Pointer::new(pointer).unwrap(), found: Vec::new() };
            let message =
                Message { direction: Direction::Client, kind: MessageKind::Text, bytes: text.as_bytes() };
            let mut conversation = Conversation::new(None, &Opening::default());
            conversation.message(&mut Reader::default(), &InspectLimits::default(), &message, &mut finds);
            assert_eq!(finds.found, expected, "{pointer} in {text}");
        };
        check("/room", r#"{"room":"a","rooms":"b"}"#, &["Exact=a"]);
        check("/room", r#"{"room":"a","room":"b"}"#, &["Exact=a", "Exact=b"]);
        check("/room", r#"{"r\u006fom":"a"}"#, &["Exact=a"]);
        check("/room", r#"{"Room":"a"}"#, &["Similar=a"]);
        check("/room", r#"{"room":{"id":"a"}}"#, &["Below=a"]);
        check("/room", r#"{"room":["a"]}"#, &["Below=a"]);
        check("/room", r#"{"in":{"room":"a"}}"#, &[]);
        check("/room", r#"[{"room":"a"},{"room":"b"}]"#, &["0:Exact=a", "1:Exact=b"]);
        check("/room/id", r#"{"room":{"id":"a"}}"#, &["Exact=a"]);
        check("/room/1", r#"{"room":["a","b"]}"#, &["Exact=b"]);
        check("/room/*", r#"{"room":["a","b"]}"#, &["Exact=a", "Exact=b"]);
        check("/room/*", r#"{"room":{"x":"a"}}"#, &["Exact=a"]);
        check("/room/*", r#"{"room":"a"}"#, &[]);
        check("/1", r#"["a","b"]"#, &["Exact=b"]);
        check("/1/room", r#"["a",{"room":"b"}]"#, &["Exact=b"]);
        check("/1/room", r#"[{"room":"a"}]"#, &[]);
        check("/data|json/room", r#"{"data":"{\"room\":\"a\"}"}"#, &["Exact=a"]);
        check("/data", r#"{"data":"{\"room\":\"a\"}"}"#, &[r#"Exact={"room":"a"}"#]);
        check("/a~1b~0c~2d", r#"{"a/b~c|d":"x"}"#, &["Exact=x"]);
        check("/", r#"{"":"x"}"#, &["Exact=x"]);
    }

    #[test]
    fn what_is_no_place_is_no_pointer() {
        for text in ["", "room", "room/id", "#/room"] {
            assert_eq!(Pointer::new(text), Err(PointerError::Start(text.to_owned())));
        }
        assert!(Pointer::new(&"/a".repeat(32)).is_ok());
        assert!(matches!(Pointer::new(&"/a".repeat(33)), Err(PointerError::Long(_))));
        assert!(Pointer::new("/é|json/ü").is_ok());
    }
}
