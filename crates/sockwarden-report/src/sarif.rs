//! SARIF 2.1.0 (OASIS), for trackers and editors.

use std::io::{self, Write};

use serde::Serialize;
use sockwarden_model::{Evidence, Finding, Rule, Severity};

use crate::{Scanned, Verdict};

/// Writes one run with the rules that were made, the findings as results and the checks not made as notifications.
///
/// `version` is that of the program.
///
/// # Errors
/// Those of `out`.
pub fn write(scans: &[Scanned<'_>], version: &str, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &log(scans, version))?;
    out.write_all(b"\n")
}

fn log<'a>(scans: &'a [Scanned<'a>], version: &'a str) -> Log<'a> {
    let mut rules: Vec<&'static Rule> = Vec::new();
    for check in scans.iter().flat_map(|scan| &scan.checks) {
        if !rules.iter().any(|rule| rule.id == check.rule.id) {
            rules.push(check.rule);
        }
    }
    let mut taxa: Vec<u16> = rules.iter().flat_map(|rule| rule.cwe).copied().collect();
    taxa.sort_unstable();
    taxa.dedup();
    let results = scans
        .iter()
        .flat_map(|scan| scan.findings)
        .map(|finding| result(finding, rules.iter().position(|rule| rule.id == finding.rule)))
        .collect();
    let not_tested = scans
        .iter()
        .flat_map(|scan| scan.checks.iter().map(|check| (scan.endpoint, check)))
        .filter_map(|(endpoint, check)| match &check.verdict {
            Verdict::NotTested(why) => Some(Notification {
                level: "note",
                message: Text { text: format!("{endpoint}: {} was not tested: {why}", check.rule.id) },
                associated_rule: Some(RuleReference { id: check.rule.id }),
            }),
            Verdict::Found(_) | Verdict::Clean => None,
        });
    let notifications = scans
        .iter()
        .flat_map(|scan| scan.warnings.iter().map(|warning| format!("{}: {warning}", scan.endpoint)))
        .map(|text| Notification { level: "warning", message: Text { text }, associated_rule: None })
        .chain(not_tested)
        .collect();
    Log {
        schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "Sockwarden",
                    semantic_version: version,
                    information_uri: "https://github.com/sockwarden/sockwarden",
                    rules: rules.iter().map(|rule| descriptor(rule)).collect(),
                    supported_taxonomies: [Component { name: "CWE", index: 0 }],
                },
            },
            invocations: [Invocation {
                execution_successful: !scans.iter().any(|scan| scan.incomplete),
                tool_execution_notifications: notifications,
            }],
            taxonomies: [Taxonomy {
                name: "CWE",
                organization: "MITRE",
                short_description: Text { text: "The MITRE Common Weakness Enumeration".to_owned() },
                information_uri: "https://cwe.mitre.org/",
                taxa: taxa.iter().map(|number| Taxon { id: number.to_string() }).collect(),
            }],
            results,
            column_kind: "utf16CodeUnits",
        }],
    }
}

fn descriptor(rule: &'static Rule) -> Descriptor {
    let references: String = rule.references.iter().map(|reference| format!("- {reference}\n")).collect();
    let mut markdown = rule.markdown();
    if !references.is_empty() {
        markdown = format!("{markdown}\n\n# References\n{references}");
    }
    let tags = std::iter::once("security".to_owned())
        .chain(rule.cwe.iter().map(|number| format!("external/cwe/cwe-{number:03}")))
        .chain(rule.threats.iter().map(|threat| format!("threat/{threat}")))
        .collect();
    let relationships = rule.cwe.iter().map(|number| Relationship {
        target: Target { id: number.to_string(), tool_component: Component { name: "CWE", index: 0 } },
        kinds: ["superset"],
    });
    Descriptor {
        id: rule.id,
        name: pascal(rule.id),
        short_description: Text { text: sentence(rule.summary) },
        full_description: Text { text: rule.section("What it does").unwrap_or_default() },
        help: Help { text: rule.section("How to fix").unwrap_or_default(), markdown },
        default_configuration: Configuration { level: level(rule.severity) },
        properties: RuleProperties {
            tags,
            precision: "high",
            security_severity: format!("{:.1}", rule.severity.score()),
        },
        relationships: relationships.collect(),
    }
}

fn result(finding: &Finding, rule_index: Option<usize>) -> ResultEntry<'_> {
    ResultEntry {
        rule_id: finding.rule,
        rule_index,
        level: level(finding.severity),
        message: Text { text: sentence(&finding.summary) },
        locations: [Location {
            physical_location: PhysicalLocation {
                artifact_location: ArtifactLocation { uri: &finding.endpoint },
                region: Region { start_line: 1 },
            },
            logical_locations: [LogicalLocation {
                fully_qualified_name: &finding.endpoint,
                kind: "resource",
            }],
        }],
        partial_fingerprints: Fingerprints { primary: format!("{}:1", finding.fingerprint) },
        properties: ResultProperties {
            severity: finding.severity.name(),
            confidence: finding.confidence.to_string(),
            case: &finding.case,
            stopped_by: finding.stopped_by,
            evidence: &finding.evidence,
        },
    }
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info | Severity::Low => "note",
        Severity::Medium => "warning",
        Severity::High | Severity::Critical => "error",
    }
}

/// Makes `an-id` into `AnId`.
fn pascal(id: &str) -> String {
    id.split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        })
        .collect()
}

