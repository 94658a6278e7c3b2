//! `sockwarden inspect`.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Write},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Map, Value};
use sockwarden_config::ByteSize;
use sockwarden_defend::defences::{ActiveContentConfig, InjectionConfig};
use sockwarden_inspect::{InspectLimits, Message};
use sockwarden_model::Direction;
use sockwarden_seclang::Paranoia;

use super::{authorize, check};

use crate::{
    complaint,
    exit::{self, Exit, UsageError},
    inspect::{Conversations, Lines, Numbered, Observed, Rates, Summary, Verdict, Verdicts},
    rule_set,
    seen::{self, Choice, SeenAnomaly, SeenOperation, SeenProtocol, SeenValue},
    style::{ERROR, WARNING},
    terminal,
};

/// What input and output look like, how it ends, and examples.
const HELP: &str = r#"Without --show each message is judged as `guard` would judge it: by the detectors (defences `injection` and `active-content`), and by a rule set where one is named. Nothing else is asked.

Standard input has one JSON object a line: {"payload": TEXT} is a text message, {"payload_base64": …} a binary one; "direction" ("client" or "server") and "connection" may stand beside. Messages of one connection are one conversation, in their order; a message of none is one of its own. All other members pass through under "input".

Standard output has one JSON object a line, in the same order: {"verdict":"pass"|"block","score":N,"observations":[{"rule","category","weight","where","excerpt"}]}, with --show values what was seen, of which a terminal gets pages for people. Payloads are shown because you ask for them: they go to no log.

Exit code 0: all lines were read. 1: the configuration or the rules are wrong or cannot be read. 2: usage, or a line that is no message; what stands before it has been told. 3: standard input or output failed.

Examples:
  sockwarden inspect -c sockwarden.toml --route chat --summary < messages.jsonl > verdicts.jsonl
  sockwarden inspect --rules /usr/share/modsecurity-crs < messages.jsonl
  echo '{"payload":"{\"a\":1}"}' | sockwarden inspect --show values
  sockwarden inspect --show values --protocol socket-io --summary < messages.jsonl > seen.jsonl"#;

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// What to tell of each message instead of a verdict
    #[arg(long, value_name = "WHAT")]
    show: Option<Show>,
    /// The configuration by which messages are judged; the defaults where none is named
    #[arg(short, long, value_name = "FILE", conflicts_with = "show")]
    config: Option<PathBuf>,
    /// The route whose settings count; the only one where it is not said
    #[arg(long, value_name = "NAME", requires = "config")]
    route: Option<String>,
    /// A folder of rules in SecLang, such as the OWASP Core Rule Set, that messages are judged by as well
    #[arg(long, value_name = "DIR", conflicts_with = "show")]
    rules: Option<PathBuf>,
    /// How much the rules suspect, from 1 to 4
    #[arg(long, value_name = "LEVEL", default_value = "1", value_parser = paranoia)]
    paranoia: Paranoia,
    /// The sub-protocol: `auto` finds it out, `none` looks for none, or a name
    #[arg(long, value_name = "NAME", default_value = "auto")]
    protocol: Choice,
    /// Who sent messages that do not say so
    #[arg(long, default_value = "client")]
    direction: Side,
    /// How much of a message is read: depth, values, keys, items, digits, layers (numbers), text, decoded, pending (sizes), as in `depth=32,decoded=1MiB`
    #[arg(long, value_name = "KEY=VALUE,…", value_delimiter = ',', value_parser = limit)]
    limits: Vec<(LimitName, u64)>,
    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
    /// Print to standard error how often which kind, operation and anomaly was seen
    #[arg(long)]
    summary: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Show {
    Values,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Side {
    Client,
    Server,
}

#[derive(Clone, Copy, Debug)]
enum LimitName {
    Depth,
    Values,
    Keys,
    Items,
    Text,
    Digits,
    Layers,
    Decoded,
    Pending,
}

fn paranoia(text: &str) -> Result<Paranoia, String> {
    text.parse().ok().and_then(Paranoia::new).ok_or_else(|| "a level is 1, 2, 3 or 4".to_owned())
}

fn limit(text: &str) -> Result<(LimitName, u64), String> {
    let (name, value) = text.split_once('=').ok_or("a limit is `KEY=VALUE`, as in `depth=32`")?;
    let number = |most: u64| match value.parse::<u64>() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err(format!("`{name}` is a whole number from 1 to {most}")),
    };
    let size = || -> Result<u64, String> {
        let size: ByteSize =
            value.parse().map_err(|error: sockwarden_config::ByteSizeError| format!("`{name}`: {error}"))?;
        Ok(size.as_usize() as u64)
    };
    Ok(match name {
        "depth" => (LimitName::Depth, number(u64::from(u16::MAX))?),
        "values" => (LimitName::Values, number(u64::from(u32::MAX))?),
        "keys" => (LimitName::Keys, number(u64::from(u32::MAX))?),
        "items" => (LimitName::Items, number(u64::from(u32::MAX))?),
        "text" => (LimitName::Text, size()?),
        "digits" => (LimitName::Digits, number(u64::from(u32::MAX))?),
        "layers" => (LimitName::Layers, number(u64::from(u8::MAX))?),
        "decoded" => (LimitName::Decoded, size()?),
        "pending" => (LimitName::Pending, size()?),
        _ => {
            return Err(
                "the limits are depth, values, keys, items, text, digits, layers, decoded and pending"
                    .to_owned(),
            );
        }
    })
}

