//! Whole rule sets, from their text to what they say of messages.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use sockwarden_model::Direction;
use sockwarden_seclang::{
    Exclusion, Fields, Handshake, Message, Outcome, Paranoia, Policy, Report, RuleSet, Source,
};

/// A set in the manner of the Core Rule Set, version 4: two kinds of levels, scores for each, an evaluation that denies.
const SCORING: &str = r#"
SecDefaultAction "phase:1,log,auditlog,pass"
SecDefaultAction "phase:2,log,auditlog,pass"
SecRule &TX:blocking_paranoia_level "@eq 0" "id:10,phase:1,pass,nolog,setvar:'tx.blocking_paranoia_level=1'"
SecRule &TX:detection_paranoia_level "@eq 0" \
    "id:11,phase:1,pass,nolog,setvar:'tx.detection_paranoia_level=%{TX.blocking_paranoia_level}'"
SecRule &TX:inbound_anomaly_score_threshold "@eq 0" "id:12,phase:1,pass,nolog,setvar:'tx.inbound_anomaly_score_threshold=5'"
SecAction "id:13,phase:1,pass,nolog,setvar:tx.critical_anomaly_score=5,setvar:tx.notice_anomaly_score=2,\
    setvar:tx.blocking_inbound_anomaly_score=0,setvar:tx.inbound_anomaly_score_pl1=0,setvar:tx.inbound_anomaly_score_pl2=0"
SecRule TX:DETECTION_PARANOIA_LEVEL "@lt 1" "id:20,phase:2,pass,nolog,skipAfter:END"
SecRule ARGS_NAMES|ARGS|XML:/* "@rx (?i)\bunion\s+select\b" \
    "id:100,phase:2,block,capture,t:none,t:urlDecodeUni,t:replaceComments,msg:'Union',severity:'CRITICAL',tag:'attack-sqli',\
    setvar:'tx.inbound_anomaly_score_pl1=+%{tx.critical_anomaly_score}'"
SecRule ARGS "@pm sleep benchmark" \
    "id:101,phase:2,block,t:none,t:lowercase,severity:NOTICE,tag:'attack-sqli',chain"
    SecRule MATCHED_VARS "@contains (" "setvar:'tx.inbound_anomaly_score_pl1=+%{tx.notice_anomaly_score}'"
SecRule TX:DETECTION_PARANOIA_LEVEL "@lt 2" "id:21,phase:2,pass,nolog,skipAfter:END"
SecRule ARGS "!@rx ^[\w\s./]*$" \
    "id:102,phase:2,block,t:none,severity:NOTICE,tag:'attack-odd',setvar:'tx.inbound_anomaly_score_pl2=+%{tx.notice_anomaly_score}'"
SecMarker "END"
SecRule TX:BLOCKING_PARANOIA_LEVEL "@ge 1" \
    "id:30,phase:2,pass,nolog,setvar:'tx.blocking_inbound_anomaly_score=+%{tx.inbound_anomaly_score_pl1}'"
SecRule TX:BLOCKING_PARANOIA_LEVEL "@ge 2" \
    "id:31,phase:2,pass,nolog,setvar:'tx.blocking_inbound_anomaly_score=+%{tx.inbound_anomaly_score_pl2}'"
SecRule TX:BLOCKING_INBOUND_ANOMALY_SCORE "@ge %{tx.inbound_anomaly_score_threshold}" "id:40,phase:2,deny,nolog"
"#;

fn load(text: &str) -> (Arc<RuleSet>, Report) {
    let (set, report) = RuleSet::load(&[Source { name: "r.conf", text: text.as_bytes() }], &[])
        .expect("the rules are well-formed");
    (Arc::new(set), report)
}

fn judge(set: &Arc<RuleSet>, policy: &Policy, values: &[(&str, &str)]) -> Outcome {
    let mut fields = Fields::new();
    for (name, value) in values {
        fields.push(name.as_bytes(), value.as_bytes());
    }
    let body = values.iter().map(|(_, value)| *value).collect::<Vec<_>>().join("\n");
    let message = Message { fields: &fields, body: body.as_bytes(), handshake: None };
    let (plan, all) = (set.plan(policy), set.exhaustive_plan(policy));
    let outcome = plan.evaluate(&message, &mut plan.scratch()).clone();
    assert_eq!(&outcome, all.evaluate(&message, &mut all.scratch()), "the prefilter changes nothing");
    outcome
}

fn level(level: u8) -> Policy {
    let mut policy = Policy::new(Direction::Client);
    policy.paranoia = Paranoia::new(level);
    policy
}

#[test]
fn scores_are_added_up_by_level_and_held_against_the_threshold() {
    let (set, _) = load(SCORING);
    let check = |paranoia: u8, value: &str, score: i64, blocked: Option<u32>, rules: &[u32]| {
        let outcome = judge(&set, &level(paranoia), &[("json.text", value)]);
        assert_eq!(
            (outcome.score, outcome.blocked, outcome.rules.as_slice()),
            (score, blocked, rules),
            "{value}"
        );
    };
    check(1, "a union of states", 0, None, &[]);
    check(1, "1 union/**/select 2", 5, Some(40), &[100]);
    check(1, "1%20UNION%20SELECT%202", 5, Some(40), &[100]);
    check(1, "go to sleep", 0, None, &[]);
    check(1, "SLEEP(5)", 2, None, &[101]);
    check(1, "a;b", 0, None, &[]);
    check(2, "a;b", 2, None, &[102]);
    check(2, "1;union select sleep(1)", 9, Some(40), &[100, 101, 102]);
}

