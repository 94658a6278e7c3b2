//! `sockwarden listen`.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal as _},
    num::{NonZeroU64, NonZeroUsize},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use sockwarden_config::{ByteSize, HumanDuration};
use sockwarden_inspect::{Opening, Reader};
use sockwarden_model::{printable, printable_text};
use sockwarden_net::{Client, ClientError, DialOptions};
use sockwarden_proto::{
    CloseCode, Limits, Origin, WsUrl,
    handshake::{ClientHandshake, is_token},
};

use crate::{
    cli::{header, positive, shown_url, some_time},
    clock, complaint,
    exit::{self, Exit, UsageError},
    listen::{End, Form, Har, Plan, Room, Talk, View, input, without_secrets},
    seen::Choice,
    style::{ERROR, GOOD, WARNING},
    terminal, tls,
};

/// What can be typed, how it ends, and examples.
const HELP: &str = r#"Lines of standard input are sent as text messages. /close [CODE [REASON]], /ping [TEXT] and /binary HEX are commands; // begins a text with a slash.

It ends when the server closes, by --for or --count, by an interrupt (Ctrl-C), and when standard input ends: at once on a terminal, else a second later (--wait), so that answers are seen. With --for or --count the end of standard input ends nothing unless --wait is given.

Exit code 0: it ended as asked, or the server closed with 1000, 1001 or no code. 1: the server closed with another code or broke the protocol, or the connection broke. 2: usage, or a line of standard input that is not understood. 3: there is no WebSocket connection, or something cannot be written.

Examples:
  sockwarden listen wss://app.example/ws --subprotocol graphql-transport-ws
  sockwarden listen wss://app.example/ws -H 'Cookie: session=…' -o har=session.har --for 1m
  echo '{"type":"account"}' | sockwarden listen ws://127.0.0.1:3000/ws --json"#;

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The endpoint, ws(s):// or http(s)://
    url: String,
    /// A sub-protocol to offer (repeatable)
    #[arg(long, value_name = "NAME")]
    subprotocol: Vec<String>,
    /// A header of the handshake (repeatable)
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The origin to send, as a browser's page would
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// What messages are read as: `auto` finds it out, `none` reads no sub-protocol, or a name
    #[arg(long, value_name = "NAME", default_value = "auto")]
    protocol: Choice,
    /// Lines are hexadecimal digits, sent as binary messages
    #[arg(long)]
    binary: bool,
    /// Listen no longer than this
    #[arg(long = "for", value_name = "DURATION", value_parser = some_time)]
    most: Option<HumanDuration>,
    /// Listen for so many messages of the server
    #[arg(long, value_name = "N", value_parser = positive::<NonZeroU64>, allow_negative_numbers = true)]
    count: Option<NonZeroU64>,
    /// How long to listen after standard input has ended
    #[arg(long, value_name = "DURATION")]
    wait: Option<HumanDuration>,
    /// How long connecting and the handshake may take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = some_time)]
    timeout: HumanDuration,
    /// The longest message, of either side
    #[arg(long, value_name = "SIZE", default_value = "16 MiB")]
    max_size: ByteSize,
    /// Print one JSON object a line, with the values of each message
    #[arg(long)]
    json: bool,
    /// The longest line to print; the terminal's where it is not given
    #[arg(long, value_name = "COLUMNS", value_parser = positive::<NonZeroUsize>, allow_negative_numbers = true)]
    width: Option<NonZeroUsize>,
    /// Print all of each message
    #[arg(long)]
    full: bool,
    /// Record the conversation: `har=FILE` writes an HTTP archive with its messages
    #[arg(short, long = "output", value_name = "har=FILE", value_parser = archive)]
    output: Option<PathBuf>,
    /// Leave cookies, credentials and tokens of the handshake in what is recorded
    #[arg(long, requires = "output")]
    with_secrets: bool,
    /// Trust the authorities in this PEM file instead of the platform's
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// Do not verify the endpoint's certificate
    #[arg(long)]
    insecure: bool,
}

