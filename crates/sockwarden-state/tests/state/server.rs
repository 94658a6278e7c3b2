//! How a server is used.

use sockwarden_state::StateConfig;
use sockwarden_testkit::RedisServer;

pub(crate) use sockwarden_testkit::free_port;

use crate::common::wait_until;

/// A server with the configuration of those who use it.
pub(crate) struct Server(RedisServer);

impl Server {
    /// Starts one that anybody may use.
    pub(crate) fn start() -> Self {
        Self(RedisServer::start())
    }

    /// Starts one with lines of configuration that are made from its port and its folder.
    pub(crate) fn with(lines: impl Fn(u16, &std::path::Path) -> String) -> Self {
        Self(RedisServer::with(lines))
    }

    /// Gives the configuration of who uses it without a password.
    pub(crate) fn config(&self) -> StateConfig {
        self.config_of(&format!("redis://127.0.0.1:{}", self.port))
    }

    pub(crate) fn config_of(&self, url: &str) -> StateConfig {
        StateConfig { url: url.parse().unwrap(), ..StateConfig::default() }
    }
}

/// Starts a cluster of one node.
pub(crate) async fn cluster() -> Server {
    let server =
        Server::with(|port, _| format!("port {port}\ncluster-enabled yes\ncluster-port {}\n", free_port()));
    assert_eq!(server.tell("CLUSTER ADDSLOTSRANGE 0 16383"), "+OK\r\n");
    wait_until("a cluster", || server.tell("CLUSTER INFO").contains("cluster_state:ok")).await;
    server
}

impl std::ops::Deref for Server {
    type Target = RedisServer;

    fn deref(&self) -> &RedisServer {
        &self.0
    }
}

impl std::ops::DerefMut for Server {
    fn deref_mut(&mut self) -> &mut RedisServer {
        &mut self.0
    }
}
