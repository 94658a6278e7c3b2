//! Other processes: started on a core of their own, watched through `/proc`, ended by their id.

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How long a process may take to serve.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that is ended when this goes.
pub(crate) struct Started {
    name: String,
    child: Child,
}

impl Started {
    /// Starts a program on one core; the system ends it should we be ended first.
    pub(crate) fn on_core(name: &str, core: usize, command: &[&str], log: &Path) -> anyhow::Result<Self> {
        let errors = std::fs::File::create(log)?;
        let child = pinned(core, command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .with_context(|| format!("failed to start {name}"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of output that begins so, and gives its rest.
    pub(crate) fn says(&mut self, beginning: &str) -> anyhow::Result<String> {
        let out = self.child.stdout.take().context("its output is read already")?;
        let (sender, lines) = mpsc::sync_channel(16);
        std::thread::spawn(move || {
            // What it says later is read and dropped, so that it never waits for us.
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = sender.try_send(line);
            }
        });
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if let Some(rest) = line.strip_prefix(beginning) {
                return Ok(rest.to_owned());
            }
        }
        bail!("{} never said `{beginning}`", self.name)
    }

    /// Waits until the process accepts connections.
    pub(crate) fn serves(&mut self, address: SocketAddr, log: &Path) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                let words = std::fs::read_to_string(log).unwrap_or_default();
                bail!("{} ended with {status}: {}", self.name, words.trim());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("{} did not serve {address} in time", self.name)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that runs on one core and ends when we do.
pub(crate) fn pinned(core: usize, command: &[&str]) -> Command {
    let mut pinned = Command::new("setpriv");
    pinned.args(["--pdeathsig", "KILL", "taskset", "-c", &core.to_string()]).args(command);
    pinned
}

/// A port that is free now, on the loopback.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// Allows this process and those it starts as many open files as the system permits, and tells how many.
pub(crate) fn raise_file_limit() -> anyhow::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// The processor time that all threads of a process have used.
pub(crate) fn cpu_time(id: u32) -> anyhow::Result<Duration> {
    let mut sum = 0;
    for task in Path::new(&format!("/proc/{id}/task")).read_dir().context("the proxy is gone")? {
        // The first number: nanoseconds on a processor.
        let text = std::fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        sum += text.split(' ').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
    }
    ensure!(sum > 0, "the system does not tell processor times (schedstat)");
    Ok(Duration::from_nanos(sum))
}

/// Memory of a process in user space, in KiB.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(crate) struct Memory {
    /// Its share of all pages that it uses.
    pub(crate) pss: u64,
    /// Pages that it alone has written to.
    pub(crate) private_dirty: u64,
}

/// The memory that a process uses now.
pub(crate) fn memory(id: u32) -> anyhow::Result<Memory> {
    let text = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup"))
        .context("failed to read the memory of a process")?;
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.trim().parse().ok())
            .with_context(|| format!("no `{name}` in smaps_rollup"))
    };
    Ok(Memory { pss: field("Pss:")?, private_dirty: field("Private_Dirty:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_processor_time_grows_and_our_memory_is_known() {
        let before = cpu_time(std::process::id()).unwrap();
        let begun = Instant::now();
        let mut sum = 0u64;
        while begun.elapsed() < Duration::from_millis(50) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        std::thread::sleep(Duration::from_millis(10));
        assert!(cpu_time(std::process::id()).unwrap() > before);
        assert!(memory(std::process::id()).unwrap().pss > 0);
    }
}
