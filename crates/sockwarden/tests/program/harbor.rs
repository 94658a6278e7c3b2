//! A Harbor to scan.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use sockwarden_lab::{Config, Lab, seed, seed::SeedAccount};
use sockwarden_net::{ClientTls, DialOptions};
use sockwarden_scan::{CheckResult, Options, Report, Target, scan};

/// Harbor, running.
pub(crate) struct Started {
    runtime: tokio::runtime::Runtime,
    lab: Lab,
    pub(crate) address: SocketAddr,
}

impl Started {
    pub(crate) fn new(config: Config) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let lab = runtime.block_on(Lab::start(config)).unwrap();
        let address = lab.http_addr().unwrap();
        Self { runtime, lab, address }
    }

    pub(crate) fn target(&self, query: &str) -> Target {
        Target::new(format!("ws://{}/ws{query}", self.address).parse().unwrap())
    }

    pub(crate) fn results(&self, target: Target, checks: &[&str]) -> Option<Vec<(String, CheckResult)>> {
        let checks = checks.iter().map(|&check| check.to_owned()).collect();
        let report = self.scan(target, &Options { checks, ..options() })?;
        Some(report.outcomes.into_iter().map(|o| (o.rule.id.to_owned(), o.result)).collect())
    }

    pub(crate) fn scan(&self, target: Target, options: &Options) -> Option<Report> {
        let report = self.runtime.block_on(scan(target, options, &())).ok()?;
        assert_eq!(report.warnings, [] as [&str; 0]);
        Some(report)
    }

    pub(crate) fn cookie(&self, account: SeedAccount) -> String {
        let body = serde_json::json!({"user": account.user, "password": account.password}).to_string();
        let answer = self.post("/login", "", &body);
        let (_, rest) = answer.split_once("et-cookie: ").unwrap();
        rest.split(';').next().unwrap().to_owned()
    }

    pub(crate) fn token_of_mara(&self) -> String {
        let answer = self.post("/token", &self.cookie(seed::MARA), "");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        json["token"].as_str().unwrap().to_owned()
    }

    fn post(&self, path: &str, cookie: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let (host, length) = (self.address, body.len());
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nCookie: {cookie}\r\nContent-Length: \
             {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// Gives the usual limits of a scan.
pub(crate) fn options() -> Options {
    let tls = ClientTls::insecure().unwrap();
    Options::new(DialOptions { tls, timeout: Duration::from_secs(5), connect_to: None })
}

impl Drop for Started {
    fn drop(&mut self) {
        assert_eq!(self.lab.refused_connections(), 0);
    }
}
