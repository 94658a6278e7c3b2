//! Sockwarden, the program: arguments, the root configuration, wiring and exit codes.
//!
//! Data go to standard output, talk to standard error. This is the only crate where the others meet.

mod admin;
mod cli;
mod clock;
mod commands;
mod complaint;
pub mod config;
mod config_file;
pub mod demo;
mod exit;
mod heap;
mod inspect;
mod listen;
mod moment;
mod operator;
mod orders;
mod rule_set;
mod rules;
mod sandbox;
mod seen;
mod serve;
mod service;
mod signals;
mod style;
mod terminal;
mod tls;

use std::process::ExitCode;

use clap::{Parser as _, error::ErrorKind};

/// Runs the program with the process's own arguments.
pub fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error),
    };
    match cli.run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            // A reader that went away is no error of ours.
            if exit::is_closed_pipe(&error) {
                return ExitCode::SUCCESS;
            }
            complain(&complaint::of(&error));
            exit::of(&error).into()
        }
    }
}

/// Prints the help or the version where one was asked for, else what is wrong with the arguments.
fn not_understood(error: &clap::Error) -> ExitCode {
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if asked {
        // Who does not take the help cannot be told so.
        let _ = error.print();
        if !error.use_stderr() {
            return ExitCode::SUCCESS;
        }
    } else {
        complain(&complaint::of_usage(error));
    }
    exit::Exit::Usage.into()
}

fn complain(what: &str) {
    let style = style::ERROR;
    anstream::eprintln!("{style}error:{style:#} {what}");
}