fn limits(given: &[(LimitName, u64)]) -> InspectLimits {
    let mut limits = InspectLimits::default();
    for &(name, value) in given {
        match name {
            LimitName::Depth => limits.depth = u16::try_from(value).unwrap_or(u16::MAX),
            LimitName::Values => limits.values = u32::try_from(value).unwrap_or(u32::MAX),
            LimitName::Keys => limits.keys = u32::try_from(value).unwrap_or(u32::MAX),
            LimitName::Items => limits.items = u32::try_from(value).unwrap_or(u32::MAX),
            LimitName::Text => limits.text = usize::try_from(value).unwrap_or(usize::MAX),
            LimitName::Digits => limits.digits = usize::try_from(value).unwrap_or(usize::MAX),
            LimitName::Layers => limits.layers = u8::try_from(value).unwrap_or(u8::MAX),
            LimitName::Decoded => limits.decoded = usize::try_from(value).unwrap_or(usize::MAX),
            LimitName::Pending => limits.pending = usize::try_from(value).unwrap_or(usize::MAX),
        }
    }
    limits
}

/// Makes what judges; `None` where something is wrong, which was said.
fn judge(arguments: &Arguments) -> anyhow::Result<Option<Verdicts>> {
    let (mut client, mut server) = (InjectionConfig::default(), ActiveContentConfig::default());
    if let Some(path) = &arguments.config {
        let Some((config, _)) = check::read(path)? else { return Ok(None) };
        let route = &config.routes[authorize::find(&config, arguments.route.as_deref())?];
        (client, server) = (route.injection.clone(), route.active_content.clone());
    }
    let policies = client.policy().and_then(|client| Ok((client, server.policy()?)));
    let (client, server) = match policies {
        Ok(policies) => policies,
        Err(settings) => {
            for setting in settings {
                anstream::eprintln!("{ERROR}error:{ERROR:#} `{}`: {}", setting.key, setting.message);
            }
            return Ok(None);
        }
    };
    let set = match arguments.rules.as_deref().map(rule_set::load).transpose() {
        Ok(set) => set.map(|(set, _)| set),
        Err(error) => {
            anstream::eprintln!("{ERROR}error:{ERROR:#} {}", complaint::of(&error));
            return Ok(None);
        }
    };
    Ok(Some(Verdicts::new(&client, &server, set.as_ref().map(|set| (set, arguments.paranoia)))))
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let mut telling = match arguments.show {
        Some(Show::Values) => Telling::Values(Summary::default()),
        None => match judge(arguments)? {
            Some(verdicts) => Telling::Verdicts(Box::new(verdicts), Rates::default()),
            None => return Ok(Exit::Found),
        },
    };
    let shows = arguments.show.is_some();
    let for_people = shows && io::stdout().is_terminal() && !arguments.json;
    let mut out: Box<dyn Write> = if for_people {
        Box::new(anstream::stdout().lock())
    } else {
        Box::new(BufWriter::with_capacity(64 * 1024, io::stdout().lock()))
    };
    let bar = bar();
    let read = read(arguments, for_people, &mut out, &mut telling, &bar);
    bar.finish_and_clear();
    let flushed = out.flush().context("standard output cannot be written");
    if arguments.summary {
        match &telling {
            Telling::Values(summary) => anstream::eprint!("{}", summary.text()),
            Telling::Verdicts(_, rates) => anstream::eprint!("{}", rates.text()),
        }
    }
    read.and(flushed).map(|()| Exit::Clean).or_else(|error| {
        if error.is::<UsageError>() || exit::is_closed_pipe(&error) {
            return Err(error);
        }
        anstream::eprintln!("{ERROR}error:{ERROR:#} {}", complaint::of(&error));
        Ok(Exit::Incomplete)
    })
}

