//! Certificates that are read anew when their files change.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_model::{EventSender, Notice};
use sockwarden_net::{ServerTls, TlsError};

use crate::journal::notice;

/// A certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateConfig {
    /// The certificate chain in PEM, the listener's own certificate first.
    pub certificate: PathBuf,
    /// The certificate's private key in PEM.
    pub key: PathBuf,
}

/// What a certificate's files hold: the chain and the key.
type Pair = (Vec<u8>, Vec<u8>);

/// The certificates of one listener and the files that they came from.
#[derive(Clone, Debug)]
pub(crate) struct CertificateFiles {
    pub(crate) tls: ServerTls,
    files: Vec<CertificateConfig>,
    read: Vec<Pair>,
}

/// Who may vouch for clients that show a certificate.
pub(crate) struct Clients {
    /// The authorities in PEM.
    pub(crate) authorities: Vec<u8>,
    /// Whether nobody is let in without one.
    pub(crate) required: bool,
}

/// Makes certificates ready for use, and asks clients for theirs where somebody may vouch for them.
pub(crate) fn server_tls(pairs: &[(&[u8], &[u8])], clients: Option<&Clients>) -> Result<ServerTls, TlsError> {
    match clients {
        Some(Clients { authorities, required }) => {
            ServerTls::from_pems_asking_clients(pairs, authorities, *required)
        }
        None => ServerTls::from_pems(pairs),
    }
}

/// Which file is at fault, and why.
pub(crate) struct CertificateError {
    /// Which pair.
    pub(crate) index: usize,
    /// Whether it is the key's file rather than the certificate's.
    pub(crate) in_key: bool,
    pub(crate) path: PathBuf,
    pub(crate) why: String,
}

impl CertificateFiles {
    /// Reads every file and makes what they hold ready for use.
    pub(crate) fn load(
        files: Vec<CertificateConfig>,
        clients: Option<&Clients>,
    ) -> Result<Self, Vec<CertificateError>> {
        let mut errors = Vec::new();
        let mut read = Vec::new();
        for (index, file) in files.iter().enumerate() {
            let mut bytes = |path: &Path, in_key| {
                std::fs::read(path)
                    .map_err(|error| {
                        let why = format!("cannot be read: {error}");
                        errors.push(CertificateError { index, in_key, path: path.to_owned(), why });
                    })
                    .ok()
            };
            let (chain, key) = (bytes(&file.certificate, false), bytes(&file.key, true));
            let Some(pair) = chain.zip(key) else { continue };
            // Each pair by itself, so that the file at fault can be named.
            if let Err(error) = ServerTls::from_pem(&pair.0, &pair.1) {
                let in_key = matches!(error, TlsError::NoKey | TlsError::KeyMismatch);
                let path = if in_key { file.key.clone() } else { file.certificate.clone() };
                let why = format!("cannot be used: {error}");
                errors.push(CertificateError { index, in_key, path, why });
            }
            read.push(pair);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        match server_tls(&borrowed(&read), clients) {
            Ok(tls) => Ok(Self { tls, files, read }),
            Err(error) => {
                let path = files.first().map(|file| file.certificate.clone()).unwrap_or_default();
                Err(vec![CertificateError {
                    index: 0,
                    in_key: false,
                    path,
                    why: format!("cannot be used: {error}"),
                }])
            }
        }
    }

    /// Reads the files again and replaces the certificates where their contents differ; tells whether they did. The files
    /// are compared by what they hold, so that a symbolic link that is pointed elsewhere counts.
    fn refresh(&mut self) -> Result<bool, String> {
        let pairs = self
            .files
            .iter()
            .map(|file| Ok((std::fs::read(&file.certificate)?, std::fs::read(&file.key)?)))
            .collect::<io::Result<Vec<Pair>>>()
            .map_err(|error| format!("a certificate file cannot be read: {error}"))?;
        if pairs == self.read {
            return Ok(false);
        }
        self.tls.replace(&borrowed(&pairs)).map_err(|error| error.to_string())?;
        self.read = pairs;
        Ok(true)
    }

    fn name(&self) -> String {
        self.files.iter().map(|file| file.certificate.display().to_string()).collect::<Vec<_>>().join(", ")
    }
}

fn borrowed(pairs: &[Pair]) -> Vec<(&[u8], &[u8])> {
    pairs.iter().map(|(chain, key)| (chain.as_slice(), key.as_slice())).collect()
}

/// Looks at the files of `certificates` every `interval` and takes new ones; what cannot be used leaves the last good one in
/// place and is reported once, not at every look.
pub(crate) async fn watch(mut certificates: Vec<CertificateFiles>, interval: Duration, events: EventSender) {
    let mut complaints: Vec<Option<String>> = vec![None; certificates.len()];
    while !certificates.is_empty() {
        tokio::time::sleep(interval).await;
        for (files, complaint) in certificates.iter_mut().zip(&mut complaints) {
            // Small files, read rarely: not worth a thread.
            match files.refresh() {
                Ok(true) => {
                    *complaint = None;
                    notice(&events, Notice::CertificateReplaced, files.name());
                }
                Ok(false) => *complaint = None,
                Err(error) => {
                    if complaint.as_ref() != Some(&error) {
                        notice(&events, Notice::CertificateRejected, format!("{}: {error}", files.name()));
                        *complaint = Some(error);
                    }
                }
            }
        }
    }
}
