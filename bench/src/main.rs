//! Measures the gateway beside other proxies, and proves that it loses nothing.
//!
//! `cargo xtask bench` and `cargo xtask soak` build and start it. Proxy, load and application run in processes of their own,
//! the proxy on a core for itself; whatever comes back is compared byte by byte.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool speaks to the person who runs it")]

mod autobahn;
mod cases;
mod content;
mod contest;
mod detection;
mod dial;
mod echo;
mod handshake;
mod histogram;
mod hot_path;
mod idle;
mod instructions;
mod load;
mod machine;
mod poll;
mod process;
mod proxies;
mod random;
mod relay;
mod soak;
mod table;
mod wire;

use std::process::ExitCode;

use clap::Parser;

/// Measures the gateway beside other proxies.
#[derive(Debug, Parser)]
#[command(name = "sockwarden-bench", disable_version_flag = true)]
enum Command {
    /// What a round trip costs through nginx, HAProxy and the gateway
    Relay(relay::Arguments),
    /// What an idle connection costs each proxy in memory
    Idle(idle::Arguments),
    /// Whether anything is lost or changed in a long time with untidy connections
    Soak(soak::Arguments),
    /// How many instructions a message costs, held against a baseline
    Instructions(instructions::Arguments),
    /// One piece of work, again and again (a part of `instructions`)
    Repeat(instructions::Repeated),
    /// What rule sets find and falsely find, and whether two evaluations of them agree
    Detection(detection::Arguments),
    /// Our own client against the fuzzing server of the Autobahn TestSuite
    AutobahnClient(autobahn::Arguments),
    /// The application behind the proxies (a part of the others)
    Echo,
    /// One run of the load (a part of `relay`)
    Load(load::Arguments),
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Relay(arguments) => relay::run(&arguments),
        Command::Idle(arguments) => idle::run(&arguments).map(|()| true),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Instructions(arguments) => {
            return instructions::run(&arguments).unwrap_or_else(|error| complain(&error));
        }
        Command::Repeat(repeated) => instructions::repeat(&repeated).map(|()| true),
        Command::Detection(arguments) => detection::run(&arguments),
        Command::AutobahnClient(arguments) => autobahn::run(&arguments).map(|()| true),
        Command::Echo => echo::run().map(|()| true),
        Command::Load(arguments) => load::run(&arguments).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => complain(&error),
    }
}

fn complain(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

/// Prints a result.
fn say(text: &str) {
    println!("{text}");
}

/// Tells how far the work is.
fn progress(text: &str) {
    eprintln!("{text}");
}
