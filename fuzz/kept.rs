//! What the tests of the fuzzed crates do, each with its own targets: they hold what fuzzing starts from, what it has found and what it
//! has kept against the invariants.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A fuzz target: its name, and its invariant.
pub type Target = (&'static str, fn(&[u8]));

/// A place below `fuzz/`; this file is compiled in the crates beside it.
pub fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(name)
}

/// The files of a directory, sorted; none when it is not there.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Gives each target its seeds and its former findings.
pub fn seeds_and_findings(targets: &[Target]) {
    for (target, check) in targets {
        let seeds = files(&place("seeds").join(target));
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for file in seeds.into_iter().chain(files(&place("regressions").join(target))) {
            println!("{}", file.display());
            check(&std::fs::read(&file).unwrap());
        }
    }
}

/// Gives each target the inputs that fuzzing has kept.
pub fn inputs(targets: &[Target]) {
    for (target, check) in targets {
        let packed = File::open(place(&format!("corpus/{target}.tar.zst"))).unwrap();
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

/// Looks whether `targets` are all those whose names are a crate's, and in the manifest.
pub fn listed(targets: &[Target], is_ours: impl Fn(&str) -> bool) {
    let names = files(&place("targets")).into_iter();
    let names = names.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned());
    let ours: Vec<_> = names.filter(|name| is_ours(name)).collect();
    assert_eq!(ours, targets.iter().map(|(target, _)| *target).collect::<Vec<_>>());
    let manifest = std::fs::read_to_string(place("Cargo.toml")).unwrap();
    for (target, _) in targets {
        assert!(manifest.contains(&format!("path = \"targets/{target}.rs\"")), "{target}");
    }
}
