//! Running the built program.

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Nothing here takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Gives the program, to be run in `folder` without colours.
pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockwarden"));
    command.current_dir(folder).env_remove("RUST_BACKTRACE").env("NO_COLOR", "1").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits until the program ends and gives what it printed; fails the test if that takes too long.
pub(crate) fn finished(mut child: Child) -> Output {
    let latest = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > latest {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("the program did not end: {}", String::from_utf8_lossy(&output.stderr));
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}
