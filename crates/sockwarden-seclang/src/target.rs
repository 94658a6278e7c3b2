//! What a rule looks at: variables, selections from them, and what is left out.

use regex::bytes::{Regex, RegexBuilder};

use crate::error::Fault;
use crate::pattern;

/// A variable that a message, its handshake or the evaluation itself can fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Variable {
    Args,
    ArgsNames,
    ArgsGet,
    ArgsGetNames,
    ArgsPost,
    ArgsPostNames,
    ArgsCombinedSize,
    RequestBody,
    RequestBodyLength,
    ResponseBody,
    MatchedVar,
    MatchedVarName,
    MatchedVars,
    MatchedVarsNames,
    Tx,
    RequestHeaders,
    RequestHeadersNames,
    RequestCookies,
    RequestCookiesNames,
    RequestUri,
    RequestUriRaw,
    RequestFilename,
    RequestBasename,
    QueryString,
    RemoteAddr,
    /// One that no message fills.
    Foreign(Foreign),
}

/// Why a variable is never filled here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Foreign {
    /// It tells of the HTTP request or answer around a message: its line, framing, files, multipart, status.
    Http,
    /// It holds what XML says; a message's XML texts come as `ARGS`.
    Xml,
    /// It is kept from one request to the next (`IP`, `SESSION`, `GLOBAL` …).
    Kept,
    /// It tells of the server, the clock or the engine.
    Server,
}

impl Foreign {
    /// Says why, to read after "needs NAME: ".
    pub const fn why(self) -> &'static str {
        match self {
            Self::Http => "tells of the HTTP exchange, not of a message",
            Self::Xml => "a message's XML texts come as ARGS",
            Self::Kept => "is kept from one request to the next",
            Self::Server => "tells of the server, the clock or the engine",
        }
    }
}

const KNOWN: &[(&str, Variable)] = &[
    ("ARGS", Variable::Args),
    ("ARGS_NAMES", Variable::ArgsNames),
    ("ARGS_GET", Variable::ArgsGet),
    ("ARGS_GET_NAMES", Variable::ArgsGetNames),
    ("ARGS_POST", Variable::ArgsPost),
    ("ARGS_POST_NAMES", Variable::ArgsPostNames),
    ("ARGS_COMBINED_SIZE", Variable::ArgsCombinedSize),
    ("REQUEST_BODY", Variable::RequestBody),
    ("REQUEST_BODY_LENGTH", Variable::RequestBodyLength),
    ("RESPONSE_BODY", Variable::ResponseBody),
    ("MATCHED_VAR", Variable::MatchedVar),
    ("MATCHED_VAR_NAME", Variable::MatchedVarName),
    ("MATCHED_VARS", Variable::MatchedVars),
    ("MATCHED_VARS_NAMES", Variable::MatchedVarsNames),
    ("TX", Variable::Tx),
    ("REQUEST_HEADERS", Variable::RequestHeaders),
    ("REQUEST_HEADERS_NAMES", Variable::RequestHeadersNames),
    ("REQUEST_COOKIES", Variable::RequestCookies),
    ("REQUEST_COOKIES_NAMES", Variable::RequestCookiesNames),
    ("REQUEST_URI", Variable::RequestUri),
    ("REQUEST_URI_RAW", Variable::RequestUriRaw),
    ("REQUEST_FILENAME", Variable::RequestFilename),
    ("REQUEST_BASENAME", Variable::RequestBasename),
    ("QUERY_STRING", Variable::QueryString),
    ("REMOTE_ADDR", Variable::RemoteAddr),
];

