//! The command line.

use std::net::SocketAddr;

use clap::{Parser, Subcommand};
use sockwarden_config::{HumanDuration, HumanDurationError};
use sockwarden_model::printable;

use crate::{commands, exit::Exit};

/// WebSocket security: scans applications for flaws, guards them inline, and shows what happened.
#[derive(Debug, Parser)]
#[command(
    name = "sockwarden",
    version,
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Scan WebSocket endpoints for flaws, with proof and a fix for each
    Scan(commands::scan::Arguments),
    /// Attack a vulnerable application with and without the gateway, and show what happens
    Demo(commands::demo::Arguments),
    /// Guard an application: a reverse proxy that judges every message both ways
    Guard(commands::guard::Arguments),
    /// Tell whether a running gateway is ready, with its routes, sessions and modes
    Status(commands::status::Arguments),
    /// List, show or close the sessions of a running gateway
    Sessions(commands::sessions::Arguments),
    /// Change the modes of a running gateway's defences for a time (break glass)
    Mode(commands::mode::Arguments),
    /// Get a ticket for a user from a running gateway
    Ticket(commands::ticket::Arguments),
    /// Revoke a user, session, ticket, token, moment or address at a running gateway
    Revoke(commands::revoke::Arguments),
    /// Have a running gateway read its configuration again
    Reload(commands::reload::Arguments),
    /// Have a running gateway end in order
    Drain(commands::drain::Arguments),
    /// Judge messages as `guard` would, or tell what they hold: operations, values with their places, anomalies
    Inspect(commands::inspect::Arguments),
    /// Connect to an endpoint and show what is said, decoded, as it happens; lines typed are sent
    Listen(commands::listen::Arguments),
    /// Try a route's rules of who may say what on messages, as somebody
    Authorize(commands::authorize::Arguments),
    /// Say what becomes of the rules of a rule set, such as the OWASP Core Rule Set
    Rules(commands::rules::Arguments),
    /// Run the vulnerable application that everything is tried on (loopback only)
    Lab(commands::lab::Arguments),
    /// Read a configuration and report everything that is wrong or unwise
    Check(commands::check::Arguments),
    /// Print the configuration's schema or an example, the admin API, or make a token
    Config(commands::config::Arguments),
    /// Explain a rule: what it does, why it matters, how to fix
    Explain(commands::explain::Arguments),
    /// Tell why the gateway refused or closed, by the event id that the peer was told
    Why(commands::why::Arguments),
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        match self.command {
            Command::Scan(arguments) => commands::scan::run(&arguments),
            Command::Demo(arguments) => commands::demo::run(&arguments),
            Command::Guard(arguments) => commands::guard::run(arguments),
            Command::Status(arguments) => commands::status::run(&arguments),
            Command::Sessions(arguments) => commands::sessions::run(&arguments),
            Command::Mode(arguments) => commands::mode::run(&arguments),
            Command::Ticket(arguments) => commands::ticket::run(&arguments),
            Command::Revoke(arguments) => commands::revoke::run(&arguments),
            Command::Reload(arguments) => commands::reload::run(&arguments),
            Command::Drain(arguments) => commands::drain::run(&arguments),
            Command::Inspect(arguments) => commands::inspect::run(&arguments),
            Command::Listen(arguments) => commands::listen::run(&arguments),
            Command::Authorize(arguments) => commands::authorize::run(&arguments),
            Command::Rules(arguments) => commands::rules::run(&arguments),
            Command::Lab(arguments) => commands::lab::run(arguments),
            Command::Check(arguments) => commands::check::run(&arguments),
            Command::Config(arguments) => commands::config::run(&arguments),
            Command::Explain(arguments) => commands::explain::run(&arguments),
            Command::Why(arguments) => commands::why::run(&arguments),
        }
    }
}

/// Reads an address to listen on.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "an address with a port is needed, such as 127.0.0.1:8443 or [::]:8443".to_owned())
}

/// Shows an address without the name and password that it may hold.
pub(crate) fn shown_url(text: &str) -> String {
    let shown = match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        (None, Some((_, host))) => format!("***@{host}"),
        (_, None) => text.to_owned(),
    };
    printable(shown.as_bytes(), 200)
}

/// Reads a header, `Name: value`.
pub(crate) fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is `Name: value`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Reads a span of time that must not be none.
pub(crate) fn some_time(text: &str) -> Result<HumanDuration, String> {
    let span: HumanDuration = text.parse().map_err(|error: HumanDurationError| error.to_string())?;
    if span.is_zero() { Err("some time is needed, such as 10s".to_owned()) } else { Ok(span) }
}

/// Reads a number that must not be zero.
pub(crate) fn positive<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "a whole number from 1 up is needed".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
