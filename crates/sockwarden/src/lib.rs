//! Sockwarden, the program: arguments, the root configuration, wiring and exit codes.
//!
//! Data go to standard output, talk to standard error. This is the only crate where the others meet.

mod cli;
mod commands;
pub mod config;
pub mod demo;
mod exit;
mod rules;
mod terminal;

use std::process::ExitCode;

use clap::Parser as _;

/// Runs the program with the process's own arguments.
pub fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli.run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            // A reader that went away (a closed pipe) is no error of ours.
            if error.chain().any(|e| e.downcast_ref::<std::io::Error>().is_some_and(is_closed_pipe)) {
                return ExitCode::SUCCESS;
            }
            anstream::eprintln!("{}error:{} {error:#}", cli::ERROR.render(), cli::ERROR.render_reset());
            exit::of(&error).into()
        }
    }
}

fn is_closed_pipe(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::BrokenPipe
}
