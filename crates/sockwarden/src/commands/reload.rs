//! `sockwarden reload`.

use clap::Args;
use hyper::Method;
use sockwarden_model::Reloaded;

use crate::{
    exit::Exit,
    operator::{Connect, OperateError, Operator, print_json},
    style::GOOD,
};

/// Does what SIGHUP does and tells what came of it; a configuration that cannot run leaves the one in force as it is.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: it is in force. 1: the gateway refuses it, or whoever asks. 2: usage. 3: no gateway answers."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connect: Connect,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(operator) = Operator::new(&arguments.connect)? else { return Ok(Exit::Found) };
    let answer =
        operator.order(Method::POST, "/api/v1/reload", None).map_err(|error| match error.downcast_ref() {
            Some(OperateError::Refused { said, details }) => {
                details.iter().for_each(|detail| anstream::eprintln!("{detail}"));
                anyhow::anyhow!("{said}; the configuration in force stays")
            }
            Some(_) | None => error,
        })?;
    if operator.json {
        print_json(&answer)?;
    } else {
        let reloaded: Reloaded = operator.read(answer)?;
        anstream::println!("{GOOD}reloaded{GOOD:#} {reloaded}");
    }
    Ok(Exit::Clean)
}
