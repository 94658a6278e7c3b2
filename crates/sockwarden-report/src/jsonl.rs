//! One JSON object a line, one line a finding.

use std::io::{self, Write};

use crate::Scanned;

/// Writes each finding as a JSON object with at least `rule`, `severity`, `confidence`, `endpoint`, `case`, `summary`, `cwe`,
/// `evidence`, `fingerprint` and `stopped_by`, each on its own line.
///
/// # Errors
/// Those of `out`.
pub fn write(scans: &[Scanned<'_>], out: &mut impl Write) -> io::Result<()> {
    for finding in scans.iter().flat_map(|scan| scan.findings) {
        serde_json::to_writer(&mut *out, finding)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::samples;

    #[test]
    fn every_line_is_an_object_with_the_promised_fields() {
        let findings = samples::findings();
        let mut out = Vec::new();
        write(&[samples::scanned(&findings)], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), findings.len());
        for line in text.lines() {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            for field in [
                "rule",
                "severity",
                "confidence",
                "endpoint",
                "case",
                "summary",
                "cwe",
                "evidence",
                "fingerprint",
                "stopped_by",
            ] {
                assert!(object.get(field).is_some(), "{field} is missing in {line}");
            }
        }
        insta::assert_snapshot!(text);
    }
}
