//! The proxies that are compared: nginx and HAProxy relay blind, the gateway looks at everything; one worker each.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use crate::{
    dial,
    process::{self, Started},
};

const NGINX: &str = "/usr/sbin/nginx";
const HAPROXY: &str = "/usr/sbin/haproxy";
/// More than any benchmark opens; each costs two files.
const MOST_CONNECTIONS: usize = 9500;

/// A proxy that can be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proxy {
    /// nginx as it comes.
    Nginx,
    /// nginx with buffers of 64 KiB.
    Nginx64k,
    /// HAProxy in HTTP mode.
    Haproxy,
    /// The gateway, or another build of it.
    Gateway { name: String, program: PathBuf },
}

impl Proxy {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Nginx => "nginx",
            Self::Nginx64k => "nginx64k",
            Self::Haproxy => "haproxy",
            Self::Gateway { name, .. } => name,
        }
    }

    /// What the program says about its version.
    pub(crate) fn version(&self) -> anyhow::Result<String> {
        let mut command = match self {
            Self::Nginx | Self::Nginx64k => argument(NGINX, "-v"),
            Self::Haproxy => argument(HAPROXY, "-v"),
            Self::Gateway { program, .. } => argument(&program.to_string_lossy(), "--version"),
        };
        let output = command.output().with_context(|| format!("{} is not here", self.name()))?;
        let text = [output.stdout, output.stderr].concat();
        let line = String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned();
        Ok(line.replace("nginx version: ", ""))
    }

    /// Starts it on one core in front of `backend`, with its files in `folder`.
    pub(crate) fn start(
        &self,
        core: usize,
        backend: SocketAddr,
        tls: Option<&Certificate>,
        folder: &Path,
    ) -> anyhow::Result<Running> {
        let name = format!("{}-{}", self.name(), if tls.is_some() { "tls" } else { "plain" });
        let folder = folder.join(&name);
        std::fs::create_dir_all(&folder)?;
        let address = process::free_address()?;
        let log = folder.join("log");
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let command: Vec<String> = match self {
            Self::Nginx | Self::Nginx64k => {
                let file = folder.join("nginx.conf");
                let large = matches!(self, Self::Nginx64k);
                std::fs::write(&file, nginx(address, backend, tls, &folder, large))?;
                [NGINX, "-c", &text(&file), "-p", &text(&folder), "-e", &text(&folder.join("error.log"))]
                    .map(str::to_owned)
                    .into()
            }
            Self::Haproxy => {
                let file = folder.join("haproxy.cfg");
                std::fs::write(&file, haproxy(address, backend, tls))?;
                [HAPROXY, "-db", "-f", &text(&file)].map(str::to_owned).into()
            }
            Self::Gateway { program, .. } => {
                let mut words = vec![text(program), "guard".into(), "--listen".into(), address.to_string()];
                words.extend(["--upstream".into(), format!("ws://{backend}")]);
                words
                    .extend(["--auth", "none", "--limits", "relaxed", "--events", "none"].map(str::to_owned));
                if let Some(Certificate { chain, key, .. }) = tls {
                    words.extend(["--tls-cert".into(), text(chain), "--tls-key".into(), text(key)]);
                }
                words
            }
        };
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let mut process = Started::on_core(&name, core, &command, &log)?;
        process.serves(address, &log)?;
        Ok(Running { process, address })
    }
}

/// A proxy that serves.
pub(crate) struct Running {
    pub(crate) process: Started,
    pub(crate) address: SocketAddr,
}

/// The certificate that all proxies show, in files.
pub(crate) struct Certificate {
    pub(crate) chain: PathBuf,
    key: PathBuf,
    /// Both in one file, as HAProxy wants it.
    both: PathBuf,
}

impl Certificate {
    /// Makes a certificate for this run.
    pub(crate) fn make(folder: &Path) -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed([dial::NAME.to_owned()])?;
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let files = Self {
            chain: folder.join("chain.pem"),
            key: folder.join("key.pem"),
            both: folder.join("both.pem"),
        };
        std::fs::write(&files.both, format!("{chain}{key}"))?;
        std::fs::write(&files.chain, chain)?;
        std::fs::write(&files.key, key)?;
        Ok(files)
    }
}

fn argument(program: &str, argument: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(argument);
    command
}

fn nginx(
    listen: SocketAddr,
    backend: SocketAddr,
    tls: Option<&Certificate>,
    folder: &Path,
    large: bool,
) -> String {
    let folder = folder.display();
    let (ssl, certificate) = match tls {
        Some(Certificate { chain, key, .. }) => {
            let (chain, key) = (chain.display(), key.display());
            (" ssl", format!("ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;"))
        }
        None => ("", String::new()),
    };
    let buffers =
        if large { "proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {folder}/{kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\npid {folder}/pid;\n\
         events {{ worker_connections {connections}; }}\n\
         http {{\n    access_log off;\n{temporary}    \
             server {{\n        listen {listen}{ssl} backlog=4096;\n        {certificate}\n        {buffers}\n        \
                 location / {{\n            proxy_pass http://{backend};\n            proxy_http_version 1.1;\n            \
                     proxy_set_header Upgrade $http_upgrade;\n            proxy_set_header Connection Upgrade;\n            \
                     proxy_set_header Host $http_host;\n            proxy_read_timeout 600s;\n            \
                     proxy_send_timeout 600s;\n        }}\n    }}\n}}\n",
        connections = 2 * MOST_CONNECTIONS + 100,
    )
}

fn haproxy(listen: SocketAddr, backend: SocketAddr, tls: Option<&Certificate>) -> String {
    let ssl = tls.map_or(String::new(), |certificate| {
        format!(" ssl crt {} ssl-min-ver TLSv1.3", certificate.both.display())
    });
    format!(
        "global\n    nbthread 1\n    maxconn {MOST_CONNECTIONS}\n\
         defaults\n    mode http\n    timeout connect 5s\n    timeout client 600s\n    timeout server 600s\n    \
             timeout tunnel 600s\n\
         frontend front\n    bind {listen} backlog 4096{ssl}\n    default_backend back\n\
         backend back\n    server echo {backend}\n"
    )
}
