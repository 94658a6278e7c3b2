//! `sockwarden scan`.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    num::{NonZeroU32, NonZeroUsize},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use sockwarden_config::{ByteSize, HumanDuration};
use sockwarden_model::{Profile, Rule, Severity, printable};
use sockwarden_net::DialOptions;
use sockwarden_proto::WsUrl;
use sockwarden_report::{Scanned, Tested, Verdict, jsonl, sarif, text};
use sockwarden_scan::{
    CheckResult, Errand, Identity, Options, Outcome, Progress, Report, SameSite, ScanError, Target,
    TicketPlace, Tickets, scan,
};

use crate::{
    cli::{header, positive, shown_url, some_time},
    complaint,
    exit::{self, Exit, UsageError},
    rules,
    style::ERROR,
    terminal, tls,
};

/// Scans WebSocket endpoints for flaws and proves each finding with what was said on the wire.
///
/// Scan only what you are allowed to. The default profile `safe` sends what a correct server refuses without harm; each
/// check says what it may change on the target (`sockwarden explain ID`).
///
/// Exit code 0: nothing at or above --fail-on. 1: something. 2: usage, an intrusive scan without the owner's word included. 3: incomplete, or a target could not be scanned.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The endpoints, ws(s):// or http(s)://; `-` reads them from standard input, one a line
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    /// A user: `NAME=Header: value`, or `NAME=@FILE` with one header a line. Repeat for more headers or users; two users
    /// make the checks possible that compare them
    #[arg(long = "as", value_name = "NAME=HEADER", value_parser = identity)]
    identities: Vec<(String, Vec<(String, String)>)>,
    /// When browsers send the user's cookie cross-site: none, lax, strict, absent or unknown (`NAME=lax` for one user)
    #[arg(long, value_name = "[NAME=]VALUE")]
    same_site: Vec<String>,
    /// A cookie for every connection; it makes a user of its own where it holds a session
    #[arg(long, value_name = "NAME=VALUE")]
    cookie: Vec<String>,
    /// A header for every connection (repeatable)
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The origin of the site's own pages, where it is not the endpoint's
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// A sub-protocol to offer (repeatable)
    #[arg(long, value_name = "NAME")]
    subprotocol: Vec<String>,
    /// A message to send after opening, so that there is an answer to compare (repeatable, in order)
    #[arg(long, value_name = "TEXT")]
    say: Vec<String>,
    /// A message that asks for what is that user's alone, or that only a privileged user may send (repeatable, in order)
    #[arg(long, value_name = "NAME=TEXT", value_parser = said_as)]
    say_as: Vec<(String, String)>,
    /// A user whose own messages no other user may send with success (repeatable)
    #[arg(long, value_name = "NAME")]
    privileged: Vec<String>,
    /// The request that logs a user out, sent with the first user's headers: `POST URL [BODY]`; that user's session ends
    #[arg(long, value_name = "REQUEST")]
    logout: Option<Errand>,
    /// How long a socket may outlive its user's logout
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = some_time)]
    logout_wait: HumanDuration,
    /// The request that fetches a single-use ticket with the first user's headers: `POST URL [BODY]`
    #[arg(long, value_name = "REQUEST")]
    ticket_from: Option<Errand>,
    /// Where the ticket stands in the answer, as a JSON Pointer
    #[arg(long, value_name = "POINTER", default_value = "/ticket", value_parser = pointer)]
    ticket_at: String,
    /// Where the ticket goes: `?NAME={ticket}`, `HEADER: {ticket}` or a sub-protocol
    #[arg(long, value_name = "PLACE", default_value = "sockwarden.ticket.{ticket}")]
    ticket_in: TicketPlace,
    /// A further path at which the server opens WebSockets, where a ticket must not work (repeatable)
    #[arg(long = "route", value_name = "PATH")]
    routes: Vec<String>,
    /// How much the scan may do: `passive` only connects and listens, `intrusive` may cost memory, time or data
    #[arg(long, default_value = "safe")]
    profile: ProfileName,
    /// Make only this check (repeatable)
    #[arg(long = "check", value_name = "ID")]
    checks: Vec<String>,
    /// Connections opened in a second
    #[arg(long, value_name = "N", default_value = "50", value_parser = positive::<NonZeroU32>, allow_negative_numbers = true)]
    rate: NonZeroU32,
    /// Checks made at a time
    #[arg(long, value_name = "N", default_value = "4", value_parser = positive::<NonZeroUsize>, allow_negative_numbers = true)]
    concurrency: NonZeroUsize,
    /// How long the scan of one endpoint may take
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = some_time)]
    time: HumanDuration,
    /// How long connecting may take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = some_time)]
    timeout: HumanDuration,
    /// The longest message to send (intrusive)
    #[arg(long, value_name = "SIZE", default_value = "16 MiB")]
    max_size: ByteSize,
    /// How long a silent connection is watched (intrusive); made where it is no more than a quarter of --time
    #[arg(long, value_name = "DURATION", default_value = "90s", value_parser = some_time)]
    idle_wait: HumanDuration,
    /// The owner of the endpoint agrees to the intrusive profile; needed wherever it is not on this machine's loopback
    #[arg(long)]
    i_am_authorised: bool,
    /// Trust the authorities in this PEM file instead of the platform's
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// Do not verify the endpoint's certificate
    #[arg(long)]
    insecure: bool,
    /// Write a report: `jsonl=FILE`, `sarif=FILE` or `text=FILE`, `-` for standard output (repeatable)
    #[arg(short, long = "output", value_name = "FORMAT=FILE", value_parser = output)]
    outputs: Vec<(Format, PathBuf)>,
    /// The mildest severity that makes the exit code 1: info, low, medium, high or critical
    #[arg(long, value_name = "SEVERITY", default_value = "high")]
    fail_on: Severity,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileName {
    Passive,
    Safe,
    Intrusive,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Passive => Self::Passive,
            ProfileName::Safe => Self::Safe,
            ProfileName::Intrusive => Self::Intrusive,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Jsonl,
    Sarif,
}

