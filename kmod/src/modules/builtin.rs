//! `modules.builtin`: the modules that are part of the kernel, one path a line.

use std::collections::HashSet;

use super::dependencies::module_name;

/// The modules that are part of the kernel.
#[derive(Debug, Default)]
pub struct Builtin {
    names: HashSet<String>,
}

impl Builtin {
    /// Reads the file's text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self { names: text.lines().map(str::trim).filter(|line| !line.is_empty()).map(module_name).collect() }
    }

    /// Whether a module is part of the kernel.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.names.contains(&module_name(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_module_in_the_kernel_is_known_by_its_name() {
        let builtin = Builtin::parse("kernel/fs/ext4/ext4.ko\nkernel/drivers/virtio/virtio-pci.ko\n\n");
        assert!(builtin.contains("ext4") && builtin.contains("virtio_pci"));
        assert!(!builtin.contains("xfs") && !builtin.contains(""));
    }

    proptest! {
        #[test]
        fn any_text_parses(text in ".*", name in ".*") {
            std::hint::black_box(Builtin::parse(&text).contains(&name));
        }
    }
}
