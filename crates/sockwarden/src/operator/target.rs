//! Where the admin listener is, and what it is shown.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use hyper::header::HeaderValue;
use sockwarden_console::AdminConfig;
use sockwarden_net::ClientTls;
use sockwarden_proto::WsUrl;

use crate::{commands::check, exit::UsageError};

/// The configuration that is read where none is named.
const USUAL: &str = "sockwarden.toml";
/// The largest file of a token, in bytes.
const LARGEST_TOKEN: u64 = 4096;

/// Which gateway, and as whom.
#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// The gateway's configuration: its `[admin]` says address, token and certificate [default: sockwarden.toml]
    #[arg(short, long, value_name = "FILE", conflicts_with = "admin")]
    config: Option<PathBuf>,
    /// The admin listener instead of a configuration, such as https://admin.example:9443
    #[arg(long, value_name = "URL", value_parser = admin_url)]
    admin: Option<WsUrl>,
    /// The file with the token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Trust the authorities in this PEM file instead of the platform's
    #[arg(long, value_name = "FILE", requires = "admin")]
    ca: Option<PathBuf>,
    /// Show this certificate chain in PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// That certificate's private key in PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Where to ask, and how.
pub(super) struct Target {
    pub(super) url: WsUrl,
    pub(super) connect_to: Option<SocketAddr>,
    pub(super) tls: ClientTls,
    /// The file whose certificate must be shown, where it is not an authority that vouches for it.
    pub(super) pinned: Option<PathBuf>,
    pub(super) token: Option<Token>,
    cert: Option<PathBuf>,
}

/// A token and the file that it came from.
pub(super) struct Token {
    text: String,
    file: PathBuf,
}

impl Token {
    fn read(path: &Path) -> anyhow::Result<Self> {
        use std::io::Read as _;
        let shown = path.display();
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(LARGEST_TOKEN).read_to_string(&mut text))
            .with_context(|| format!("the token file `{shown}` cannot be read"))?;
        let text = text.trim().to_owned();
        anyhow::ensure!(
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()),
            "`{shown}` holds no token: one word of visible ASCII characters"
        );
        Ok(Self { text, file: path.to_owned() })
    }

    /// Gives the header that shows it, marked so that nothing prints it.
    pub(super) fn header(&self) -> anyhow::Result<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.text))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl Target {
    /// Names what the gateway was shown.
    pub(super) fn credentials(&self) -> String {
        let token = self.token.as_ref().map(|token| format!("the token of `{}`", token.file.display()));
        let cert = self.cert.as_ref().map(|cert| format!("the certificate of `{}`", cert.display()));
        match (token, cert) {
            (Some(token), Some(cert)) => format!("{token} and {cert} were shown"),
            (Some(one), None) | (None, Some(one)) => format!("{one} was shown"),
            (None, None) => {
                "nothing was shown; add `--token-file FILE`, or `--cert FILE --key FILE`".to_owned()
            }
        }
    }
}

impl Connect {
    /// Finds where to ask; `None` where the configuration is wrong and that has been said.
    pub(super) fn target(&self) -> anyhow::Result<Option<Target>> {
        match &self.admin {
            Some(url) => self.by_url(url).map(Some),
            None => {
                let path = self.config.as_deref().unwrap_or(Path::new(USUAL));
                let Some((config, _)) = check::read(path)? else { return Ok(None) };
                let admin = config.admin.with_context(|| {
                    format!("`{}` has no `[admin]`: its gateway is not operated so", path.display())
                })?;
                self.by_configuration(&admin).map(Some)
            }
        }
    }

    fn by_url(&self, url: &WsUrl) -> anyhow::Result<Target> {
        let token = self.token_file.as_deref().map(Token::read).transpose()?;
        if token.is_some() && !url.tls && !url.is_loopback() {
            let text = "the token would be sent in the clear: use https://".to_owned();
            return Err(UsageError(text).into());
        }
        let tls = match &self.ca {
            Some(path) => ClientTls::with_roots(&read(path)?)
                .with_context(|| format!("`{}` cannot be used", path.display()))?,
            None => ClientTls::platform()?,
        };
        self.target_of(url.clone(), None, tls, None, token)
    }

    fn by_configuration(&self, admin: &AdminConfig) -> anyhow::Result<Target> {
        let listening = admin.address.parse::<SocketAddr>().map_err(|_| {
            anyhow::anyhow!("`admin.address` is no address with a port: `{}`", admin.address.escape_debug())
        })?;
        anyhow::ensure!(
            listening.port() != 0,
            "`admin.address` leaves the port to the system: name the one it took with `--admin URL`"
        );
        let connect_to = SocketAddr::new(reached_at(listening.ip()), listening.port());
        let scheme = if admin.certificate.is_some() { "wss" } else { "ws" };
        let url: WsUrl = format!("{scheme}://{connect_to}").parse()?;
        let tls = match &admin.certificate {
            Some(path) => ClientTls::pinned(&read(path)?)
                .with_context(|| format!("`{}` cannot be used", path.display()))?,
            None => ClientTls::platform()?,
        };
        let token = match (&self.token_file, &admin.token_file) {
            (Some(path), _) => Some(Token::read(path)?),
            // Who shows a certificate may not be who reads the operators' token.
            (None, Some(path)) if self.cert.is_some() => Token::read(path).ok(),
            (None, Some(path)) => Some(Token::read(path)?),
            (None, None) => None,
        };
        self.target_of(url, Some(connect_to), tls, admin.certificate.clone(), token)
    }

    fn target_of(
        &self,
        url: WsUrl,
        connect_to: Option<SocketAddr>,
        tls: ClientTls,
        pinned: Option<PathBuf>,
        token: Option<Token>,
    ) -> anyhow::Result<Target> {
        let tls = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => tls
                .with_certificate(&read(cert)?, &read(key)?)
                .with_context(|| format!("`{}` with `{}` cannot be used", cert.display(), key.display()))?,
            _ => tls,
        };
        Ok(Target { url, connect_to, tls, pinned, token, cert: self.cert.clone() })
    }
}

/// Gives the address at which this machine reaches a listener.
fn reached_at(listening: IpAddr) -> IpAddr {
    match listening {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => listening,
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("`{}` cannot be read", path.display()))
}

fn admin_url(text: &str) -> Result<WsUrl, String> {
    let wrong = || "write http://HOST:PORT or https://HOST:PORT".to_owned();
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err(wrong());
    }
    text.parse::<WsUrl>().ok().filter(|url| url.target == "/").ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_url_is_an_origin() {
        let check = |text: &str, ok: bool| assert_eq!(admin_url(text).is_ok(), ok, "{text}");
        check("http://127.0.0.1:9443", true);
        check("https://admin.example/", true);
        check("https://admin.example/api", false);
        check("wss://admin.example", false);
        check("admin.example:9443", false);
        check("https://a:b@admin.example", false);
    }
}
