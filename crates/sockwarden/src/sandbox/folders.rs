//! Which folders a gateway needs: those of the files that its configuration names, for a file that is replaced is another
//! file, and those where symbolic links lead.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

use crate::config::Config;

/// As many symbolic links are followed for one file as the kernel follows.
const MOST_LINKS: usize = 40;

/// What names of hosts and libraries are looked up in, and where authorities that the platform trusts are.
const SYSTEM: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/ld.so.cache",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates/extracted",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/local/share/certs",
];

/// Variables that say where those authorities are instead.
const AUTHORITIES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// What may be opened, all of it without symbolic links.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    /// To be read, with everything below.
    pub(crate) read: BTreeSet<PathBuf>,
    /// To be written too.
    pub(crate) write: BTreeSet<PathBuf>,
}

impl Folders {
    /// Gathers what `config`, read from `file`, needs.
    pub(crate) fn of(config: &Config, file: Option<&Path>) -> Self {
        let mut read = BTreeSet::new();
        let named = config.files();
        for path in named.iter().map(|(_, path)| path.as_path()).chain(file) {
            read.extend(around(path));
        }
        for path in SYSTEM.iter().map(PathBuf::from) {
            // Some are replaced as a whole, by whoever runs the network; a link leads to where that is done.
            if path.is_symlink() && path.is_file() {
                read.extend(around(&path).into_iter().filter(|folder| folder != Path::new("/etc")));
            }
            read.extend(fs::canonicalize(&path));
        }
        // To a user other than root nothing in there is secret that its owner has not made so, and files that are replaced
        // stay readable.
        if !rustix::process::getuid().is_root() {
            read.insert("/etc".into());
        }
        for value in AUTHORITIES.into_iter().filter_map(std::env::var_os) {
            read.extend(std::env::split_paths(&value).filter_map(|path| fs::canonicalize(path).ok()));
        }
        let write = config.events.file.iter().flat_map(|path| around(path)).collect();
        Self { read, write }
    }

    /// Tells whether `path` may be read, wherever links lead; where nothing is, nothing is forbidden either.
    pub(crate) fn cover(&self, path: &Path) -> bool {
        let Ok(path) = fs::canonicalize(path) else { return true };
        self.read.iter().chain(&self.write).any(|allowed| path.starts_with(allowed))
    }
}

/// Gives the folders in which what `path` names, and what its links name, is replaced.
fn around(path: &Path) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        folders.extend(swapped(&folder));
        folders.extend(fs::canonicalize(&folder));
        let Ok(target) = fs::read_link(&path) else { break };
        path = folder.join(target);
    }
    folders
}

/// Gives the folders around those on the way that are links within the folder that holds them, as in `current -> releases/7`:
/// such a link is pointed elsewhere one day.
fn swapped(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut way = PathBuf::new();
    for component in folder.components() {
        way.push(component);
        if !matches!(component, Component::Normal(_)) || !way.is_symlink() {
            continue;
        }
        let holder = way.parent().and_then(|holder| {
            fs::canonicalize(if holder.as_os_str().is_empty() { Path::new(".") } else { holder }).ok()
        });
        let target = fs::canonicalize(&way).ok();
        if let (Some(holder), Some(around)) = (holder, target.as_deref().and_then(Path::parent))
            && holder.parent().is_some()
            && around.starts_with(&holder)
        {
            found.push(around.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_can_be_replaced_in_every_usual_way() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        for made in ["plain", "mount/..v1", "live", "archive", "app/releases/1/tls", "app/releases/2/tls"] {
            fs::create_dir_all(root.join(made)).unwrap();
        }
        for made in ["plain/c", "mount/..v1/c", "archive/c1", "app/releases/1/tls/c", "app/releases/2/tls/c"]
        {
            fs::write(root.join(made), "").unwrap();
        }
        symlink("..v1", root.join("mount/..data")).unwrap();
        symlink("..data/c", root.join("mount/c")).unwrap();
        symlink("../archive/c1", root.join("live/c")).unwrap();
        symlink("releases/1", root.join("app/current")).unwrap();
        let check = |path: &str, expected: &[&str]| {
            let mut found: Vec<_> = around(&root.join(path)).into_iter().collect();
            // What lies in another that is found adds nothing.
            let all = found.clone();
            found.retain(|one| !all.iter().any(|other| other != one && one.starts_with(other)));
            let expected: Vec<_> = expected.iter().map(|path| root.join(path)).collect();
            assert_eq!(found, expected, "{path}");
        };
        check("plain/c", &["plain"]);
        check("mount/c", &["mount"]);
        check("live/c", &["archive", "live"]);
        check("app/current/tls/c", &["app/releases"]);
    }

    #[test]
    fn what_lies_elsewhere_is_not_covered() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        for made in ["in", "out"] {
            fs::create_dir(root.join(made)).unwrap();
            fs::write(root.join(made).join("c"), "").unwrap();
        }
        symlink("../out/c", root.join("in/link")).unwrap();
        let folders = Folders { read: around(&root.join("in/c")), write: BTreeSet::new() };
        let check = |path: &str, expected| assert_eq!(folders.cover(&root.join(path)), expected, "{path}");
        check("in/c", true);
        check("in/link", false);
        check("out/c", false);
        check("out/nothing", true);
    }
}
