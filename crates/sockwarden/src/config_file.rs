//! A configuration that comes from a file, and can come from it again.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sockwarden_config::Diagnostic;
use sockwarden_gateway::{Built, Problem};

use crate::{
    config::{Config, diagnostic},
    sandbox::Sandbox,
};

/// The file of a configuration.
#[derive(Clone, Debug)]
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
}

/// A configuration that can run.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) built: Built,
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Why a file is no configuration that can run.
pub(crate) enum Unusable {
    /// There is nothing to look at.
    Unread(anyhow::Error),
    /// Everything that is wrong with what is in it.
    Wrong(Vec<Diagnostic>),
}

impl ConfigFile {
    /// Reads the file and builds what runs, in the sandbox if there is one already.
    ///
    /// # Errors
    /// Everything that keeps it from running.
    pub(crate) fn load(&self, sandbox: Option<&Sandbox>) -> Result<Loaded, Unusable> {
        let (config, text) = read(&self.path)?;
        let name = self.path.display().to_string();
        let place = |kind, problems: &[Problem]| {
            problems.iter().map(|p| diagnostic(kind, &name, &text, p)).collect::<Vec<_>>()
        };
        let beyond = sandbox.map(|sandbox| sandbox.beyond(&config)).unwrap_or_default();
        if !beyond.is_empty() {
            return Err(Unusable::Wrong(place(Diagnostic::error, &beyond)));
        }
        match config.build() {
            Ok(built) => {
                let warnings = place(Diagnostic::warning, &config.warnings());
                Ok(Loaded { config, built, warnings })
            }
            Err(problems) => Err(Unusable::Wrong(place(Diagnostic::error, &problems))),
        }
    }
}

/// Reads a configuration and its text, and looks at its form only.
///
/// # Errors
/// The file cannot be read, or everything that is wrong with its form.
pub(crate) fn read(path: &Path) -> Result<(Config, String), Unusable> {
    let name = path.display().to_string();
    let bytes =
        std::fs::read(path).with_context(|| format!("`{name}` cannot be read")).map_err(Unusable::Unread)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Unusable::Unread(anyhow::anyhow!("`{name}` is no text in UTF-8")))?;
    Config::read(&name, &text).map(|config| (config, text)).map_err(Unusable::Wrong)
}