const FOREIGN: &[(Foreign, &[&str])] = &[
    (
        Foreign::Http,
        &[
            "AUTH_TYPE",
            "FILES",
            "FILES_COMBINED_SIZE",
            "FILES_NAMES",
            "FILES_SIZES",
            "FILES_TMPNAMES",
            "FILES_TMP_CONTENT",
            "FULL_REQUEST",
            "FULL_REQUEST_LENGTH",
            "INBOUND_DATA_ERROR",
            "MULTIPART_BOUNDARY_QUOTED",
            "MULTIPART_BOUNDARY_WHITESPACE",
            "MULTIPART_CRLF_LF_LINES",
            "MULTIPART_DATA_AFTER",
            "MULTIPART_DATA_BEFORE",
            "MULTIPART_FILENAME",
            "MULTIPART_FILE_LIMIT_EXCEEDED",
            "MULTIPART_HEADER_FOLDING",
            "MULTIPART_INVALID_HEADER_FOLDING",
            "MULTIPART_INVALID_PART",
            "MULTIPART_INVALID_QUOTING",
            "MULTIPART_LF_LINE",
            "MULTIPART_MISSING_SEMICOLON",
            "MULTIPART_NAME",
            "MULTIPART_PART_HEADERS",
            "MULTIPART_SEMICOLON_MISSING",
            "MULTIPART_STRICT_ERROR",
            "MULTIPART_UNMATCHED_BOUNDARY",
            "OUTBOUND_DATA_ERROR",
            "PATH_INFO",
            "REMOTE_USER",
            "REQBODY_ERROR",
            "REQBODY_ERROR_MSG",
            "REQBODY_PROCESSOR",
            "REQBODY_PROCESSOR_ERROR",
            "REQBODY_PROCESSOR_ERROR_MSG",
            "REQUEST_LINE",
            "REQUEST_METHOD",
            "REQUEST_PROTOCOL",
            "RESPONSE_ARGS",
            "RESPONSE_CONTENT_LENGTH",
            "RESPONSE_CONTENT_TYPE",
            "RESPONSE_HEADERS",
            "RESPONSE_HEADERS_NAMES",
            "RESPONSE_PROTOCOL",
            "RESPONSE_STATUS",
            "STATUS_LINE",
        ],
    ),
    (Foreign::Xml, &["XML"]),
    (Foreign::Kept, &["GLOBAL", "IP", "RESOURCE", "SESSION", "SESSIONID", "USER", "USERID", "WEBAPPID"]),
    (
        Foreign::Server,
        &[
            "DURATION",
            "ENV",
            "GEO",
            "HIGHEST_SEVERITY",
            "MODSEC_BUILD",
            "MSC_PCRE_ERROR",
            "MSC_PCRE_LIMITS_EXCEEDED",
            "PERF_ALL",
            "REMOTE_HOST",
            "REMOTE_PORT",
            "RULE",
            "SCRIPT_BASENAME",
            "SCRIPT_FILENAME",
            "SCRIPT_GID",
            "SCRIPT_GROUPNAME",
            "SCRIPT_MODE",
            "SCRIPT_UID",
            "SCRIPT_USERNAME",
            "SERVER_ADDR",
            "SERVER_NAME",
            "SERVER_PORT",
            "TIME",
            "TIME_DAY",
            "TIME_EPOCH",
            "TIME_HOUR",
            "TIME_MIN",
            "TIME_MON",
            "TIME_SEC",
            "TIME_WDAY",
            "TIME_YEAR",
            "UNIQUE_ID",
            "URLENCODED_ERROR",
            "USERAGENT_IP",
        ],
    ),
];

impl Variable {
    pub(crate) fn of(name: &str) -> Option<Self> {
        let known = KNOWN.iter().find(|known| known.0.eq_ignore_ascii_case(name));
        known.map(|known| known.1).or_else(|| {
            let foreign =
                FOREIGN.iter().find(|group| group.1.iter().any(|one| one.eq_ignore_ascii_case(name)));
            foreign.map(|group| Self::Foreign(group.0))
        })
    }

    /// Its name, where it is one of those that are filled.
    pub(crate) fn name(self) -> &'static str {
        KNOWN.iter().find(|known| known.1 == self).map_or("", |known| known.0)
    }
}

/// Which members of a collection are meant.
#[derive(Clone, Debug)]
pub(crate) enum Selector {
    All,
    /// The one of this name, whatever the case of its letters; kept in lower case.
    Name(Vec<u8>),
    /// Those whose name this expression is found in.
    Pattern(Regex),
}

impl Selector {
    pub(crate) fn selects(&self, name: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Name(wanted) => wanted.eq_ignore_ascii_case(name),
            Self::Pattern(pattern) => pattern.is_match(name),
        }
    }
}

/// One entry of a rule's list of variables.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) variable: Variable,
    pub(crate) selector: Selector,
    /// How many there are, instead of what they are (`&`).
    pub(crate) count: bool,
    /// What is left out (`!`).
    pub(crate) exclusion: bool,
    /// The variables of the transaction that it may mean, by number; found when all names are known.
    pub(crate) numbers: Vec<u32>,
    /// As it was written.
    pub(crate) text: String,
}

impl Target {
    /// Reads one entry, such as `!ARGS:/^x/`.
    fn read(text: &str) -> Result<Self, Fault> {
        let (exclusion, rest) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let (count, rest) = rest.strip_prefix('&').map_or((false, rest), |rest| (true, rest));
        // `ARGS.name` is an old way to write `ARGS:name`; names of variables have no dot.
        let (name, selector) =
            rest.split_once(':').map_or((rest, None), |(name, selector)| (name, Some(selector)));
        if name.is_empty() {
            return Err(Fault::NoVariable);
        }
        let variable = Variable::of(name).ok_or_else(|| Fault::UnknownVariable(name.to_owned()))?;
        let selector = match selector {
            None => Selector::All,
            Some(_) if matches!(variable, Variable::Foreign(_)) => Selector::All,
            Some(selector) => read_selector(selector)?,
        };
        Ok(Self { variable, selector, count, exclusion, numbers: Vec::new(), text: text.to_owned() })
    }

