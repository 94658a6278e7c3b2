//! What is wrong with the text of a rule set, and where.

use std::fmt;

/// One mistake in a file of rules: where it stands, what it is, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {fault}")]
pub struct ReadError {
    /// The name of the file, as it was handed over.
    pub file: String,
    /// The line, from one.
    pub line: u32,
    /// The column in bytes, from one.
    pub column: u32,
    /// What is wrong.
    pub fault: Fault,
}

/// All mistakes that were found in a rule set, in the order of the files; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadErrors(pub Vec<ReadError>);

impl fmt::Display for ReadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ReadErrors {}

/// A way in which the text of a rule set can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file is not UTF-8.
    #[error("not UTF-8; rule files are text in UTF-8")]
    NotUtf8,
    /// A directive that SecLang does not have.
    #[error("unknown directive `{0}`; expected one such as SecRule, SecAction, SecMarker")]
    UnknownDirective(String),
    /// A quoted word that does not end.
    #[error("a quoted word does not end; expected a closing `{0}`")]
    OpenQuote(char),
    /// The last line of a file asks to be continued.
    #[error("the last line ends in `\\`, but no line follows")]
    OpenLine,
    /// Too few or too many words.
    #[error("{directive} has {found} words; expected {expected}")]
    WordCount {
        /// Which directive.
        directive: &'static str,
        /// How many words follow it.
        found: usize,
        /// How many there should be.
        expected: &'static str,
    },
    /// A variable that SecLang does not have.
    #[error("unknown variable `{0}`; expected one such as ARGS, REQUEST_BODY, TX:name")]
    UnknownVariable(String),
    /// A list of variables with nothing between two bars.
    #[error("no variable here; expected a name such as ARGS")]
    NoVariable,
    /// An operator that SecLang does not have.
    #[error("unknown operator `@{0}`; expected one such as @rx, @pm, @detectSQLi")]
    UnknownOperator(String),
    /// An operator whose argument is not what it takes.
    #[error("`{given}` is no argument for @{operator}; expected {expected}")]
    Argument {
        /// The operator's name.
        operator: &'static str,
        /// What is there.
        given: String,
        /// What would be right.
        expected: &'static str,
    },
    /// An action that SecLang does not have.
    #[error("unknown action `{0}`; expected one such as id, phase, msg, setvar, ctl")]
    UnknownAction(String),
    /// An action whose value is not what it takes.
    #[error("`{given}` is no value for {action}; expected {expected}")]
    Value {
        /// The action's or directive's name.
        action: &'static str,
        /// What is there.
        given: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A transformation that SecLang does not have.
    #[error("unknown transformation `{0}`; expected one such as t:lowercase, t:urlDecodeUni")]
    UnknownTransformation(String),
    /// A rule without an id.
    #[error("a rule without an id; expected id:NUMBER among its actions")]
    NoId,
    /// An id that another rule has.
    #[error("the id {0} is used by another rule; each id is used once")]
    TwiceUsed(u32),
    /// A chain that is not continued.
    #[error("the chain is not continued; expected a SecRule after `chain`")]
    OpenChain,
    /// A regular expression of a directive or selector that cannot be read.
    #[error("`{pattern}` is no regular expression: {why}")]
    Pattern {
        /// The expression.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// More than a rule set may hold.
    #[error("more than {limit} {what}; a rule set holds no more")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
}
