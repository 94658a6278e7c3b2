//! Patterns of subjects: which topics, destinations and procedures somebody may use.
//!
//! A pattern answers two questions. [`Pattern::matches`]: may this subject be used? [`Pattern::covers`]: may this filter be subscribed
//! to, that is, does the pattern allow everything that the filter asks for? `{user}` in a pattern stands for the name of whoever
//! asks, and is compared as text: it never becomes a separator or a wildcard.

/// How subjects are divided, and what stands for any part of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// Levels between `/`; `+` is one, `#` at the end the rest with what stands before it, `$share/GROUP/` comes before a filter
    /// of a group, and wildcards in front never mean topics that begin with `$` (MQTT 5 §4.7, §4.8.2).
    Mqtt,
    /// Words between `.`; `*` is one, `**` or `#` any number, `>` at the end one or more (AMQP topics, ActiveMQ, NATS).
    Dotted,
    /// Segments between `/`; `*` is one, `**` any number (destinations of STOMP).
    Path,
    /// A `*` at the end means every URI that begins like this (WAMP, methods).
    Prefix,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing is matched by nothing.
    #[error("a pattern is never empty")]
    Empty,
    /// A wildcard that does not stand alone or at the end.
    #[error("`{0}` holds a wildcard where it means nothing")]
    Wildcard(String),
    /// Something in braces other than `{user}`.
    #[error("`{0}` holds braces; only `{{user}}` may stand in them")]
    Placeholder(String),
    /// More parts than are compared.
    #[error("a pattern has at most {most} parts", most = Pattern::MOST)]
    TooLong,
}

/// Which subjects somebody may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    style: Style,
    text: String,
    /// The group of a shared subscription, where the pattern is for one.
    group: Option<Part>,
    parts: Vec<Part>,
}

/// What one part of a pattern allows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// This text.
    Text(Template),
    /// Any one part.
    One,
    /// Any number of parts.
    Many,
}

/// A text with `{user}` in between its pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Template(Vec<String>);

/// One part of what is asked for.
#[derive(Clone, Copy)]
enum Asked<'a> {
    /// This text.
    Text(&'a str),
    /// Anything in one part.
    One,
    /// Anything in any number of parts.
    Many,
    /// What no wildcard may stand for.
    Nothing,
}

const PLACEHOLDER: &str = "{user}";

impl Pattern {
    /// The most parts that a pattern has.
    pub const MOST: usize = 63;

    /// Reads a pattern.
    pub fn new(style: Style, text: &str) -> Result<Self, PatternError> {
        let (group, rest) = match style {
            Style::Mqtt => shared(text).map_or((None, text), |(group, rest)| (Some(group), rest)),
            Style::Dotted | Style::Path | Style::Prefix => (None, text),
        };
        if rest.is_empty() {
            return Err(PatternError::Empty);
        }
        let group = match group {
            Some("+") => Some(Part::One),
            Some(group) => Some(Part::Text(Template::new(style, group)?)),
            None => None,
        };
        let parts = match style {
            Style::Prefix => {
                let (start, open) = rest.strip_suffix('*').map_or((rest, false), |start| (start, true));
                let end = open.then_some(Part::Many);
                std::iter::once(Part::Text(Template::new(style, start)?)).chain(end).collect()
            }
            Style::Mqtt | Style::Dotted | Style::Path => parts(style, rest)?,
        };
        if parts.len() > Self::MOST {
            return Err(PatternError::TooLong);
        }
        Ok(Self { style, text: text.to_owned(), group, parts })
    }

    /// Tells whether this user may use this subject. What holds wildcards is no subject; [`Self::covers`] is for that.
    ///
    /// A pattern with `{user}` matches nothing for nobody, and nothing for a user whose name could be taken for more than a name: one
    /// that holds a separator, a wildcard, a comma or a control character, or that begins with `$`.
    pub fn matches(&self, subject: &str, user: Option<&str>) -> bool {
        let wildcards: &[char] = match self.style {
            Style::Mqtt => &['+', '#', '\0'],
            Style::Dotted => &['*', '>', '#'],
            Style::Path | Style::Prefix => &['*'],
        };
        if subject.is_empty() || subject.contains(wildcards) || self.group.is_some() {
            return false;
        }
        match self.style.separator() {
            Some(separator) => self.walk(subject.split(separator).map(Asked::Text), user),
            None => self.begins(subject, false, user),
        }
    }

