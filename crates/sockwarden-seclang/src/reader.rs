//! From the text of files to rules, in the order in which they are evaluated.

use std::collections::HashMap;

use crate::action::{Actions, Which, ids};
use crate::error::{Fault, ReadError};
use crate::operator::Operator;
use crate::source::{Line, Source, Word, lines};
use crate::target::Target;

/// How many rules a set may hold.
pub(crate) const RULES: usize = 20_000;

/// What stands in a set, in order.
#[derive(Debug)]
pub(crate) enum Item {
    Rule(Rule),
    Marker(String),
}

/// A rule with the rules that are chained to it.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Where it stands: file, line.
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) id: u32,
    pub(crate) phase: u8,
    pub(crate) links: Vec<Link>,
    /// It was taken out by `SecRuleRemoveById` and the like.
    pub(crate) removed: bool,
}

/// One `SecRule` or `SecAction` of a chain.
#[derive(Debug)]
pub(crate) struct Link {
    /// Nothing for `SecAction`.
    pub(crate) targets: Vec<Target>,
    pub(crate) operator: Operator,
    pub(crate) negated: bool,
    pub(crate) actions: Actions,
}

impl Rule {
    /// The actions that say who the rule is.
    pub(crate) fn head(&self) -> &Actions {
        &self.links[0].actions
    }

    pub(crate) fn is(&self, which: &Which) -> bool {
        match which {
            Which::Ids(first, last) => (*first..=*last).contains(&self.id),
            Which::Tag(tag) => self.head().tags.iter().any(|one| one == tag),
            Which::Message(message) => self.head().message.as_deref() == Some(message),
        }
    }
}

/// All that was read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) items: Vec<Item>,
    /// What was read and means nothing here: file, line, what.
    pub(crate) notes: Vec<(String, u32, String)>,
    /// `SecComponentSignature`.
    pub(crate) signatures: Vec<String>,
}

/// A change of rules, made when all of them are there.
enum Edit {
    Remove(Which),
    Targets(Which, Vec<Target>),
    Actions(u32, usize, Box<Actions>),
}

struct State {
    read: Read,
    /// The defaults of phases 1 to 5.
    defaults: HashMap<u8, Actions>,
    /// A chain that is to be continued, and where it was opened.
    open: Option<(Rule, ReadError)>,
    /// The line of each id.
    seen: HashMap<u32, ()>,
    edits: Vec<(String, u32, Edit)>,
}

/// Directives that tune the engine, and mean nothing for rules about messages.
const SETTINGS: &[&str] = &[
    "SecArgumentSeparator",
    "SecArgumentsLimit",
    "SecAuditEngine",
    "SecAuditLog",
    "SecAuditLog2",
    "SecAuditLogDirMode",
    "SecAuditLogFileMode",
    "SecAuditLogFormat",
    "SecAuditLogParts",
    "SecAuditLogRelevantStatus",
    "SecAuditLogStorageDir",
    "SecAuditLogType",
    "SecCacheTransformations",
    "SecChrootDir",
    "SecCollectionTimeout",
    "SecConnEngine",
    "SecConnReadStateLimit",
    "SecConnWriteStateLimit",
    "SecContentInjection",
    "SecCookieFormat",
    "SecCookieV0Separator",
    "SecDataDir",
    "SecDebugLog",
    "SecDebugLogLevel",
    "SecDisableBackendCompression",
    "SecGeoLookupDb",
    "SecGsbLookupDb",
    "SecGuardianLog",
    "SecHashEngine",
    "SecHashKey",
    "SecHashMethodPm",
    "SecHashMethodRx",
    "SecHashParam",
    "SecHttpBlKey",
    "SecInterceptOnError",
    "SecPcreMatchLimit",
    "SecPcreMatchLimitRecursion",
    "SecRemoteRules",
    "SecRemoteRulesFailAction",
    "SecRequestBodyAccess",
    "SecRequestBodyInMemoryLimit",
    "SecRequestBodyJsonDepthLimit",
    "SecRequestBodyLimit",
    "SecRequestBodyLimitAction",
    "SecRequestBodyNoFilesLimit",
    "SecResponseBodyAccess",
    "SecResponseBodyLimit",
    "SecResponseBodyLimitAction",
    "SecResponseBodyMimeType",
    "SecResponseBodyMimeTypesClear",
    "SecRuleEngine",
    "SecRuleInheritance",
    "SecRulePerfTime",
    "SecSensorId",
    "SecServerSignature",
    "SecStatusEngine",
    "SecStreamInBodyInspection",
    "SecStreamOutBodyInspection",
    "SecTmpDir",
    "SecTmpSaveUploadedFiles",
    "SecUnicodeCodePage",
    "SecUnicodeMapFile",
    "SecUploadDir",
    "SecUploadFileLimit",
    "SecUploadFileMode",
    "SecUploadKeepFiles",
    "SecWebAppId",
    "SecWriteStateLimit",
    "SecXmlExternalEntity",
];