/// How many lines of a message are shown without `--full`.
const LINES: usize = 24;
/// How long to listen after standard input has ended, where that is no terminal.
const WAIT: Duration = Duration::from_secs(1);
/// The fields that the handshake writes itself.
const OURS: [&str; 7] = [
    "host",
    "upgrade",
    "connection",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
];

fn archive(text: &str) -> Result<PathBuf, String> {
    match text.split_once('=') {
        Some(("har", path)) if !path.is_empty() => Ok(path.into()),
        Some(_) | None => Err("a recording is `har=FILE`".to_owned()),
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    perform(arguments).or_else(|error| {
        if error.is::<UsageError>() || exit::is_closed_pipe(&error) {
            return Err(error);
        }
        anstream::eprintln!("{ERROR}error:{ERROR:#} {}", complaint::of(&error));
        Ok(Exit::Incomplete)
    })
}

fn perform(arguments: &Arguments) -> anyhow::Result<Exit> {
    let url: WsUrl = arguments
        .url
        .parse()
        .map_err(|error| UsageError(format!("`{}`: {error}", shown_url(&arguments.url))))?;
    judge(arguments)?;
    let tls = tls::trust(arguments.ca.as_deref(), arguments.insecure)?;
    let file = arguments.output.as_ref().map(open).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(listen(
        arguments,
        &url,
        DialOptions { tls, timeout: arguments.timeout.get(), connect_to: None },
        file,
    ))
}

/// Judges what the handshake will say.
fn judge(arguments: &Arguments) -> Result<(), UsageError> {
    let shown = |text: &str| printable(text.as_bytes(), 60);
    for (name, value) in &arguments.headers {
        if !is_token(name.as_bytes())
            || value.bytes().any(|byte| byte != b'\t' && (byte < 0x20 || byte == 0x7f))
        {
            return Err(UsageError(format!("the header `{}` has a malformed name or value", shown(name))));
        }
        if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
            return Err(UsageError(format!(
                "the header `{}` is written by the handshake itself",
                shown(name)
            )));
        }
    }
    for protocol in &arguments.subprotocol {
        if !is_token(protocol.as_bytes()) {
            return Err(UsageError(format!("the sub-protocol `{}` is no token", shown(protocol))));
        }
    }
    match &arguments.origin {
        Some(origin) if origin != "null" && origin.parse::<Origin>().is_err() => Err(UsageError(format!(
            "the origin `{}` is not a scheme, a host and perhaps a port",
            shown(origin)
        ))),
        Some(_) | None => Ok(()),
    }
}

/// Opens the file of the recording before anything is said; what it holds stays until there is something to write. Nobody else may
/// read it.
fn open(path: &PathBuf) -> Result<(File, &PathBuf), UsageError> {
    let file = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(path);
    let file =
        file.map_err(|error| UsageError(format!("`{}` cannot be written: {error}", path.display())))?;
    Ok((file, path))
}

