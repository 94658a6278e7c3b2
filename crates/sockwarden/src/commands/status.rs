//! `sockwarden status`.

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use sockwarden_config::HumanDuration;
use sockwarden_model::{AddressHealth, DefenceState, Mode, Readiness, RouteState};

use crate::{
    exit::Exit,
    operator::{Connect, Operator, age, columns, print_json},
    style::{GOOD, WARNING},
};

/// Tells whether the gateway takes connections, and for each route its sessions and modes.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: it is ready. 1: it drains, or refuses whoever asks. 2: usage. 3: no gateway answers."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connect: Connect,
}

#[derive(Deserialize)]
struct Health {
    status: Readiness,
}

#[derive(Deserialize)]
struct Routes {
    routes: Vec<RouteState>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(operator) = Operator::new(&arguments.connect)? else { return Ok(Exit::Found) };
    let (_, health) = operator.look("/readyz")?;
    let mut all = operator.get("/api/v1/routes")?;
    let Health { status } = operator.read(health.clone())?;
    if operator.json {
        all["status"] = json!(status);
        print_json(&all)?;
    } else {
        let Routes { routes } = operator.read(all)?;
        say(&operator, status, &routes);
    }
    Ok(match status {
        Readiness::Ready => Exit::Clean,
        Readiness::Draining => Exit::Found,
    })
}

fn say(operator: &Operator, status: Readiness, routes: &[RouteState]) {
    let sessions: u64 = routes.iter().map(|route| route.active).sum();
    let url = operator.url();
    let counted = format!("{} route(s), {sessions} session(s)", routes.len());
    match status {
        Readiness::Ready => anstream::println!("{GOOD}ready{GOOD:#} at {url}: {counted}\n"),
        Readiness::Draining => anstream::println!("{WARNING}draining{WARNING:#} at {url}: {counted}\n"),
    }
    let rows: Vec<_> = routes
        .iter()
        .map(|route| {
            let healthy = route.addresses.iter().filter(|a| a.health == AddressHealth::Healthy).count();
            let healthy = format!("{healthy} of {}", route.addresses.len());
            [route.name.clone(), route.active.to_string(), pattern(route), route.upstream.clone(), healthy]
        })
        .collect();
    anstream::print!("{}", columns(["ROUTE", "SESSIONS", "REQUESTS", "APPLICATION", "HEALTHY"], &rows));
    let ejected: Vec<_> = routes
        .iter()
        .flat_map(|route| route.addresses.iter().map(move |address| (route, address)))
        .filter(|(_, address)| address.health == AddressHealth::Ejected)
        .map(|(route, a)| [route.name.clone(), a.address.clone(), age(a.since_ms), a.failures.to_string()])
        .collect();
    if !ejected.is_empty() {
        anstream::print!("\n{}", columns(["ROUTE", "EJECTED ADDRESS", "FOR", "FAILURES"], &ejected));
    }
    let lenient: Vec<_> = routes
        .iter()
        .flat_map(|route| route.defences.iter().filter(|d| stands_out(d)).map(move |d| (route, d)))
        .map(|(route, defence)| {
            [route.name.clone(), defence.rule.clone(), defence.mode.to_string(), remark(defence)]
        })
        .collect();
    if lenient.is_empty() {
        anstream::println!("\nevery defence blocks, as configured");
    } else {
        anstream::print!("\n{}", columns(["ROUTE", "DEFENCE", "MODE", ""], &lenient));
    }
}

/// Shows which requests a route is for.
fn pattern(route: &RouteState) -> String {
    let host = route.host.as_deref().unwrap_or_default();
    let below = if route.path_match == "prefix" && route.path != "/" { " and below" } else { "" };
    let subprotocol = route.subprotocol.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
    format!("{host}{}{below}{subprotocol}", route.path)
}

/// Whether somebody should know of it: it does not block, or not what the configuration says.
fn stands_out(defence: &DefenceState) -> bool {
    defence.mode != Mode::Block || defence.mode != defence.configured
}

fn remark(defence: &DefenceState) -> String {
    match defence.seconds_left {
        Some(seconds) => format!("{} again in {}", defence.configured, HumanDuration::from_secs(seconds)),
        None => "as configured".to_owned(),
    }
}
