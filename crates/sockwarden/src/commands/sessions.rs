//! `sockwarden sessions`.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::Value;
use sockwarden_model::{EventId, Session, SessionPage, SessionQuery, SessionState};

use crate::{
    cli::positive,
    exit::Exit,
    operator::{Connect, Operator, age, columns, print_json, query, shown},
    style::{FAINT, GOOD},
};

/// Lists, shows or closes sessions.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: done. 1: the gateway refuses, or there is no such session. 2: usage. 3: no gateway answers."
)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List established sessions, as without a command
    List(List),
    /// Show one session
    Show(Show),
    /// Have both sides of a session told to close
    Close(Close),
}

#[derive(Debug, Args)]
struct List {
    /// Only those of this route
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,
    /// Only those of this user
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// The most sessions to list
    #[arg(long, value_name = "N", default_value = "100", value_parser = positive::<usize>)]
    limit: usize,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Debug, Args)]
struct Show {
    /// The session, as events and the list name it
    id: EventId,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Debug, Args)]
struct Close {
    /// The session, as events and the list name it
    id: EventId,
    /// The close code that both sides are told (RFC 6455 §7.4)
    #[arg(long, default_value = "1008")]
    code: u16,
    /// The reason that both sides are told, at most 123 bytes
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let connect = match &arguments.what {
        None => &arguments.list.connect,
        Some(
            What::List(List { connect, .. })
            | What::Show(Show { connect, .. })
            | What::Close(Close { connect, .. }),
        ) => connect,
    };
    let Some(operator) = Operator::new(connect)? else { return Ok(Exit::Found) };
    match &arguments.what {
        None => list(&operator, &arguments.list)?,
        Some(What::List(wanted)) => list(&operator, wanted)?,
        Some(What::Show(Show { id, .. })) => show(&operator, *id)?,
        Some(What::Close(order)) => close(&operator, order)?,
    }
    Ok(Exit::Clean)
}

fn list(operator: &Operator, wanted: &List) -> anyhow::Result<()> {
    let mut page = SessionPage { sessions: Vec::new(), next: None, total: 0 };
    // Each page holds one session or more, or is the last.
    for _ in 0..wanted.limit {
        let limit = (wanted.limit - page.sessions.len()).min(SessionQuery::LIMIT);
        let query = query(&[
            ("limit", Some(limit.to_string())),
            ("after", page.next.map(|id| id.to_string())),
            ("route", wanted.route.clone()),
            ("user", wanted.user.clone()),
        ]);
        let next: SessionPage = operator.read(operator.get(&format!("/api/v1/sessions{query}"))?)?;
        page.sessions.extend(next.sessions);
        (page.next, page.total) = (next.next, next.total);
        if page.next.is_none() || page.sessions.len() >= wanted.limit {
            break;
        }
    }
    if operator.json {
        return print_json(&serde_json::to_value(&page)?);
    }
    let rows: Vec<_> = page.sessions.iter().map(row).collect();
    let headings = ["ID", "ROUTE", "USER", "CLIENT", "OPEN FOR", "FROM CLIENT", "FROM APPLICATION", "STATE"];
    anstream::print!("{}", columns(headings, &rows));
    let more = if page.next.is_some() { "; there are more (`--limit`)" } else { "" };
    anstream::eprintln!("{FAINT}{} shown of {} on all routes{more}{FAINT:#}", rows.len(), page.total);
    Ok(())
}

fn row(session: &Session) -> [String; 8] {
    let traffic = |t: &sockwarden_model::Traffic| format!("{} / {} B", t.messages, t.bytes);
    [
        session.id.to_string(),
        session.route.clone(),
        session.user.clone().unwrap_or_else(|| "-".to_owned()),
        session.client.clone(),
        age(session.opened_at_ms),
        traffic(&session.from_client),
        traffic(&session.from_server),
        state(session.state).to_owned(),
    ]
}

const fn state(state: SessionState) -> &'static str {
    match state {
        SessionState::Open => "open",
        SessionState::Closing => "closing",
    }
}

fn show(operator: &Operator, id: EventId) -> anyhow::Result<()> {
    let answer = operator.get(&format!("/api/v1/sessions/{id}"))?;
    if operator.json {
        return print_json(&answer);
    }
    let session: Session = operator.read(answer)?;
    let text = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), shown);
    let traffic = |t: &sockwarden_model::Traffic| format!("{} messages, {} bytes", t.messages, t.bytes);
    for (name, value) in [
        ("session", session.id.to_string()),
        ("route", shown(&session.route)),
        ("client", shown(&session.client)),
        ("user", text(&session.user)),
        ("origin", text(&session.origin)),
        ("sub-protocol", text(&session.subprotocol)),
        ("tls", if session.tls { "yes" } else { "no" }.to_owned()),
        ("open for", age(session.opened_at_ms)),
        ("from client", traffic(&session.from_client)),
        ("from application", traffic(&session.from_server)),
        ("state", state(session.state).to_owned()),
    ] {
        anstream::println!("{name:16}  {value}");
    }
    Ok(())
}

fn close(operator: &Operator, Close { id, code, reason, .. }: &Close) -> anyhow::Result<()> {
    let query = query(&[("code", Some(code.to_string())), ("reason", reason.clone())]);
    let answer: Value = operator.order(Method::DELETE, &format!("/api/v1/sessions/{id}{query}"), None)?;
    if operator.json {
        return print_json(&answer);
    }
    anstream::println!("{GOOD}closing{GOOD:#} {id} with {code}");
    Ok(())
}