async fn listen(
    arguments: &Arguments,
    url: &WsUrl,
    options: DialOptions,
    file: Option<(File, &PathBuf)>,
) -> anyhow::Result<Exit> {
    let began_ms = clock::unix_ms();
    let largest = arguments.max_size.as_usize() as u64;
    let mut sent: Option<ClientHandshake> = None;
    let connecting =
        Client::connect(url, &options, Limits { frame: largest, message: largest }, |handshake| {
            handshake.protocols.clone_from(&arguments.subprotocol);
            let origin = arguments.origin.iter().map(|origin| ("Origin".to_owned(), origin.clone()));
            let fields = origin.chain(arguments.headers.iter().cloned());
            handshake.headers.extend(fields.map(|(name, value)| (name, value.into_bytes())));
            sent = Some(handshake.clone());
        });
    let client = match tokio::time::timeout(options.timeout, connecting).await {
        Ok(Ok(client)) => client,
        Ok(Err(ClientError::Refused { status, body })) => {
            let body = String::from_utf8_lossy(&body);
            let said = if body.trim().is_empty() {
                String::new()
            } else {
                format!(": {}", printable_text(body.trim(), 1_000))
            };
            anyhow::bail!("the server answered {status} to the handshake{said}");
        }
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => anyhow::bail!("the handshake was not answered within {}", arguments.timeout),
    };
    let (opened, opened_ms) = (Instant::now(), clock::unix_ms());
    let subprotocol = client.protocol().map(str::to_owned);
    let conversation =
        arguments.protocol.begin(&Opening { subprotocol: subprotocol.as_deref(), target: &url.target });
    let mut har = match (&file, &sent) {
        (Some(_), Some(sent)) => {
            Some(Har::new(url, sent, client.answer(), (began_ms, opened_ms), arguments.with_secrets))
        }
        (None, _) | (_, None) => None,
    };
    let mut view = View::new(form(arguments), Box::new(anstream::stdout()));
    let shown = printable(without_secrets(url).to_string().as_bytes(), 300);
    let agreed = subprotocol.as_ref().map(|name| format!(", sub-protocol {name}")).unwrap_or_default();
    anstream::eprintln!(
        "{GOOD}connected{GOOD:#} to {shown}{agreed} in {} ms",
        opened_ms.saturating_sub(began_ms)
    );
    view.opened(opened_ms, &shown, subprotocol.as_deref())?;
    let mut talk = Talk {
        client,
        view: &mut view,
        har: har.as_mut(),
        conversation,
        reader: Reader::default(),
        plan: plan(arguments),
        opened,
    };
    let ended = talk.run(input(largest)).await;
    drop(talk);
    // What was said is recorded however it ended.
    if let (Some(har), Some((file, path))) = (&har, file) {
        record(har, file).with_context(|| format!("`{}` cannot be written", path.display()))?;
    }
    verdict(ended?)
}

fn plan(arguments: &Arguments) -> Plan {
    let interactive = io::stdin().is_terminal();
    let bounded = arguments.most.is_some() || arguments.count.is_some();
    let wait = match (arguments.wait, interactive) {
        (Some(wait), _) => Some(wait.get()),
        (None, true) => Some(Duration::ZERO),
        (None, false) => {
            if bounded {
                None
            } else {
                Some(WAIT)
            }
        }
    };
    Plan {
        wait,
        most: arguments.most.map(HumanDuration::get),
        count: arguments.count.map(NonZeroU64::get),
        binary: arguments.binary,
        interactive,
    }
}

fn form(arguments: &Arguments) -> Form {
    if arguments.json {
        return Form::Json;
    }
    let width = arguments.width.map_or_else(terminal::width, NonZeroUsize::get);
    Form::Text(Room { width, lines: (!arguments.full).then_some(LINES) })
}

fn record(har: &Har, mut file: File) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    let left_out = har.write(clock::unix_ms(), &mut io::BufWriter::new(&mut file))?;
    if left_out > 0 {
        anstream::eprintln!(
            "{WARNING}warning:{WARNING:#} {left_out} messages did not fit into the recording"
        );
    }
    Ok(())
}

/// Says how it ended, where that was not as asked, and gives the exit code.
fn verdict(end: End) -> anyhow::Result<Exit> {
    let why = match end {
        End::Ours | End::Closed(None | Some(CloseCode::NORMAL | CloseCode::GOING_AWAY)) => {
            return Ok(Exit::Clean);
        }
        End::NotUnderstood(why) => return Err(UsageError(why).into()),
        End::Closed(Some(code)) => format!("the server closed with {code}"),
        End::Violation(violation) => format!("the server broke the protocol: {violation}"),
        End::Broken(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the server ended the connection without a close frame".to_owned()
        }
        End::Broken(error) => format!("the connection broke: {error}"),
    };
    anstream::eprintln!("{ERROR}error:{ERROR:#} {why}");
    Ok(Exit::Found)
}
