//! Where keys are from.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use sockwarden_config::{Hidden, Secret, SecretSource};
use sockwarden_net::ClientTls;
use sockwarden_proto::WsUrl;

use crate::{
    bad_setting::BadSetting,
    config::JwtConfig,
    fetch::fetch,
    key::{Key, SHORTEST_SECRET},
    keys::{Keys, KeysError, LONGEST_DOCUMENT},
};

/// The longest secret, in bytes.
const LONGEST_SECRET: u64 = 4096;

/// Where keys are from.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    /// They do not change.
    Secret(Keys),
    /// A public key in PEM.
    Pem(PathBuf),
    /// A JWKS on this machine.
    File(PathBuf),
    /// A JWKS of the issuer.
    Url { url: WsUrl, tls: ClientTls, timeout: Duration },
}

impl KeySource {
    /// Finds the one source that is configured; files are not read yet, a secret is.
    pub(crate) fn new(config: &JwtConfig, tls: &ClientTls) -> Result<Self, BadSetting> {
        match (&config.secret, &config.public_key, &config.jwks_file, &config.jwks_url) {
            (Some(secret), None, None, None) => {
                read_secret(secret).map_err(|(message, help)| BadSetting::new("secret", message, help))
            }
            (None, Some(path), None, None) => Ok(Self::Pem(path.clone())),
            (None, None, Some(path), None) => Ok(Self::File(path.clone())),
            (None, None, None, Some(url)) => {
                let url = parse_url(url).map_err(|message| {
                    BadSetting::new(
                        "jwks_url",
                        message,
                        Some("an `https://` URL, or `http://` on this machine"),
                    )
                })?;
                Ok(Self::Url { url, tls: tls.clone(), timeout: config.timeout.get() })
            }
            _ => Err(BadSetting::new(
                "jwks_url",
                "it must be said, once, where the keys come from",
                Some("one of `secret`, `public_key`, `jwks_file` and `jwks_url`"),
            )),
        }
    }

    /// The key of the configuration that says it.
    pub(crate) const fn key(&self) -> &'static str {
        match self {
            Self::Secret(_) => "secret",
            Self::Pem(_) => "public_key",
            Self::File(_) => "jwks_file",
            Self::Url { .. } => "jwks_url",
        }
    }

    /// Names it for an operator; a query may hold a secret, so it is left out.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Secret(_) => "the secret".to_owned(),
            Self::Pem(path) | Self::File(path) => path.display().to_string(),
            Self::Url { url, .. } => {
                let path = url.target.split_once('?').map_or(&*url.target, |(path, _)| path);
                format!("{}{path}", url.web_origin())
            }
        }
    }

    /// Gives the document, where there is one.
    pub(crate) async fn document(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Secret(_) => Ok(Vec::new()),
            // Small files, read rarely: not worth a thread.
            Self::Pem(path) | Self::File(path) => read_file(path),
            Self::Url { url, tls, timeout } => {
                fetch(url, tls, *timeout, LONGEST_DOCUMENT).await.map(|document| document.to_vec())
            }
        }
    }

    /// Gives the document of a file; `None` where none is read at the start.
    pub(crate) fn document_at_start(&self) -> Option<Result<Vec<u8>, String>> {
        match self {
            Self::Secret(_) => Some(Ok(Vec::new())),
            Self::Pem(path) | Self::File(path) => Some(read_file(path)),
            Self::Url { .. } => None,
        }
    }

    /// Reads the keys in a document.
    pub(crate) fn keys(&self, document: &[u8]) -> Result<Keys, KeysError> {
        match self {
            Self::Secret(keys) => Ok(keys.clone()),
            Self::Pem(_) => Keys::from_pem(document),
            Self::File(_) | Self::Url { .. } => Keys::from_jwks(document),
        }
    }

    /// Tells whether there may be others later.
    pub(crate) const fn may_change(&self) -> bool {
        !matches!(self, Self::Secret(_))
    }
}

fn parse_url(text: &str) -> Result<WsUrl, String> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("http" | "https")) {
        return Err("it is no URL of HTTP".to_owned());
    }
    let url: WsUrl = text.parse().map_err(|error: sockwarden_proto::UrlError| error.to_string())?;
    if !url.tls && !url.is_loopback() {
        return Err("whoever is on the path could put keys of their own in".to_owned());
    }
    Ok(url)
}

fn read_secret(secret: &Secret) -> Result<KeySource, (String, Option<&'static str>)> {
    let plain = |message: String| (message, None);
    let text = match secret.source().map_err(|error| plain(error.to_string()))? {
        SecretSource::Env(name) => {
            Hidden::new(std::env::var(name).map_err(|_| plain(format!("the variable `{name}` is not set")))?)
        }
        SecretSource::File(path) => {
            let unread = |error| plain(format!("`{}` cannot be read: {error}", path.display()));
            let mut text = String::new();
            let read =
                File::open(path).and_then(|file| file.take(LONGEST_SECRET + 2).read_to_string(&mut text));
            read.map_err(unread)?;
            let ended = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
            Hidden::new(ended.unwrap_or(&text).to_owned())
        }
        SecretSource::Inline(hidden) => hidden.clone(),
    };
    let bytes = text.expose().as_bytes();
    if bytes.len() as u64 > LONGEST_SECRET {
        return Err(plain(format!("it is longer than {LONGEST_SECRET} bytes")));
    }
    match Key::from_secret(bytes) {
        Ok(key) => Ok(KeySource::Secret(Keys::one(key))),
        Err(_) => Err((
            format!(
                "it is shorter than {SHORTEST_SECRET} bytes: whoever has a token could find it by trying"
            ),
            Some("`openssl rand -base64 48` makes a good one"),
        )),
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    // One byte more than is allowed shows that there is more.
    let read =
        File::open(path).and_then(|file| file.take(LONGEST_DOCUMENT as u64 + 1).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| format!("it cannot be read: {error}"))
}
