//! `sockwarden config --limits`: every limit, from the code that keeps it.

use anyhow::Context as _;
use serde_json::Value;
use sockwarden_model::{Beyond, Limit};

use crate::config::Config;

/// Writes a table in Markdown, a limit a line.
pub(crate) fn table() -> anyhow::Result<String> {
    let defaults = serde_json::to_value(Config::default())?;
    let mut out = "| limit | what is limited | key and default | who is beyond it | event | why so much |\n\
                   |---|---|---|---|---|---|\n"
        .to_owned();
    for limit in Limit::ALL {
        let keys = limit.keys().iter().map(|key| Ok(format!("`{key}`: {}", default(&defaults, key)?)));
        let keys = keys.collect::<anyhow::Result<Vec<_>>>()?.join("<br>");
        out.push_str(&format!(
            "| `{}` | {} | {} | {} | {} | {} |\n",
            limit.label(),
            limit.summary().trim_end_matches('.'),
            if keys.is_empty() { "set by the system" } else { &keys },
            limit.beyond(),
            events(limit),
            limit.why(),
        ));
    }
    Ok(out)
}

/// Names what tells of it in the log.
fn events(limit: Limit) -> String {
    let notice = "`turning-away`";
    match limit.beyond() {
        Beyond::Dropped => notice.to_owned(),
        Beyond::DroppedOrRefused(_) => format!("{notice}; `verdict` of `{}`", limit.rule()),
        Beyond::Refused(_) | Beyond::Closed(_) | Beyond::BothClosed(_) | Beyond::GivenUp | Beyond::Waits => {
            format!("`verdict` of `{}`", limit.rule())
        }
    }
}

/// Gives the default of a key, as a configuration writes it.
fn default(defaults: &Value, key: &str) -> anyhow::Result<String> {
    let found = key.split('.').try_fold(defaults, |value, name| value.get(0).unwrap_or(value).get(name));
    let found = found.with_context(|| format!("there is no key `{key}`"))?;
    let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
    Ok(if found.is_null() { "none".to_owned() } else { text })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_limit_has_a_line_with_the_default_that_is_in_force() {
        let table = table().unwrap();
        assert_eq!(table.lines().count(), Limit::ALL.len() + 2);
        for line in [
            "| `connections` | Connections at once, those in their handshake included | `limits.connections`: 10000 | dropped |",
            "`routes.frame_limits.message`: 64 KiB<br>`routes.frame_limits.server_message`: 1 MiB | closed 1009, the other side 1001 |",
            "`routes.timeouts.idle`: none | both sides closed 1001 | `verdict` of `gateway` |",
        ] {
            assert!(table.contains(line), "no `{line}` in\n{table}");
        }
    }

    #[test]
    fn every_key_that_limits_something_stands_in_the_table() {
        let listed: BTreeSet<&str> =
            Limit::ALL.iter().flat_map(|limit| limit.keys().iter().copied()).collect();
        let defaults = serde_json::to_value(Config::default()).unwrap();
        let mut missing = Vec::new();
        let mut look = |table: &str, settings: &Value| {
            for (name, value) in settings.as_object().unwrap() {
                let key = format!("{table}.{name}");
                if !listed.contains(key.as_str()) && !value.is_object() {
                    missing.push(key);
                }
            }
        };
        look("limits", &defaults["limits"]);
        look("limits.per_address", &defaults["limits"]["per_address"]);
        look("limits.head", &defaults["limits"]["head"]);
        for table in ["connection_limits", "frame_limits", "inflate", "inspect", "timeouts"] {
            look(&format!("routes.{table}"), &defaults["routes"][0][table]);
        }
        // What waits, what is written first, and what is no limit.
        let expected = [
            "limits.workers",
            "limits.upstream_timeout",
            "limits.close_timeout",
            "limits.certificate_poll",
            "limits.write_buffer",
            "routes.frame_limits.mode",
            "routes.inflate.ratio_floor",
            "routes.inspect.protocol",
            "routes.timeouts.ping_interval",
        ];
        let (missing, expected) = (BTreeSet::from_iter(missing), expected.map(str::to_owned).into());
        assert_eq!(missing, expected);
    }

    #[test]
    fn every_rule_that_limits_something_is_one() {
        for limit in Limit::ALL {
            let rule = limit.rule();
            assert!(rule.is_empty() || rule == "gateway" || crate::rules::find(rule).is_some(), "{rule}");
        }
    }
}
