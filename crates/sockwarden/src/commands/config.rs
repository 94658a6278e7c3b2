//! `sockwarden config`.

use clap::Args;

use crate::{config::Config, exit::Exit};

/// What is printed is made from the same structs that are read.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    what: What,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Print the JSON Schema, for editors
    #[arg(long)]
    schema: bool,
    /// Print a commented example with every key and its default
    #[arg(long)]
    example: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if arguments.what.schema {
        anstream::println!("{}", serde_json::to_string_pretty(&sockwarden_config::schema::<Config>())?);
    } else {
        anstream::print!("{}", sockwarden_config::example::<Config>());
    }
    Ok(Exit::Clean)
}
