//! The admin listener that goes with a gateway.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
};

use sockwarden_console::{Admin, AdminConfig, Console, StartError, Tls, Wiring};
use sockwarden_gateway::{Inherited, Problem};
use sockwarden_model::{Event, EventSender, Notice, NoticeEvent};
use sockwarden_net::{ServerTls, TlsError};

use crate::clock::unix_ms;

/// An admin listener that can start.
pub(crate) struct Prepared {
    config: AdminConfig,
    admin: Admin,
    tls: Option<TlsFiles>,
}

/// An admin listener that runs.
pub(crate) struct Running {
    console: Console,
    config: AdminConfig,
    tls: Option<TlsFiles>,
    events: EventSender,
    /// What was wrong with the files when they were last looked at; said once, not at every look.
    complaint: Option<String>,
}

/// What the files of the listener's TLS held when they were read.
struct TlsFiles {
    certificate: PathBuf,
    read: Pems,
    tls: Tls,
}

#[derive(PartialEq, Eq)]
struct Pems {
    chain: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
}

/// An admin listener that listens already.
pub(crate) struct Bound {
    prepared: Prepared,
    socket: TcpListener,
}

/// Reads tokens and certificates.
///
/// # Errors
/// Everything that keeps the listener from starting, with keys of the root configuration.
pub(crate) fn prepare(config: &AdminConfig) -> Result<Prepared, Vec<Problem>> {
    let mut problems = Vec::new();
    let admin =
        sockwarden_console::build(config).map_err(|found| problems.extend(found.into_iter().map(own)));
    let tls = TlsFiles::read(config).map_err(|problem| problems.push(problem));
    match (admin, tls) {
        (Ok(admin), Ok(tls)) => Ok(Prepared { config: config.clone(), admin, tls }),
        _ => Err(problems),
    }
}

/// Names what works but is unwise.
pub(crate) fn warnings(config: &AdminConfig) -> Vec<Problem> {
    if config.token_file.is_none() || config.viewer_token_file.is_some() || !config.viewer_names.is_empty() {
        return Vec::new();
    }
    vec![Problem {
        key: "admin.token_file".to_owned(),
        message: "whoever reads the metrics holds the token that closes sessions and changes modes"
            .to_owned(),
        help: Some("give those who only look a `viewer_token_file`".to_owned()),
    }]
}

impl Prepared {
    /// Listens, or takes what was handed over; connections wait until it starts.
    ///
    /// # Errors
    /// The address cannot be had.
    pub(crate) async fn bind(self, inherited: &Inherited) -> Result<Bound, StartError> {
        let socket = self.admin.bind(|which| inherited.find(which)).await?;
        Ok(Bound { prepared: self, socket })
    }
}

impl Bound {
    /// Answers.
    ///
    /// # Errors
    /// The runtime cannot take the socket.
    pub(crate) async fn start(self, wiring: Wiring) -> Result<Running, StartError> {
        let Prepared { config, admin, tls: files } = self.prepared;
        let events = wiring.events.clone();
        let tls = files.as_ref().map(|files| files.tls.clone());
        let console = Console::start_on(admin, self.socket, tls, wiring).await?;
        Ok(Running { console, config, tls: files, events, complaint: None })
    }
}

impl Running {
    pub(crate) const fn console(&self) -> &Console {
        &self.console
    }

    /// Takes a new configuration at the same address.
    pub(crate) fn renew(&mut self, Prepared { config, admin, tls: files }: Prepared) {
        let tls = files.as_ref().map(|files| files.tls.clone());
        // What was prepared has the certificate that it needs.
        if self.console.renew(admin, tls).is_ok() {
            (self.config, self.tls, self.complaint) = (config, files, None);
        }
    }

    /// Looks at the files of the certificates and takes new ones; what cannot be used leaves the last good ones in place.
    pub(crate) fn refresh(&mut self) {
        let Some(files) = &mut self.tls else { return };
        let name = files.certificate.display().to_string();
        let complaint = match files.refresh(&self.config) {
            Ok(false) => None,
            Ok(true) => {
                self.console.renew_tls(files.tls.clone());
                self.tell(Notice::CertificateReplaced, format!("admin: {name}"));
                None
            }
            Err(problem) => Some(format!("{}: {}", problem.key, problem.message)),
        };
        if let Some(why) = complaint.as_ref().filter(|why| self.complaint.as_ref() != Some(why)) {
            self.tell(Notice::CertificateRejected, format!("admin: {name}: {why}"));
        }
        self.complaint = complaint;
    }

    /// Stops listening.
    pub(crate) async fn stop(self) {
        self.console.stop().await;
    }

    fn tell(&self, notice: Notice, detail: String) {
        self.events.send(Event::Notice(NoticeEvent { at_ms: unix_ms(), notice, detail }));
    }
}

impl TlsFiles {
    /// Reads the files; there are none where the listener speaks no TLS.
    fn read(config: &AdminConfig) -> Result<Option<Self>, Problem> {
        // Half a pair has been complained about already.
        let (Some(certificate), Some(key)) = (&config.certificate, &config.key) else { return Ok(None) };
        let read = Pems::read(certificate, key, config.client_ca.as_deref())?;
        let tls = read.tls(config.require_client_certificate)?;
        Ok(Some(Self { certificate: certificate.clone(), read, tls }))
    }

    /// Reads the files again; tells whether they hold something else than before. They are compared by what they hold, so
    /// that a symbolic link that is pointed elsewhere counts.
    fn refresh(&mut self, config: &AdminConfig) -> Result<bool, Problem> {
        match Self::read(config)? {
            Some(files) if files.read != self.read => {
                *self = files;
                Ok(true)
            }
            Some(_) | None => Ok(false),
        }
    }
}

impl Pems {
    fn read(certificate: &Path, key: &Path, authorities: Option<&Path>) -> Result<Self, Problem> {
        let read = |name: &str, path: &Path| {
            std::fs::read(path)
                .map_err(|error| problem(name, format!("`{}` cannot be read: {error}", path.display())))
        };
        Ok(Self {
            chain: read("certificate", certificate)?,
            key: read("key", key)?,
            authorities: authorities.map(|path| read("client_ca", path)).transpose()?,
        })
    }

    fn tls(&self, required: bool) -> Result<Tls, Problem> {
        let Self { chain, key, authorities } = self;
        // By itself first, so that the file at fault can be named.
        let plain = ServerTls::from_pem(chain, key).map_err(|error| {
            let name =
                if matches!(error, TlsError::NoKey | TlsError::KeyMismatch) { "key" } else { "certificate" };
            problem(name, error.to_string())
        })?;
        let tls = match authorities {
            None => plain,
            Some(authorities) => ServerTls::asking_clients(chain, key, authorities, required)
                .map_err(|error| problem("client_ca", error.to_string()))?,
        };
        let authorities = authorities.as_deref().unwrap_or_default().into();
        Ok(Tls { acceptor: tls.acceptor(), authorities })
    }
}

fn problem(name: &str, message: String) -> Problem {
    Problem { key: format!("admin.{name}"), message, help: None }
}

fn own(problem: sockwarden_console::Problem) -> Problem {
    Problem {
        key: format!("admin.{}", problem.key),
        message: problem.message,
        help: problem.help.map(str::to_owned),
    }
}
