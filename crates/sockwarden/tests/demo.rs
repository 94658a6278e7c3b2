//! The demo as a person runs it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

use serde_json::Value;

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sockwarden")).arg("demo").args(arguments).output().unwrap()
}

/// Runs it with `--json` and gives the exit code, the rows and the summary.
fn json(arguments: &[&str]) -> (Option<i32>, Vec<Value>, Value) {
    let output = demo(&[&["--json"], arguments].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap();
    (output.status.code(), lines, summary)
}

#[test]
fn every_row_is_good_as_it_comes() {
    let (code, rows, summary) = json(&[]);
    assert_eq!(code, Some(0), "{rows:#?} {summary:#}");
    assert_eq!(rows.len(), 6);
    for row in &rows {
        assert_eq!(row["direct"]["outcome"], "succeeded", "{row:#}");
        assert_eq!(row["gateway"]["outcome"], "stopped", "{row:#}");
        assert_eq!(row["stopped_by"], row["defence"], "{row:#}");
        assert_eq!(row["scan_before"]["result"], "found", "{row:#}");
        assert_eq!(row["scan_after"]["result"], "absent", "{row:#}");
        assert_eq!(row["good"], true, "{row:#}");
    }
    assert_eq!((&summary["good"], &summary["users_served"]), (&true.into(), &true.into()));
}

#[test]
fn a_defence_switched_off_turns_its_row_red_and_no_other() {
    let (code, rows, summary) = json(&["--without", "origin-policy"]);
    assert_eq!(code, Some(1), "{rows:#?} {summary:#}");
    for row in &rows {
        assert_eq!(row["good"], row["defence"] != "origin-policy", "{row:#}");
    }
    let hijack = rows.iter().find(|row| row["defence"] == "origin-policy").unwrap();
    assert_eq!(hijack["gateway"]["outcome"], "succeeded");
    assert_eq!(
        (&hijack["scan_after"]["result"], &hijack["scan_after"]["severity"]),
        (&"found".into(), &"high".into())
    );
}

#[test]
fn with_every_defence_off_every_attack_succeeds_and_is_found_behind_the_gateway() {
    let defences =
        ["authentication", "frame-limits", "tls-required", "origin-policy", "upstream-tls", "rate-limit"];
    let (code, rows, summary) = json(&defences.map(|defence| ["--without", defence]).concat());
    assert_eq!((code, &summary["good_rows"]), (Some(1), &0.into()), "{rows:#?} {summary:#}");
    for row in &rows {
        assert_eq!(row["gateway"]["outcome"], "succeeded", "{row:#}");
        assert_eq!(row["stopped_by"], Value::Null, "{row:#}");
        // How the gateway judges the application's certificate cannot be seen from outside.
        let expected = if row["defence"] == "upstream-tls" { "absent" } else { "found" };
        assert_eq!(row["scan_after"]["result"], expected, "{row:#}");
    }
}

#[test]
fn an_unknown_defence_is_a_usage_error() {
    let output = demo(&["--without", "hope"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("origin-policy"));
}
