//! Landlock: which files the process may open from now on.

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope, make_bitflags,
};

use super::folders::Folders;

/// What is restricted where the kernel can; an older one restricts what it knows.
const LATEST: ABI = ABI::V6;

/// Lets this thread, and all that it starts, open what `folders` holds and nothing else. What is open stays open; sockets are
/// not concerned, so that a reload may name other addresses.
pub(super) fn restrict(folders: &Folders) -> Result<(), String> {
    let said = |error: &dyn std::error::Error| error.to_string();
    let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    // A log is appended to, made anew, and renamed within its folder.
    let append = make_bitflags!(AccessFs::{ReadFile | ReadDir | WriteFile | MakeReg | RemoveFile});
    let rules = folders.read.iter().map(|path| (path, read));
    let rules = rules.chain(folders.write.iter().map(|path| (path, append)));
    let rules = rules.filter_map(|(path, access)| rule(path, access));
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(LATEST))
        .map_err(|error| said(&error))?
        .scope(Scope::Signal)
        .map_err(|error| said(&error))?
        .create()
        .map_err(|error| said(&error))?;
    let ruleset =
        ruleset.add_rules(rules.map(Ok::<_, landlock::RulesetError>)).map_err(|error| said(&error))?;
    let status = ruleset.restrict_self().map_err(|error| said(&error))?;
    match status.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => Err("the kernel has none".to_owned()),
    }
}

/// Makes the rule of one path; `None` where there is nothing, which then cannot be opened either.
fn rule(path: &std::path::Path, access: BitFlags<AccessFs>) -> Option<PathBeneath<PathFd>> {
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(LATEST) };
    Some(PathBeneath::new(PathFd::new(path).ok()?, access))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, io::ErrorKind};

    use super::*;

    #[test]
    fn what_no_rule_names_is_not_opened_and_only_the_log_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        for made in ["read", "log", "other"] {
            fs::create_dir(root.join(made)).unwrap();
            fs::write(root.join(made).join("file"), made).unwrap();
        }
        let folders =
            Folders { read: BTreeSet::from([root.join("read")]), write: BTreeSet::from([root.join("log")]) };
        // In a thread of its own: the tests beside it stay as free as they are.
        let tried = std::thread::spawn(move || {
            restrict(&folders).unwrap();
            let denied = ErrorKind::PermissionDenied;
            assert_eq!(fs::read_to_string(root.join("read/file")).unwrap(), "read");
            assert_eq!(fs::write(root.join("read/file"), "").unwrap_err().kind(), denied);
            assert_eq!(fs::read(root.join("other/file")).unwrap_err().kind(), denied);
            assert_eq!(fs::read("/etc/passwd").unwrap_err().kind(), denied);
            fs::rename(root.join("log/file"), root.join("log/old")).unwrap();
            fs::OpenOptions::new().create(true).append(true).open(root.join("log/file")).unwrap();
        });
        tried.join().unwrap();
    }
}
