//! `sockwarden drain`.

use clap::Args;
use hyper::Method;
use serde::Deserialize;
use sockwarden_model::Draining;

use crate::{
    exit::Exit,
    operator::{Connect, Operator, print_json},
    style::GOOD,
};

/// Does what SIGTERM does: readiness is withdrawn, listening ends, sessions are closed over a window, the gateway ends.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: it has begun, or was under way. 1: the gateway refuses. 2: usage. 3: no gateway answers."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connect: Connect,
}

#[derive(Deserialize)]
struct Drain {
    drain: Draining,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(operator) = Operator::new(&arguments.connect)? else { return Ok(Exit::Found) };
    let answer = operator.order(Method::POST, "/api/v1/drain", None)?;
    if operator.json {
        print_json(&answer)?;
    } else {
        let Drain { drain } = operator.read(answer)?;
        match drain {
            Draining::Begun => anstream::println!("{GOOD}draining{GOOD:#}: the gateway ends in order"),
            Draining::UnderWay => anstream::println!("{GOOD}draining{GOOD:#}: it was under way already"),
        }
    }
    Ok(Exit::Clean)
}
