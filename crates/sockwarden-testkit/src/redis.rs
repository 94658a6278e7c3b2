//! A Redis server of one's own: on the loopback, in a folder of its own, ended with the test.

#![expect(clippy::unwrap_used, reason = "a test whose server cannot be had has failed")]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long a server may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `redis-server` (Debian's package of that name).
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    folder: TempDir,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
}

impl RedisServer {
    /// Starts one that anybody may use.
    pub fn start() -> Self {
        Self::with(|port, _| format!("port {port}\n"))
    }

    /// Starts one with lines of configuration that are made from its port and its folder.
    pub fn with(lines: impl Fn(u16, &Path) -> String) -> Self {
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
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was, with nothing in it.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.folder.path());
        assert!(self.is_there());
    }

    /// Stops it in its tracks, connections open, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        assert!(
            Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success()
        );
    }

    /// Gives an order and reads what comes back at once.
    pub fn tell(&self, order: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("{order}\r\n").as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// Names a file in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
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

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Finds a port that nobody has.
pub fn free_port() -> u16 {
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
