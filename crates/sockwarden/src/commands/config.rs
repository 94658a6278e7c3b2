//! `sockwarden config`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::{
    commands::{check, effective, limits},
    config::Config,
    exit::Exit,
    style::GOOD,
};

/// What is printed is made from the same structs that are read.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    what: What,
    /// The configuration that `--effective` reads
    #[arg(short, long, value_name = "FILE", default_value = "sockwarden.toml")]
    config: PathBuf,
    /// With `--effective`: print one route only, and where each of its values comes from
    #[arg(long, value_name = "ROUTE", requires = "effective", conflicts_with_all = ["schema", "example", "limits", "openapi", "new_token"])]
    explain: Option<String>,
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
    /// Print the configuration in force: what the file says, its defaults and what is built in
    #[arg(long)]
    effective: bool,
    /// Print every limit with its default, what becomes of whoever is beyond it and what tells of it, as Markdown
    #[arg(long)]
    limits: bool,
    /// Print the OpenAPI document of the admin listener
    #[arg(long)]
    openapi: bool,
    /// Write a fresh token for the admin listener to a new file that only its owner can read
    #[arg(long, value_name = "FILE")]
    new_token: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let What { schema, example: _, effective, limits, openapi, new_token } = &arguments.what;
    if let Some(path) = new_token {
        let random = sockwarden_net::random_array();
        let written = sockwarden_console::write_new_token(path, random);
        written.with_context(|| format!("no token was written to `{}`", path.display()))?;
        anstream::eprintln!("{GOOD}written{GOOD:#} to {}", path.display());
    } else if *effective {
        let Some((config, text)) = check::read(&arguments.config)? else { return Ok(Exit::Found) };
        let name = arguments.config.display().to_string();
        let printed = match &arguments.explain {
            Some(route) => effective::explained(&config, &name, &text, route)?,
            None => effective::whole(&config)?,
        };
        anstream::print!("{printed}");
    } else if *limits {
        anstream::print!("{}", limits::table()?);
    } else if *openapi {
        anstream::println!("{}", serde_json::to_string_pretty(&sockwarden_console::openapi())?);
    } else if *schema {
        anstream::println!("{}", serde_json::to_string_pretty(&sockwarden_config::schema::<Config>())?);
    } else {
        anstream::print!("{}", sockwarden_config::example::<Config>());
    }
    Ok(Exit::Clean)
}