/// Makes a fragment into a sentence.
fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    let begun: String =
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect());
    format!("{begun}.")
}

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool<'a>,
    invocations: [Invocation; 1],
    taxonomies: [Taxonomy; 1],
    results: Vec<ResultEntry<'a>>,
    column_kind: &'static str,
}

#[derive(Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver<'a> {
    name: &'static str,
    semantic_version: &'a str,
    information_uri: &'static str,
    rules: Vec<Descriptor>,
    supported_taxonomies: [Component; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    id: &'static str,
    name: String,
    short_description: Text,
    full_description: Text,
    help: Help,
    default_configuration: Configuration,
    properties: RuleProperties,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct RuleProperties {
    tags: Vec<String>,
    precision: &'static str,
    #[serde(rename = "security-severity")]
    security_severity: String,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
struct Help {
    text: String,
    markdown: String,
}

#[derive(Serialize)]
struct Relationship {
    target: Target,
    kinds: [&'static str; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    id: String,
    tool_component: Component,
}

#[derive(Serialize)]
struct Component {
    name: &'static str,
    index: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    level: &'static str,
    message: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    associated_rule: Option<RuleReference>,
}

#[derive(Serialize)]
struct RuleReference {
    id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Taxonomy {
    name: &'static str,
    organization: &'static str,
    short_description: Text,
    information_uri: &'static str,
    taxa: Vec<Taxon>,
}

#[derive(Serialize)]
struct Taxon {
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultEntry<'a> {
    rule_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_index: Option<usize>,
    level: &'static str,
    message: Text,
    locations: [Location<'a>; 1],
    partial_fingerprints: Fingerprints,
    properties: ResultProperties<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultProperties<'a> {
    severity: &'static str,
    confidence: String,
    case: &'a str,
    stopped_by: &'static [&'static str],
    evidence: &'a [Evidence],
}

#[derive(Serialize)]
struct Fingerprints {
    #[serde(rename = "primaryLocationLineHash")]
    primary: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location<'a> {
    physical_location: PhysicalLocation<'a>,
    logical_locations: [LogicalLocation<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation<'a> {
    artifact_location: ArtifactLocation<'a>,
    region: Region,
}

#[derive(Serialize)]
struct ArtifactLocation<'a> {
    uri: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation<'a> {
    fully_qualified_name: &'a str,
    kind: &'static str,
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::text::samples;

    fn written() -> String {
        let findings = samples::findings();
        let mut out = Vec::new();
        let warnings = ["the identity `mara` is not let in".to_owned()];
        let scanned = Scanned { warnings: &warnings, ..samples::scanned(&findings) };
        write(&[scanned], "0.1.0", &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Asserts what the SARIF schema demands of the parts that we write, and that every reference inside leads somewhere.
    fn assert_is_sarif(log: &Value) {
        assert_eq!(log["version"], "2.1.0");
        assert!(log["$schema"].as_str().unwrap().ends_with("sarif-schema-2.1.0.json"));
        for run in log["runs"].as_array().unwrap() {
            let driver = &run["tool"]["driver"];
            assert!(driver["name"].is_string() && driver["semanticVersion"].is_string());
            let rules = driver["rules"].as_array().unwrap();
            let taxa = run["taxonomies"][0]["taxa"].as_array().unwrap();
            for rule in rules {
                for text in [&rule["shortDescription"], &rule["fullDescription"], &rule["help"]] {
                    assert!(!text["text"].as_str().unwrap().is_empty());
                }
                assert!(!rule["help"]["markdown"].as_str().unwrap().is_empty());
                assert!(
                    ["note", "warning", "error"]
                        .contains(&rule["defaultConfiguration"]["level"].as_str().unwrap())
                );
                let score: f32 = rule["properties"]["security-severity"].as_str().unwrap().parse().unwrap();
                assert!((0.0..=10.0).contains(&score));
                for relationship in rule["relationships"].as_array().unwrap() {
                    let id = &relationship["target"]["id"];
                    assert!(taxa.iter().any(|taxon| &taxon["id"] == id));
                    let index = relationship["target"]["toolComponent"]["index"].as_u64().unwrap();
                    assert!(run["taxonomies"].get(usize::try_from(index).unwrap()).is_some());
                }
            }
            for result in run["results"].as_array().unwrap() {
                let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
                assert_eq!(rules[index]["id"], result["ruleId"]);
                assert!(["note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
                assert!(!result["message"]["text"].as_str().unwrap().is_empty());
                let uri = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
                assert!(uri.as_str().unwrap().starts_with("ws"));
                let hash = result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap();
                assert!(hash.ends_with(":1") && hash.len() == 18);
            }
            for invocation in run["invocations"].as_array().unwrap() {
                assert!(invocation["executionSuccessful"].is_boolean());
                for note in invocation["toolExecutionNotifications"].as_array().unwrap() {
                    assert!(!note["message"]["text"].as_str().unwrap().is_empty());
                    let rule = note.get("associatedRule");
                    assert!(rule.is_none_or(|about| rules.iter().any(|rule| rule["id"] == about["id"])));
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_sarif() {
        let text = written();
        assert_is_sarif(&serde_json::from_str(&text).unwrap());
        insta::assert_snapshot!(text);
    }

    #[test]
    fn severities_become_the_levels_that_trackers_know() {
        assert_eq!(Severity::ALL.map(level), ["note", "note", "warning", "error", "error"]);
    }

    #[test]
    fn an_id_becomes_a_name() {
        assert_eq!(pascal("origin-not-checked"), "OriginNotChecked");
    }
}