fn identity(text: &str) -> Result<(String, Vec<(String, String)>), String> {
    let (name, headers) = text.split_once('=').ok_or("a user is `NAME=Header: value` or `NAME=@FILE`")?;
    let headers = match headers.strip_prefix('@') {
        None => vec![header(headers)?],
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| format!("`{path}` cannot be read: {error}"))?
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(header)
            .collect::<Result<_, _>>()?,
    };
    Ok((name.to_owned(), headers))
}

fn said_as(text: &str) -> Result<(String, String), String> {
    let (name, text) = text.split_once('=').ok_or("a user's message is `NAME=TEXT`")?;
    Ok((name.to_owned(), text.to_owned()))
}

fn pointer(text: &str) -> Result<String, String> {
    match text.is_empty() || text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err("a JSON Pointer is empty or begins with `/`, such as `/data/ticket`".to_owned()),
    }
}

fn output(text: &str) -> Result<(Format, PathBuf), String> {
    let (format, path) = text.split_once('=').ok_or("a report is `FORMAT=FILE`")?;
    let format = match format {
        "text" => Format::Text,
        "jsonl" => Format::Jsonl,
        "sarif" => Format::Sarif,
        _ => return Err("the formats are jsonl, sarif and text".to_owned()),
    };
    Ok((format, path.into()))
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    perform(arguments).or_else(|error| {
        if error.is::<UsageError>() || exit::is_closed_pipe(&error) {
            return Err(error);
        }
        // What fails on our side is no finding.
        anstream::eprintln!("{ERROR}error:{ERROR:#} {}", complaint::of(&error));
        Ok(Exit::Incomplete)
    })
}

fn perform(arguments: &Arguments) -> anyhow::Result<Exit> {
    let targets = targets(arguments)?;
    let options = options(arguments)?;
    let outputs = open(&arguments.outputs)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut reports = Vec::new();
    let mut incomplete = false;
    for target in targets {
        let url = target.url.to_string();
        let bar = Bar::new(&url);
        let outcome = runtime.block_on(scan(target, &options, &bar));
        bar.bar.finish_and_clear();
        match outcome {
            Ok(report) => {
                incomplete |= report.is_incomplete();
                reports.push(report);
            }
            Err(
                error @ (ScanError::Target(_) | ScanError::UnknownCheck(_) | ScanError::NotAuthorised(_)),
            ) => {
                return Err(UsageError(error.to_string()).into());
            }
            Err(
                error @ (ScanError::Unreachable(_)
                | ScanError::NoAnswer
                | ScanError::NotWebSocket { .. }
                | ScanError::IdentityRefused(..)
                | ScanError::Budget(_)),
            ) => {
                // One target that is down does not lose what was found at the others.
                anstream::eprintln!("{ERROR}error:{ERROR:#} {}: {error}", printable(url.as_bytes(), 300));
                incomplete = true;
            }
        }
    }
    write(&reports, outputs)?;
    let found = reports.iter().flat_map(|r| &r.findings).any(|finding| finding.severity >= arguments.fail_on);
    Ok(match (found, incomplete) {
        (true, _) => Exit::Found,
        (false, true) => Exit::Incomplete,
        (false, false) => Exit::Clean,
    })
}

