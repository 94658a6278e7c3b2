//! Confining the process once it listens: what a break-in could do is little more than what a gateway does anyway.
//!
//! It happens in the first thread, before there is a second one: privileges, Landlock's rules and the filter of system calls
//! belong to threads, and each thread hands them on to those that it starts.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod files;
mod folders;
#[cfg(target_os = "linux")]
mod privileges;

use std::{fmt, io, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_gateway::{Problem, StartError};

use crate::config::Config;
use folders::Folders;

/// How the guard confines itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IsolationConfig {
    /// Whether capabilities, files and system calls that a gateway does not need are given up once it listens.
    pub sandbox: SandboxKind,
}

/// How much of a sandbox there must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SandboxKind {
    /// What the kernel has; what it has not is said.
    #[default]
    Auto,
    /// All of it, or no start.
    Required,
    /// None.
    Off,
}

/// What the process has given up.
#[derive(Debug)]
pub(crate) struct Sandbox {
    kind: SandboxKind,
    in_force: Vec<Part>,
    missing: Vec<Missing>,
    folders: Folders,
}

/// A part of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// No program that it runs may have more rights.
    NewPrivileges,
    /// It has no capability of root.
    Capabilities,
    /// It opens only what the configuration names.
    Files,
    /// It cannot ask the kernel for what a gateway does not need.
    Calls,
}

impl Part {
    #[cfg(target_os = "linux")]
    const ALL: [Self; 4] = [Self::NewPrivileges, Self::Capabilities, Self::Files, Self::Calls];
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NewPrivileges => "no new privileges",
            Self::Capabilities => "no capabilities",
            Self::Files => "files (Landlock)",
            Self::Calls => "system calls (seccomp)",
        })
    }
}

/// A part that cannot be had, and why.
#[derive(Debug, thiserror::Error)]
#[error("{part}: {why}")]
pub(crate) struct Missing {
    part: Part,
    why: String,
}

/// Says that the sandbox is not what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("`isolation.sandbox` is \"required\", and not all of it can be had: {0}")]
pub(crate) struct NotConfined(String);

impl Sandbox {
    /// Gives up what `config`, read from `file`, does not need. The sockets must listen already, and no other thread run.
    ///
    /// # Errors
    /// A part cannot be had and is required.
    pub(crate) fn enter(config: &Config, file: Option<&Path>) -> Result<Self, NotConfined> {
        let kind = config.isolation.sandbox;
        let mut sandbox =
            Self { kind, in_force: Vec::new(), missing: Vec::new(), folders: Folders::default() };
        if kind == SandboxKind::Off {
            return Ok(sandbox);
        }
        sandbox.folders = Folders::of(config, file);
        sandbox.confine();
        if kind == SandboxKind::Required && !sandbox.missing.is_empty() {
            let missing: Vec<String> = sandbox.missing.iter().map(Missing::to_string).collect();
            return Err(NotConfined(missing.join("; ")));
        }
        Ok(sandbox)
    }

    #[cfg(target_os = "linux")]
    fn confine(&mut self) {
        for part in Part::ALL {
            let done = match part {
                Part::NewPrivileges => privileges::forbid_new(),
                Part::Capabilities => privileges::drop_all(),
                Part::Files => files::restrict(&self.folders),
                Part::Calls => calls::restrict(),
            };
            match done {
                Ok(()) => self.in_force.push(part),
                Err(why) => self.missing.push(Missing { part, why }),
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn confine(&mut self) {
        let parts = [Part::NewPrivileges, Part::Capabilities, Part::Files, Part::Calls];
        let why = || "this system has none".to_owned();
        self.missing.extend(parts.map(|part| Missing { part, why: why() }));
    }

    /// Names what cannot be had.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &Missing> {
        self.missing.iter()
    }

    /// Names the files of `config` that could be read before and cannot any more: changes to them would not be taken.
    pub(crate) fn unreadable(&self, config: &Config) -> Vec<Problem> {
        if self.kind == SandboxKind::Off {
            return Vec::new();
        }
        let unreadable = config.files().into_iter().filter_map(|(key, path)| {
            let error = std::fs::File::open(&path).err()?;
            Some(Problem {
                key,
                message: format!("`{}` cannot be read inside the sandbox: {error}", path.display()),
                help: Some("changes to it will not be taken: let the gateway's own user read it".to_owned()),
            })
        });
        unreadable.collect()
    }

    /// Names the files of a new configuration that lie outside of what was allowed at the start.
    pub(crate) fn beyond(&self, config: &Config) -> Vec<Problem> {
        if !self.has(Part::Files) {
            return Vec::new();
        }
        let beyond = config.files().into_iter().filter_map(|(key, path)| {
            (!self.folders.cover(&path)).then(|| Problem {
                key,
                message: format!(
                    "`{}` lies outside of the folders that the sandbox was given at the start",
                    path.display()
                ),
                help: Some("a restart takes it".to_owned()),
            })
        });
        beyond.collect()
    }

    /// Says why a new configuration cannot listen, and that it is for want of what was given up if it is.
    pub(crate) fn explain(&self, error: &StartError) -> String {
        let StartError::Listen { source, .. } = error else { return error.to_string() };
        let why = format!("{error}: {source}");
        if source.kind() == io::ErrorKind::PermissionDenied && self.has(Part::Capabilities) {
            return format!("{why}; capabilities were given up at the start: a restart takes this address");
        }
        why
    }

    /// Tells whether a part is in force.
    pub(crate) fn has(&self, part: Part) -> bool {
        self.in_force.contains(&part)
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.in_force.is_empty() {
            return f.write_str("nothing");
        }
        let parts: Vec<String> = self.in_force.iter().map(Part::to_string).collect();
        f.write_str(&parts.join(", "))
    }
}
