//! The client role of Autobahn: our own client echoes whatever the fuzzing server of the suite sends.

use std::time::Duration;

use anyhow::Context as _;
use sockwarden_net::{Client, ClientTls, DialOptions, Incoming};
use sockwarden_proto::{Limits, WsUrl};

/// The longest message of the suite is 16 MiB.
const LARGEST: u64 = 64 << 20;
/// How long one case may take.
const CASE: Duration = Duration::from_secs(300);
/// How long the server may take to end a connection after the close frames.
const END: Duration = Duration::from_secs(3);

/// Which fuzzing server, and what its reports call us.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The fuzzing server, ws://
    url: String,
    /// The name in the reports
    agent: String,
}

/// Runs every case that the server has and asks for its report.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let Arguments { url, agent } = arguments;
        let count: u32 = {
            let mut client = connect(&format!("{url}/getCaseCount")).await?;
            match client.next().await? {
                Incoming::Message(_, text) => String::from_utf8(text)?.trim().parse()?,
                other @ (Incoming::Close(..) | Incoming::Violation(_)) => {
                    anyhow::bail!("asked for the number of cases, the server said {other:?}")
                }
            }
        };
        for case in 1..=count {
            let one = echo(format!("{url}/runCase?case={case}&agent={agent}"));
            match tokio::time::timeout(CASE, one).await {
                Ok(Ok(())) => {}
                // The suite itself judges; one bad case says nothing about the next.
                Ok(Err(error)) => crate::progress(&format!("case {case}: {error:#}")),
                Err(_) => crate::progress(&format!("case {case}: given up after {} s", CASE.as_secs())),
            }
        }
        let mut client = connect(&format!("{url}/updateReports?agent={agent}")).await?;
        drain(&mut client, Duration::from_secs(60)).await;
        crate::say(&format!("done {count}"));
        Ok(())
    })
}

async fn echo(url: String) -> anyhow::Result<()> {
    let mut client = connect(&url).await?;
    loop {
        match client.next().await {
            Ok(Incoming::Message(kind, payload)) => client.send(kind, &payload).await?,
            Ok(Incoming::Close(..) | Incoming::Violation(_)) => break,
            // That some cases end so is part of the suite.
            Err(_) => return Ok(()),
        }
    }
    drain(&mut client, END).await;
    Ok(())
}

/// Reads until the server ends the connection: who leaves earlier may reset it and lose its own close frame.
async fn drain(client: &mut Client, most: Duration) {
    let _ = tokio::time::timeout(most, async { while client.next().await.is_ok() {} }).await;
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let url: WsUrl = url.parse().context("failed to read the URL")?;
    let options =
        DialOptions { tls: ClientTls::insecure()?, timeout: Duration::from_secs(10), connect_to: None };
    let limits = Limits { frame: LARGEST, message: LARGEST };
    let client = Client::connect(&url, &options, limits, |handshake| {
        handshake.extensions = vec!["permessage-deflate; client_max_window_bits".to_owned()];
    });
    Ok(client.await?)
}
