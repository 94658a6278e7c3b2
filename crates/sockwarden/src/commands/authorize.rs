//! `sockwarden authorize`.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufWriter, Read as _, Write},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::Serialize;
use sockwarden_config::Diagnostic;
use sockwarden_defend::{
    Content,
    defences::{Judge, MessageAuthorization, Ruling},
};
use sockwarden_gateway::{Problem, RouteConfig};
use sockwarden_inspect::{
    Anomaly, Conversation, InspectLimits, Message, Opening, Operation, Place, Reader, Sink, Value,
};
use sockwarden_model::{Direction, Identity, printable};

use super::check;
use crate::{
    complaint,
    config::{Config, diagnostic},
    exit::{self, Exit, UsageError},
    inspect::{Lines, Numbered},
    seen::{Choice, harmless_json},
    style::ERROR,
};

/// What input and output look like, how it ends, and examples.
const HELP: &str = r#"Standard input has one JSON object a line, as for `inspect`: {"payload": TEXT} is a text message, {"payload_base64": …} a binary one; "direction" ("client" or "server") and "connection" may stand beside. Messages of one connection are one conversation, in their order.

The identity is a JSON object with "user", "roles" and "claims", each of which may be missing; nobody is known without --as.

Standard output has one JSON object a line, in the same order: "verdict" is "allow" or "deny", "rule" the number of the rule that decided, from 0, or null, "reason" why. The rules are tried as if `authorize.mode` was "block"; no other defence is asked.

Exit code 0: all lines were read. 1: the configuration or the identity is wrong or cannot be read. 2: usage, or a line that is no message; what stands before it has been told. 3: standard input or output failed.

Examples:
  sockwarden authorize --as mara.json -c sockwarden.toml --route chat < messages.jsonl
  echo '{"payload":"{\"type\":\"admin.delete\"}"}' | sockwarden authorize --route chat"#;

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The configuration that has the rules
    #[arg(short, long, value_name = "FILE", default_value = "sockwarden.toml")]
    config: PathBuf,
    /// The route whose rules are tried; the only one where it is not said
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// The file that says who the caller is, in JSON
    #[arg(long = "as", value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Who sent messages that do not say so
    #[arg(long, default_value = "client")]
    direction: Side,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Side {
    Client,
    Server,
}

/// The longest description of an identity, in bytes.
const LONGEST_IDENTITY: u64 = 64 * 1024;
/// How many connections are remembered.
const MOST: usize = 10_000;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let identity = arguments.identity.as_deref().map(read_identity).transpose()?.unwrap_or_default();
    let Some((config, text)) = check::read(&arguments.config)? else { return Ok(Exit::Found) };
    let index = find(&config, arguments.route.as_deref())?;
    let route = &config.routes[index];
    let wrong = |key: String, message: String, help: Option<String>| {
        let problem = Problem { key: format!("routes[{index}].{key}"), message, help };
        diagnostic(Diagnostic::error, &arguments.config.display().to_string(), &text, &problem)
    };
    let defence = match MessageAuthorization::new(&route.authorize) {
        Ok(defence) => defence,
        Err(settings) => {
            let all = settings.into_iter().map(|bad| wrong(bad.key, bad.message, Some(bad.help)));
            check::say(&all.collect::<Vec<_>>());
            return Ok(Exit::Found);
        }
    };
    let choice = match route.inspect.protocol.parse::<Choice>() {
        Ok(choice) => choice,
        Err(message) => {
            check::say(&[wrong("inspect.protocol".to_owned(), message, None)]);
            return Ok(Exit::Found);
        }
    };
    let limits = route.inspect.limits();
    let mut trial =
        Trial { choice, limits, defence, identity, reader: Reader::default(), known: HashMap::new() };
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let tried = trial.lines(arguments.direction, &mut out);
    let flushed = out.flush().context("standard output cannot be written");
    tried.and(flushed).map(|()| Exit::Clean).or_else(|error| {
        if error.is::<UsageError>() || exit::is_closed_pipe(&error) {
            return Err(error);
        }
        anstream::eprintln!("{ERROR}error:{ERROR:#} {}", complaint::of(&error));
        Ok(Exit::Incomplete)
    })
}