fn targets(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let mut lines = Vec::new();
    for url in &arguments.urls {
        if url == "-" {
            for line in io::stdin().lock().lines() {
                lines.push(line.context("standard input cannot be read")?.trim().to_owned());
            }
        } else {
            lines.push(url.clone());
        }
    }
    lines.retain(|line| !line.is_empty() && !line.starts_with('#'));
    if lines.is_empty() {
        return Err(UsageError("standard input names no endpoint".to_owned()).into());
    }
    let identities = identities(arguments)?;
    lines
        .iter()
        .map(|line| {
            let url: WsUrl =
                line.parse().map_err(|error| UsageError(format!("`{}`: {error}", shown_url(line))))?;
            let mut target = Target::new(url);
            target.origin.clone_from(&arguments.origin);
            target.identities.clone_from(&identities);
            target.headers.clone_from(&arguments.headers);
            if !arguments.cookie.is_empty() {
                target.headers.push(("Cookie".to_owned(), arguments.cookie.join("; ")));
            }
            target.subprotocols.clone_from(&arguments.subprotocol);
            target.say.clone_from(&arguments.say);
            target.logout.clone_from(&arguments.logout);
            target.logout_wait = arguments.logout_wait.get();
            target.tickets = arguments.ticket_from.clone().map(|from| Tickets {
                from,
                at: arguments.ticket_at.clone(),
                place: arguments.ticket_in.clone(),
            });
            target.routes.clone_from(&arguments.routes);
            Ok(target)
        })
        .collect()
}

fn identities(arguments: &Arguments) -> Result<Vec<Identity>, UsageError> {
    let mut identities: Vec<Identity> = Vec::new();
    for (name, headers) in &arguments.identities {
        match identities.iter_mut().find(|identity| identity.name == *name) {
            Some(identity) => identity.headers.extend(headers.clone()),
            None => identities.push(Identity { headers: headers.clone(), ..Identity::new(name, "", "") }),
        }
    }
    for said in &arguments.same_site {
        let (name, value) = said.split_once('=').map_or((None, said.as_str()), |(n, v)| (Some(n), v));
        let value: SameSite = value.parse().map_err(UsageError)?;
        let mut known = false;
        for identity in identities.iter_mut().filter(|i| name.is_none_or(|name| i.name == name)) {
            identity.same_site = value;
            known = true;
        }
        if !known {
            let said = printable(said.as_bytes(), 60);
            return Err(UsageError(format!("--same-site {said}: there is no such user (--as)")));
        }
    }
    for (name, text) in &arguments.say_as {
        known(&mut identities, "--say-as", name)?.say.push(text.clone());
    }
    for name in &arguments.privileged {
        known(&mut identities, "--privileged", name)?.privileged = true;
    }
    Ok(identities)
}

/// Finds the user whom an option names.
fn known<'a>(
    identities: &'a mut [Identity],
    option: &str,
    name: &str,
) -> Result<&'a mut Identity, UsageError> {
    let found = identities.iter_mut().find(|identity| identity.name == name);
    found.ok_or_else(|| {
        let name = printable(name.as_bytes(), 60);
        UsageError(format!("{option} {name}: there is no such user (--as)"))
    })
}

fn options(arguments: &Arguments) -> anyhow::Result<Options> {
    let tls = tls::trust(arguments.ca.as_deref(), arguments.insecure)?;
    let known = || sockwarden_scan::checks::ALL.iter().map(|check| check.rule().id);
    if let Some(id) = arguments.checks.iter().find(|id| !known().any(|known| known == *id)) {
        let hint = match rules::nearest(id, known()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "`sockwarden explain` lists them".to_owned(),
        };
        return Err(
            UsageError(format!("there is no check `{}`: {hint}", printable(id.as_bytes(), 60))).into()
        );
    }
    let dial = DialOptions { tls, timeout: arguments.timeout.get(), connect_to: None };
    Ok(Options {
        profile: arguments.profile.into(),
        checks: arguments.checks.clone(),
        rate: arguments.rate,
        concurrency: arguments.concurrency,
        time_budget: arguments.time.get(),
        max_size: arguments.max_size.as_usize(),
        idle_wait: arguments.idle_wait.get(),
        authorised: arguments.i_am_authorised,
        ..Options::new(dial)
    })
}

