//! A server of one's own: on the loopback, in a folder of its own, ended with the test.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sockwarden_state::StateConfig;
use tempfile::TempDir;

/// How long a server may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub(crate) struct Server {
    child: Child,
    folder: TempDir,
    pub(crate) port: u16,
}

impl Server {
    /// Starts one that anybody may use.
    pub(crate) fn start() -> Self {
        Self::with(|port, _| format!("port {port}\n"))
    }

    /// Starts one with lines of configuration that are made from its port and its folder.
    pub(crate) fn with(lines: impl Fn(u16, &Path) -> String) -> Self {
        // Whoever takes the port in between makes it fail, so there are some attempts.
        for _ in 0..5 {
            let folder = TempDir::new().unwrap();
            let port = free_port();
            let text = format!(
                "bind 127.0.0.1\ndaemonize no\nsave \"\"\nappendonly no\ndir {}\n{}",
                folder.path().display(),
                lines(port, folder.path())
            );
            std::fs::write(folder.path().join("redis.conf"), text).unwrap();
            let mut server = Self { child: spawn(folder.path()), folder, port };
            if server.is_there() {
                return server;
            }
        }
        panic!("no server could be started");
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was, with nothing in it.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.folder.path());
        assert!(self.is_there());
    }

    /// Stops it in its tracks, connections open, or lets it go on.
    pub(crate) fn freeze(&self, frozen: bool) {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        assert!(
            Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success()
        );
    }

    /// Gives an order and reads what comes back at once.
    pub(crate) fn tell(&self, order: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("{order}\r\n").as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// Gives the configuration of who uses it without a password.
    pub(crate) fn config(&self) -> StateConfig {
        self.config_of(&format!("redis://127.0.0.1:{}", self.port))
    }

    pub(crate) fn config_of(&self, url: &str) -> StateConfig {
        StateConfig { url: url.parse().unwrap(), ..StateConfig::default() }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn is_there(&mut self) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && self.child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Finds a port that nobody has.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn spawn(folder: &Path) -> Child {
    Command::new("redis-server")
        .arg(folder.join("redis.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed (Debian: redis-server)")
}