#[test]
fn each_value_that_matches_adds_to_the_score() {
    let (set, _) = load(SCORING);
    let outcome =
        judge(&set, &level(1), &[("json.a", "union select"), ("json.b", "x"), ("json.c", "union  select")]);
    assert_eq!(outcome.score, 10);
    let told: Vec<_> =
        outcome.matches.iter().map(|one| (one.rule, one.place.as_str(), one.field, one.weight)).collect();
    assert_eq!(told, [(100, "ARGS:json.a", Some(0), 5), (100, "ARGS:json.c", Some(2), 5)]);
    assert_eq!(
        (outcome.matches[0].category.as_str(), outcome.matches[0].excerpt.as_str()),
        ("sqli", "union select")
    );
}

#[test]
fn a_policy_sets_the_threshold_and_leaves_out_rules_and_places() {
    let (set, _) = load(SCORING);
    let mut policy = level(1);
    policy.threshold = NonZeroU32::new(6);
    assert_eq!(judge(&set, &policy, &[("json.a", "union select")]).blocked, None);
    let excluding = |text: &str| Policy { exclusions: vec![Exclusion::read(text).unwrap()], ..level(1) };
    for (exclusion, score) in
        [("100", 0), ("tag:attack-sqli", 0), ("tag:x", 5), ("100;ARGS:json.a", 0), ("100;ARGS:/\\.b$/", 5)]
    {
        assert_eq!(
            judge(&set, &excluding(exclusion), &[("json.a", "union select")]).score,
            score,
            "{exclusion}"
        );
    }
}

#[test]
fn orders_of_a_rule_hold_for_the_rest_of_a_message() {
    let rules = r#"
        SecRule ARGS:json.kind "@streq note" "id:1,phase:2,pass,nolog,ctl:ruleRemoveTargetById=3;ARGS:json.text"
        SecRule ARGS:json.kind "@streq raw" "id:2,phase:2,pass,nolog,ctl:ruleRemoveById=3-4"
        SecRule ARGS "@contains <" "id:3,phase:2,deny"
        SecRule ARGS "@beginsWith !" "id:4,phase:2,deny"
    "#;
    let (set, _) = load(rules);
    let check = |kind: &str, text: &str, expected: Option<u32>| {
        let policy = Policy::new(Direction::Client);
        let outcome = judge(&set, &policy, &[("json.kind", kind), ("json.text", text)]);
        assert_eq!(outcome.blocked, expected, "{kind} {text}");
    };
    check("x", "a<b", Some(3));
    check("note", "a<b", None);
    check("note", "!", Some(4));
    check("raw", "!<", None);
    check("<", "note", Some(3));
}

#[test]
fn multi_match_sees_each_stage_of_a_value() {
    let (set, _) = load(
        "SecRule ARGS \"@rx ^%3c\" \"id:1,phase:2,t:none,t:urlDecodeUni,t:lowercase\"\n\
         SecRule ARGS \"@rx ^%3c\" \"id:2,phase:2,t:none,t:urlDecodeUni,t:lowercase,multiMatch\"",
    );
    assert_eq!(judge(&set, &Policy::new(Direction::Client), &[("json", "%3cb")]).rules, [2]);
}

