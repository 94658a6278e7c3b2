//! Every kind of mistake in a configuration, with its place and its remedy.
#![expect(unreachable_pub, reason = "the sample is shared by several test programs")]

mod sample;

use sample::{Address, Auth, Mode, Sample, Turn};
use sockwarden_config::{ByteSize, Diagnostic, HumanDuration, MAX_DIAGNOSTICS, MAX_TEXT, locate, read};

#[test]
fn a_right_configuration_is_read() {
    let text = r#"
version = 1
listen = ["[::1]:1"]
share = 1
tls = { certificate = "c.pem" }

[limits]
max_message = 65536
idle = "1h30m"

[[routes]]
upstream = "wss://a"
mode = "observe"
auth = { kind = "forward", url = "http://b" }
span = [1, 2]

[[routes]]
upstream = "ws://b"
turn = { to = { place = "x" } }

[notes]
"a b" = "c"
"#;
    let read: Sample = read("a.toml", text).unwrap();
    assert_eq!(read.limits.max_message, ByteSize::kib(64));
    assert_eq!(read.limits.idle, HumanDuration::from_secs(5400));
    assert_eq!(read.routes[0].upstream, Address("wss://a".into()));
    assert_eq!(read.routes[0].mode, Mode::Observe);
    assert_eq!(
        read.routes[0].auth,
        Auth::Forward { url: "http://b".into(), timeout: HumanDuration::default() }
    );
    assert_eq!(read.routes[1].turn, Turn::To { place: "x".into() });
    assert_eq!(read.notes["a b"], "c");
}

#[test]
fn unknown_keys_are_named_with_the_one_that_was_meant() {
    check("version = 1\nlissten = []", &["2:1 lissten: unknown key `lissten`; did you mean `listen`?"]);
    check(
        "version = 1\n[limits]\nmax-message = 1",
        &["3:1 limits.max-message: unknown key `max-message` in `limits`; did you mean `max_message`?"],
    );
    check(
        "version = 1\n[[routes]]\nupstream = \"ws:\"\n[[routes]]\nupstream = \"ws:\"\n  colour = 1",
        &[
            "6:3 routes[1].colour: unknown key `colour` in `routes[1]`; known keys: `upstream`, `mode`, `auth`, `turn`, \
         `back`, `span`, `tls`",
        ],
    );
    check(
        "version = 1\ntls = { certificate = \"c\", host = [] }",
        &["2:28 tls.host: unknown key `host` in `tls`; did you mean `hosts`?"],
    );
    check(
        "version = 1\n[teams.red]\ncertificate = \"\"\n\"a b\" = 1",
        &["4:1 teams.red.\"a b\": unknown key `a b` in `teams.red`; known keys: `certificate`, `hosts`"],
    );
}

#[test]
fn wrong_types_say_what_is_expected() {
    check("version = \"1\"", &["1:11 version: `version` is a text, expected a whole number"]);
    check("version = 1.5", &["1:11 version: `version` is a number with a fraction, expected a whole number"]);
    check("version = 300", &["1:11 version: `version` is 300, expected 0 to 255"]);
    check("version = -1", &["1:11 version: `version` is -1, expected 0 to 255"]);
    check("version = 0xfff", &["1:11 version: `version` is 4095, expected 0 to 255"]);
    check("version = 1\nlisten = \"a\"", &["2:10 listen: `listen` is a text, expected a list"]);
    check(
        "version = 1\nlisten = [\"a\", 2, true]",
        &[
            "2:16 listen[1]: `listen[1]` is a whole number, expected a text in quotes",
            "2:19 listen[2]: `listen[2]` is true, expected a text in quotes",
        ],
    );
    check(
        "version = 1\ngreeting = 2026-01-01",
        &["2:12 greeting: `greeting` is a date or time, expected a text in quotes"],
    );
    check("version = 1\ntls = false", &["2:7 tls: `tls` is false, expected a table"]);
    check("version = 1\nroutes = {}", &["2:10 routes: `routes` is a table, expected a list"]);
    check(
        "version = 1\nnotes = { a = 1 }",
        &["2:15 notes.a: `notes.a` is a whole number, expected a text in quotes"],
    );
    check(
        "version = 1\n[[routes]]\nupstream = \"ws:\"\nspan = [1, 2, 3]",
        &["4:8 routes[0].span: `routes[0].span` has 3 entries, expected 2"],
    );
    check(
        "version = 1\n[limits]\nidle = 10\nmax_message = true",
        &[
            "3:8 limits.idle: `limits.idle` is a whole number, expected a duration such as \"10s\"",
            "4:15 limits.max_message: `limits.max_message` is true, expected a size such as \"64 KiB\"",
        ],
    );
}

