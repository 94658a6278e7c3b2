//! Actions of a rule: what it is called, what is done to values, and what happens when it matches.

use crate::error::Fault;
use crate::macros::Template;
use crate::target::Target;
use crate::transform::{Named, Transform};

/// The weight that a rule gives to what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Severity {
    Critical,
    Error,
    Warning,
    Notice,
    /// Information and less: no weight.
    Other,
}

/// What becomes of a message that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disruption {
    Pass,
    /// Whatever the default of the phase says.
    Block,
    /// `deny`, `drop`, `redirect`, `proxy`.
    Deny,
    /// Nothing more is looked at.
    Allow,
}

/// A change of a variable of the transaction.
#[derive(Clone, Debug)]
pub(crate) struct SetVar {
    pub(crate) name: Template,
    pub(crate) change: Change,
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    Set(Template),
    Add(Template),
    Subtract(Template),
    Unset,
}

/// Which rules are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Ids from one to another.
    Ids(u32, u32),
    Tag(String),
    Message(String),
}

/// What a rule changes about others for the rest of a message.
#[derive(Clone, Debug)]
pub(crate) enum Control {
    Remove(Which),
    RemoveTarget(Which, Target),
    /// Nothing more is looked at.
    Off,
    /// An option that means nothing here.
    Ignored,
}

/// All that a list of actions says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Actions {
    pub(crate) id: Option<u32>,
    pub(crate) phase: Option<u8>,
    pub(crate) message: Option<String>,
    pub(crate) severity: Option<Severity>,
    pub(crate) tags: Vec<String>,
    pub(crate) chain: bool,
    pub(crate) capture: bool,
    pub(crate) multi: bool,
    pub(crate) logged: Option<bool>,
    pub(crate) disruption: Option<Disruption>,
    /// The defaults' transformations are forgotten (`t:none`).
    pub(crate) afresh: bool,
    pub(crate) transforms: Vec<Transform>,
    pub(crate) setvars: Vec<SetVar>,
    pub(crate) controls: Vec<Control>,
    pub(crate) skip_after: Option<String>,
    /// Why the rule cannot be followed.
    pub(crate) refused: Option<String>,
}

/// Actions that are read and mean nothing for a message.
const SILENT: &[&str] = &[
    "accuracy",
    "append",
    "auditlog",
    "deprecatevar",
    "exec",
    "expirevar",
    "initcol",
    "logdata",
    "maturity",
    "noauditlog",
    "pause",
    "prepend",
    "rev",
    "sanitisearg",
    "sanitisematched",
    "sanitisematchedbytes",
    "sanitiserequestheader",
    "sanitiseresponseheader",
    "sanitizearg",
    "sanitizematched",
    "sanitizematchedbytes",
    "sanitizerequestheader",
    "sanitizeresponseheader",
    "setenv",
    "setrsc",
    "setsid",
    "setuid",
    "status",
    "ver",
    "xmlns",
];

impl Actions {
    /// Reads a list of actions. Gives the offset of what is wrong.
    pub(crate) fn read(text: &str) -> Result<Self, (usize, Fault)> {
        let mut actions = Self::default();
        for (start, name, value) in split(text)? {
            actions.take(name, value.as_deref()).map_err(|fault| (start, fault))?;
        }
        Ok(actions)
    }

