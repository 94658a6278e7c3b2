//! What speaks for an attack in one value.

use std::borrow::Cow;

/// What an attack is aimed at, or is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// SQL injection (CWE-89).
    Sql,
    /// Operators or script for document databases (CWE-943).
    NoSql,
    /// Commands of an operating system (CWE-78).
    Command,
    /// Path traversal and file inclusion (CWE-22, CWE-98).
    Path,
    /// Active script for pages (CWE-79).
    Xss,
    /// Expressions of template engines (CWE-1336).
    Template,
    /// Source text of server-side languages (CWE-94).
    Code,
    /// LDAP filters (CWE-90).
    Ldap,
    /// Entities and inclusions of XML (CWE-611).
    Xml,
    /// Addresses that only the server can reach (CWE-918).
    Ssrf,
    /// Names that change the prototype of all objects (CWE-1321).
    Prototype,
    /// Objects that run code when they are read (CWE-502).
    Deserialisation,
    /// Introspection and storms of aliases in GraphQL (CWE-770).
    GraphQl,
    /// Line breaks that begin a header or a line of a log (CWE-93, CWE-117).
    Lines,
    /// Look-ups of Log4j (CWE-917).
    Lookup,
    /// Characters that hide what a text says (CWE-176).
    Unicode,
    /// Errors and stack traces that an application gives away (CWE-209).
    Disclosure,
    /// What a set of rules found that fits no other category.
    Other,
}

impl Category {
    /// How many there are.
    pub(crate) const COUNT: usize = 18;

    /// All of them, in the order in which they are declared.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Sql,
        Self::NoSql,
        Self::Command,
        Self::Path,
        Self::Xss,
        Self::Template,
        Self::Code,
        Self::Ldap,
        Self::Xml,
        Self::Ssrf,
        Self::Prototype,
        Self::Deserialisation,
        Self::GraphQl,
        Self::Lines,
        Self::Lookup,
        Self::Unicode,
        Self::Disclosure,
        Self::Other,
    ];

    /// Its name, as people and configurations write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::NoSql => "nosql",
            Self::Command => "command",
            Self::Path => "path",
            Self::Xss => "xss",
            Self::Template => "template",
            Self::Code => "code",
            Self::Ldap => "ldap",
            Self::Xml => "xml",
            Self::Ssrf => "ssrf",
            Self::Prototype => "prototype",
            Self::Deserialisation => "deserialisation",
            Self::GraphQl => "graphql",
            Self::Lines => "lines",
            Self::Lookup => "lookup",
            Self::Unicode => "unicode",
            Self::Disclosure => "disclosure",
            Self::Other => "other",
        }
    }

    /// Finds the one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.name() == name)
    }

    /// Its bit in a set.
    pub(crate) const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl std::fmt::Display for Category {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// One thing about a value that speaks for an attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The rule that made it, such as `sql-tautology`; the number of a rule of a rule set.
    pub rule: Cow<'static, str>,
    /// What kind of attack it speaks for.
    pub category: Category,
    /// How much it speaks for one: 1 to 10. What reaches the threshold of the policy is stopped.
    pub weight: u8,
    /// Where the value stands, as `inspect` writes places.
    pub place: String,
    /// What was seen, escaped and cut to about sixty characters. It is what a peer sent: see [`Observation::redacted`].
    pub excerpt: String,
}

impl Observation {
    /// Gives the excerpt as it may stand in a log: its signs stay, of words and numbers only the shape, `x` and `0`.
    pub fn redacted(&self) -> String {
        let mask = |letter: char| match letter {
            letter if letter.is_numeric() => '0',
            letter if letter.is_alphabetic() => 'x',
            other => other,
        };
        self.excerpt.chars().map(mask).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_has_a_name_of_its_own_and_its_bit() {
        for (at, category) in Category::ALL.into_iter().enumerate() {
            assert_eq!(Category::named(category.name()), Some(category));
            assert_eq!(category.bit(), 1 << at);
        }
    }

    #[test]
    fn what_is_redacted_keeps_its_shape_only() {
        let excerpt = "alice' OR 12=12 -- ü".to_owned();
        let observation = Observation {
            rule: "sql-tautology".into(),
            category: Category::Sql,
            weight: 7,
            place: "/text".to_owned(),
            excerpt,
        };
        assert_eq!(observation.redacted(), "xxxxx' xx 00=00 -- x");
    }
}