/// Reads files in the order in which they are given. Gives all mistakes where there are any.
pub(crate) fn read(files: &[Source<'_>]) -> Result<Read, Vec<ReadError>> {
    let mut state = State {
        read: Read::default(),
        defaults: HashMap::new(),
        open: None,
        seen: HashMap::new(),
        edits: Vec::new(),
    };
    let mut errors = Vec::new();
    for file in files {
        let lines = match lines(file.name, file.text) {
            Ok(lines) => lines,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        for line in &lines {
            if let Err((offset, fault)) = state.line(file.name, line) {
                errors.push(line.error(file.name, offset, fault));
            }
        }
        if let Some((_, error)) = state.open.take() {
            errors.push(error);
        }
    }
    if errors.is_empty() {
        state.edit();
        Ok(state.read)
    } else {
        Err(errors)
    }
}

/// A mistake and its offset in the line.
type At = (usize, Fault);

impl State {
    fn line(&mut self, file: &str, line: &Line) -> Result<(), At> {
        let words = line.words()?;
        let [directive, words @ ..] = words.as_slice() else { return Ok(()) };
        let row = line.spot(0).0;
        let count = |directive: &'static str, expected: &'static str, good: bool| {
            if good { Ok(()) } else { Err((0, Fault::WordCount { directive, found: words.len(), expected })) }
        };
        let name = directive.text.as_str();
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if let Some((_, error)) = self.open.as_ref()
            && !is("SecRule")
            && !is("SecAction")
        {
            let fault = error.fault.clone();
            self.open = None;
            return Err((0, fault));
        }
        if is("SecRule") {
            count(
                "SecRule",
                "variables, an operator and, if there are any, actions",
                (2..=3).contains(&words.len()),
            )?;
            let targets = Target::read_all(&words[0].text).map_err(|at| within(&words[0], at))?;
            let (negated, operator) =
                Operator::read(&words[1].text).map_err(|fault| (words[1].start, fault))?;
            let actions = words.get(2).map(read_actions).transpose()?.unwrap_or_default();
            let spot = words.get(2).map_or(0, |word| word.start);
            self.link(file, line, row, spot, Link { targets, operator, negated, actions })
        } else if is("SecAction") {
            count("SecAction", "actions", words.len() == 1)?;
            let actions = read_actions(&words[0])?;
            let link = Link { targets: Vec::new(), operator: Operator::Always, negated: false, actions };
            self.link(file, line, row, words[0].start, link)
        } else if is("SecMarker") {
            count("SecMarker", "a name", words.len() == 1)?;
            // An old way to write it.
            let name = words[0].text.strip_prefix("id:").unwrap_or(&words[0].text);
            self.read.items.push(Item::Marker(name.to_owned()));
            Ok(())
        } else if is("SecDefaultAction") {
            count("SecDefaultAction", "actions", words.len() == 1)?;
            let actions = read_actions(&words[0])?;
            let phase = actions.phase.unwrap_or(2);
            self.defaults.insert(phase, actions);
            Ok(())
        } else if is("SecComponentSignature") {
            count("SecComponentSignature", "a text", words.len() == 1)?;
            self.read.signatures.push(words[0].text.clone());
            Ok(())
        } else if is("SecRuleScript") {
            self.note(file, row, "SecRuleScript: scripts are not run");
            Ok(())
        } else if is("Include") || is("IncludeOptional") {
            self.note(file, row, "Include: files are read in the order in which they are handed over");
            Ok(())
        } else if name.to_ascii_lowercase().starts_with("secrule") && !is("SecRuleEngine") {
            self.edit_directive(file, row, name, words)
        } else if SETTINGS.iter().any(|known| is(known)) {
            self.note(file, row, &format!("{name}: the engine is set up by the gateway's own configuration"));
            Ok(())
        } else {
            Err((0, Fault::UnknownDirective(name.to_owned())))
        }
    }

    fn note(&mut self, file: &str, row: u32, text: &str) {
        self.read.notes.push((file.to_owned(), row, text.to_owned()));
    }

    fn link(&mut self, file: &str, line: &Line, row: u32, spot: usize, mut link: Link) -> Result<(), At> {
        let continued = link.actions.chain;
        let rule = match self.open.take() {
            Some((mut rule, _)) => {
                self.inherit(rule.phase, &mut link.actions);
                rule.links.push(link);
                rule
            }
            None => {
                let id = link.actions.id.ok_or((spot, Fault::NoId))?;
                if self.seen.insert(id, ()).is_some() {
                    return Err((spot, Fault::TwiceUsed(id)));
                }
                if self.seen.len() > RULES {
                    return Err((spot, Fault::TooMany { what: "rules", limit: RULES }));
                }
                let phase = link.actions.phase.unwrap_or(2);
                self.inherit(phase, &mut link.actions);
                Rule { file: file.to_owned(), line: row, id, phase, links: vec![link], removed: false }
            }
        };
        if continued {
            self.open = Some((rule, line.error(file, spot, Fault::OpenChain)));
        } else {
            self.read.items.push(Item::Rule(rule));
        }
        Ok(())
    }

    /// Adds what the defaults of a phase say.
    fn inherit(&self, phase: u8, actions: &mut Actions) {
        let Some(defaults) = self.defaults.get(&phase) else { return };
        if !actions.afresh {
            let mut transforms = defaults.transforms.clone();
            transforms.append(&mut actions.transforms);
            actions.transforms = transforms;
        }
        actions.logged = actions.logged.or(defaults.logged);
        if matches!(actions.disruption, None | Some(crate::action::Disruption::Block)) {
            actions.disruption = defaults.disruption.or(actions.disruption);
        }
    }

    fn edit_directive(&mut self, file: &str, row: u32, name: &str, words: &[Word]) -> Result<(), At> {
        let lower = name.to_ascii_lowercase();
        let first = words.first();
        let spot = first.map_or(0, |word| word.start);
        let given = first.map_or("", |word| word.text.as_str());
        let mut edits = Vec::new();
        let targets = || {
            let word = words.get(1).ok_or((
                0,
                Fault::WordCount {
                    directive: "SecRuleUpdateTarget",
                    found: words.len(),
                    expected: "rules and variables",
                },
            ))?;
            Target::read_all(&word.text).map_err(|at| within(word, at))
        };
        match lower.as_str() {
            "secruleremovebyid" => {
                for word in words {
                    for part in word.text.split([',', ' ']).filter(|part| !part.is_empty()) {
                        edits.push(Edit::Remove(
                            ids("SecRuleRemoveById", part).map_err(|fault| (word.start, fault))?,
                        ));
                    }
                }
            }
            "secruleremovebytag" => edits.push(Edit::Remove(Which::Tag(given.to_owned()))),
            "secruleremovebymsg" => edits.push(Edit::Remove(Which::Message(given.to_owned()))),
            "secruleupdatetargetbyid" => {
                let which = ids("SecRuleUpdateTargetById", given).map_err(|fault| (spot, fault))?;
                edits.push(Edit::Targets(which, targets()?));
            }
            "secruleupdatetargetbytag" => edits.push(Edit::Targets(Which::Tag(given.to_owned()), targets()?)),
            "secruleupdatetargetbymsg" => {
                edits.push(Edit::Targets(Which::Message(given.to_owned()), targets()?))
            }
            "secruleupdateactionbyid" => {
                let expected = "an id, or an id and which rule of its chain, such as 942100:1";
                let fail = || {
                    (
                        spot,
                        Fault::Value { action: "SecRuleUpdateActionById", given: given.to_owned(), expected },
                    )
                };
                let (id, place) = given.split_once(':').unwrap_or((given, "0"));
                let id = id.parse().map_err(|_| fail())?;
                let place = place.parse().map_err(|_| fail())?;
                let word = words.get(1).ok_or_else(fail)?;
                edits.push(Edit::Actions(id, place, Box::new(read_actions(word)?)));
            }
            _ => return Err((0, Fault::UnknownDirective(name.to_owned()))),
        }
        if edits.is_empty() || given.is_empty() {
            let fault = Fault::WordCount {
                directive: "SecRuleRemove",
                found: words.len(),
                expected: "which rules are meant",
            };
            return Err((0, fault));
        }
        self.edits.extend(edits.into_iter().map(|edit| (file.to_owned(), row, edit)));
        Ok(())
    }

    /// Makes the changes, whatever stands first: the rule or its change.
    fn edit(&mut self) {
        for (file, row, edit) in std::mem::take(&mut self.edits) {
            let mut found = false;
            let rules = self.read.items.iter_mut().filter_map(|item| match item {
                Item::Rule(rule) => Some(rule),
                Item::Marker(_) => None,
            });
            match &edit {
                Edit::Remove(which) => {
                    for rule in rules.filter(|rule| rule.is(which)) {
                        rule.removed = true;
                        found = true;
                    }
                }
                Edit::Targets(which, targets) => {
                    for rule in rules.filter(|rule| rule.is(which)) {
                        rule.links[0].targets.extend(targets.iter().cloned());
                        found = true;
                    }
                }
                Edit::Actions(id, place, actions) => {
                    for link in
                        rules.filter(|rule| rule.id == *id).filter_map(|rule| rule.links.get_mut(*place))
                    {
                        link.actions.update((**actions).clone());
                        found = true;
                    }
                }
            }
            if !found {
                self.note(&file, row, "changes a rule that is not in the set");
            }
        }
    }
}

fn read_actions(word: &Word) -> Result<Actions, At> {
    Actions::read(&word.text).map_err(|at| within(word, at))
}

/// Where in the line something stands that stands in a word.
fn within(word: &Word, (offset, fault): At) -> At {
    (word.start + offset, fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(text: &str) -> Result<Read, Vec<ReadError>> {
        read(&[Source { name: "r.conf", text: text.as_bytes() }])
    }

    fn rules(text: &str) -> Vec<Rule> {
        let items = read_one(text).unwrap().items;
        items
            .into_iter()
            .filter_map(|item| match item {
                Item::Rule(rule) => Some(rule),
                Item::Marker(_) => None,
            })
            .collect()
    }

    #[test]
    fn a_chain_is_one_rule() {
        let read = rules(
            "SecRule ARGS \"@rx a\" \"id:1,chain\"\n  SecRule TX:1 \"@eq 2\" \"chain\"\n SecRule &ARGS \"@gt 3\"\nSecAction \"id:2\"",
        );
        assert_eq!(read.iter().map(|rule| (rule.id, rule.links.len())).collect::<Vec<_>>(), [(1, 3), (2, 1)]);
    }

    #[test]
    fn defaults_come_before_what_a_rule_says() {
        let read = rules(
            "SecDefaultAction \"phase:2,log,deny,t:lowercase\"\nSecRule ARGS a \"id:1,block,t:trim\"\nSecRule ARGS a \"id:2,pass,t:none,t:trim\"",
        );
        assert_eq!(read[0].head().transforms.len(), 2);
        assert_eq!(read[0].head().disruption, Some(crate::action::Disruption::Deny));
        assert_eq!(read[1].head().transforms.len(), 1);
        assert_eq!(read[1].head().disruption, Some(crate::action::Disruption::Pass));
    }

    #[test]
    fn rules_are_changed_whatever_stands_first() {
        let read = rules(
            "SecRuleRemoveById 1 5-6\nSecRuleRemoveByTag x\nSecRule ARGS a \"id:1\"\nSecRule ARGS a \"id:2,tag:x\"\n\
             SecRule ARGS a \"id:3,msg:'m'\"\nSecRule ARGS a \"id:5\"\nSecRuleUpdateTargetById 3 \"!ARGS:pw|TX:1\"\n\
             SecRuleUpdateActionById 3 \"tag:y,severity:ERROR\"",
        );
        assert_eq!(read.iter().map(|rule| rule.removed).collect::<Vec<_>>(), [true, true, false, true]);
        assert_eq!(read[2].links[0].targets.len(), 3);
        assert_eq!(read[2].head().tags, ["y"]);
    }

    #[test]
    fn each_mistake_is_told_with_its_place() {
        let check = |text: &str, expected: &str| {
            let errors = read_one(text).unwrap_err();
            assert_eq!(crate::error::ReadErrors(errors).to_string(), expected, "{text}");
        };
        check(
            "Foo x",
            "r.conf:1:1: unknown directive `Foo`; expected one such as SecRule, SecAction, SecMarker",
        );
        check(
            "SecRule ARGS",
            "r.conf:1:1: SecRule has 1 words; expected variables, an operator and, if there are any, actions",
        );
        check("SecRule ARGS x", "r.conf:1:1: a rule without an id; expected id:NUMBER among its actions");
        check(
            "SecRule ARGS|FOO x \"id:1\"",
            "r.conf:1:14: unknown variable `FOO`; expected one such as ARGS, REQUEST_BODY, TX:name",
        );
        check(
            "SecRule ARGS x \\\n  \"id:1,\\\n  phase:9\"",
            "r.conf:3:3: `9` is no value for phase; expected 1 to 5, request, response or logging",
        );
        check("SecRule ARGS x \"id:1", "r.conf:1:16: a quoted word does not end; expected a closing `\"`");
        check(
            "SecRule ARGS x \"id:1,chain\"\nSecMarker A\nSecAction \"id:2\"\nSecAction \"id:2\"",
            "r.conf:2:1: the chain is not continued; expected a SecRule after `chain`\n\
             r.conf:4:12: the id 2 is used by another rule; each id is used once",
        );
        check(
            "SecRule ARGS x \"id:1,chain\"",
            "r.conf:1:17: the chain is not continued; expected a SecRule after `chain`",
        );
    }
}
