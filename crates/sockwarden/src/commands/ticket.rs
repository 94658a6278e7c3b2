//! `sockwarden ticket`.

use std::net::IpAddr;

use clap::Args;
use hyper::Method;
use serde_json::{Map, Value, json};
use sockwarden_config::HumanDuration;
use sockwarden_model::TicketGrant;

use crate::{
    exit::Exit,
    moment::{self, Moment},
    operator::{Connect, Operator, print_json, shown},
    style::GOOD,
};

/// Gets a ticket for a user, as the application's own server does: it opens one socket on one route, within seconds.
#[derive(Debug, Args)]
#[command(
    after_help = "Standard output has the ticket alone; a client offers it as the sub-protocol `sockwarden.ticket.TICKET`, beside those of the application.\n\nExit code 0: done. 1: the gateway refuses, has no such route, or has no room. 2: usage. 3: no gateway answers.\n\nExample:\n  sockwarden ticket --route chat --user mara --role editor --claims '{\"rooms\":[\"lobby\"]}' --expires 8h"
)]
pub(crate) struct Arguments {
    /// The route that it is for
    #[arg(long, value_name = "ROUTE")]
    route: String,
    /// The user that it is for
    #[arg(long, value_name = "USER")]
    user: String,
    /// What the user is; may be said several times
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// What else is known of the user: a JSON object
    #[arg(long, value_name = "JSON", value_parser = claims)]
    claims: Option<Map<String, Value>>,
    /// When the user's session ends, and with it the socket: a span from now such as 8h, or a moment such as 2026-11-23T08:30:00Z
    #[arg(long, value_name = "WHEN", value_parser = moment::end)]
    expires: Option<Moment>,
    /// The address that must present it
    #[arg(long, value_name = "ADDRESS")]
    client: Option<IpAddr>,
    /// The Origin that must present it, such as https://app.example
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// What is to be found again in the record, at most 1024 bytes
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(operator) = Operator::new(&arguments.connect)? else { return Ok(Exit::Found) };
    let Arguments { route, user, roles, claims, expires, client, origin, note, .. } = arguments;
    let wish = json!({
        "route": route,
        "user": user,
        "roles": roles,
        "claims": claims.clone().unwrap_or_default(),
        "expires_at": expires.map(|Moment(seconds)| seconds),
        "client": client,
        "origin": origin,
        "note": note,
    });
    let answer = operator.order(Method::POST, "/api/v1/tickets", Some(&wish))?;
    if operator.json {
        print_json(&answer)?;
    } else {
        let grant: TicketGrant = operator.read(answer)?;
        anstream::println!("{}", shown(&grant.ticket));
        let span = HumanDuration::from_secs(grant.expires_in);
        anstream::eprintln!(
            "{GOOD}issued{GOOD:#} for {} on {}: good once, within {span}",
            shown(user),
            shown(route)
        );
    }
    Ok(Exit::Clean)
}

fn claims(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text)
        .map_err(|error| format!("claims are a JSON object, such as {{\"rooms\":[\"lobby\"]}}: {error}"))
}
