//! `sockwarden lab`.

use std::net::SocketAddr;

use clap::Args;
use sockwarden_lab::{Config, Flaw, Lab, seed};

use crate::{
    cli::address,
    exit::Exit,
    style::{FAINT, GOOD, STRONG, WARNING},
};

/// Runs Harbor, a small messenger with real flaws, on loopback addresses only.
///
/// Exit code 0: ended by a signal. 1: it cannot run. 2: usage.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Run it without any flaw
    #[arg(long, conflicts_with = "without")]
    safe: bool,
    /// Leave a flaw out (repeatable)
    #[arg(long, value_name = "FLAW")]
    without: Vec<Flaw>,
    /// Where plain HTTP is served, unless the flaw `cleartext` is left out
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000", value_parser = address)]
    listen: SocketAddr,
    /// Where HTTPS is served
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3443", value_parser = address)]
    listen_tls: SocketAddr,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    let mut config = if arguments.safe { Config::safe() } else { Config::vulnerable() };
    for flaw in arguments.without {
        config = config.without(flaw);
    }
    config.http_listen = arguments.listen;
    config.tls_listen = arguments.listen_tls;
    let flaws: Vec<Flaw> = config.flaws.iter().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let lab = Lab::start(config).await.map_err(|error| anyhow::anyhow!("failed to {error}"))?;
        for (scheme, address) in [("http", lab.http_addr()), ("https", lab.tls_addr())] {
            if let Some(address) = address {
                let socket = if scheme == "http" { "ws" } else { "wss" };
                anstream::eprintln!(
                    "{GOOD}harbor{GOOD:#} on {scheme}://{address}/ and {socket}://{address}/ws"
                );
            }
        }
        if flaws.is_empty() {
            anstream::eprintln!("without flaws");
        }
        for flaw in flaws {
            anstream::eprintln!(
                "  {WARNING}{:<24}{WARNING:#} {} {}",
                flaw.name(),
                flaw.threat(),
                flaw.summary()
            );
        }
        anstream::eprintln!("log in as");
        for account in seed::ACCOUNTS {
            anstream::eprintln!(
                "  {STRONG}{:<8}{STRONG:#} {} {FAINT}{:?}{FAINT:#}",
                account.user,
                account.password,
                account.role
            );
        }
        crate::signals::Signals::to_end()?.end().await;
        lab.shutdown().await;
        Ok(Exit::Clean)
    })
}
