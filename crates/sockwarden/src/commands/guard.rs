//! `sockwarden guard`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};
use sockwarden_config::Diagnostic;
use sockwarden_defend::defences::{ForwardAuthConfig, FrameLimitsConfig, OriginPattern};
use sockwarden_gateway::{AuthKind, Built, Gateway, LimitsConfig, ListenerConfig, Problem, RouteConfig};
use sockwarden_model::event_channel;
use sockwarden_proto::WsUrl;
use sockwarden_store::EventWriter;

use crate::{
    cli::{GOOD, WARNING, address},
    commands::check,
    config::{Config, EventsConfig, EventsTo, diagnostic},
    exit::{Exit, UsageError},
};

/// Says what guards an application, by flags for one route or by a file for everything.
///
/// Exit code 0: ended by a signal. 1: it cannot run (configuration, certificate, port). 2: usage.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Read everything from a file instead
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["listen", "upstream", "auth", "origin", "tls_cert", "tls_key", "tls_dev", "insecure_plaintext", "upstream_ca", "cleartext_upstream", "limits", "events", "auth_user_header"])]
    config: Option<PathBuf>,
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", required_unless_present = "config", value_parser = address)]
    listen: Option<SocketAddr>,
    /// The application, ws:// or wss://
    #[arg(long, value_name = "URL", required_unless_present = "config", value_parser = url)]
    upstream: Option<String>,
    /// How clients are authenticated: `none`, or `forward:URL` to ask the application's own endpoint
    #[arg(long, value_name = "HOW", required_unless_present = "config")]
    auth: Option<Auth>,
    /// The header of that endpoint's answer that names the user
    #[arg(long, value_name = "HEADER", requires = "auth")]
    auth_user_header: Option<String>,
    /// An origin whose pages may connect, such as https://app.example (repeatable; default: the same host)
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<OriginPattern>,
    /// The certificate chain in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Make a certificate for development (loopback only)
    #[arg(long, conflicts_with = "tls_cert")]
    tls_dev: bool,
    /// Listen without TLS beyond this machine
    #[arg(long)]
    insecure_plaintext: bool,
    /// The authorities that may sign the application's certificate, in PEM
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// Accept a ws:// application beyond this machine
    #[arg(long)]
    cleartext_upstream: bool,
    /// `relaxed` raises sizes and rates for conformance runs and benchmarks; every detector stays on
    #[arg(long, value_name = "SET", default_value = "default")]
    limits: LimitSet,
    /// Where events go: `stdout`, `none`, or a file to append to
    #[arg(long, value_name = "WHERE", default_value = "stdout")]
    events: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LimitSet {
    Default,
    Relaxed,
}

#[derive(Clone, Debug)]
enum Auth {
    None,
    Forward(String),
}

impl std::str::FromStr for Auth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            Some(("forward", address)) => url(address).map(Self::Forward),
            _ => Err("write `none`, or `forward:URL` such as forward:https://127.0.0.1:3000/api/session"
                .to_owned()),
        }
    }
}

fn url(text: &str) -> Result<String, String> {
    text.parse::<WsUrl>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    match &arguments.config {
        Some(path) => {
            let Some((config, text)) = check::read(path)? else { return Ok(Exit::Found) };
            let name = path.display().to_string();
            let place = |kind, problems: &[Problem]| {
                problems.iter().map(|p| diagnostic(kind, &name, &text, p)).collect::<Vec<_>>()
            };
            match config.build() {
                Ok(built) => {
                    let warnings = place(Diagnostic::warning, &config.warnings());
                    serve(&config, built, || check::say(&warnings))
                }
                Err(problems) => {
                    check::say(&place(Diagnostic::error, &problems));
                    Ok(Exit::Found)
                }
            }
        }
        None => {
            let config = from_flags(arguments)?;
            let built = config.build().map_err(|problems| {
                anyhow::anyhow!("{}", problems.iter().map(as_flag).collect::<Vec<_>>().join("; "))
            })?;
            serve(&config, built, || {
                for warning in config.warnings() {
                    anstream::eprintln!("{WARNING}warning:{WARNING:#} {}", as_flag(&warning));
                }
            })
        }
    }
}