    fn take(&mut self, name: &str, value: Option<&str>) -> Result<(), Fault> {
        let given = value.unwrap_or_default();
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "id" => {
                let id = given.trim().parse().map_err(|_| wrong("id", given, "a number"))?;
                self.id = Some(id);
            }
            "phase" => self.phase = Some(phase(given)?),
            "msg" => self.message = Some(given.to_owned()),
            "severity" => self.severity = Some(severity(given)?),
            "tag" => self.tags.push(given.to_owned()),
            "chain" => self.chain = true,
            "capture" => self.capture = true,
            "multimatch" => self.multi = true,
            "log" => self.logged = Some(true),
            "nolog" => self.logged = Some(false),
            "pass" => self.disruption = Some(Disruption::Pass),
            "block" => self.disruption = Some(Disruption::Block),
            "deny" | "drop" | "redirect" | "proxy" => self.disruption = Some(Disruption::Deny),
            "allow" => self.disruption = Some(Disruption::Allow),
            "t" => {
                match Transform::named(given).ok_or_else(|| Fault::UnknownTransformation(given.to_owned()))? {
                    Named::One(transform) => self.transforms.push(transform),
                    Named::None => {
                        self.afresh = true;
                        self.transforms.clear();
                    }
                    Named::Refused(why) => {
                        self.refused.get_or_insert_with(|| format!("t:{given}: {why}"));
                    }
                }
            }
            "setvar" => self.setvars.extend(set_variable(given)?),
            "ctl" => self.controls.push(control(given)?),
            "skipafter" => self.skip_after = Some(given.to_owned()),
            "skip" => {
                self.refused
                    .get_or_insert_with(|| "skip: counts rules; skipAfter names where to go on".to_owned());
            }
            other if SILENT.contains(&other) => {}
            _ => return Err(Fault::UnknownAction(name.to_owned())),
        }
        Ok(())
    }

    /// Changes these actions as `SecRuleUpdateActionById` does: what `newer` says replaces, what it does not say stays.
    pub(crate) fn update(&mut self, newer: Self) {
        self.message = newer.message.or_else(|| self.message.take());
        self.severity = newer.severity.or(self.severity);
        self.tags.extend(newer.tags);
        self.logged = newer.logged.or(self.logged);
        self.disruption = newer.disruption.or(self.disruption);
        self.capture |= newer.capture;
        self.multi |= newer.multi;
        if newer.afresh {
            self.afresh = true;
            self.transforms.clear();
        }
        self.transforms.extend(newer.transforms);
        self.setvars.extend(newer.setvars);
        self.controls.extend(newer.controls);
        self.skip_after = newer.skip_after.or_else(|| self.skip_after.take());
        self.refused = newer.refused.or_else(|| self.refused.take());
    }
}

fn wrong(action: &'static str, given: &str, expected: &'static str) -> Fault {
    Fault::Value { action, given: given.to_owned(), expected }
}

/// An action: where it begins, its name and its value.
type Piece<'a> = (usize, &'a str, Option<String>);

/// Splits a list at commas outside of single quotes.
fn split(text: &str) -> Result<Vec<Piece<'_>>, (usize, Fault)> {
    let bytes = text.as_bytes();
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at].is_ascii_whitespace() || bytes[at] == b',' {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && !matches!(bytes[at], b',' | b':') {
            at += 1;
        }
        let name = text[start..at].trim();
        let mut value = None;
        if bytes.get(at) == Some(&b':') {
            at += 1;
            let begin = at;
            if bytes.get(at) == Some(&b'\'') {
                at += 1;
                while bytes.get(at).is_some_and(|byte| *byte != b'\'' || bytes[at - 1] == b'\\') {
                    at += 1;
                }
                if at >= bytes.len() {
                    return Err((begin, Fault::OpenQuote('\'')));
                }
                value = Some(text[begin + 1..at].replace("\\'", "'"));
                at += 1;
                // Whatever stands between the quote and the comma says nothing.
                while at < bytes.len() && bytes[at] != b',' {
                    at += 1;
                }
            } else {
                while at < bytes.len() && bytes[at] != b',' {
                    at += 1;
                }
                value = Some(text[begin..at].trim().to_owned());
            }
        }
        pieces.push((start, name, value));
    }
    Ok(pieces)
}

pub(crate) fn phase(text: &str) -> Result<u8, Fault> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" => Ok(1),
        "2" | "request" => Ok(2),
        "3" => Ok(3),
        "4" | "response" => Ok(4),
        "5" | "logging" => Ok(5),
        _ => Err(wrong("phase", text, "1 to 5, request, response or logging")),
    }
}

fn severity(text: &str) -> Result<Severity, Fault> {
    match text.trim().to_ascii_lowercase().as_str() {
        "0" | "emergency" | "1" | "alert" | "2" | "critical" => Ok(Severity::Critical),
        "3" | "error" => Ok(Severity::Error),
        "4" | "warning" => Ok(Severity::Warning),
        "5" | "notice" => Ok(Severity::Notice),
        "6" | "info" | "7" | "debug" => Ok(Severity::Other),
        _ => Err(wrong("severity", text, "EMERGENCY to DEBUG or 0 to 7")),
    }
}

/// Reads `tx.name=+5`. Gives `None` for a variable that is kept beyond a request.
fn set_variable(text: &str) -> Result<Option<SetVar>, Fault> {
    let expected = "TX.name=value, TX.name=+1, TX.name=-1 or !TX.name";
    let (unset, rest) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
    let (name, value) = rest.split_once('=').map_or((rest, None), |(name, value)| (name, Some(value)));
    let (collection, name) = name.split_once(['.', ':']).ok_or_else(|| wrong("setvar", text, expected))?;
    if name.trim().is_empty() {
        return Err(wrong("setvar", text, expected));
    }
    if !collection.trim().eq_ignore_ascii_case("tx") {
        return Ok(None);
    }
    let change = match value {
        _ if unset => Change::Unset,
        None => Change::Set(Template::read("1")),
        Some(value) => match value.split_at_checked(1) {
            Some(("+", amount)) => Change::Add(Template::read(amount)),
            Some(("-", amount)) => Change::Subtract(Template::read(amount)),
            Some(_) | None => Change::Set(Template::read(value)),
        },
    };
    Ok(Some(SetVar { name: Template::read(&name.trim().to_ascii_lowercase()), change }))
}

