//! `modules.alias`: lines of `alias PATTERN MODULE`.

use std::collections::HashMap;

use super::glob::matches;

/// Which modules claim which aliases.
///
/// Patterns are kept by their bus (`pci`, `virtio`, … before the colon): a machine asks some hundred times for one of
/// some ten thousand patterns. Those without a bus, or with a wildcard in it, are asked every time.
#[derive(Debug, Default)]
pub struct Aliases<'t> {
    by_bus: HashMap<&'t str, Vec<(&'t str, &'t str)>>,
}

impl<'t> Aliases<'t> {
    /// Reads the file's text; other lines are skipped.
    #[must_use]
    pub fn parse(text: &'t str) -> Self {
        let mut aliases = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            if let (Some("alias"), Some(pattern), Some(module)) = (words.next(), words.next(), words.next()) {
                aliases.by_bus.entry(bus(pattern)).or_default().push((pattern, module));
            }
        }
        aliases
    }

    /// The modules that claim `alias`, each once, in the file's order within a bus.
    #[must_use]
    pub fn find(&self, alias: &str) -> Vec<&'t str> {
        let mut modules = Vec::new();
        let own = bus(alias);
        let buses = if own.is_empty() { &[""][..] } else { &[own, ""][..] };
        for (pattern, module) in buses.iter().filter_map(|bus| self.by_bus.get(bus)).flatten() {
            if !modules.contains(module) && matches(pattern, alias) {
                modules.push(module);
            }
        }
        modules
    }
}

/// What stands before the colon, unless it may match something other than itself.
fn bus(pattern: &str) -> &str {
    match pattern.split_once(':') {
        Some((bus, _)) if !bus.contains(['*', '?', '[', '\\', '-', '_']) => bus,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "# Aliases extracted from modules themselves.\n\
        alias virtio:d00000002v* virtio_blk\n\
        alias virtio:d00000001v* virtio_net\n\
        alias acpi*:LNXPWRBN:* button\n\
        alias fs-iso9660 isofs\n\
        alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci\n\
        alias pci:v00001AF4d*sv*sd*bc*sc*i* other-driver\n\
        alias broken\n";

    #[test]
    fn every_module_that_claims_an_alias_is_found_once() {
        let aliases = Aliases::parse(TEXT);
        let cases: &[(&str, &[&str])] = &[
            ("virtio:d00000001v00001AF4", &["virtio_net"]),
            ("acpi:LNXPWRBN:", &["button"]),
            ("fs-iso9660", &["isofs"]),
            ("fs_iso9660", &["isofs"]),
            ("pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00", &["virtio_pci", "other-driver"]),
            ("usb:v1", &[]),
            ("", &[]),
        ];
        for (alias, modules) in cases {
            assert_eq!(aliases.find(alias), *modules, "{alias}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "(alias [a-z:*]{1,5} [a-z]{1,3}\n|.*\n){0,8}", alias in ".*") {
            std::hint::black_box(Aliases::parse(&text).find(&alias));
        }
    }
}
