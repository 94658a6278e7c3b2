//! Who is compared, on which cores, and where the numbers go.

use std::path::PathBuf;

use anyhow::ensure;
use serde::Serialize;

use crate::proxies::Proxy;

/// What the benchmarks that compare proxies have in common.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Contest {
    /// The gateway's program
    #[arg(long)]
    gateway: PathBuf,
    /// Another build of the gateway, in a column of its own
    #[arg(long, value_name = "NAME=PROGRAM", value_parser = other)]
    also: Vec<Proxy>,
    /// Only these proxies: nginx, nginx64k, haproxy, sockwarden
    #[arg(long, value_delimiter = ',')]
    proxies: Vec<String>,
    /// The core that the proxy has for itself
    #[arg(long, default_value_t = 0)]
    pub(crate) proxy_core: usize,
    /// The core of load and application
    #[arg(long, default_value_t = 1)]
    pub(crate) load_core: usize,
    /// Where all numbers go, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn other(text: &str) -> Result<Proxy, String> {
    let (name, program) = text.split_once('=').ok_or("write NAME=PROGRAM")?;
    Ok(Proxy::Gateway { name: name.to_owned(), program: program.into() })
}

impl Contest {
    /// The proxies that take part.
    pub(crate) fn proxies(&self) -> anyhow::Result<Vec<Proxy>> {
        let gateway = Proxy::Gateway { name: "sockwarden".to_owned(), program: self.gateway.clone() };
        let mut all = vec![Proxy::Nginx, Proxy::Nginx64k, Proxy::Haproxy, gateway];
        for name in &self.proxies {
            ensure!(all.iter().any(|proxy| proxy.name() == name), "there is no proxy `{name}`");
        }
        if !self.proxies.is_empty() {
            all.retain(|proxy| self.proxies.iter().any(|name| proxy.name() == name));
        }
        all.extend(self.also.iter().cloned());
        Ok(all)
    }

    /// Writes the numbers where they are to go.
    pub(crate) fn write(&self, results: &impl Serialize) -> anyhow::Result<()> {
        let Some(out) = &self.out else { return Ok(()) };
        if let Some(folder) = out.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(out, serde_json::to_string_pretty(results)? + "\n")?)
    }
}