    /// Reads a list of entries with bars between them. Gives the offset of what is wrong.
    pub(crate) fn read_all(text: &str) -> Result<Vec<Self>, (usize, Fault)> {
        let mut targets = Vec::new();
        let mut start = 0;
        for end in ends(text) {
            let piece = &text[start..end];
            let blank = piece.len() - piece.trim_start().len();
            targets.push(Self::read(piece.trim()).map_err(|fault| (start + blank, fault))?);
            start = end + 1;
        }
        Ok(targets)
    }
}

/// Finds where the entries of a list end: at bars that stand in no expression and no quotes.
fn ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut inside: Option<u8> = None;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (inside, bytes[at]) {
            (Some(b'/'), b'\\') => at += 1,
            (Some(closing), byte) if byte == closing => inside = None,
            (Some(_), _) => {}
            (None, opening @ (b'/' | b'\''))
                if at > 0
                    && bytes[at - 1] == b':'
                    && !bytes[..at].to_ascii_uppercase().ends_with(b"XML:")
                    && closes(&bytes[at + 1..], opening) =>
            {
                inside = Some(opening);
            }
            (None, b'|' | b',') => ends.push(at),
            (None, _) => {}
        }
        at += 1;
    }
    ends.push(text.len());
    ends
}

/// Tells whether what opens here closes before the list ends. `XML:/*` opens nothing.
fn closes(rest: &[u8], closing: u8) -> bool {
    rest.iter().enumerate().any(|(at, byte)| {
        *byte == closing
            && (at == 0 || rest[at - 1] != b'\\')
            && matches!(rest.get(at + 1), None | Some(b'|' | b',' | b'\''))
    })
}

fn read_selector(text: &str) -> Result<Selector, Fault> {
    let text = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(text);
    let Some(inner) = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) else {
        return Ok(Selector::Name(text.to_ascii_lowercase().into_bytes()));
    };
    let fail = |why: String| Fault::Pattern { pattern: inner.to_owned(), why };
    let translated = pattern::translate(inner).map_err(|why| fail(why.to_string()))?;
    let mut builder = RegexBuilder::new(&translated);
    builder.unicode(false).case_insensitive(true).multi_line(true).dot_matches_new_line(true);
    builder.build().map(Selector::Pattern).map_err(|why| fail(pattern::short(&why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_outside_of_expressions_and_quotes() {
        let check = |text: &str, expected: &[&str]| {
            let targets = Target::read_all(text).unwrap();
            assert_eq!(
                targets.iter().map(|target| target.text.as_str()).collect::<Vec<_>>(),
                expected,
                "{text}"
            );
        };
        check("ARGS", &["ARGS"]);
        check(
            "REQUEST_COOKIES|!REQUEST_COOKIES:/__utm/|ARGS",
            &["REQUEST_COOKIES", "!REQUEST_COOKIES:/__utm/", "ARGS"],
        );
        check("ARGS:/a|b/|&TX:x|XML:/*", &["ARGS:/a|b/", "&TX:x", "XML:/*"]);
        check("XML:/*|ARGS|ARGS:/x/", &["XML:/*", "ARGS", "ARGS:/x/"]);
        check("ARGS:'/x|y/'|TX:1", &["ARGS:'/x|y/'", "TX:1"]);
    }

    #[test]
    fn a_selector_selects_whatever_the_case() {
        let check = |text: &str, name: &str, expected: bool| {
            let targets = Target::read_all(text).unwrap();
            assert_eq!(targets[0].selector.selects(name.as_bytes()), expected, "{text} {name}");
        };
        check("ARGS", "x", true);
        check("ARGS:json.Text", "JSON.text", true);
        check("ARGS:text", "json.text", false);
        check("ARGS:/^json\\.t/", "JSON.TEXT", true);
        check("ARGS:'/x$/'", "y", false);
    }

    #[test]
    fn what_is_no_target_says_why() {
        let check = |text: &str, at: usize, expected: &str| {
            let (offset, fault) = Target::read_all(text).unwrap_err();
            assert_eq!((offset, fault.to_string().as_str()), (at, expected), "{text}");
        };
        check("ARGS|", 5, "no variable here; expected a name such as ARGS");
        check("ARGS|ARG", 5, "unknown variable `ARG`; expected one such as ARGS, REQUEST_BODY, TX:name");
        check(
            "ARGS:/(?=x)/",
            0,
            "`(?=x)` is no regular expression: look-around; the expression cannot be matched in linear time",
        );
    }
}
