//! The admin listener that goes with a gateway.

use std::{net::TcpListener, path::Path};

use sockwarden_console::{Admin, AdminConfig, Console, Feed};
use sockwarden_gateway::{Gateway, Inherited, Problem};
use sockwarden_model::EventSender;
use sockwarden_net::ServerTls;

/// An admin listener that can start.
#[derive(Debug)]
pub(crate) struct Prepared {
    admin: Admin,
    tls: Option<ServerTls>,
}

/// An admin listener that listens already.
#[derive(Debug)]
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
    let tls = match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => {
            read_tls(certificate, key).map(Some).map_err(|problem| problems.push(problem))
        }
        // Half a pair has been complained about already.
        _ => Ok(None),
    };
    match (admin, tls) {
        (Ok(admin), Ok(tls)) => Ok(Prepared { admin, tls }),
        _ => Err(problems),
    }
}

/// Names what works but is unwise.
pub(crate) fn warnings(config: &AdminConfig) -> Vec<Problem> {
    if config.viewer_token_file.is_some() {
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
    pub(crate) async fn bind(self, inherited: &Inherited) -> Result<Bound, sockwarden_console::StartError> {
        let socket = self.admin.bind(|which| inherited.find(which)).await?;
        Ok(Bound { prepared: self, socket })
    }
}

impl Bound {
    /// Answers, in front of `gateway`.
    ///
    /// # Errors
    /// The runtime cannot take the socket.
    pub(crate) async fn start(
        self,
        gateway: &Gateway,
        events: EventSender,
        feed: Feed,
    ) -> Result<Console, sockwarden_console::StartError> {
        let Prepared { admin, tls } = self.prepared;
        let acceptor = tls.as_ref().map(ServerTls::acceptor);
        Console::start_on(admin, self.socket, acceptor, gateway.control(), events, feed).await
    }
}

fn own(problem: sockwarden_console::Problem) -> Problem {
    Problem {
        key: format!("admin.{}", problem.key),
        message: problem.message,
        help: problem.help.map(str::to_owned),
    }
}

fn read_tls(certificate: &Path, key: &Path) -> Result<ServerTls, Problem> {
    let read = |name: &str, path: &Path| {
        std::fs::read(path).map_err(|error| Problem {
            key: format!("admin.{name}"),
            message: format!("`{}` cannot be read: {error}", path.display()),
            help: None,
        })
    };
    let (chain, private) = (read("certificate", certificate)?, read("key", key)?);
    ServerTls::from_pem(&chain, &private).map_err(|error| Problem {
        key: "admin.certificate".to_owned(),
        message: error.to_string(),
        help: None,
    })
}
