//! `idle`: what a connection costs that says nothing, in the user space of each proxy.
//!
//! The kernel's buffers are the same for all and not counted.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use serde::Serialize;

use crate::{
    content::Script,
    contest::Contest,
    dial::Target,
    handshake::Compression,
    load::Load,
    machine::Machine,
    process::{self, Memory, Started},
    proxies::{Certificate, Proxy},
    table::{self, Table},
};

/// The message that each connection sends once, so that whatever is made for it is made.
const SIZE: usize = 125;
/// How many connections open before they are served.
const BATCH: usize = 50;
/// How long a proxy has to give back what it needs no more.
const SETTLING: Duration = Duration::from_secs(2);

/// What is measured.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    contest: Contest,
    /// The numbers of idle pairs, growing
    #[arg(long, value_delimiter = ',', default_value = "1000,2000,4000,8000")]
    pairs: Vec<usize>,
    /// Only `plain` or `tls`
    #[arg(long, value_parser = ["plain", "tls"])]
    front: Option<String>,
}

/// One proxy that holds so many pairs.
#[derive(Clone, Debug, Serialize)]
struct Held {
    proxy: String,
    tls: bool,
    pairs: usize,
    /// In KiB, before the first of them came and with all of them.
    before: Memory,
    with: Memory,
    /// KiB for each pair.
    pss_each: f64,
    private_dirty_each: f64,
}

#[derive(Serialize)]
struct Results<'a> {
    machine: &'a Machine,
    held: &'a [Held],
}

/// Measures and prints.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let files = process::raise_file_limit()?;
    let most = arguments.pairs.iter().copied().max().context("no number of pairs")?;
    ensure!(arguments.pairs.is_sorted(), "the numbers of pairs must grow");
    ensure!(
        files > 2 * most as u64 + 100,
        "{most} pairs need {} open files in the proxy; the system allows {files}",
        2 * most + 100
    );
    let proxies = arguments.contest.proxies()?;
    let machine = Machine::look(&proxies)?;
    let folder = tempfile::tempdir()?;
    let certificate = Certificate::make(folder.path())?;
    let program = std::env::current_exe()?.to_string_lossy().into_owned();
    let mut backend = Started::on_core(
        "echo",
        arguments.contest.load_core,
        &[&program, "echo"],
        &folder.path().join("echo.log"),
    )?;
    let backend_address = backend.says("listening on ")?.parse()?;
    let mut all = Vec::new();
    for tls in [false, true] {
        if arguments.front.as_deref().is_some_and(|front| (front == "tls") != tls) {
            continue;
        }
        for proxy in &proxies {
            let front = tls.then_some(&certificate);
            let held = hold(arguments, proxy, front, backend_address, folder.path())
                .with_context(|| format!("failed to measure {}", proxy.name()))?;
            all.extend(held);
        }
    }
    crate::say(&format!("{machine}\n"));
    crate::say(&as_table(&all, |held| held.private_dirty_each, "Private_Dirty").to_string());
    crate::say(&as_table(&all, |held| held.pss_each, "Pss").to_string());
    arguments.contest.write(&Results { machine: &machine, held: &all })
}

/// Fills one proxy, which nobody has used before, step by step.
fn hold(
    arguments: &Arguments,
    proxy: &Proxy,
    certificate: Option<&Certificate>,
    backend: SocketAddr,
    folder: &Path,
) -> anyhow::Result<Vec<Held>> {
    let running = proxy.start(arguments.contest.proxy_core, backend, certificate, folder)?;
    let target =
        Target::new(running.address, certificate.map(|files| files.chain.as_path()), Compression::None)?;
    let script = Script::new(SIZE, 1, false);
    let mut load = Load::new(&script)?;
    // The first one pays for what all share.
    load.open(&target, 1)?;
    load.send_once(0)?;
    load.rest(SETTLING)?;
    let before = process::memory(running.process.id())?;
    let mut open = 0;
    let mut steps = Vec::new();
    for &pairs in &arguments.pairs {
        while open < pairs {
            let more = BATCH.min(pairs - open);
            for _ in 0..more {
                load.open(&target, 1)?;
            }
            load.send_once(open + 1)?;
            open += more;
        }
        load.rest(SETTLING)?;
        let with = process::memory(running.process.id())?;
        let each = |with: u64, before: u64| (with as f64 - before as f64) / pairs as f64;
        let held = Held {
            proxy: proxy.name().to_owned(),
            tls: certificate.is_some(),
            pairs,
            before,
            with,
            pss_each: each(with.pss, before.pss),
            private_dirty_each: each(with.private_dirty, before.private_dirty),
        };
        crate::progress(&format!(
            "{} {} {pairs} pairs: {:.2} KiB each",
            held.proxy,
            front(held.tls),
            held.private_dirty_each
        ));
        steps.push(held);
    }
    Ok(steps)
}

fn as_table(all: &[Held], value: fn(&Held) -> f64, what: &str) -> Table {
    let mut names: Vec<&str> = Vec::new();
    let mut rows: Vec<(bool, usize)> = Vec::new();
    for held in all {
        if !names.contains(&held.proxy.as_str()) {
            names.push(&held.proxy);
        }
        if !rows.contains(&(held.tls, held.pairs)) {
            rows.push((held.tls, held.pairs));
        }
    }
    let heading = std::iter::once("idle pairs").chain(names.iter().copied()).map(str::to_owned).collect();
    let mut table = Table::new(&format!("KiB of {what} for each idle pair"), heading);
    for (tls, pairs) in rows {
        let mut row = vec![format!("{pairs} {}", front(tls))];
        row.extend(names.iter().map(|name| {
            let held = all.iter().find(|h| h.proxy == **name && h.tls == tls && h.pairs == pairs);
            held.map_or(String::new(), |held| table::number(value(held)))
        }));
        table.row(row);
    }
    table
}

const fn front(tls: bool) -> &'static str {
    if tls { "tls" } else { "plain" }
}
