//! Which accelerator QEMU uses, and which processor the machine sees.

use std::fs::OpenOptions;
use std::path::Path;

/// Environment variables that name an accelerator, the first set one wins; the second is LinuxKit's.
const VARIABLES: [&str; 2] = ["LKB_QEMU_ACCEL", "LINUXKIT_QEMU_ACCEL"];

/// The accelerator that the environment asks for.
pub fn from_environment() -> Option<String> {
    VARIABLES.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// Whether KVM works here. A device that opens is not enough: without hardware virtualisation behind it (`kvm_pvm`, as
/// some nested hosts have) machines hang in their firmware.
pub fn kvm_usable() -> bool {
    let opens = || OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
    ["kvm_intel", "kvm_amd"].iter().any(|module| Path::new("/sys/module").join(module).exists()) && opens()
}

/// QEMU's `-accel` arguments in the order in which they are tried. Asked for are names with `:` between them.
pub fn choose(asked: Option<&str>, kvm_usable: bool) -> Vec<String> {
    let names = match asked {
        Some(asked) => asked,
        None if kvm_usable => "kvm",
        None => "tcg",
    };
    let accelerators = names.split(':').filter(|name| !name.is_empty());
    accelerators.map(|name| if name == "tcg" { "tcg,thread=multi" } else { name }.to_owned()).collect()
}

/// The processor: the host's own where all accelerators can show it, else the most capable that QEMU can imitate.
pub fn cpu_model(accelerators: &[String]) -> &'static str {
    if accelerators.iter().any(|accelerator| accelerator.starts_with("tcg")) { "max" } else { "host" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kvm_is_used_where_it_works_and_a_wish_wins() {
        for (asked, usable, accelerators, model) in [
            (None, true, &["kvm"][..], "host"),
            (None, false, &["tcg,thread=multi"], "max"),
            (Some("tcg"), true, &["tcg,thread=multi"], "max"),
            (Some("kvm"), false, &["kvm"], "host"),
            (Some("kvm:tcg"), false, &["kvm", "tcg,thread=multi"], "max"),
            (Some("tcg,thread=single"), true, &["tcg,thread=single"], "max"),
            (Some("hvf"), false, &["hvf"], "host"),
        ] {
            let chosen = choose(asked, usable);
            assert_eq!(chosen, accelerators, "{asked:?} {usable}");
            assert_eq!(cpu_model(&chosen), model, "{asked:?} {usable}");
        }
    }
}
