//! Where everything is, for those who want to try it themselves.

use std::{fmt::Write as _, path::Path};

use sockwarden_lab::seed::{ACCOUNTS, INES, MARA};

use super::Stage;
use crate::style::{FAINT, STRONG};

/// Words the addresses, the accounts, and the command lines by which `program` scans what runs; `authority` is the file
/// that holds what clients of the gateway must trust.
///
/// # Errors
/// Nobody can log in.
pub async fn directions(stage: &Stage, program: &str, authority: &Path) -> anyhow::Result<String> {
    let cookie = stage.log_in(MARA).await?.cookie;
    let (plain, tls, front) = (&stage.plain().url, &stage.tls().url, &stage.front().endpoint.url);
    let mut out = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{text}");
    };
    line(format_args!("{STRONG}Harbor{STRONG:#}   {plain}  {tls}  page: {}/", plain.web_origin()));
    line(format_args!("{STRONG}gateway{STRONG:#}  {front}  {FAINT}trust {}{FAINT:#}", authority.display()));
    line(format_args!("{STRONG}log in as{STRONG:#}"));
    for account in ACCOUNTS {
        line(format_args!("  {:<8} {:<22} {FAINT}{}{FAINT:#}", account.user, account.password, account.role));
    }
    let asked = format!(
        "--profile intrusive --as {}='Cookie: {cookie}' --same-site none --say '{{\"type\":\"me\"}}' \
         --say '{{\"type\":\"account\",\"user\":\"{}\"}}'",
        MARA.user, INES.user
    );
    line(format_args!("{STRONG}scan{STRONG:#}"));
    line(format_args!("  {program} scan {plain} {asked}"));
    line(format_args!("  {program} scan {front} --ca {} {asked}", authority.display()));
    line(format_args!("{FAINT}Ctrl-C ends it{FAINT:#}"));
    Ok(out)
}