    /// Tells whether everything that this filter asks for is allowed to this user. In doubt it is not.
    pub fn covers(&self, filter: &str, user: Option<&str>) -> bool {
        let Some(separator) = self.style.separator() else {
            let start = filter.split('*').next().unwrap_or_default();
            return !filter.is_empty() && self.begins(start, start.len() < filter.len(), user);
        };
        let mut filter = filter;
        if self.style == Style::Mqtt {
            let asked = shared(filter);
            match (&self.group, asked) {
                (Some(Part::Text(group)), Some((asked, _))) if !group.is(asked, self.style, user) => {
                    return false;
                }
                (Some(_), None) => return false,
                (Some(_) | None, _) => {}
            }
            filter = asked.map_or(filter, |(_, rest)| rest);
        }
        if filter.is_empty() || self.style == Style::Mqtt && !is_mqtt_filter(filter) {
            return false;
        }
        // A subject has at least one part.
        if self.style == Style::Mqtt && filter == "#" {
            return self.walk([Asked::One, Asked::Many].into_iter(), user);
        }
        let last = filter.split(separator).count();
        let asked = filter.split(separator).enumerate().flat_map(|(number, part)| {
            let (first, second) = asked(self.style, part, number + 1 == last);
            std::iter::once(first).chain(second)
        });
        self.walk(asked, user)
    }

    /// Tells whether a URI, or all that begin with it, are allowed.
    fn begins(&self, start: &str, open: bool, user: Option<&str>) -> bool {
        let [Part::Text(template), rest @ ..] = self.parts.as_slice() else { return false };
        if rest.is_empty() {
            return !open && template.is(start, self.style, user);
        }
        template.rest_of(start, self.style, user).is_some()
    }

    /// Goes through the pattern with all that is asked for. Each place that is reached allows everything that was asked for so far.
    fn walk<'a>(&self, asked: impl Iterator<Item = Asked<'a>>, user: Option<&str>) -> bool {
        let mut reached = self.past_many(1);
        for (number, asked) in asked.enumerate() {
            let mut next = 0;
            for (at, part) in self.parts.iter().enumerate().filter(|(at, _)| reached >> at & 1 == 1) {
                let hidden = self.style == Style::Mqtt
                    && number == 0
                    && matches!(asked, Asked::Text(text) if text.starts_with('$'));
                let wild = !hidden && !matches!(asked, Asked::Text(text) if self.is_list(text));
                next |= match (part, asked) {
                    (Part::Text(template), Asked::Text(text)) if template.is(text, self.style, user) => {
                        2 << at
                    }
                    (Part::One, Asked::Text(_) | Asked::One) if wild => 2 << at,
                    (Part::Many, Asked::Text(_) | Asked::One | Asked::Many) if wild => 1 << at,
                    (Part::Text(_) | Part::One | Part::Many, _) => 0,
                };
            }
            if next == 0 {
                return false;
            }
            reached = self.past_many(next);
        }
        reached >> self.parts.len() & 1 == 1
    }

    /// Adds the places behind what may be nothing.
    fn past_many(&self, mut reached: u64) -> u64 {
        for (at, part) in self.parts.iter().enumerate() {
            if *part == Part::Many && reached >> at & 1 == 1 {
                reached |= 2 << at;
            }
        }
        reached
    }

    /// Tells whether a broker may take a part for several destinations.
    fn is_list(&self, part: &str) -> bool {
        matches!(self.style, Style::Dotted | Style::Path) && part.contains(',')
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.text)
    }
}

impl Style {
    fn separator(self) -> Option<char> {
        match self {
            Self::Mqtt | Self::Path => Some('/'),
            Self::Dotted => Some('.'),
            Self::Prefix => None,
        }
    }

    /// Tells whether a user's name can be nothing but a name.
    fn is_plain(self, user: &str) -> bool {
        let special = |c: char| {
            c.is_control()
                || matches!(c, '*' | '+' | '#' | '>' | '?' | ',' | '/' | '{' | '}')
                || c == '.' && matches!(self, Self::Dotted | Self::Prefix)
                || c == ':' && self == Self::Prefix
        };
        !user.is_empty() && !user.starts_with('$') && !matches!(user, "." | "..") && !user.contains(special)
    }
}

