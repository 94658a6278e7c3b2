//! A folder of rules in SecLang, such as the OWASP Core Rule Set.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use sockwarden_seclang::{Report, RuleSet, Source};

/// What a rule set's setup is called.
const SETUPS: [&str; 2] = ["crs-setup.conf", "crs-setup.conf.example"];

/// Where Debian puts the setup of its rule set, and the rules themselves.
const DEBIAN: (&str, &str) = ("/etc/modsecurity/crs", "/usr/share/modsecurity-crs");

/// The largest file that is read.
const LARGEST: u64 = 16 << 20;

/// Reads the rules of a folder: its setup first, then every `*.conf` of it, or of its `rules` folder, in the order of their names; `*.data` are
/// lists that rules name.
///
/// # Errors
/// A file cannot be read, or holds no rules; every mistake is told with file, line and column.
pub(crate) fn load(folder: &Path) -> anyhow::Result<(Arc<RuleSet>, Report)> {
    let rules = folder.join("rules");
    let inner = if rules.is_dir() { rules } else { folder.to_owned() };
    let mut paths: Vec<PathBuf> = setup(folder, &inner).into_iter().collect();
    paths.extend(files(&inner)?.into_iter().filter(|path| !is_setup(path)));
    let mut texts = Vec::with_capacity(paths.len());
    for path in paths {
        let about = || format!("`{}` cannot be read", path.display());
        let length = fs::metadata(&path).with_context(about)?.len();
        anyhow::ensure!(length <= LARGEST, "`{}` has more than {} MiB", path.display(), LARGEST >> 20);
        texts.push((path.display().to_string(), fs::read(&path).with_context(about)?));
    }
    let of = |ends: &[&str]| -> Vec<Source<'_>> {
        let chosen = texts.iter().filter(|(name, _)| ends.iter().any(|end| name.ends_with(end)));
        chosen.map(|(name, text)| Source { name, text }).collect()
    };
    let confs = of(&[".conf", ".conf.example"]);
    anyhow::ensure!(!confs.is_empty(), "there are no rules (`*.conf`) in `{}`", folder.display());
    let (set, report) = RuleSet::load(&confs, &of(&[".data"]))?;
    Ok((Arc::new(set), report))
}

fn is_setup(path: &Path) -> bool {
    path.file_name().is_some_and(|name| SETUPS.iter().any(|setup| name == *setup))
}

/// Finds the setup: beside the rules, above them, or where Debian has it.
fn setup(folder: &Path, inner: &Path) -> Option<PathBuf> {
    let (debian, package) = DEBIAN;
    let of_debian = folder.starts_with(package).then(|| PathBuf::from(debian));
    let beside =
        [Some(inner.to_owned()), Some(folder.to_owned()), inner.parent().map(Path::to_owned), of_debian];
    let candidates = beside.into_iter().flatten();
    candidates.flat_map(|place| SETUPS.map(|name| place.join(name))).find(|path| path.is_file())
}

/// Gives the rules and lists of a folder, by their names.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let about = || format!("`{}` cannot be read", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(about)? {
        let path = entry.with_context(about)?.path();
        if path.extension().is_some_and(|end| end == "conf" || end == "data") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setup_comes_first_and_lists_are_found_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("rules");
        fs::create_dir(&rules).unwrap();
        let write = |path: PathBuf, text: &str| fs::write(path, text).unwrap();
        write(
            folder.path().join("crs-setup.conf.example"),
            "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.x=1\"\n",
        );
        write(rules.join("b.conf"), "SecRule ARGS \"@pmFromFile words.data\" \"id:3,phase:2,deny\"\n");
        write(rules.join("a.conf"), "SecRule ARGS \"@rx evil\" \"id:2,phase:2,deny\"\n");
        write(rules.join("words.data"), "wicked\n");
        write(rules.join("notes.txt"), "nothing\n");
        let (_, report) = load(folder.path()).unwrap();
        assert_eq!(report.rules.iter().map(|rule| rule.id).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(report.rules.iter().all(|rule| rule.standing.name() != "unsupported"), "{report:?}");
    }

    #[test]
    fn a_folder_without_rules_is_said_to_be_so() {
        let folder = tempfile::tempdir().unwrap();
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("there are no rules"), "{error}");
        let error = load(&folder.path().join("nowhere")).unwrap_err().to_string();
        assert!(error.ends_with("cannot be read"), "{error}");
    }
}
