//! Which accelerator QEMU uses, and which processor the machine sees.

/// Environment variables that name an accelerator, the first set one wins; the second is LinuxKit's.
const VARIABLES: [&str; 2] = ["LKB_QEMU_ACCEL", "LINUXKIT_QEMU_ACCEL"];

/// The accelerator that the environment asks for.
pub fn from_environment() -> Option<String> {
    VARIABLES.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// QEMU's `-accel` arguments in the order in which they are tried. Asked for are names with `:` between them. What
/// needs hardware of the machine's own architecture is left out for another: only emulation can be that.
pub fn choose(asked: Option<&str>, kvm_usable: bool, of_host: bool) -> Vec<String> {
    let names = match asked {
        Some(asked) => asked,
        None if kvm_usable => "kvm",
        None => "tcg",
    };
    let is_emulation = |name: &&str| name.split(',').next() == Some("tcg");
    let mut names: Vec<&str> = names.split(':').filter(|name| !name.is_empty()).collect();
    names.retain(|name| of_host || is_emulation(name));
    if names.is_empty() {
        names.push("tcg");
    }
    names.into_iter().map(|name| if name == "tcg" { "tcg,thread=multi" } else { name }.to_owned()).collect()
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
            (Some(":"), true, &["tcg,thread=multi"], "max"),
        ] {
            let chosen = choose(asked, usable, true);
            assert_eq!(chosen, accelerators, "{asked:?} {usable}");
            assert_eq!(cpu_model(&chosen), model, "{asked:?} {usable}");
        }
    }

    #[test]
    fn another_architecture_is_emulated() {
        for (asked, accelerators) in [
            (None, "tcg,thread=multi"),
            (Some("kvm"), "tcg,thread=multi"),
            (Some("kvm:tcg,thread=single"), "tcg,thread=single"),
        ] {
            assert_eq!(choose(asked, false, false), [accelerators], "{asked:?}");
        }
    }
}