impl Template {
    fn new(style: Style, text: &str) -> Result<Self, PatternError> {
        let wildcards: &[char] = match style {
            Style::Mqtt => &['+', '#'],
            Style::Dotted => &['*', '>', '#'],
            Style::Path | Style::Prefix => &['*'],
        };
        if text.contains(wildcards) {
            return Err(PatternError::Wildcard(text.to_owned()));
        }
        let pieces: Vec<String> = text.split(PLACEHOLDER).map(str::to_owned).collect();
        if pieces.iter().any(|piece| piece.contains(['{', '}'])) {
            return Err(PatternError::Placeholder(text.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Tells whether a text is this one, with the user's name in it.
    fn is(&self, text: &str, style: Style, user: Option<&str>) -> bool {
        self.rest_of(text, style, user) == Some("")
    }

    /// Gives what follows in a text that begins with this one.
    fn rest_of<'a>(&self, text: &'a str, style: Style, user: Option<&str>) -> Option<&'a str> {
        let (first, others) = self.0.split_first()?;
        let mut rest = text.strip_prefix(first.as_str())?;
        for piece in others {
            let user = user.filter(|user| style.is_plain(user))?;
            rest = rest.strip_prefix(user)?.strip_prefix(piece.as_str())?;
        }
        Some(rest)
    }
}

/// Reads the parts of a pattern.
fn parts(style: Style, text: &str) -> Result<Vec<Part>, PatternError> {
    let separator = style.separator().unwrap_or('/');
    let mut parts = Vec::new();
    let mut texts = text.split(separator).peekable();
    while let Some(text) = texts.next() {
        let last = texts.peek().is_none();
        match (style, text) {
            (Style::Mqtt, "+") | (Style::Dotted | Style::Path, "*") => parts.push(Part::One),
            (Style::Mqtt, "#") if last => parts.push(Part::Many),
            (Style::Dotted, "#") | (Style::Dotted | Style::Path, "**") => parts.push(Part::Many),
            (Style::Dotted, ">") if last => parts.extend([Part::One, Part::Many]),
            (Style::Mqtt | Style::Dotted | Style::Path | Style::Prefix, _) => {
                parts.push(Part::Text(Template::new(style, text)?));
            }
        }
    }
    Ok(parts)
}

/// Reads one part of a filter. What some broker may take for a wildcard is one, and as wide as it may be.
fn asked(style: Style, part: &str, last: bool) -> (Asked<'_>, Option<Asked<'_>>) {
    match (style, part) {
        (Style::Mqtt, "+") | (Style::Dotted | Style::Path, "*") => (Asked::One, None),
        (Style::Mqtt, "#") | (Style::Dotted | Style::Path, "**" | "#") => (Asked::Many, None),
        (Style::Dotted | Style::Path, ">") if last => (Asked::One, Some(Asked::Many)),
        (Style::Dotted | Style::Path, _) if part.contains(['*', '>', '#', '?', '{']) => {
            let within = style == Style::Path && !part.contains(['>', '#']) && !part.contains("**");
            match (part.contains(','), within) {
                (true, _) => (Asked::Nothing, None),
                (false, true) => (Asked::One, None),
                (false, false) => (Asked::Many, None),
            }
        }
        (Style::Mqtt | Style::Dotted | Style::Path | Style::Prefix, _) => (Asked::Text(part), None),
    }
}

/// Gives the group and the filter of a shared subscription of MQTT; `None` where it is none. The filter is empty where it is missing.
pub(crate) fn shared(filter: &str) -> Option<(&str, &str)> {
    let rest = filter.strip_prefix("$share/")?;
    Some(rest.split_once('/').unwrap_or((rest, "")))
}

/// Tells whether this can be subscribed to with MQTT: wildcards stand alone, and that for the rest at the end (5 §4.7).
pub(crate) fn is_mqtt_filter(filter: &str) -> bool {
    let mut levels = filter.split('/').peekable();
    let mut well_placed = !filter.is_empty() && !filter.contains('\0');
    while let Some(level) = levels.next() {
        let last = levels.peek().is_none();
        well_placed &= !level.contains(['+', '#']) || level == "+" || level == "#" && last;
    }
    well_placed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(style: Style, text: &str) -> Pattern {
        Pattern::new(style, text).unwrap()
    }

    #[track_caller]
    fn check(style: Style, text: &str, matched: &[&str], others: &[&str]) {
        let pattern = pattern(style, text);
        for subject in matched {
            assert!(pattern.matches(subject, Some("ann")), "{text} {subject}");
            assert!(pattern.covers(subject, Some("ann")), "{text} {subject}");
        }
        for subject in others {
            assert!(!pattern.matches(subject, Some("ann")), "{text} {subject}");
        }
    }

    #[track_caller]
    fn check_filters(style: Style, text: &str, covered: &[&str], others: &[&str]) {
        let pattern = pattern(style, text);
        for filter in covered {
            assert!(pattern.covers(filter, Some("ann")), "{text} {filter}");
        }
        for filter in others {
            assert!(!pattern.covers(filter, Some("ann")), "{text} {filter}");
        }
    }

    #[test]
    fn subjects_are_matched_by_the_rules_of_their_style() {
        check(Style::Mqtt, "a/+/c", &["a/b/c", "a//c"], &["a/c", "a/b/c/d", "a/b", "a/+/c", "", "A/b/c"]);
        check(Style::Mqtt, "a/#", &["a", "a/", "a/b", "a/b/c"], &["b", "ab", "a/#"]);
        check(Style::Mqtt, "#", &["a", "/", "a/$x"], &["$SYS", "$SYS/x"]);
        check(Style::Mqtt, "+/x", &["a/x", "/x"], &["$SYS/x", "x"]);
        check(Style::Mqtt, "$SYS/#", &["$SYS", "$SYS/x"], &["SYS/x"]);
        check(Style::Mqtt, "u/{user}/#", &["u/ann/x", "u/ann"], &["u/bob/x", "u/{user}", "u/anna"]);
        check(Style::Mqtt, "u-{user}-{user}", &["u-ann-ann"], &["u-ann-bob", "u-ann-"]);
        check(Style::Mqtt, "$share/g/a", &[], &["a", "$share/g/a"]);
        check(Style::Dotted, "a.*.c", &["a.b.c"], &["a.c", "a.b.b.c", "a.*.c", "a.x,y.c"]);
        check(Style::Dotted, "a.**", &["a", "a.b", "a.b.c"], &["b", "a.b,c"]);
        check(Style::Dotted, "a.#.z", &["a.z", "a.b.z", "a.b.c.z", "a.z.z"], &["a", "z.a", "a.z.b"]);
        check(Style::Dotted, "a.>", &["a.b", "a.b.c"], &["a", "a.>"]);
        check(
            Style::Path,
            "/topic/*",
            &["/topic/a", "/topic/a.b"],
            &["/topic", "/topic/a/b", "topic/a", "/topic/a,b"],
        );
        check(
            Style::Path,
            "/topic/**",
            &["/topic", "/topic/a", "/topic/a/b"],
            &["/queue/a", "/topic/a,/queue/b"],
        );
        check(Style::Path, "/queue/a,b", &["/queue/a,b"], &["/queue/a"]);
        check(
            Style::Prefix,
            "com.app.*",
            &["com.app.", "com.app.x", "com.app.x.y"],
            &["com.app", "com.apps.x"],
        );
        check(Style::Prefix, "com.app", &["com.app"], &["com.app.x", "com.ap"]);
        check(Style::Prefix, "com.{user}.*", &["com.ann.x"], &["com.bob.x", "com.anna.x"]);
        check(Style::Prefix, "*", &["x", "a.b"], &["", "a.*"]);
    }

    #[test]
    fn filters_are_covered_only_where_all_of_them_is() {
        check_filters(
            Style::Mqtt,
            "a/#",
            &["a/#", "a/+", "a/+/#", "a/b/#", "a", "$share/g/a/#"],
            &["#", "+/b", "b/#", "a#", "+", "a/#/b", "$share/g/#", "", "$share/g/", "$share/a/x"],
        );
        check_filters(Style::Mqtt, "a/+", &["a/+", "a/b"], &["a/#", "a/+/c", "+/+", "a/b/#"]);
        check_filters(Style::Mqtt, "#", &["#", "+", "a/#", "+/#"], &["$SYS/#", "$SYS", "$share/g/$SYS/#"]);
        check_filters(Style::Mqtt, "+/#", &["#", "+"], &["$SYS/#"]);
        check_filters(Style::Mqtt, "$share/g/a/#", &["$share/g/a/b"], &["$share/h/a/b", "a/b"]);
        check_filters(Style::Mqtt, "$share/+/a/#", &["$share/g/a/b"], &["a/b"]);
        check_filters(
            Style::Dotted,
            "a.**",
            &["a.>", "a.#", "a.*", "a.b.*", "a.b#"],
            &["*", ">", "**", "a.x,b.*"],
        );
        check_filters(Style::Dotted, "a.>", &["a.>", "a.*", "a.*.>"], &["a.#", "a.**", "a"]);
        check_filters(Style::Dotted, "a.*", &["a.*", "a.b"], &["a.>", "a.b>", "a.b.>"]);
        check_filters(
            Style::Path,
            "/t/*",
            &["/t/*", "/t/a", "/t/a*", "/t/?", "/t/a.*"],
            &["/t/**", "/t/a.#", "/t/a.>", "/t/>", "/**", "/t/a*,/q"],
        );
        check_filters(Style::Path, "/t/a", &["/t/a"], &["/t/*", "/t/?", "/t/{x}"]);
        check_filters(
            Style::Prefix,
            "com.app.*",
            &["com.app.*", "com.app.x*", "com.app.*.x"],
            &["com.*", "com.*.x", "*", ""],
        );
        check_filters(Style::Prefix, "com.app", &["com.app"], &["com.app*", "com.*"]);
    }

    #[test]
    fn a_name_that_could_be_more_than_a_name_stands_for_nothing() {
        let check = |style: Style, text: &str, user: Option<&str>, subject: &str| {
            let pattern = pattern(style, text);
            assert!(
                !pattern.matches(subject, user) && !pattern.covers(subject, user),
                "{text} {user:?} {subject}"
            );
        };
        check(Style::Mqtt, "u/{user}", None, "u/");
        check(Style::Mqtt, "u/{user}", Some(""), "u/");
        check(Style::Mqtt, "u/{user}", Some("+"), "u/+");
        check(Style::Mqtt, "u/{user}", Some("#"), "u/#");
        check(Style::Mqtt, "u/{user}", Some("a/b"), "u/a/b");
        check(Style::Mqtt, "{user}/a", Some("$SYS"), "$SYS/a");
        check(Style::Mqtt, "u/{user}/#", Some("{user}"), "u/{user}/x");
        check(Style::Mqtt, "$share/{user}/a", Some("+"), "$share/+/a");
        check(Style::Dotted, "u.{user}", Some("a.b"), "u.a.b");
        check(Style::Dotted, "u.{user}", Some(">"), "u.>");
        check(Style::Dotted, "u.{user}", Some("a,b"), "u.a,b");
        check(Style::Path, "/u/{user}", Some("**"), "/u/**");
        check(Style::Path, "/u/{user}", Some(".."), "/u/..");
        check(Style::Prefix, "u.{user}.*", Some("a.b"), "u.a.b.c");
        check(Style::Prefix, "u.{user}*", Some("*"), "u.*");
        assert!(pattern(Style::Mqtt, "u/{user}").matches("u/ann@example.org", Some("ann@example.org")));
    }

    #[test]
    fn a_bad_pattern_is_refused_with_a_reason() {
        let check = |style: Style, text: &str, expected: &str| {
            assert_eq!(Pattern::new(style, text).unwrap_err().to_string(), expected);
        };
        check(Style::Mqtt, "", "a pattern is never empty");
        check(Style::Mqtt, "$share/g", "a pattern is never empty");
        check(Style::Mqtt, "a/#/b", "`#` holds a wildcard where it means nothing");
        check(Style::Mqtt, "a/b+", "`b+` holds a wildcard where it means nothing");
        check(Style::Dotted, "a.>.b", "`>` holds a wildcard where it means nothing");
        check(Style::Path, "/a*/b", "`a*` holds a wildcard where it means nothing");
        check(Style::Prefix, "a*b", "`a*b` holds a wildcard where it means nothing");
        check(Style::Mqtt, "a/{name}", "`{name}` holds braces; only `{user}` may stand in them");
        check(Style::Mqtt, "a/{user", "`{user` holds braces; only `{user}` may stand in them");
        check(Style::Mqtt, &"a/".repeat(63), "a pattern has at most 63 parts");
        assert_eq!(pattern(Style::Mqtt, &"a/".repeat(62)).parts.len(), Pattern::MOST);
        assert!(pattern(Style::Mqtt, &"+/".repeat(62)).matches(&"a/".repeat(62), None));
    }

    /// Matches as simply as it can be said.
    fn naive(pattern: &[&str], subject: &[&str], many: &str, one: &str) -> bool {
        match (pattern.split_first(), subject.split_first()) {
            (None, None) => true,
            (Some((part, rest)), _) if *part == many => {
                naive(rest, subject, many, one)
                    || subject.split_first().is_some_and(|(_, others)| naive(pattern, others, many, one))
            }
            (Some((part, rest)), Some((word, others))) => {
                (*part == one || part == word) && naive(rest, others, many, one)
            }
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Every subject of up to four parts of a small alphabet; `z` stands in no pattern.
    fn subjects() -> Vec<Vec<&'static str>> {
        let mut all: Vec<Vec<&'static str>> = vec![Vec::new()];
        let mut start = 0;
        for _ in 0..4 {
            let end = all.len();
            for at in start..end {
                for word in ["a", "b", "z"] {
                    all.push([all[at].as_slice(), &[word]].concat());
                }
            }
            start = end;
        }
        all.split_off(1)
    }

    proptest! {
        #[test]
        fn matching_agrees_with_a_naive_matcher(
            parts in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("*"), Just("**")], 1..6),
            subject in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("z"), Just("")], 1..7),
        ) {
            for (style, separator) in [(Style::Dotted, "."), (Style::Path, "/")] {
                let subject_text = subject.join(separator);
                prop_assume!(!subject_text.is_empty());
                let matched = pattern(style, &parts.join(separator)).matches(&subject_text, None);
                prop_assert_eq!(matched, naive(&parts, &subject, "**", "*"));
            }
        }