fn read_identity(path: &Path) -> anyhow::Result<Identity> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST_IDENTITY + 1).read_to_end(&mut text));
    read.with_context(|| format!("`{}` cannot be read", path.display()))?;
    let wrong = |why: String| anyhow::anyhow!("`{}` describes no identity: {why}", path.display());
    if text.len() as u64 > LONGEST_IDENTITY {
        return Err(wrong(format!("it has more than {} KiB", LONGEST_IDENTITY >> 10)));
    }
    serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))
}

pub(super) fn find(config: &Config, name: Option<&str>) -> Result<usize, UsageError> {
    let names =
        || config.routes.iter().map(|route: &RouteConfig| route.name.as_str()).collect::<Vec<_>>().join(", ");
    match name {
        Some(name) => config.routes.iter().position(|route| route.name == name).ok_or_else(|| {
            UsageError(format!(
                "there is no route `{}`: there are {}",
                printable(name.as_bytes(), 60),
                names()
            ))
        }),
        None if config.routes.len() == 1 => Ok(0),
        None => Err(UsageError(format!("say which route with --route: there are {}", names()))),
    }
}

/// The rules of a route, tried on what somebody says.
struct Trial {
    choice: Choice,
    limits: InspectLimits,
    defence: MessageAuthorization,
    identity: Identity,
    reader: Reader,
    known: HashMap<String, (Conversation, Judge)>,
}

impl Trial {
    fn lines(&mut self, side: Side, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut lines = Lines::new(io::stdin().lock());
        loop {
            if lines.must_wait() {
                out.flush()?;
            }
            let Some(Numbered { number, line, .. }) = lines.next()? else { return Ok(()) };
            let direction = line.direction.unwrap_or(match side {
                Side::Client => Direction::Client,
                Side::Server => Direction::Server,
            });
            let message = Message { direction, kind: line.kind, bytes: &line.bytes };
            let told = self.message(number, line.connection.as_deref(), &message)?;
            out.write_all(harmless_json(&serde_json::to_string(&told)?).as_bytes())?;
            out.write_all(b"\n")?;
        }
    }

    fn message(
        &mut self,
        number: u64,
        connection: Option<&str>,
        message: &Message<'_>,
    ) -> Result<Told, UsageError> {
        let begin = |choice: Choice, defence: &MessageAuthorization, identity: &Identity| {
            (choice.begin(&Opening::default()), defence.judge(identity))
        };
        let mut own = None;
        let (conversation, judge) = match connection {
            None => own.insert(begin(self.choice, &self.defence, &self.identity)),
            Some(name) => {
                if self.known.len() >= MOST && !self.known.contains_key(name) {
                    return Err(UsageError(format!("line {number}: there are more than {MOST} connections")));
                }
                let known = self.known.entry(name.to_owned());
                known.or_insert_with(|| begin(self.choice, &self.defence, &self.identity))
            }
        };
        let mut heard = Heard { judge, direction: message.direction, last: None };
        heard.hear(Content::Begin);
        conversation.message(&mut self.reader, &self.limits, message, &mut heard);
        let goes_on = conversation.is_within(message.direction);
        heard.hear(Content::Whole { kind: message.kind, bytes: message.bytes, goes_on });
        Ok(Told::of(heard.last))
    }
}

/// Hears a message to its end, or to what is denied in it.
struct Heard<'a> {
    judge: &'a mut Judge,
    direction: Direction,
    last: Option<Ruling>,
}

impl Heard<'_> {
    fn hear(&mut self, content: Content<'_>) {
        // A message that is stopped is told no further.
        if self.last.as_ref().is_none_or(|ruling| ruling.is_allowed) {
            self.last = self.judge.hear(self.direction, content).or(self.last.take());
        }
    }
}

impl Sink for Heard<'_> {
    fn value(&mut self, value: &Value<'_>) {
        self.hear(Content::Value(value));
    }

    fn operation(&mut self, operation: &Operation<'_>) {
        self.hear(Content::Operation(operation));
    }

    fn anomaly(&mut self, anomaly: Anomaly, place: Place<'_>) {
        self.hear(Content::Anomaly(anomaly, place));
    }
}

/// A line of output.
#[derive(Serialize)]
struct Told {
    verdict: &'static str,
    rule: Option<usize>,
    reason: String,
}

impl Told {
    fn of(ruling: Option<Ruling>) -> Self {
        match ruling {
            Some(Ruling { is_allowed, rule, reason }) => {
                Self { verdict: if is_allowed { "allow" } else { "deny" }, rule, reason }
            }
            None => Self { verdict: "allow", rule: None, reason: "nothing in it is ruled on".to_owned() },
        }
    }
}