/// Reads a range of ids.
pub(crate) fn ids(action: &'static str, text: &str) -> Result<Which, Fault> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok(Which::Ids(first, last)),
        (_, _) => Err(wrong(action, text, "an id such as 942100 or a range such as 942000-942999")),
    }
}

fn control(text: &str) -> Result<Control, Fault> {
    let (name, value) = text.split_once('=').ok_or_else(|| wrong("ctl", text, "NAME=VALUE"))?;
    let with_target = |which: fn(&str) -> Result<Which, Fault>| {
        let (rules, target) = value
            .split_once(';')
            .ok_or_else(|| wrong("ctl", text, "RULES;VARIABLE, such as 942100;ARGS:text"))?;
        let target = Target::read_all(target.trim()).map_err(|(_, fault)| fault)?;
        let target = target.into_iter().next().ok_or(Fault::NoVariable)?;
        Ok::<_, Fault>(Control::RemoveTarget(which(rules.trim())?, target))
    };
    Ok(match name.trim().to_ascii_lowercase().as_str() {
        "ruleremovebyid" => Control::Remove(ids("ctl:ruleRemoveById", value)?),
        "ruleremovebytag" => Control::Remove(Which::Tag(value.trim().to_owned())),
        "ruleremovebymsg" => Control::Remove(Which::Message(value.trim().to_owned())),
        "ruleremovetargetbyid" => with_target(|rules| ids("ctl:ruleRemoveTargetById", rules))?,
        "ruleremovetargetbytag" => with_target(|rules| Ok(Which::Tag(rules.to_owned())))?,
        "ruleremovetargetbymsg" => with_target(|rules| Ok(Which::Message(rules.to_owned())))?,
        "ruleengine" if value.trim().eq_ignore_ascii_case("off") => Control::Off,
        _ => Control::Ignored,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_actions_is_read() {
        let text = r"id:942100,phase:2, block,capture,t:none,t:urlDecodeUni,msg:'a, it\'s',severity:'CRITICAL',
            setvar:'tx.x=+%{tx.critical}',setvar:ip.y=1,ctl:ruleRemoveTargetById=1-3;ARGS:/x,y/,skipAfter:END";
        let actions = Actions::read(&text.replace("ARGS:/x,y/", "ARGS:pw")).unwrap();
        assert_eq!((actions.id, actions.phase), (Some(942_100), Some(2)));
        assert_eq!(actions.message.as_deref(), Some("a, it's"));
        assert_eq!(actions.severity, Some(Severity::Critical));
        assert_eq!(actions.disruption, Some(Disruption::Block));
        assert_eq!(actions.transforms, [Transform::UrlDecodeUni]);
        assert_eq!(actions.setvars.len(), 1, "what is kept beyond a request is left out");
        assert!(
            matches!(&actions.controls[..], [Control::RemoveTarget(Which::Ids(1, 3), target)] if target.text == "ARGS:pw")
        );
        assert_eq!(actions.skip_after.as_deref(), Some("END"));
    }

    #[test]
    fn what_is_no_action_says_where_and_what_would_be() {
        let check = |text: &str, at: usize, expected: &str| {
            let (offset, fault) = Actions::read(text).unwrap_err();
            assert_eq!((offset, fault.to_string().as_str()), (at, expected), "{text}");
        };
        check("id:x", 0, "`x` is no value for id; expected a number");
        check("id:1,foo", 5, "unknown action `foo`; expected one such as id, phase, msg, setvar, ctl");
        check(
            "t:rot13",
            0,
            "unknown transformation `rot13`; expected one such as t:lowercase, t:urlDecodeUni",
        );
        check("msg:'a", 4, "a quoted word does not end; expected a closing `'`");
        check(
            "setvar:x",
            0,
            "`x` is no value for setvar; expected TX.name=value, TX.name=+1, TX.name=-1 or !TX.name",
        );
        check("phase:6", 0, "`6` is no value for phase; expected 1 to 5, request, response or logging");
        check(
            "ctl:ruleRemoveById=x",
            0,
            "`x` is no value for ctl:ruleRemoveById; expected an id such as 942100 or a range such as 942000-942999",
        );
    }
}
