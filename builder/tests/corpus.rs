//! What fuzzing starts from and what it has found, held against the same invariants (`fuzz/`).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/invariants/image.rs"]
mod image;
#[path = "../../fuzz/invariants/kernel.rs"]
mod kernel;
#[path = "../../fuzz/invariants/label.rs"]
mod label;
#[path = "../../fuzz/invariants/layer.rs"]
mod layer;
#[path = "../../fuzz/invariants/reference.rs"]
mod reference;
#[path = "../../fuzz/invariants/yaml.rs"]
mod yaml;

type Check = fn(&[u8]);

/// Every fuzz target of this crate.
const TARGETS: [(&str, Check); 6] = [
    ("image", image::check),
    ("kernel", kernel::check),
    ("label", label::check),
    ("layer", layer::check),
    ("reference", reference::check),
    ("yaml", yaml::check),
];

fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_seed_and_every_former_finding_keeps_the_invariant_of_its_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    for (target, check) in TARGETS {
        let seeds = files(&fuzz.join("seeds").join(target));
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for file in seeds.into_iter().chain(files(&fuzz.join("regressions").join(target))) {
            println!("{}", file.display());
            check(&std::fs::read(&file).unwrap());
        }
    }
}

#[test]
fn every_input_that_fuzzing_has_kept_keeps_the_invariant_of_its_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    for (target, check) in TARGETS {
        let packed = File::open(fuzz.join(format!("corpus/{target}.tar.zst"))).unwrap();
        let mut archive = tar::Archive::new(zstd::Decoder::new(packed).unwrap());
        let mut kept = 0;
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            if entry.header().entry_type().is_file() {
                println!("{}", entry.path().unwrap().display());
                let mut input = Vec::new();
                entry.read_to_end(&mut input).unwrap();
                check(&input);
                kept += 1;
            }
        }
        assert!(kept > 0, "nothing is kept of {target}");
    }
}

#[test]
fn every_target_of_this_crate_is_listed_here_and_in_the_manifest() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let names = files(&fuzz.join("targets")).into_iter();
    let names = names.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned());
    // The agent's are in its own tests.
    let targets: Vec<_> = names.filter(|name| !name.starts_with("metadata_")).collect();
    assert_eq!(targets, TARGETS.map(|(target, _)| target));
    for (target, _) in TARGETS {
        assert!(manifest.contains(&format!("path = \"targets/{target}.rs\"")), "{target}");
    }
}