#[test]
fn sizes_and_durations_are_judged_all_at_once() {
    check(
        "version = 1\n[limits]\nidle = \"10\"\nmax_message = \"1 KB\"",
        &[
            "3:8 limits.idle: `limits.idle`: a duration needs a unit, as in `10s` or `10ms`",
            "4:15 limits.max_message: `limits.max_message`: the unit `KB` is ambiguous: write `KiB` (1 KiB = 1024 B)",
        ],
    );
    check(
        "version = 1\n[limits]\nmax_message = -1",
        &["3:15 limits.max_message: `limits.max_message` is -1, expected 0 or more"],
    );
}

#[test]
fn unknown_words_are_named_with_the_one_that_was_meant() {
    check(
        &route("mode = \"blok\""),
        &["4:8 routes[0].mode: unknown value `blok` for `routes[0].mode`; did you mean \"block\"?"],
    );
    check(
        &route("mode = \"never\""),
        &[
            "4:8 routes[0].mode: unknown value `never` for `routes[0].mode`; known values: \"observe\", \"off\", \"block\"",
        ],
    );
    check(
        &route("mode = 3"),
        &[
            "4:8 routes[0].mode: `routes[0].mode` is a whole number, expected one of \"observe\", \"off\", \"block\"",
        ],
    );
}

#[test]
fn forms_of_a_choice_are_judged_by_their_name() {
    check(
        &route("auth = { kind = \"forwrd\", url = \"\" }"),
        &[
            "4:17 routes[0].auth.kind: unknown value `forwrd` for `routes[0].auth.kind`; did you mean \"forward\"?",
        ],
    );
    check(
        &route("auth = { url = \"\" }"),
        &[
            "4:8 routes[0].auth.kind: missing key `kind` in `routes[0].auth`; known values: \"none\", \"forward\"",
        ],
    );
    check(
        &route("auth = { kind = \"forward\", ulr = \"\", timeout = \"x\" }"),
        &[
            "4:8 routes[0].auth.url: missing key `url` in `routes[0].auth`; Where to ask.",
            "4:28 routes[0].auth.ulr: unknown key `ulr` in `routes[0].auth`; did you mean `url`?",
            "4:48 routes[0].auth.timeout: `routes[0].auth.timeout`: a duration begins with a number, as in `10s`",
        ],
    );
    check(&route("auth = \"none\""), &["4:8 routes[0].auth: `routes[0].auth` is a text, expected a table"]);
    check(
        &route("turn = \"strait\""),
        &["4:8 routes[0].turn: unknown value `strait` for `routes[0].turn`; did you mean \"straight\"?"],
    );
    check(&route("turn = \"by\""), &["4:8 routes[0].turn: `by` needs a value of its own; write { by = … }"]);
    check(
        &route("turn = { bi = 3 }"),
        &["4:10 routes[0].turn.bi: unknown key `bi` in `routes[0].turn`; did you mean `by`?"],
    );
    check(
        &route("turn = { by = 3000 }"),
        &["4:15 routes[0].turn.by: `routes[0].turn.by` is 3000, expected 0 to 255"],
    );
    check(
        &route("turn = { by = 3, to = {} }"),
        &["4:8 routes[0].turn: `routes[0].turn` has 2 keys, expected one; known keys: `by`, `to`"],
    );
    check(
        &route("turn = true"),
        &["4:8 routes[0].turn: `routes[0].turn` is true, expected \"straight\" or a table"],
    );
}

#[test]
fn missing_keys_are_reported_at_their_table() {
    check("", &["1:1 version: missing key `version`; The version of this file's format."]);
    check(
        "version = 1\n\n[[routes]]\nmode = \"off\"\n[tls]\n",
        &[
            "3:1 routes[0].upstream: missing key `upstream` in `routes[0]`; The application.",
            "5:1 tls.certificate: missing key `certificate` in `tls`; The certificate's file.",
        ],
    );
}

#[test]
fn what_only_the_type_knows_is_reported_too() {
    check(
        "version = 1\n[[routes]]\nupstream = \"http://a\"",
        &["3:12 routes[0].upstream: `routes[0].upstream`: not a WebSocket address"],
    );
    check(
        "version = 1\n[[routes]]\nupstream = \"http://a\"\nmodee = 1",
        &[
            "3:12 routes[0].upstream: `routes[0].upstream`: not a WebSocket address",
            "4:1 routes[0].modee: unknown key `modee` in `routes[0]`; did you mean `mode`?",
        ],
    );
}

