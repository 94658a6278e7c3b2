//! Running the program on bad input and collecting what it says otherwise than expected.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Output, Stdio},
    thread,
};

use rcgen::{CertificateParams, KeyPair};

use crate::run::{finished, program};

/// A folder of files, and what was said otherwise than expected.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    wrong: Vec<String>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), wrong: Vec::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// Runs the program in the folder; arguments are parted by blanks, and a blank within one is written `~`.
    ///
    /// It must say exactly `expected` on standard error, nothing on standard output, and the same with RUST_BACKTRACE=1.
    pub(crate) fn check(&mut self, arguments: &str, code: i32, expected: &str) {
        self.check_given(arguments, "", code, expected);
    }

    /// Does so with `input` on standard input.
    pub(crate) fn check_given(&mut self, arguments: &str, input: &str, code: i32, expected: &str) {
        for backtrace in ["0", "1"] {
            let mut command = program(self.path());
            command.args(arguments.split_whitespace().map(|word| word.replace('~', " ")));
            command.env("RUST_BACKTRACE", backtrace).stdin(Stdio::piped());
            let mut child = command.spawn().unwrap();
            // One that does not read its input may have closed it.
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            self.compare(arguments, &finished(child), code, expected);
        }
    }

    fn compare(&mut self, arguments: &str, output: &Output, code: i32, expected: &str) {
        let said = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(!said.contains("marked-secret"), "{arguments}: {said}");
        let (said, expected) = (said.trim_end_matches('\n'), expected.trim_matches('\n'));
        if output.status.code() != Some(code) || said != expected || !output.stdout.is_empty() {
            let (out, status) = (String::from_utf8_lossy(&output.stdout), output.status);
            self.wrong.push(format!("{arguments}\n  {status}, not {code}\n{said}\n  not\n{expected}\n{out}"));
        }
    }

    /// Judges a configuration by `check` and by `guard`, which must say the same.
    pub(crate) fn check_config(&mut self, text: &str, expected: &str) {
        self.file("a.toml", text);
        self.check("check -c a.toml", 1, expected);
        self.check("guard -c a.toml", 1, expected);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert!(self.wrong.is_empty(), "\n{}", self.wrong.join("\n----\n"));
        }
    }
}

/// A certificate for `name` that is valid in the years from `first` to `last`, with its key.
pub(crate) fn certificate(name: &str, first: i32, last: i32) -> (String, String) {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(first, 1, 1);
    params.not_after = rcgen::date_time_ymd(last, 1, 1);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}
