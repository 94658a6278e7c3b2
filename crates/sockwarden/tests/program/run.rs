//! Running the built program.

use std::{
    io::{self, BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Gives the program, to be run in `folder` without colours.
pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockwarden"));
    as_program(&mut command, folder);
    command
}

fn as_program(command: &mut Command, folder: &Path) {
    command.current_dir(folder).env_remove("RUST_BACKTRACE").env("NO_COLOR", "1").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
}

/// Waits until the program ends and gives what it printed; fails the test if that takes too long.
pub(crate) fn finished(mut child: Child) -> Output {
    // A pipe holds little: who prints more waits until it is read.
    let (stdout, stderr) = (read_out(child.stdout.take()), read_out(child.stderr.take()));
    let latest = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > latest {
            child.kill().unwrap();
            panic!("the program did not end: {}", String::from_utf8_lossy(&stderr.join().unwrap()));
        }
        thread::sleep(Duration::from_millis(5));
    };
    Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

/// Reads a pipe to its end, beside everything else.
fn read_out(pipe: Option<impl io::Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut all).unwrap();
        }
        all
    })
}

/// A gateway of the built program.
pub(crate) struct Guard {
    child: KilledLast,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    said: Arc<Mutex<String>>,
    listener: thread::JoinHandle<()>,
}

/// A process that does not outlive its test, also where that fails.
struct KilledLast(Option<Child>);

impl KilledLast {
    fn id(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    fn take(&mut self) -> Child {
        self.0.take().unwrap()
    }
}

impl Drop for KilledLast {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a gateway left behind.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Guard {
    /// Starts `guard` in `folder` and waits until it listens.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_in(folder, arguments, &[])
    }

    /// Starts it with further environment variables.
    pub(crate) fn start_in(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = program(folder);
        command.arg("guard").args(arguments).envs(variables.iter().copied());
        Self::of(command)
    }

    /// Starts it by a shell (bash, for descriptors above 9) that runs `first` before it becomes the gateway.
    pub(crate) fn start_after(folder: &Path, first: &str, arguments: &[&str]) -> Self {
        Self::of(Self::shell(folder, first, arguments))
    }

    /// Gives that shell.
    pub(crate) fn shell(folder: &Path, first: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("bash");
        let binary = env!("CARGO_BIN_EXE_sockwarden");
        command.arg("-c").arg(format!("{first}\nexec \"$0\" guard \"$@\"")).arg(binary).args(arguments);
        as_program(&mut command, folder);
        command
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (stderr, heard) = (child.stderr.take().unwrap(), Arc::clone(&said));
        let listener = thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                heard.lock().unwrap().push_str(&format!("{}\n", line.unwrap()));
            }
        });
        let address = soon(|| {
            let text = said.lock().unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("listening on "))?;
            Some(line.split_once("://")?.1.parse().unwrap())
        });
        let address = address.unwrap_or_else(|| panic!("it never listened: {}", said.lock().unwrap()));
        Self { child: KilledLast(Some(child)), address, said, listener }
    }

    /// Gives what it has said on standard error so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Gives its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Ends it by SIGTERM.
    pub(crate) fn stop(self) -> Ended {
        self.signalled("TERM")
    }

    /// Ends it by a signal.
    pub(crate) fn signalled(self, signal: &str) -> Ended {
        self.signal(signal);
        self.ended()
    }

    /// Waits until it has ended.
    pub(crate) fn ended(mut self) -> Ended {
        let output = finished(self.child.take());
        self.listener.join().unwrap();
        let stderr = self.said.lock().unwrap().clone();
        Ended { code: output.status.code(), stdout: String::from_utf8(output.stdout).unwrap(), stderr }
    }
}

/// Asks again and again until there is an answer; `None` when that takes too long.
pub(crate) fn soon<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let latest = Instant::now() + PATIENCE;
    while Instant::now() < latest {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
}