/// Tells of each line until one is wrong.
fn read(
    arguments: &Arguments,
    for_people: bool,
    out: &mut dyn Write,
    telling: &mut Telling,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let mut lines = Lines::new(io::stdin().lock());
    let mut conversations = Conversations::new(arguments.protocol, limits(&arguments.limits));
    let layout = seen::Layout { width: terminal::width() };
    loop {
        if lines.must_wait() {
            out.flush()?;
        }
        let Some(Numbered { number, length, line }) = lines.next()? else { break };
        bar.inc(length);
        let direction = line.direction.unwrap_or(match arguments.direction {
            Side::Client => Direction::Client,
            Side::Server => Direction::Server,
        });
        let message = Message { direction, kind: line.kind, bytes: &line.bytes };
        let connection = line.connection.as_deref();
        let summary = match telling {
            Telling::Values(summary) => summary,
            Telling::Verdicts(verdicts, rates) => {
                let verdict = conversations.with(connection, |conversation, reader, limits| {
                    verdicts.judge(conversation, reader, limits, &message)
                });
                if arguments.summary {
                    rates.add(&verdict);
                }
                let Verdict { verdict: decided, score, observations } = &verdict;
                let told = Judged { verdict: decided, score: *score, observations, input: &line.rest };
                out.write_all(seen::harmless_json(&serde_json::to_string(&told)?).as_bytes())?;
                out.write_all(b"\n")?;
                continue;
            }
        };
        let seen = conversations.message(connection, &message);
        if arguments.summary {
            summary.add(direction, &seen);
        }
        if for_people {
            let of = line.connection.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
            let title = format!("{number}  {direction}{of}");
            out.write_all(seen::page(&title, &seen, layout).as_bytes())?;
        } else {
            let told = Told {
                direction: direction.to_string(),
                connection,
                protocol: &seen.protocol,
                operations: &seen.operations,
                values: &seen.values,
                anomalies: &seen.anomalies,
                input: &line.rest,
            };
            let json = serde_json::to_string(&told)?;
            out.write_all(seen::harmless_json(&json).as_bytes())?;
            out.write_all(b"\n")?;
        }
    }
    if conversations.forgotten > 0 {
        anstream::eprintln!(
            "{WARNING}warning:{WARNING:#} {} connections were forgotten for others: what they said later was read as the beginning",
            conversations.forgotten
        );
    }
    Ok(())
}

/// What is told of each line, and what it adds up to.
enum Telling {
    Values(Summary),
    Verdicts(Box<Verdicts>, Rates),
}

/// A line of output with a verdict.
#[derive(Serialize)]
struct Judged<'a> {
    verdict: &'a str,
    score: i64,
    observations: &'a [Observed],
    #[serde(skip_serializing_if = "Map::is_empty")]
    input: &'a Map<String, Value>,
}

/// A line of output.
#[derive(Serialize)]
struct Told<'a> {
    direction: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<&'a str>,
    protocol: &'a Option<SeenProtocol>,
    operations: &'a [SeenOperation],
    values: &'a [SeenValue],
    anomalies: &'a [SeenAnomaly],
    #[serde(skip_serializing_if = "Map::is_empty")]
    input: &'a Map<String, Value>,
}

/// A progress bar on standard error, where that is a terminal and standard output is none: how much of a file, else how much so far.
fn bar() -> ProgressBar {
    if !io::stderr().is_terminal() || io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let file = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned().map(File::from);
    let length =
        file.and_then(|file| file.metadata()).ok().filter(std::fs::Metadata::is_file).map(|of| of.len());
    let (bar, form) = match length {
        Some(length) => (ProgressBar::new(length), "{spinner} [{bar:24}] {bytes}/{total_bytes} {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} {elapsed}"),
    };
    if let Ok(style) = ProgressStyle::with_template(form) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_by_name() {
        let check = |text: &str, expected: Result<u64, &str>| {
            assert_eq!(limit(text).map(|(_, value)| value), expected.map_err(str::to_owned), "{text}");
        };
        check("depth=32", Ok(32));
        check("decoded=1MiB", Ok(1 << 20));
        check("depth", Err("a limit is `KEY=VALUE`, as in `depth=32`"));
        check("depth=0", Err("`depth` is a whole number from 1 to 65535"));
        check("layers=256", Err("`layers` is a whole number from 1 to 255"));
        check(
            "speed=1",
            Err("the limits are depth, values, keys, items, text, digits, layers, decoded and pending"),
        );
        let limits = limits(&[(LimitName::Layers, 2), (LimitName::Values, 9)]);
        assert_eq!(limits, InspectLimits { layers: 2, values: 9, ..InspectLimits::default() });
    }
}
