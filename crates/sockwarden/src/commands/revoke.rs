//! `sockwarden revoke`.

use std::io::{self, Read as _};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use hyper::Method;
use serde::Deserialize;
use serde_json::json;
use sockwarden_config::{HumanDuration, Network};
use sockwarden_model::{EventId, Revoke};

use crate::{
    cli::some_time,
    exit::{Exit, UsageError},
    moment::Moment,
    operator::{Connect, Operator, print_json, shown},
    style::GOOD,
};

/// Ends what was vouched for up to now: it is refused, and sockets that live by it are closed, on every replica.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: it is in force on every replica. 1: the gateway refuses, or it is in force on this replica only, which is said: say it again. 2: usage. 3: no gateway answers."
)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Revoke a user, who may come anew
    User {
        /// The user, as sessions and events name it
        name: String,
        #[command(flatten)]
        order: Order,
    },
    /// Revoke one session
    Session {
        /// The session, as events and the list name it
        id: EventId,
        #[command(flatten)]
        order: Order,
    },
    /// Revoke a ticket, and the session that was opened with it
    Ticket {
        /// `-`: the ticket is read from standard input, for others see what stands on a command line
        #[arg(value_name = "-", value_parser = dash)]
        from: Dash,
        #[command(flatten)]
        order: Order,
    },
    /// Revoke what a token vouched for
    TokenId {
        /// The token's `jti`
        id: String,
        #[command(flatten)]
        order: Order,
    },
    /// Revoke everything that was vouched for before a moment
    IssuedBefore {
        /// `now`, a UTC time such as 2026-11-23T08:30:00Z, or seconds since the Unix epoch
        #[arg(value_name = "TIME")]
        moment: Moment,
        #[command(flatten)]
        order: Order,
    },
    /// Turn an address or a network away
    Address {
        /// Such as 192.0.2.1 or 192.0.2.0/24
        #[arg(value_name = "NETWORK")]
        network: Network,
        #[command(flatten)]
        order: Order,
    },
}

#[derive(Debug, Args)]
struct Order {
    /// For how long it is remembered, at most 365d: as long as anything that it concerns may be good
    #[arg(long = "for", value_name = "DURATION", default_value = "30d", value_parser = some_time)]
    time: HumanDuration,
    #[command(flatten)]
    connect: Connect,
}

/// Standard input.
#[derive(Clone, Copy, Debug)]
struct Dash;

/// The longest text that is read as a ticket, in bytes.
const LONGEST_TICKET: u64 = 256;

#[derive(Deserialize)]
struct InForce {
    revoked: String,
    seconds: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let (What::User { order, .. }
    | What::Session { order, .. }
    | What::Ticket { order, .. }
    | What::TokenId { order, .. }
    | What::IssuedBefore { order, .. }
    | What::Address { order, .. }) = &arguments.what;
    let Some(operator) = Operator::new(&order.connect)? else { return Ok(Exit::Found) };
    let what = match &arguments.what {
        What::User { name, .. } => Revoke::User(name.clone()),
        What::Session { id, .. } => Revoke::Session(*id),
        What::Ticket { from: Dash, .. } => Revoke::Ticket(ticket()?),
        What::TokenId { id, .. } => Revoke::TokenId(id.clone()),
        What::IssuedBefore { moment, .. } => Revoke::IssuedBefore(moment.0),
        What::Address { network, .. } => Revoke::Address(network.to_string()),
    };
    let time = order.time.get();
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let body = json!({ "what": what, "seconds": seconds });
    let answer = operator.order(Method::POST, "/api/v1/revocations", Some(&body))?;
    if operator.json {
        print_json(&answer)?;
    } else {
        let InForce { revoked, seconds } = operator.read(answer)?;
        let span = HumanDuration::from_secs(seconds);
        anstream::println!("{GOOD}revoked{GOOD:#} {} on every replica, for {span}", shown(&revoked));
    }
    Ok(Exit::Clean)
}

fn ticket() -> anyhow::Result<String> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(LONGEST_TICKET)
        .read_to_string(&mut text)
        .context("the ticket cannot be read from standard input")?;
    match text.trim() {
        "" => Err(UsageError("there is no ticket on standard input".to_owned()).into()),
        ticket => Ok(ticket.to_owned()),
    }
}

fn dash(text: &str) -> Result<Dash, &'static str> {
    // The text is not repeated: it may be a ticket.
    if text == "-" { Ok(Dash) } else { Err("a ticket is a secret: write `-`, and give it on standard input") }
}
