//! What fuzzing starts from and what it has found, held against the same invariants (`fuzz/`).

#[path = "../../fuzz/invariants/metadata_cloud_config.rs"]
mod cloud_config;
#[path = "../../fuzz/kept.rs"]
mod kept;
#[path = "../../fuzz/invariants/metadata_mime.rs"]
mod mime;
#[path = "../../fuzz/invariants/metadata_network_data.rs"]
mod network_data;
#[path = "../../fuzz/invariants/metadata_user_data.rs"]
mod user_data;
#[path = "../../fuzz/invariants/metadata_volume.rs"]
mod volume;

use kept::Target;

/// Every fuzz target of this crate.
const TARGETS: [Target; 5] = [
    ("metadata_cloud_config", cloud_config::check),
    ("metadata_mime", mime::check),
    ("metadata_network_data", network_data::check),
    ("metadata_user_data", user_data::check),
    ("metadata_volume", volume::check),
];

#[test]
fn every_seed_and_every_former_finding_keeps_the_invariant_of_its_target() {
    kept::seeds_and_findings(&TARGETS);
}

#[test]
fn every_input_that_fuzzing_has_kept_keeps_the_invariant_of_its_target() {
    kept::inputs(&TARGETS);
}

#[test]
fn every_target_of_this_crate_is_listed_here_and_in_the_manifest() {
    kept::listed(&TARGETS, |name| name.starts_with("metadata_"));
}

#[test]
fn the_seeds_are_what_they_are_called() {
    for file in kept::files(&kept::place("seeds/metadata_volume")) {
        let seed = std::fs::read(&file).unwrap();
        let mut image = vec![0; if seed[0] == 0 { 0 } else { 32 * 1024 }];
        image.extend(&seed[1..]);
        let volume = metadata_agent::volume::Volume::open("", Box::new(image)).unwrap().unwrap();
        assert_eq!(volume.label().to_ascii_lowercase(), "cidata", "{}", file.display());
        let read = volume.read("dir/long name with blanks", 100).unwrap();
        assert_eq!(read.as_deref(), Some(&b"long\n"[..]), "{}", file.display());
    }
    let config = std::fs::read(kept::place("seeds/metadata_cloud_config/all")).unwrap();
    let found = metadata_agent::user_data::parse(&[b"#cloud-config\n", &config[..]].concat());
    assert_eq!(found.refused.len(), 1, "{:?}", found.refused); // the gzip that is none
    assert_eq!(found.hostname.as_deref(), Some("web.example.com"));
}
