//! libmodsecurity, asked by a program of its own: it is a library in C++ and no part of ours.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context as _;

use super::engines::{Engine, Judged};
use super::sets::Sample;

/// The rule that adds up the score and would deny.
const DENIES: u32 = 949_110;

/// A running counterpart.
pub(crate) struct Counterpart {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    level: u8,
    _rules: tempfile::NamedTempFile,
}

impl Counterpart {
    pub(crate) fn start(program: &Path, rules: &Path, setup: &Path, level: u8) -> anyhow::Result<Self> {
        let mut file = tempfile::Builder::new().suffix(".conf").tempfile()?;
        write!(
            file,
            "SecRuleEngine DetectionOnly\nSecRequestBodyAccess On\nSecAuditEngine Off\nSecDebugLogLevel 0\n\
             SecRule REQUEST_HEADERS:Content-Type \"@rx ^application/json\" \
             \"id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON\"\n\
             Include {}\nSecAction \"id:200002,phase:1,nolog,pass,t:none,setvar:tx.paranoia_level={level},\
             setvar:tx.blocking_paranoia_level={level}\"\nInclude {}/*.conf\n",
            setup.display(),
            rules.display()
        )?;
        file.flush()?;
        let mut child = Command::new(program)
            .arg(file.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start {}", program.display()))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("the counterpart has no output")?);
        Ok(Self { child, input, output, level, _rules: file })
    }
}

impl Engine for Counterpart {
    fn name(&self) -> String {
        format!("libmodsecurity {}", self.level)
    }

    fn judge(&mut self, sample: &Sample) -> anyhow::Result<Judged> {
        let input = self.input.as_mut().context("the counterpart has no input")?;
        write!(input, "{}\n{}", sample.body.len(), sample.body)?;
        input.flush()?;
        let mut line = String::new();
        let read = self.output.read_line(&mut line).context("failed to hear the counterpart")?;
        anyhow::ensure!(read > 0, "the counterpart ended; does it read these rules?");
        let (spent, ids) =
            line.trim_end_matches('\n').split_once('\t').context("the counterpart says something else")?;
        let mut rules: Vec<u32> = ids.split_whitespace().filter_map(|id| id.parse().ok()).collect();
        rules.sort_unstable();
        rules.dedup();
        let blocked = rules.contains(&DENIES);
        Ok(Judged { blocked, rules, nanoseconds: spent.parse()?, score: 0 })
    }
}

impl Drop for Counterpart {
    fn drop(&mut self) {
        // Without input it ends; it is waited for so that none is left behind.
        self.input = None;
        let _ = self.child.wait();
    }
}
