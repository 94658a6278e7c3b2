//! `sockwarden guard`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};
use sockwarden_defend::{
    Way,
    defences::{FrameLimitsConfig, OriginPattern, RateLimitConfig},
};
use sockwarden_gateway::{Auth, ForwardAuthConfig, LimitsConfig, ListenerConfig, Problem, RouteConfig};
use sockwarden_proto::WsUrl;

use crate::{
    cli::address,
    commands::check,
    config::{Config, EventsConfig, EventsTo},
    config_file::{ConfigFile, Loaded},
    exit::{Exit, UsageError},
    serve::serve,
    style::WARNING,
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
    auth: Option<AuthArgument>,
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
enum AuthArgument {
    None,
    Forward(String),
}

impl std::str::FromStr for AuthArgument {
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
            let file = ConfigFile { path: path.clone() };
            let Some(Loaded { config, built, warnings }) = check::said(file.load(None))? else {
                return Ok(Exit::Found);
            };
            serve(config, built, Some(file), || check::say(&warnings))?;
        }
        None => {
            let config = from_flags(arguments)?;
            let built = config.build().map_err(|problems| {
                anyhow::anyhow!("{}", problems.iter().map(as_flag).collect::<Vec<_>>().join("; "))
            })?;
            let warnings = config.warnings();
            serve(config, built, None, || {
                for warning in warnings {
                    anstream::eprintln!("{WARNING}warning:{WARNING:#} {}", as_flag(&warning));
                }
            })?;
        }
    }
    Ok(Exit::Clean)
}

fn from_flags(arguments: Arguments) -> Result<Config, UsageError> {
    let missing = |flag: &str| UsageError(format!("`{flag}` is missing"));
    let (auth, forward_auth) = match arguments.auth.ok_or_else(|| missing("--auth"))? {
        AuthArgument::None if arguments.auth_user_header.is_some() => {
            return Err(UsageError("`--auth-user-header` needs `--auth forward:URL`".to_owned()));
        }
        AuthArgument::None => (Auth::NONE, None),
        AuthArgument::Forward(url) => {
            let user_header = arguments.auth_user_header;
            (Auth::by(Way::Forward), Some(ForwardAuthConfig { user_header, ..ForwardAuthConfig::new(&url) }))
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
        route.rate_limit = RateLimitConfig::relaxed();
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