#[test]
fn variables_that_a_message_makes_are_counted() {
    let rules = r#"
        SecRule ARGS_NAMES "@rx ." "id:1,phase:2,pass,nolog,setvar:'tx.seen_%{MATCHED_VAR_NAME}=+1'"
        SecRule TX:/seen_.*/ "@gt 1" "id:2,phase:2,deny"
        SecRule &ARGS "@gt 3" "id:3,phase:2,deny"
        SecRule ARGS_COMBINED_SIZE "@gt 40" "id:4,phase:2,deny"
    "#;
    let (set, _) = load(rules);
    let check = |values: &[(&str, &str)], expected: Option<u32>| {
        assert_eq!(judge(&set, &Policy::new(Direction::Client), values).blocked, expected, "{values:?}");
    };
    check(&[("a", "1"), ("b", "1")], None);
    check(&[("a", "1"), ("a", "2")], Some(2));
    check(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")], Some(3));
    check(&[("a", "0123456789012345678901234567890123456789")], Some(4));
}

#[test]
fn rules_about_the_handshake_wait_for_one() {
    let rules = "SecRule REQUEST_HEADERS:User-Agent|REQUEST_URI \"@contains sqlmap\" \"id:1,phase:1,deny\"\n\
                 SecRule REQUEST_COOKIES|!REQUEST_COOKIES:/^__/ \"@contains <\" \"id:2,phase:2,deny\"";
    let (set, report) = load(rules);
    assert!(report.rules.iter().all(|rule| rule.standing.name() == "needs-handshake"));
    let mut handshake = Handshake { target: b"/chat?x=1".to_vec(), ..Handshake::default() };
    let (fields, mut policy) = (Fields::new(), Policy::new(Direction::Client));
    let judged = |policy: &Policy, handshake: &Handshake| {
        let plan = set.plan(policy);
        let message = Message { fields: &fields, body: b"", handshake: Some(handshake) };
        plan.evaluate(&message, &mut plan.scratch()).blocked
    };
    handshake.headers.push(b"user-agent", b"sqlmap/1.8");
    assert_eq!(judged(&policy, &handshake), None);
    policy.handshake = true;
    assert_eq!(judged(&policy, &handshake), Some(1));
    handshake.headers.clear();
    handshake.cookies.push(b"__utm", b"<");
    assert_eq!(judged(&policy, &handshake), None);
    handshake.cookies.push(b"session", b"<");
    assert_eq!(judged(&policy, &handshake), Some(2));
}

#[test]
fn rules_about_answers_judge_what_the_server_sends() {
    let rules = "SecRule ARGS \"@contains x\" \"id:1,phase:2,deny\"\n\
                 SecRule RESPONSE_BODY \"@rx (?i)syntax error\" \"id:2,phase:4,deny\"";
    let (set, _) = load(rules);
    let values = [("json", "You have a Syntax error near x")];
    assert_eq!(judge(&set, &Policy::new(Direction::Server), &values).blocked, Some(2));
    assert_eq!(judge(&set, &Policy::new(Direction::Client), &values).blocked, Some(1));
}

#[test]
fn no_rule_is_dropped_silently() {
    let rules = r#"
        SecRule ARGS "@rx a" "id:1"
        SecRule ARGS "@rx (?=a)" "id:2"
        SecRule ARGS "@rx (a)\1" "id:3"
        SecRule FILES "@rx a" "id:4"
        SecRule ARGS|FILES "@rx a" "id:5"
        SecRule ARGS "@pmFromFile words.data" "id:6"
        SecRule ARGS "@rx a" "id:7,phase:5"
        SecRule REQUEST_BODY "@rx a" "id:8,phase:1"
        SecRule ARGS "@rbl x" "id:9"
        SecRule ARGS "@rx a++b" "id:10"
        SecRule ARGS "!@rx a++b" "id:11"
        SecRule ARGS "@rx a" "id:12"
        SecRuleRemoveById 12
    "#;
    let (_, report) = load(rules);
    let told: Vec<String> = report
        .rules
        .iter()
        .map(|rule| {
            format!("{} {} {}", rule.id, rule.standing.name(), rule.standing.why().unwrap_or_default())
        })
        .collect();
    let linear = "the expression cannot be matched in linear time";
    assert_eq!(
        told,
        [
            "1 compiled ".to_owned(),
            format!("2 unsupported @rx: look-around; {linear}"),
            format!("3 unsupported @rx: a back-reference; {linear}"),
            "4 not-applicable FILES tells of the HTTP exchange, not of a message".to_owned(),
            "5 compiled ".to_owned(),
            "6 unsupported the file words.data was not handed over".to_owned(),
            "7 not-applicable phase 5 writes the log, after the message".to_owned(),
            "8 not-applicable phase 1 comes before the message".to_owned(),
            "9 unsupported @rbl asks for something outside of a message".to_owned(),
            "10 compiled ".to_owned(),
            format!("11 unsupported @rx: a possessive quantifier; {linear}"),
            "12 removed ".to_owned(),
        ]
    );
    assert_eq!(report.rules[4].left_out, ["FILES tells of the HTTP exchange, not of a message"]);
    assert_eq!(
        report.rules[9].left_out,
        ["a possessive quantifier is read as a greedy one: it matches no less"]
    );
}

#[test]
fn files_of_words_are_found_by_their_names() {
    let rules =
        Source { name: "r.conf", text: b"SecRule ARGS \"@pmFromFile words.data\" \"id:1,phase:2,deny\"" };
    let words = Source { name: "somewhere/words.data", text: b"# comment\nWicked\n\nbad word\n" };
    let set = Arc::new(RuleSet::load(&[rules], &[words]).unwrap().0);
    for (value, expected) in [("a wicked thing", Some(1)), ("a BAD WORD", Some(1)), ("comment", None)] {
        assert_eq!(
            judge(&set, &Policy::new(Direction::Client), &[("json", value)]).blocked,
            expected,
            "{value}"
        );
    }
}

/// Where Debian's `modsecurity-crs` has its rules and its setup.
const INSTALLED: [&str; 2] = ["/etc/modsecurity/crs/crs-setup.conf", "/usr/share/modsecurity-crs/rules"];

/// Reads the Core Rule Set of the package; `None` where it is not installed, which is said.
fn installed() -> Option<(Arc<RuleSet>, Report)> {
    let folder = Path::new(INSTALLED[1]);
    let Ok(entries) = std::fs::read_dir(folder) else {
        let mut out = std::io::stderr().lock();
        let _ = std::io::Write::write_all(&mut out, b"skipped: modsecurity-crs is not installed\n");
        return None;
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.sort();
    paths.insert(0, INSTALLED[0].into());
    let texts: Vec<(String, Vec<u8>)> = paths
        .iter()
        .map(|path| (path.display().to_string(), std::fs::read(path).expect("it can be read")))
        .collect();
    let of = |suffix: &str| -> Vec<Source<'_>> {
        let chosen = texts.iter().filter(|one| one.0.ends_with(suffix));
        chosen.map(|(name, text)| Source { name, text }).collect()
    };
    let (set, report) = RuleSet::load(&of(".conf"), &of(".data")).expect("the rules are well-formed");
    Some((Arc::new(set), report))
}

#[test]
fn the_core_rule_set_loads_and_judges() {
    let Some((set, report)) = installed() else { return };
    // Of its rules about values only the tautology, which refers back to what it captured, cannot be matched in linear time.
    let unsupported: Vec<u32> = report
        .rules
        .iter()
        .filter(|rule| rule.standing.name() == "unsupported")
        .map(|rule| rule.id)
        .collect();
    assert_eq!(unsupported, [901_318, 910_140, 920_480, 920_600, 942_130, 953_120]);
    let check = |paranoia: u8, text: &str, category: Option<&str>| {
        let values = [("json.type", "message"), ("json.id", "42"), ("json.text", text)];
        let outcome = judge(&set, &level(paranoia), &values);
        assert_eq!(outcome.blocked, category.map(|_| 949_110), "{text}: {outcome:?}");
        let found = outcome.matches.iter().map(|one| one.category.as_str());
        assert!(
            category.is_none_or(|category| found.into_iter().any(|one| one == category)),
            "{text}: {outcome:?}"
        );
    };
    check(1, "shall we meet at noon?", None);
    check(1, "1' OR '1'='1' -- ", Some("sqli"));
    check(1, "<script>alert(1)</script>", Some("xss"));
    check(1, "; cat /etc/passwd", Some("rce"));
    check(1, "../../../../etc/passwd", Some("lfi"));
    check(2, "shall we meet at noon?", None);
}
