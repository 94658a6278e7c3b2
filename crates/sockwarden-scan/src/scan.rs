//! The whole of a scan.

use std::{
    future::{Future, poll_fn},
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::{SystemTime, UNIX_EPOCH},
};

use sockwarden_net::random_u64;
use tokio::sync::Semaphore;

use crate::{
    check::{Check, Halt, Scene, Skip},
    checks,
    dice::Dice,
    engine::drive,
    exchange::{Answer, Connection, Exchange},
    options::Options,
    probe::{Budget, NetProbe},
    progress::Progress,
    redact::Redactor,
    report::{CheckResult, Outcome, Report, ScanError, Stats},
    survey::{Survey, Surveyor, Who},
    target::Target,
};

/// Scans a target: visits it as any client would, then makes each check of [`checks::ALL`] that the options admit.
///
/// The report's order does not depend on which check ends first.
///
/// # Errors
/// The target cannot be reached, opens no WebSocket, or what was given about it cannot be used.
pub async fn scan(target: Target, options: &Options, progress: &dyn Progress) -> Result<Report, ScanError> {
    let target = Arc::new(target.prepared()?);
    let chosen = choose(&options.checks)?;
    if options.is_intrusive() && !options.authorised && !is_here(&target.url.host) {
        return Err(ScanError::NotAuthorised(sockwarden_model::printable(target.url.host.as_bytes(), 100)));
    }
    progress.surveying(chosen.len());
    let budget = Arc::new(Budget::new(options));
    let probe = || NetProbe::new(Arc::clone(&target), options.dial.clone(), Arc::clone(&budget));
    let survey = survey(&target, &mut probe()).await?;
    let redactor = Redactor::new(&target);
    let endpoint = redactor.url(&target.url);
    let max_size = options.max_size.min(Options::MAX_SIZE);
    let warnings = warnings(&survey, &target);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (idle_wait, time_budget) = (options.idle_wait, options.time_budget);
    let scene = Target::clone(&target);
    let scene = Arc::new(Scene { target: scene, survey, now, max_size, idle_wait, time_budget, redactor });

    let slots = Semaphore::new(options.concurrency.get().min(Semaphore::MAX_PERMITS));
    // What loads the target comes when nobody else is talking, and what ends a session when nobody needs it any more, which
    // are also their places in the list.
    let (last, others): (Vec<_>, Vec<_>) =
        chosen.into_iter().partition(|check| check.loads() || check.ends_sessions());
    let run = |check: &'static dyn Check| {
        let (scene, slots, mut probe) = (Arc::clone(&scene), &slots, probe());
        async move {
            let rule = check.rule();
            // The semaphore is never closed, so that a permit is certain.
            let _slot = slots.acquire().await;
            progress.started(rule);
            let verdict = if rule.profile > options.profile {
                Err(Skip::Profile { profile: rule.profile, may_change: rule.may_change })
            } else {
                let mut machine = check.start(scene, Dice::new(random_u64()));
                drive(&mut *machine, &mut probe, &mut Exchange::default()).await
            };
            let (result, findings, remarks) = match verdict {
                Ok(conclusion) if conclusion.findings.is_empty() => {
                    (CheckResult::Clean, Vec::new(), conclusion.remarks)
                }
                Ok(conclusion) => {
                    (CheckResult::Found(conclusion.findings.len()), conclusion.findings, conclusion.remarks)
                }
                Err(skip) => (CheckResult::NotTested(skip), Vec::new(), Vec::new()),
            };
            let outcome = Outcome { rule, result, remarks };
            progress.finished(&outcome);
            (outcome, findings)
        }
    };
    let mut results = all(others.into_iter().map(run)).await;
    for check in last {
        results.push(run(check).await);
    }
    let (outcomes, findings): (Vec<_>, Vec<_>) = results.into_iter().unzip();
    let (connections, bytes, elapsed) = budget.used();
    Ok(Report {
        endpoint,
        findings: findings.into_iter().flatten().collect(),
        outcomes,
        warnings,
        stats: Stats { connections, bytes, elapsed },
    })
}