/// Runs the gateway until a signal comes; `warn` is called once it can run, so that an error stands alone.
fn serve(config: &Config, built: Built, warn: impl FnOnce()) -> anyhow::Result<Exit> {
    let (sender, receiver) = event_channel(config.events.queue);
    let destination = config.destination().map_err(|problem| UsageError(problem.message))?;
    let writer = EventWriter::start(receiver, &destination)?;
    let dropped = sender.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let authority = built.dev_authority.clone();
    let ended: anyhow::Result<()> = runtime.block_on(async {
        let gateway = Gateway::start(built, sender).await?;
        warn();
        for listening in gateway.listening() {
            let scheme = if listening.tls { "wss" } else { "ws" };
            anstream::eprintln!("{GOOD}listening{GOOD:#} on {scheme}://{}", listening.address);
        }
        for route in &config.routes {
            anstream::eprintln!("  route {} {} -> {}", route.name, route.path, route.upstream);
        }
        if let Some(authority) = authority {
            anstream::eprintln!("clients must trust this authority, made for this run:\n{authority}");
        }
        wait_for_signal().await?;
        // A second signal ends the farewell.
        tokio::select! {
            () = gateway.stop() => Ok(()),
            again = wait_for_signal() => Ok(again?),
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    if dropped.dropped() > 0 {
        anstream::eprintln!(
            "{WARNING}warning:{WARNING:#} {} events were dropped: the queue was full",
            dropped.dropped()
        );
    }
    drop(dropped);
    ended?;
    writer.finish()?;
    Ok(Exit::Clean)
}

pub(crate) async fn wait_for_signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        std::future::poll_fn(|cx| {
            if interrupt.poll_recv(cx).is_ready() || terminate.poll_recv(cx).is_ready() {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
        Ok(())
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

fn from_flags(arguments: Arguments) -> Result<Config, UsageError> {
    let missing = |flag: &str| UsageError(format!("`{flag}` is missing"));
    let (auth, forward_auth) = match arguments.auth.ok_or_else(|| missing("--auth"))? {
        Auth::None if arguments.auth_user_header.is_some() => {
            return Err(UsageError("`--auth-user-header` needs `--auth forward:URL`".to_owned()));
        }
        Auth::None => (AuthKind::None, None),
        Auth::Forward(url) => {
            let user_header = arguments.auth_user_header;
            (AuthKind::Forward, Some(ForwardAuthConfig { user_header, ..ForwardAuthConfig::new(&url) }))
        }
    };
    let relaxed = arguments.limits == LimitSet::Relaxed;
    let upstream = arguments.upstream.ok_or_else(|| missing("--upstream"))?;
    let mut route = RouteConfig::new("default", &upstream, auth);
    route.forward_auth = forward_auth;
    route.upstream_ca = arguments.upstream_ca;
    route.cleartext_upstream = arguments.cleartext_upstream;
    route.origin_policy.allow = arguments.origin;
    if relaxed {
        route.frame_limits = FrameLimitsConfig::relaxed();
    }
    let (to, file) = match arguments.events.as_str() {
        "stdout" => (EventsTo::Stdout, None),
        "none" => (EventsTo::None, None),
        path => (EventsTo::File, Some(PathBuf::from(path))),
    };
    Ok(Config {
        listeners: vec![ListenerConfig {
            address: arguments.listen.ok_or_else(|| missing("--listen"))?.to_string(),
            certificate: arguments.tls_cert,
            key: arguments.tls_key,
            tls_dev: arguments.tls_dev,
            insecure_plaintext: arguments.insecure_plaintext,
            ..ListenerConfig::new("")
        }],
        routes: vec![route],
        limits: if relaxed { LimitsConfig::relaxed() } else { LimitsConfig::default() },
        events: EventsConfig { to, file, ..EventsConfig::default() },
        ..Config::default()
    })
}

/// What keys of the file are called on the command line.
const FLAGS: [(&str, &str); 5] = [
    ("`auth = \"forward\"`", "--auth forward:URL"),
    ("`cleartext_upstream = true`", "--cleartext-upstream"),
    ("`insecure_plaintext = true`", "--insecure-plaintext"),
    ("`certificate`", "--tls-cert"),
    ("`key`", "--tls-key"),
];

/// Words a problem for someone who gave flags rather than a file.
fn as_flag(problem: &Problem) -> String {
    let flag = match problem.key.rsplit('.').next().unwrap_or_default() {
        "address" => "--listen",
        "certificate" => "--tls-cert",
        "key" => "--tls-key",
        "tls_dev" => "--tls-dev",
        "insecure_plaintext" => "--insecure-plaintext",
        "upstream_ca" => "--upstream-ca",
        "cleartext_upstream" => "--cleartext-upstream",
        "upstream" => "--upstream",
        _ if problem.key.contains("auth") => "--auth",
        _ => &problem.key,
    };
    match &problem.help {
        Some(help) => {
            let help = FLAGS.iter().fold(help.clone(), |help, (key, flag)| help.replace(key, flag));
            format!("{flag}: {} ({help})", problem.message)
        }
        None => format!("{flag}: {}", problem.message),
    }
}
