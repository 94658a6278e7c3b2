//! The demo as JSON: one object a line for each row, then the summary.

use serde_json::{Value, json};

use super::{Outcome, Row, Shown, Sighting};

/// Writes the rows and the summary, one JSON object a line.
///
/// A row has `kind` (`row`), `threat`, `attack`, `title`, `defence`, `check`, `direct` and `gateway` (each an `outcome` of
/// `succeeded`, `stopped`, `not-tested` or `failed` with its `loot`, `how` or `why`), `stopped_by`, `event`, `scan_before`
/// and `scan_after` (each a `result` of `found`, `absent` or `not-tested`), and `good`. The summary has `kind` (`summary`),
/// `rows`, `good_rows`, `findings_before`, `findings_after`, `users_served`, `elapsed_ms` and `good`.
pub fn lines(shown: &Shown) -> String {
    let mut out = String::new();
    for row in &shown.rows {
        out.push_str(&line(row).to_string());
        out.push('\n');
    }
    let summary = json!({
        "kind": "summary",
        "rows": shown.rows.len(),
        "good_rows": shown.rows.iter().filter(|row| row.is_good()).count(),
        "findings_before": shown.findings.0,
        "findings_after": shown.findings.1,
        "users_served": shown.shut_out.is_none(),
        "why_not": shown.shut_out,
        "elapsed_ms": u64::try_from(shown.elapsed.as_millis()).unwrap_or(u64::MAX),
        "good": shown.is_good(),
    });
    out.push_str(&summary.to_string());
    out.push('\n');
    out
}

fn line(row: &Row) -> Value {
    json!({
        "kind": "row",
        "threat": row.attack.threat.to_string(),
        "attack": row.attack.id,
        "title": row.attack.title,
        "defence": row.attack.defence,
        "check": row.attack.check,
        "direct": outcome(&row.direct),
        "gateway": outcome(&row.gateway),
        "stopped_by": row.stopped_by,
        "event": row.gateway.event(),
        "scan_before": sighting(&row.before),
        "scan_after": sighting(&row.after),
        "good": row.is_good(),
    })
}

fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Succeeded { loot } => json!({"outcome": "succeeded", "loot": loot}),
        Outcome::Stopped { how, .. } => json!({"outcome": "stopped", "how": how}),
        Outcome::NotTested { why } => json!({"outcome": "not-tested", "why": why}),
        Outcome::Failed { why } => json!({"outcome": "failed", "why": why}),
    }
}

fn sighting(sighting: &Sighting) -> Value {
    match sighting {
        Sighting::Found { severity, summary } => {
            json!({"result": "found", "severity": severity, "summary": summary})
        }
        Sighting::Absent => json!({"result": "absent"}),
        Sighting::NotTested { why } => json!({"result": "not-tested", "why": why}),
    }
}
