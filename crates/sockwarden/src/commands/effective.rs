//! `sockwarden config --effective`: what is in force, and where it comes from.

use serde_json::Value;
use sockwarden_config::locate;
use sockwarden_gateway::DefaultsConfig;

use crate::{
    config::{Config, Origin, origin},
    exit::UsageError,
};

/// The widest setting beside which its origin still stands in a column.
const WIDEST: usize = 60;

/// Writes the configuration with everything that was inherited or built in; it reads back as what it is.
pub(crate) fn whole(config: &Config) -> anyhow::Result<String> {
    // Every route has them already.
    let config = Config { defaults: DefaultsConfig::default(), ..config.clone() };
    Ok(toml::to_string_pretty(&config)?)
}

/// Writes the values of one route, each with the place that it comes from.
pub(crate) fn explained(config: &Config, name: &str, text: &str, route: &str) -> anyhow::Result<String> {
    let Some(index) = config.routes.iter().position(|config| config.name == route) else {
        let known: Vec<_> = config.routes.iter().map(|route| format!("`{}`", route.name)).collect();
        let message = format!("there is no route `{route}`; there are {}", known.join(", "));
        return Err(UsageError(message).into());
    };
    let mut settings = Vec::new();
    gather(&serde_json::to_value(&config.routes[index])?, String::new(), &mut settings)?;
    let width = settings.iter().map(|(key, value)| key.len() + value.chars().count() + 3).max().unwrap_or(0);
    let width = width.min(WIDEST);
    let mut out = String::new();
    for (key, value) in settings {
        let line = |key: &str| locate(text, key).map_or(0, |(line, _)| line);
        let place = format!("routes[{index}].{key}");
        let from = match origin(text, &place) {
            Some(Origin::Own) => format!("{name}:{}", line(&place)),
            Some(Origin::Defaults(key)) => format!("{name}:{} (defaults)", line(&key)),
            None => "built-in".to_owned(),
        };
        let setting = format!("{key} = {value}");
        out.push_str(&format!("{setting:width$}  # {from}\n"));
    }
    Ok(out)
}

/// Lists what is set, in the order of the fields, tables as dotted keys.
fn gather(value: &Value, key: String, settings: &mut Vec<(String, String)>) -> anyhow::Result<()> {
    match value {
        Value::Null => {}
        Value::Object(table) => {
            for (name, value) in table {
                let below = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                gather(value, below, settings)?;
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            settings.push((key, toml::Value::try_from(value)?.to_string()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"version = 1
[[listeners]]
address = "127.0.0.1:0"
[defaults]
frame_limits = { message = "1 KiB", fragments = 9 }
forward_auth.url = "http://127.0.0.1/"
[defaults.timeouts]
idle = "1h"
[[routes]]
name = "a"
host = "app.example"
upstream = "ws://127.0.0.1:1"
auth = "none"
frame_limits.message = "2 KiB"
[[routes]]
name = "b"
match = "glob"
path = "/**"
upstream = "ws://127.0.0.1:1"
auth = "forward"
"#;

    #[test]
    fn every_value_of_a_route_has_its_origin() {
        let config = Config::read("a.toml", TEXT).unwrap();
        let check = |route: &str, expected: &[&str]| {
            let text = explained(&config, "a.toml", TEXT, route).unwrap();
            let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            let lines: Vec<String> = text.lines().map(words).collect();
            for line in expected {
                assert!(lines.iter().any(|found| found == line), "{line} is not in\n{text}");
            }
            lines.iter().filter(|line| line.starts_with("forward_auth")).count()
        };
        let count = check(
            "a",
            &[
                "name = \"a\" # a.toml:10",
                "path = \"/\" # built-in",
                "match = \"prefix\" # built-in",
                "frame_limits.message = \"2 KiB\" # a.toml:14",
                "frame_limits.fragments = 9 # a.toml:5 (defaults)",
                "frame_limits.mode = \"block\" # built-in",
                "timeouts.idle = \"1h\" # a.toml:8 (defaults)",
                "origin_policy.allow = [] # built-in",
            ],
        );
        assert_eq!(count, 0, "it does not ask anybody");
        let count = check(
            "b",
            &[
                "match = \"glob\" # a.toml:17",
                "frame_limits.message = \"1 KiB\" # a.toml:5 (defaults)",
                "forward_auth.url = \"http://127.0.0.1/\" # a.toml:6 (defaults)",
            ],
        );
        assert!(count > 1);
        let error = explained(&config, "a.toml", TEXT, "c").unwrap_err().to_string();
        assert_eq!(error, "there is no route `c`; there are `a`, `b`");
    }

    #[test]
    fn what_is_in_force_reads_back_as_it_is() {
        let config = Config::read("a.toml", TEXT).unwrap();
        let text = whole(&config).unwrap();
        let again = Config::read("b.toml", &text).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
        assert_eq!(again, Config { defaults: DefaultsConfig::default(), ..config });
    }

    #[test]
    fn a_problem_with_an_inherited_value_is_shown_where_it_was_inherited_from() {
        let check = |key: &str, expected| assert_eq!(origin(TEXT, key), expected, "{key}");
        let defaults = |key: &str| Some(Origin::Defaults(key.to_owned()));
        check("routes[0].frame_limits.message", Some(Origin::Own));
        check("routes[1].frame_limits.message", defaults("defaults.frame_limits.message"));
        check("routes[0].frame_limits.mode", None);
        check("listeners[0].timeouts.idle", None);
        check("routes", Some(Origin::Own));
    }
}
