//! Entries of a list inherit from a table of defaults, and its mistakes are reported once, where they were made.
#![expect(dead_code, reason = "defaults and conditions are read only to be inherited by")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use schemars::JsonSchema;
use serde::Deserialize;
use sockwarden_config::{ByteSize, Condition, Inheritance, read_inheriting};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    defaults: Option<Defaults>,
    routes: Vec<Route>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Defaults {
    limits: Option<Limits>,
    ask: Option<Ask>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Route {
    name: String,
    #[serde(default)]
    auth: String,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    ask: Option<Ask>,
}

#[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    size: ByteSize,
    count: u8,
    hosts: Vec<std::net::IpAddr>,
    more: Option<Box<Limits>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Ask {
    url: String,
    #[serde(default)]
    header: String,
}

const INHERITANCE: Inheritance<'_> = Inheritance {
    from: "defaults",
    into: "routes",
    only_where: &[Condition { key: "ask", other: "auth", value: "ask" }],
};

fn routes(text: &str) -> Vec<Route> {
    read_inheriting::<Settings>("a.toml", text, &INHERITANCE).unwrap().routes
}

#[test]
fn what_a_route_does_not_say_it_inherits_key_by_key() {
    let routes = routes(
        r#"
[[routes]]
name = "silent"
[[routes]]
name = "own"
limits = { count = 2, hosts = [], more = { size = 9 } }
[defaults.limits]
size = "1 KiB"
count = 1
hosts = ["127.0.0.1"]
more = { size = 3, count = 4 }
"#,
    );
    let limits = |size: u64, count| Limits { size: ByteSize::bytes(size), count, ..Limits::default() };
    let silent = Limits {
        hosts: vec!["127.0.0.1".parse().unwrap()],
        more: Some(Box::new(limits(3, 4))),
        ..limits(1024, 1)
    };
    assert_eq!((routes[0].name.as_str(), &routes[0].limits), ("silent", &silent));
    let own = Limits { more: Some(Box::new(limits(9, 4))), ..limits(1024, 2) };
    assert_eq!((routes[1].name.as_str(), &routes[1].limits), ("own", &own));
}

#[test]
fn a_key_with_a_condition_is_inherited_only_where_it_holds() {
    let routes = routes(
        r#"
[defaults.ask]
url = "u"
[[routes]]
name = "a"
auth = "none"
[[routes]]
name = "b"
auth = "ask"
ask = { header = "h", url = "v" }
[[routes]]
name = "c"
auth = "ask"
ask.header = "h"
"#,
    );
    assert!(routes[0].ask.is_none());
    let asked = |route: &Route| route.ask.as_ref().map(|ask| format!("{} {}", ask.url, ask.header));
    assert_eq!(asked(&routes[1]).as_deref(), Some("v h"));
    assert_eq!(asked(&routes[2]).as_deref(), Some("u h"));
}

#[test]
fn a_mistake_in_the_defaults_is_reported_once_and_there() {
    let check = |text: &str, expected: &[&str]| {
        let errors = read_inheriting::<Settings>("a.toml", text, &INHERITANCE).unwrap_err();
        let errors: Vec<_> =
            errors.iter().map(|e| format!("{}:{} {}: {}", e.line, e.column, e.key, e.message)).collect();
        assert_eq!(errors, expected, "{text}");
    };
    let routes =
        "[[routes]]\nname = \"a\"\n[[routes]]\nname = \"b\"\nlimits.count = 7\n[[routes]]\nname = \"c\"\n";
    check(
        &format!("[defaults]\nlimits = {{ size = \"x\", cuont = 1 }}\n{routes}"),
        &[
            "2:19 defaults.limits.size: `defaults.limits.size`: a size begins with a number, as in `64 KiB`",
            "2:24 defaults.limits.cuont: unknown key `cuont` in `defaults.limits`",
        ],
    );
    // What only the type itself can refuse.
    check(
        &format!("[defaults]\nlimits = {{ hosts = [\"x\"] }}\n{routes}"),
        &["2:21 defaults.limits.hosts[0]: `defaults.limits.hosts[0]`: invalid IP address syntax"],
    );
    check(
        &format!("[defaults]\nlimit = {{ count = 1 }}\n{routes}"),
        &["2:1 defaults.limit: unknown key `limit` in `defaults`"],
    );
    check(
        &format!("[defaults]\nlimits = 1\n{routes}colour = 1"),
        &[
            "2:10 defaults.limits: `defaults.limits` is a whole number, expected a table",
            "10:1 routes[2].colour: unknown key `colour` in `routes[2]`",
        ],
    );
}

#[test]
fn what_is_no_table_or_list_of_tables_is_only_misjudged() {
    for text in ["defaults = 1\nroutes = [1]", "defaults = {}\nroutes = 1", "routes = [{}]", "[defaults]\n"] {
        assert!(read_inheriting::<Settings>("a.toml", text, &INHERITANCE).is_err(), "{text}");
    }
}
