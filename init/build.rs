//! Puts the functions that every container's start runs beside each other, in the binary that boots.

fn main() {
    println!("cargo::rerun-if-changed=hot.ld");
    let of = |name: &str| std::env::var(name).unwrap_or_default();
    // Only the profile of what boots: its names are those of functions that were inlined and merged as they are there.
    if of("OPT_LEVEL") == "z" {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}/hot.ld", of("CARGO_MANIFEST_DIR"));
    }
}
