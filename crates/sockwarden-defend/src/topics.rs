//! One pattern for the subjects of whatever sub-protocol a connection turns out to speak.

use sockwarden_inspect::{Action, Operation, Pattern, PatternError, Protocol, Style};

/// A pattern, read in the style of each sub-protocol that it may be meant for.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    /// The text as far as it stands for itself alone.
    start: String,
    mqtt: Option<Pattern>,
    path: Option<Pattern>,
    prefix: Option<Pattern>,
}

impl Topics {
    /// Reads a pattern for this sub-protocol, or for any.
    ///
    /// # Errors
    /// In the style of that sub-protocol, or in none, it is a pattern.
    pub(crate) fn new(protocol: Option<Protocol>, text: &str) -> Result<Self, PatternError> {
        let read = |style| {
            let wanted = protocol.is_none_or(|protocol| style_of(protocol) == style);
            wanted.then(|| Pattern::new(style, text))
        };
        let [mqtt, path, prefix] = [Style::Mqtt, Style::Path, Style::Prefix].map(read);
        let is_one = [&mqtt, &path, &prefix].into_iter().any(|read| matches!(read, Some(Ok(_))));
        let [mqtt, path, prefix] = match [mqtt, path, prefix] {
            read if is_one => read.map(|read| read.and_then(Result::ok)),
            [mqtt, path, prefix] => match prefix.or(path).or(mqtt) {
                Some(Err(error)) => return Err(error),
                Some(Ok(_)) | None => [None, None, None],
            },
        };
        let end = text.find(WILD).unwrap_or(text.len());
        Ok(Self { start: text.get(..end).unwrap_or_default().to_owned(), mqtt, path, prefix })
    }

    /// Tells whether the user may do this with its subject. What asks for several subjects is allowed where all of them are.
    pub(crate) fn allow(&self, operation: &Operation<'_>, user: Option<&str>) -> bool {
        let (Some(pattern), Some(subject)) = (self.in_style_of(operation.protocol), operation.subject) else {
            return false;
        };
        match operation.action {
            Action::Subscribe | Action::Unsubscribe => pattern.covers(subject, user),
            Action::Connect
            | Action::Connected
            | Action::Disconnect
            | Action::Publish
            | Action::Deliver
            | Action::Call
            | Action::Event
            | Action::Reply
            | Action::Error
            | Action::Acknowledge
            | Action::KeepAlive
            | Action::Stream => pattern.matches(subject, user),
        }
    }

    /// Tells whether the subject, or one of several that are asked for, may be meant. In doubt it is.
    pub(crate) fn touch(&self, operation: &Operation<'_>, user: Option<&str>) -> bool {
        let Some(subject) = operation.subject else { return false };
        let Some(pattern) = self.in_style_of(operation.protocol) else {
            return subject.starts_with(&self.start);
        };
        let asked = group_less(subject);
        let several = asked.find(WILD).and_then(|end| asked.get(..end));
        pattern.matches(subject, user)
            || pattern.covers(subject, user)
            || several.is_some_and(|asked| asked.starts_with(&self.start) || self.start.starts_with(asked))
    }

    fn in_style_of(&self, protocol: Protocol) -> Option<&Pattern> {
        match style_of(protocol) {
            Style::Mqtt => self.mqtt.as_ref(),
            Style::Path => self.path.as_ref(),
            Style::Prefix | Style::Dotted => self.prefix.as_ref(),
        }
    }
}

/// What may stand for something else, in some style.
const WILD: [char; 6] = ['*', '+', '#', '>', '?', '{'];

/// Tells how the subjects of a sub-protocol are divided.
fn style_of(protocol: Protocol) -> Style {
    if protocol == Protocol::Mqtt {
        Style::Mqtt
    } else if protocol == Protocol::Stomp {
        Style::Path
    } else {
        Style::Prefix
    }
}

/// Gives a filter without the group of a shared subscription (MQTT 5 §4.8.2).
fn group_less(filter: &str) -> &str {
    let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
    shared.map_or(filter, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(protocol: Protocol, action: Action, subject: &str) -> Operation<'_> {
        Operation { protocol, action, name: None, subject: Some(subject), id: None }
    }

    #[test]
    fn a_pattern_is_read_in_the_style_of_what_is_spoken() {
        let check = |text: &str, protocol, action, subject: &str, expected: bool| {
            let topics = Topics::new(None, text).unwrap();
            assert_eq!(
                topics.allow(&about(protocol, action, subject), Some("ann")),
                expected,
                "{text} {subject}"
            );
        };
        use Action::{Publish, Subscribe};
        use Protocol::{Mqtt, Phoenix, Stomp};
        check("a/+/c", Mqtt, Publish, "a/b/c", true);
        check("a/+/c", Stomp, Publish, "a/b/c", false);
        check("a/#", Mqtt, Subscribe, "a/+", true);
        check("a/#", Mqtt, Subscribe, "#", false);
        check("/topic/**", Stomp, Subscribe, "/topic/*", true);
        check("/topic/**", Mqtt, Publish, "/topic/x", false);
        check("room:*", Phoenix, Subscribe, "room:1", true);
        check("room:*", Stomp, Publish, "room:1", false);
        check("user/{user}", Mqtt, Publish, "user/ann", true);
        check("user/{user}", Stomp, Publish, "user/bob", false);
    }

    #[test]
    fn what_is_denied_is_met_by_wider_filters_too() {
        let check = |text: &str, protocol, action, subject: &str, expected: bool| {
            let topics = Topics::new(None, text).unwrap();
            assert_eq!(topics.touch(&about(protocol, action, subject), None), expected, "{text} {subject}");
        };
        use Action::{Publish, Subscribe};
        use Protocol::{Mqtt, Phoenix, Stomp};
        for filter in ["secret/x", "secret/+", "secret/#", "#", "+/x", "$share/g/#", "secret"] {
            check("secret/#", Mqtt, Subscribe, filter, true);
        }
        for filter in ["public/#", "secrets/x", "public"] {
            check("secret/#", Mqtt, Subscribe, filter, false);
        }
        // What is no pattern in the style of what is spoken counts as far as it can be compared.
        check("room:*", Stomp, Publish, "room:1", true);
        check("room:*", Phoenix, Publish, "lobby", false);
    }

    #[test]
    fn what_is_a_pattern_in_no_style_is_refused() {
        assert!(Topics::new(None, "a/{name}").is_err());
        assert!(Topics::new(Some(Protocol::Mqtt), "a/#/b").is_err());
        assert!(Topics::new(None, "a/#/b").is_ok());
        assert!(Topics::new(None, "").is_err());
    }
}