#[test]
fn what_only_the_type_knows_is_reported_everywhere() {
    let text = "version = 1\nshare = \"x\"\n[[routes]]\nupstream = \"a\"\n[[routes]]\nupstream = \"b\"\nspan = [1, 2]\n\
                [[routes]]\nupstream = \"ws:\"\n[[routes]]\nauth = 3\nupstream = \"c\"\n";
    check(
        text,
        &[
            "2:9 share: `share` is a text, expected a number",
            "4:12 routes[0].upstream: `routes[0].upstream`: not a WebSocket address",
            "6:12 routes[1].upstream: `routes[1].upstream`: not a WebSocket address",
            "11:8 routes[3].auth: `routes[3].auth` is a whole number, expected a table",
            "12:12 routes[3].upstream: `routes[3].upstream`: not a WebSocket address",
        ],
    );
    let many: String = (0..1000).map(|_| "[[routes]]\nupstream = \"a\"\n").collect();
    assert!(errors(&format!("version = 1\n{many}")).len() > 10);
}

#[test]
fn mistakes_of_toml_have_their_place() {
    check(
        "version = \nlisten = ]\nversion = 2\n",
        &[
            "1:11 : string values must be quoted, expected literal string",
            "2:10 : missing array opening, expected `[`",
            "3:1 : duplicate key",
        ],
    );
    check("a = \"é", &["1:7 : invalid basic string, expected `\"`"]);
}

#[test]
fn everything_is_reported_at_once_and_in_the_order_of_the_text() {
    let text = "lissten = []\nshare = \"x\"\n[limits]\nidle = 3\n[[routes]]\nmode = \"x\"\n";
    let found = errors(text);
    assert_eq!(found.len(), 6, "{found:#?}");
    assert!(found.is_sorted_by_key(|found| (found.line, found.column)));
    assert!(found.iter().all(|found| found.source_line == text.lines().nth(found.line - 1).unwrap()));
}

#[test]
fn a_reported_key_is_found_again_by_its_name() {
    let text = "version = 1\n[notes]\n\"a.b\" = 1\n[[routes]]\nupstream = \"ws:\"\nspan = [1, \"x\"]\n";
    for found in errors(text) {
        assert!(locate(text, &found.key).is_some(), "{found}");
    }
}

#[test]
fn floods_are_cut() {
    let many: String = (0..1000).map(|number| format!("k{number} = 1\n")).collect();
    assert_eq!(errors(&many).len(), MAX_DIAGNOSTICS);
    assert_eq!(errors(&"=\n".repeat(1000)).len(), MAX_DIAGNOSTICS);
    let found = errors(&"#".repeat(MAX_TEXT + 1));
    assert_eq!(found[0].message, format!("the file has {} bytes, at most {MAX_TEXT} are read", MAX_TEXT + 1));
    assert!(!errors(&format!("version = {}", "[".repeat(100_000))).is_empty());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z\\[\\]{}=\" .,\n#0-9é-]{0,60}", index in 0_usize..200, piece in "[\\[\\]{}=\" .,\n0-9é]{0,3}") {
        if let Err(found) = read::<Sample>("a.toml", &text) {
            proptest::prop_assert!(!found.is_empty());
        }
        let mut right = route("mode = \"off\"\nauth = { kind = \"forward\", url = \"\" }\nspan = [1, 2]\nturn = { by = 1 }");
        let index = (0..=index.min(right.len())).rev().find(|&index| right.is_char_boundary(index)).unwrap();
        right.insert_str(index, &piece);
        if let Err(found) = read::<Sample>("a.toml", &right) {
            proptest::prop_assert!(!found.is_empty());
        }
    }
}

fn route(lines: &str) -> String {
    format!("version = 1\n[[routes]]\nupstream = \"ws:\"\n{lines}\n")
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let found: Vec<String> = errors(text)
        .into_iter()
        .map(|found| {
            let help = found.help.map(|help| format!("; {help}")).unwrap_or_default();
            format!("{}:{} {}: {}{help}", found.line, found.column, found.key, found.message)
        })
        .collect();
    assert_eq!(found, expected, "{text}");
}

#[track_caller]
fn errors(text: &str) -> Vec<Diagnostic> {
    read::<Sample>("a.toml", text).expect_err("this is no right configuration")
}