/// Visits the target and makes sure that it is one.
async fn survey(target: &Target, probe: &mut NetProbe) -> Result<Survey, ScanError> {
    let mut surveyor = Surveyor::new(target, Dice::new(random_u64()));
    let mut exchange = Exchange::default();
    let verdict = drive(&mut surveyor, probe, &mut exchange).await;
    let opened = exchange.connections.iter().any(Connection::is_upgraded);
    match verdict {
        Err(Skip::Halted(Halt::Unreachable(why))) => return Err(ScanError::Unreachable(why)),
        // What is busy from the start is told by its status.
        Err(Skip::Halted(Halt::Overloaded(_))) if !opened => {}
        Err(Skip::Halted(halt)) => return Err(ScanError::Budget(halt)),
        // A surveyor skips nothing.
        Ok(_) | Err(_) => {}
    }
    let survey = surveyor.survey(exchange);
    judge(&survey, target).map(|()| survey)
}

/// Names the identities that were not let in, so that nobody takes what was not compared for clean.
fn warnings(survey: &Survey, target: &Target) -> Vec<String> {
    let refused = |index: &usize| survey.way_of(Who::Identity(*index)).is_none();
    (0..target.identities.len())
        .filter(refused)
        .map(|index| {
            let visit = survey.visits.iter().rfind(|visit| visit.who == Who::Identity(index));
            let why = visit.map_or_else(String::new, |visit| visit.connection.answered());
            let name = sockwarden_model::printable(target.identities[index].name.as_bytes(), 40);
            format!("the identity `{name}` is not let in ({why}): are its credentials still good?")
        })
        .collect()
}

/// Tells an endpoint that opens WebSockets, to somebody or perhaps to somebody with credentials, from anything else.
fn judge(survey: &Survey, target: &Target) -> Result<(), ScanError> {
    if survey.visits.iter().any(|visit| visit.connection.is_upgraded()) {
        return Ok(());
    }
    let Some(last) = survey.visits.last() else { return Err(ScanError::NoAnswer) };
    let status = match last.connection.answer() {
        Answer::Head(head) => head.status,
        Answer::None | Answer::Malformed(_) => return Err(ScanError::NoAnswer),
    };
    match (status, last.who) {
        (401 | 403, Who::Anonymous) => Ok(()),
        // Who needs a ticket is not let in by a cookie.
        (401 | 403, Who::Identity(_)) if target.tickets.is_some() => Ok(()),
        (401 | 403, Who::Identity(index)) => {
            let name = target.identities.get(index).map(|identity| identity.name.clone());
            Err(ScanError::IdentityRefused(name.unwrap_or_default(), status))
        }
        (status, Who::Anonymous | Who::Identity(_)) => {
            Err(ScanError::NotWebSocket { status, hint: hint(status) })
        }
    }
}

const fn hint(status: u16) -> &'static str {
    match status {
        200..=299 => ": an ordinary page; is the path right?",
        300..=399 => ": a redirect, which is not followed; scan the address it names",
        400 => ": the server takes it for a bad request; is it TLS, or another sub-protocol?",
        404 => ": there is nothing at this path",
        405 | 426 => ": no WebSocket is opened at this path",
        429 => ": too many requests; lower the rate",
        500..=599 => ": the server failed",
        _ => "",
    }
}

/// Tells whether a URL's host can only be this machine: an address of its loopback (RFC 6890 §2.2), or the name that always
/// stands for it (RFC 6761 §6.3).
fn is_here(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or_else(
        |_| name == "localhost" || name.ends_with(".localhost"),
        |address| address.to_canonical().is_loopback(),
    )
}

fn choose(ids: &[String]) -> Result<Vec<&'static dyn Check>, ScanError> {
    for id in ids {
        if !checks::ALL.iter().any(|check| check.rule().id == id) {
            return Err(ScanError::UnknownCheck(sockwarden_model::printable(id.as_bytes(), 60)));
        }
    }
    let chosen = |check: &&&'static dyn Check| ids.is_empty() || ids.iter().any(|id| id == check.rule().id);
    Ok(checks::ALL.iter().filter(chosen).copied().collect())
}

/// Runs futures side by side in this task and gives their results in their own order.
async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut results: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, result) in running.iter_mut().zip(&mut results) {
            if result.is_none()
                && let Poll::Ready(output) = future.as_mut().poll(context)
            {
                *result = Some(output);
            }
        }
        if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}
