//! Every file of the corpus through the function that its fuzz target calls.

use std::{collections::BTreeSet, fs, path::Path};

use sockwarden_testkit::parsers;

/// Gives the names in a folder, those that begin with a dot left out.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| {
            entry.expect("the folder can be read").file_name().into_string().expect("names are UTF-8")
        })
        .filter(|name| !name.starts_with('.'))
        .collect()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn every_file_of_the_corpus_keeps_what_its_parser_promises() {
    for (name, parser) in parsers::ALL {
        let folder = root().join("corpus").join(name);
        let files = names(&folder);
        assert!(files.len() >= 10, "{name} has only {} files", files.len());
        for file in files {
            let bytes = fs::read(folder.join(&file)).expect("a corpus file can be read");
            let outcome = std::panic::catch_unwind(|| parser(&bytes));
            assert!(outcome.is_ok(), "corpus/{name}/{file} breaks a promise");
        }
    }
}

#[test]
fn each_parser_has_a_fuzz_target_and_a_folder_and_none_is_left_over() {
    let parsers: BTreeSet<String> = parsers::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    let targets = names(&root().join("fuzz/fuzz_targets"));
    let targets: BTreeSet<String> =
        targets.iter().filter_map(|name| name.strip_suffix(".rs")).map(str::to_owned).collect();
    assert_eq!(targets, parsers);
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).expect("the manifest can be read");
    for name in &parsers {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name} is not in the manifest");
        let path = root().join("fuzz/fuzz_targets").join(format!("{name}.rs"));
        let source = fs::read_to_string(path).expect("the target can be read");
        assert_eq!(source.matches("parsers::").count(), 1, "{name} calls one function of the testkit");
    }
    let corpus = names(&root().join("corpus"));
    assert!(parsers.is_subset(&corpus), "{corpus:?}");
}
