//! Connections to the server, or to the cluster that it is a node of.

use std::{io, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue,
    IntoConnectionInfo as _, RedisConnectionInfo, RedisError, TlsCertificates, aio::MultiplexedConnection,
    cluster::ClusterClientBuilder, cluster_async::ClusterConnection,
};

use crate::config::RedisSettings;

/// The shortest time that a connection may take: it is made in the background, where nobody waits.
const SHORTEST_CONNECT: Duration = Duration::from_secs(2);

/// How often an order is tried again where a cluster has moved a key.
const RETRIES: u32 = 3;

/// A connection; a clone is the same one.
#[derive(Clone)]
pub(crate) enum Wire {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Makes a connection, on which each node of a cluster may take as long as `patience` to answer.
pub(crate) async fn dial(settings: &RedisSettings, patience: Duration) -> Result<Wire, RedisError> {
    let info = connection_info(settings)?;
    if settings.server.tls {
        // The library takes whatever the process has; it fails where it was set before, to the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    let connect = settings.timeout.max(SHORTEST_CONNECT);
    let authorities = settings.ca.clone().map(|ca| TlsCertificates { client_tls: None, root_cert: Some(ca) });
    if settings.cluster {
        let mut builder = ClusterClientBuilder::new([info])
            .retries(RETRIES)
            .connection_timeout(connect)
            .response_timeout(patience);
        if let Some(authorities) = authorities {
            builder = builder.certs(authorities);
        }
        let client = builder.build()?;
        let connected = tokio::time::timeout(connect, client.get_async_connection()).await;
        return connected.unwrap_or_else(|elapsed| Err(io::Error::from(elapsed).into())).map(Wire::Cluster);
    }
    let client = match authorities {
        Some(authorities) => Client::build_with_tls(info, authorities)?,
        None => Client::open(info)?,
    };
    // Whoever gives an order knows how long to wait for its answer.
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(connect)).set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&config).await.map(Wire::One)
}

impl Wire {
    /// Tells whether keys may lie on several nodes.
    pub(crate) const fn is_cluster(&self) -> bool {
        match self {
            Self::One(_) => false,
            Self::Cluster(_) => true,
        }
    }

    /// Gives an order and waits for its answer.
    pub(crate) async fn order<T: FromRedisValue>(&self, order: &Cmd) -> Result<T, RedisError> {
        match self {
            Self::One(connection) => order.query_async(&mut connection.clone()).await,
            Self::Cluster(connection) => order.query_async(&mut connection.clone()).await,
        }
    }
}

fn connection_info(settings: &RedisSettings) -> Result<ConnectionInfo, RedisError> {
    let server = &settings.server;
    let (host, port) = (server.host.clone(), server.port);
    let address = if server.tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    // What a client may tell about itself would need a right that nothing else does.
    let mut account = RedisConnectionInfo::default().set_db(server.database).set_skip_set_lib_name();
    if let Some(user) = &server.user {
        account = account.set_username(user);
    }
    if let Some(password) = &server.password {
        account = account.set_password(password.expose());
    }
    Ok(address.into_connection_info()?.set_redis_settings(account))
}