        #[test]
        fn a_filter_of_mqtt_is_covered_exactly_where_all_that_it_matches_is(
            parts in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("+")], 0..4), rest: bool,
            filter in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("+")], 0..4), filter_rest: bool,
        ) {
            let with = |mut parts: Vec<&'static str>, rest: bool| {
                parts.extend(rest.then_some("#"));
                parts
            };
            let (parts, filter) = (with(parts, rest), with(filter, filter_rest));
            prop_assume!(!parts.is_empty() && !filter.is_empty());
            let all = subjects().into_iter().filter(|subject| naive(&filter, subject, "#", "+"));
            let expected = all.clone().all(|subject| naive(&parts, &subject, "#", "+"));
            prop_assert_eq!(pattern(Style::Mqtt, &parts.join("/")).covers(&filter.join("/"), None), expected);
        }

        #[test]
        fn what_is_covered_is_matched(
            parts in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("*"), Just("**")], 1..5),
            filter in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("*"), Just("**")], 1..5),
        ) {
            for (style, separator) in [(Style::Dotted, "."), (Style::Path, "/")] {
                let (allowed, filter_text) = (pattern(style, &parts.join(separator)), filter.join(separator));
                if allowed.covers(&filter_text, None) {
                    for subject in subjects().iter().filter(|subject| naive(&filter, subject, "**", "*")) {
                        prop_assert!(allowed.matches(&subject.join(separator), None));
                    }
                }
            }
        }

        #[test]
        fn no_user_gets_more_than_a_part(user in "[a-z+#*>/.,$?{}]{0,6}", subject in "[a-z+#*>/.,$?{}]{0,10}") {
            for (style, text, before) in [
                (Style::Mqtt, "u/{user}", "u/"), (Style::Dotted, "u.{user}", "u."),
                (Style::Path, "u/{user}", "u/"), (Style::Prefix, "u.{user}", "u."),
            ] {
                let own = format!("{before}{user}");
                let pattern = pattern(style, text);
                for asked in [&own, &format!("{before}{subject}"), &subject] {
                    let allowed = pattern.matches(asked, Some(&user)) || pattern.covers(asked, Some(&user));
                    let plain = !user.is_empty() && !user.contains(['+', '#', '*', '>', '/', ',', '?', '{', '}']);
                    // A filter of a group asks for no more than the filter itself.
                    let shared_own = style == Style::Mqtt && asked.starts_with("$share/");
                    prop_assert!(!allowed || plain && (*asked == own || shared_own), "{} {}", user, asked);
                }
            }
        }

        #[test]
        fn no_text_panics(text: String, subject: String, user: String) {
            for style in [Style::Mqtt, Style::Dotted, Style::Path, Style::Prefix] {
                if let Ok(pattern) = Pattern::new(style, &text) {
                    pattern.matches(&subject, Some(&user));
                    pattern.covers(&subject, Some(&user));
                }
            }
        }
    }
}
