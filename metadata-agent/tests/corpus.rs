//! What fuzzing starts from and what it has found, held against the same invariants (`fuzz/`).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/invariants/metadata_cloud_config.rs"]
mod cloud_config;
#[path = "../../fuzz/invariants/metadata_mime.rs"]
mod mime;
#[path = "../../fuzz/invariants/metadata_network_data.rs"]
mod network_data;
#[path = "../../fuzz/invariants/metadata_user_data.rs"]
mod user_data;
#[path = "../../fuzz/invariants/metadata_volume.rs"]
mod volume;

type Check = fn(&[u8]);

/// Every fuzz target of this crate.
const TARGETS: [(&str, Check); 5] = [
    ("metadata_cloud_config", cloud_config::check),
    ("metadata_mime", mime::check),
    ("metadata_network_data", network_data::check),
    ("metadata_user_data", user_data::check),
    ("metadata_volume", volume::check),
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
    let ours: Vec<_> = names.filter(|name| name.starts_with("metadata_")).collect();
    assert_eq!(ours, TARGETS.map(|(target, _)| target));
    for (target, _) in TARGETS {
        assert!(manifest.contains(&format!("path = \"targets/{target}.rs\"")), "{target}");
    }
}

#[test]
fn the_seeds_are_what_they_are_called() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    for file in files(&fuzz.join("metadata_volume")) {
        let seed = std::fs::read(&file).unwrap();
        let mut image = vec![0; if seed[0] == 0 { 0 } else { 32 * 1024 }];
        image.extend(&seed[1..]);
        let volume = metadata_agent::volume::Volume::open("", Box::new(image)).unwrap().unwrap();
        assert_eq!(volume.label().to_ascii_lowercase(), "cidata", "{}", file.display());
        let read = volume.read("dir/long name with blanks", 100).unwrap();
        assert_eq!(read.as_deref(), Some(&b"long\n"[..]), "{}", file.display());
    }
    let config = std::fs::read(fuzz.join("metadata_cloud_config/all")).unwrap();
    let found = metadata_agent::user_data::parse(&[b"#cloud-config\n", &config[..]].concat());
    assert_eq!(found.refused.len(), 1, "{:?}", found.refused); // the gzip that is none
    assert_eq!(found.hostname.as_deref(), Some("web.example.com"));
}
