//! `detection`: what rule sets find and falsely find in labelled messages, what that costs, and whether our evaluation of the Core Rule
//! Set agrees with libmodsecurity's.
//!
//! The labelled messages are not part of the repository; a folder of them is given by an option.

mod counterpart;
mod engines;
mod page;
mod sets;

use std::path::PathBuf;

use anyhow::Context as _;

use counterpart::Counterpart;
use engines::{Agreement, BuiltIn, Engine, Judged, Libinjection, Rules, compare};
use sets::Sample;

/// Where the messages and the rules are, and how many messages are tried.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder with labelled messages, as `NAME.jsonl.gz` or `NAME.jsonl`
    #[arg(long)]
    sets: Option<PathBuf>,
    /// The folder with the rules
    #[arg(long, default_value = "/usr/share/modsecurity-crs/rules")]
    rules: PathBuf,
    /// The setup of the rules
    #[arg(long, default_value = "/etc/modsecurity/crs/crs-setup.conf")]
    setup: PathBuf,
    /// The program that asks libmodsecurity
    #[arg(long)]
    counterpart: Option<PathBuf>,
    /// How many messages of each set and label are judged
    #[arg(long, default_value_t = 400)]
    each: usize,
    /// How many of them at every level of paranoia by both evaluations
    #[arg(long, default_value_t = 150)]
    agreement: usize,
    /// The page whose generated part is written anew
    #[arg(long)]
    page: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let Some(folder) = &arguments.sets else {
        crate::say("no messages to judge: give the folder of labelled messages with --sets DIR");
        return Ok(true);
    };
    let samples = sets::read(folder, arguments.each)?;
    anyhow::ensure!(!samples.is_empty(), "there is no NAME.jsonl or NAME.jsonl.gz in {}", folder.display());
    let rules = engines::load(&arguments.rules, &arguments.setup)?;
    let mut engines: Vec<Box<dyn Engine>> = Vec::new();
    for level in [1, 2] {
        if let Some(program) = &arguments.counterpart {
            engines.push(Box::new(Counterpart::start(program, &arguments.rules, &arguments.setup, level)?));
        }
        engines.push(Box::new(Rules::new(&rules, level, false)?));
    }
    engines.push(Box::new(Libinjection::default()));
    engines.push(Box::new(BuiltIn::new()));
    let mut results = Vec::new();
    for engine in &mut engines {
        crate::progress(&format!("{}: {} messages", engine.name(), samples.len()));
        let judged: Vec<Judged> =
            samples.iter().map(|one| engine.judge(one)).collect::<anyhow::Result<_>>()?;
        results.push((engine.name(), judged));
    }
    let unfiltered = prefilter(&rules, &samples)?;
    let agreement = match &arguments.counterpart {
        Some(program) => Some(agree(arguments, program, &rules, &samples)?),
        None => None,
    };
    let text = page::write(&samples, &results, agreement.as_ref(), unfiltered);
    crate::say(&text);
    if let Some(page) = &arguments.page {
        page::replace(page, &text).with_context(|| format!("failed to write {}", page.display()))?;
    }
    Ok(unfiltered == 0 && agreement.is_none_or(|agreement| agreement.share() >= 0.995))
}

/// Counts the messages whose verdict the prefilter changes, at the highest level of paranoia; there must be none.
fn prefilter(rules: &engines::Loaded, samples: &[Sample]) -> anyhow::Result<usize> {
    let mut filtered = Rules::new(rules, 4, false)?;
    let mut all = Rules::new(rules, 4, true)?;
    let mut different = 0;
    for sample in samples {
        let (one, other) = (filtered.judge(sample)?, all.judge(sample)?);
        if one.rules != other.rules || one.score != other.score {
            crate::progress(&format!(
                "the prefilter changes {:?}: {:?} {:?}",
                sample.payload, one.rules, other.rules
            ));
            different += 1;
        }
    }
    Ok(different)
}

fn agree(
    arguments: &Arguments,
    program: &std::path::Path,
    rules: &engines::Loaded,
    samples: &[Sample],
) -> anyhow::Result<Agreement> {
    let mut theirs = Counterpart::start(program, &arguments.rules, &arguments.setup, 4)?;
    let mut ours = Rules::new(rules, 4, false)?;
    let few = sets::thin(samples, arguments.agreement);
    crate::progress(&format!("agreement: {} messages at paranoia 4", few.len()));
    let ids = ours.ids();
    let mut agreement = Agreement::new(&ids, &rules.unsupported);
    for sample in few {
        compare(&mut agreement, sample, &ours.judge(sample)?, &theirs.judge(sample)?);
    }
    Ok(agreement)
}
