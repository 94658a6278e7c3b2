//! The sockets that a gateway listens on, had before it starts: what privileged ports need may be given up in between.

use std::{io, net::SocketAddr};

use sockwarden_model::ListenAddress;
use tokio::net::TcpListener;

use crate::{
    build::{Built, Listener},
    server::StartError,
};

/// A socket for each listener of a configuration, and those that a later one may ask for.
#[derive(Debug)]
pub struct Sockets {
    pub(crate) listening: Vec<std::net::TcpListener>,
    pub(crate) inherited: Inherited,
}

/// The sockets that whoever started the program has handed over. They stay open, so that a configuration may name again what
/// another one did not.
#[derive(Debug, Default)]
pub struct Inherited(Vec<Handed>);

#[derive(Debug)]
struct Handed {
    number: usize,
    name: String,
    socket: std::net::TcpListener,
}

impl Inherited {
    /// Adds a socket, with the number of its descriptor and its name, which may be empty.
    pub fn add(&mut self, number: usize, name: &str, socket: std::net::TcpListener) {
        self.0.push(Handed { number, name: name.to_owned(), socket });
    }

    /// Gives the socket that `which` names by its name or its number.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn find(&self, which: &str) -> io::Result<std::net::TcpListener> {
        let is_meant = |handed: &&Handed| handed.name == which || which.parse() == Ok(handed.number);
        let mut found = self.0.iter().filter(is_meant);
        let wrong = |what: &str| {
            let known: Vec<String> =
                self.0.iter().map(|handed| format!("fd:{} ({})", handed.number, handed.name)).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            io::Error::new(io::ErrorKind::NotFound, format!("{what}; handed over: {known}"))
        };
        match (found.next(), found.next()) {
            (Some(handed), None) => {
                let socket = handed.socket.try_clone()?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            }
            (None, _) => Err(wrong("no such TCP socket was handed over")),
            (Some(_), Some(_)) => Err(wrong("several sockets have this name: say which by its number")),
        }
    }
}

impl Sockets {
    /// Listens on every address, or takes what was handed over; connections wait until a gateway starts on the sockets. The
    /// runtime that this runs in may end before.
    ///
    /// # Errors
    /// An address is in use or not allowed, or a socket was not handed over; then none is listened on.
    pub async fn bind(built: &Built, inherited: Inherited) -> Result<Self, StartError> {
        let mut listening = Vec::new();
        for listener in &built.listeners {
            listening.push(bind(listener, &inherited).await?);
        }
        Ok(Self { listening, inherited })
    }
}

/// Listens as one listener says.
pub(crate) async fn bind(
    listener: &Listener,
    inherited: &Inherited,
) -> Result<std::net::TcpListener, StartError> {
    let bound = match &listener.address {
        ListenAddress::Address(address) => TcpListener::bind(address).await.and_then(TcpListener::into_std),
        ListenAddress::Inherited(which) => inherited.find(which),
    };
    let socket = bound.map_err(|source| refused(listener, source))?;
    let local = socket.local_addr().map_err(|source| refused(listener, source))?;
    if !listener.may_be_exposed && !local.ip().to_canonical().is_loopback() {
        return Err(StartError::Exposed { address: listener.address.clone(), local });
    }
    Ok(socket)
}

/// Gives a socket to this runtime, with the address that it has.
pub(crate) fn adopt(
    listener: &Listener,
    socket: std::net::TcpListener,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let address = socket.local_addr().map_err(|source| refused(listener, source))?;
    let socket = TcpListener::from_std(socket).map_err(|source| refused(listener, source))?;
    Ok((socket, address))
}

fn refused(listener: &Listener, source: io::Error) -> StartError {
    StartError::Listen { address: listener.address.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_name_or_number_and_never_guessed() {
        let mut inherited = Inherited::default();
        for (number, name) in [(3, "web"), (4, "admin"), (5, "twice"), (6, "twice")] {
            inherited.add(number, name, std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        }
        let port = |which: &str| inherited.find(which).ok().map(|socket| socket.local_addr().unwrap().port());
        assert_eq!((port("web"), port("admin")), (port("3"), port("4")));
        assert_ne!(port("web"), port("admin"));
        assert!(port("5").is_some() && port("twice").is_none() && port("7").is_none());
        // Who asks again gets it again.
        assert_eq!(port("web"), port("web"));
        let error = Inherited::default().find("web").unwrap_err().to_string();
        assert_eq!(error, "no such TCP socket was handed over; handed over: none");
    }
}