/// Gives a report the shape that the formats take.
pub(crate) fn scanned(report: &Report) -> Scanned<'_> {
    let verdict = |result: &CheckResult| match result {
        CheckResult::Found(count) => Verdict::Found(*count),
        CheckResult::Clean => Verdict::Clean,
        CheckResult::NotTested(skip) => Verdict::NotTested(skip.to_string()),
    };
    Scanned {
        endpoint: &report.endpoint,
        findings: &report.findings,
        checks: report
            .outcomes
            .iter()
            .map(|o| Tested { rule: o.rule, verdict: verdict(&o.result), remarks: &o.remarks })
            .collect(),
        warnings: &report.warnings,
        incomplete: report.is_incomplete(),
    }
}

/// Where one report goes; `None` is standard output.
struct Output {
    format: Format,
    path: PathBuf,
    file: Option<File>,
}

/// Opens the files of the reports before anything is scanned; what they hold stays until there is something to write.
fn open(outputs: &[(Format, PathBuf)]) -> Result<Vec<Output>, UsageError> {
    let mut opened: Vec<Output> = Vec::new();
    for (format, path) in outputs {
        let shown = path.display();
        if opened.iter().any(|output| output.path == *path) {
            return Err(UsageError(format!("two reports would be written to `{shown}`")));
        }
        let file = if path == Path::new("-") {
            None
        } else {
            let file = OpenOptions::new().create(true).write(true).truncate(false).open(path);
            Some(file.map_err(|error| UsageError(format!("`{shown}` cannot be written: {error}")))?)
        };
        opened.push(Output { format: *format, path: path.clone(), file });
    }
    Ok(opened)
}

fn write(reports: &[Report], outputs: Vec<Output>) -> anyhow::Result<()> {
    let scans: Vec<Scanned<'_>> = reports.iter().map(scanned).collect();
    let to_stdout = outputs.iter().any(|output| output.file.is_none());
    for Output { format, path, file } in outputs {
        match file {
            None => write_one(format, &scans, &mut io::stdout().lock())?,
            Some(mut file) => file
                .set_len(0)
                .or_else(|error| if file.metadata()?.is_file() { Err(error) } else { Ok(()) })
                .and_then(|()| write_one(format, &scans, &mut file))
                .with_context(|| format!("`{}` cannot be written", path.display()))?,
        }
    }
    if !to_stdout && !scans.is_empty() {
        let layout = text::Layout { width: terminal::width(), colour: true };
        // What a terminal cannot show is stripped on the way out.
        anstream::stdout().write_all(text::render(&scans, layout).as_bytes())?;
    }
    Ok(())
}

fn write_one(format: Format, scans: &[Scanned<'_>], out: &mut impl io::Write) -> io::Result<()> {
    match format {
        Format::Jsonl => jsonl::write(scans, out),
        Format::Sarif => sarif::write(scans, env!("CARGO_PKG_VERSION"), out),
        Format::Text => {
            let layout = text::Layout { width: 100, colour: false };
            out.write_all(text::render(scans, layout).as_bytes())
        }
    }
}

/// A progress bar on standard error, where that is a terminal.
struct Bar {
    bar: ProgressBar,
}

impl Bar {
    fn new(url: &str) -> Self {
        let bar = if io::stderr().is_terminal() { ProgressBar::new(1) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} [{bar:24}] {pos}/{len} {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(printable(url.as_bytes(), 60));
        bar.set_message("connecting");
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar }
    }
}

impl Progress for Bar {
    fn surveying(&self, checks: usize) {
        self.bar.set_length(checks as u64);
        self.bar.set_message("looking around");
    }

    fn started(&self, rule: &'static Rule) {
        self.bar.set_message(rule.id);
    }

    fn finished(&self, _outcome: &Outcome) {
        self.bar.inc(1);
    }
}
