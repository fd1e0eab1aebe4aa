//! What fuzzing starts from and what it has found, held against the same invariants (`fuzz/`).

#[path = "../../fuzz/invariants/image.rs"]
mod image;
#[path = "../../fuzz/kept.rs"]
mod kept;
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

use kept::Target;

/// Every fuzz target of this crate.
const TARGETS: [Target; 6] = [
    ("image", image::check),
    ("kernel", kernel::check),
    ("label", label::check),
    ("layer", layer::check),
    ("reference", reference::check),
    ("yaml", yaml::check),
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
    // The agent's are in its own tests.
    kept::listed(&TARGETS, |name| !name.starts_with("metadata_"));
}
