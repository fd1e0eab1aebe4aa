#![no_main]

#[path = "../invariants/metadata_user_data.rs"]
mod invariant;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariant::check(data));
