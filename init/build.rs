//! Puts the functions that every container's start runs beside each other, and leaves out what unwinds, in the binary that boots.

fn main() {
    const SCRIPTS: [&str; 2] = ["hot.ld", "no-unwind.ld"];
    for script in SCRIPTS {
        println!("cargo::rerun-if-changed={script}");
    }
    let of = |name: &str| std::env::var(name).unwrap_or_default();
    // Only the profile of what boots: its names are those of functions that were inlined and merged as they are there.
    if of("OPT_LEVEL") == "z" {
        for script in SCRIPTS {
            println!("cargo::rustc-link-arg-bins=-Wl,-T,{}/{script}", of("CARGO_MANIFEST_DIR"));
        }
    }
}
