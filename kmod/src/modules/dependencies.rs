//! `modules.dep`: lines of `FILE: FILE…`, the module before the colon needing all those after it.

use std::collections::HashMap;

/// Where each module's file is, and which files must be loaded before it.
#[derive(Debug, Default)]
pub struct Dependencies<'t> {
    by_name: HashMap<String, (&'t str, &'t str)>,
}

impl<'t> Dependencies<'t> {
    /// Reads the file's text; lines without a colon are skipped, and so are paths that leave the module directory.
    #[must_use]
    pub fn parse(text: &'t str) -> Self {
        let mut by_name = HashMap::new();
        for (path, needs) in text.lines().filter_map(|line| line.split_once(':')) {
            if is_inside(path) && needs.split_whitespace().all(is_inside) {
                by_name.insert(module_name(path), (path, needs));
            }
        }
        Self { by_name }
    }

    /// The files to load for a module, in order, its own last; `None` when there is no such module.
    #[must_use]
    pub fn files(&self, name: &str) -> Option<Vec<&'t str>> {
        let (path, needs) = self.by_name.get(&module_name(name))?;
        // depmod writes all that is needed, also indirectly, and what is needed first last.
        Some(needs.split_whitespace().rev().chain([*path]).collect())
    }
}

fn is_inside(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| part != "..")
}

/// The kernel's name for a module file: `kernel/drivers/net/virtio-net.ko.xz` is `virtio_net`.
#[must_use]
pub fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem =
        [".ko", ".ko.gz", ".ko.xz", ".ko.zst"].iter().find_map(|end| file.strip_suffix(end)).unwrap_or(file);
    stem.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "kernel/fs/mbcache.ko.xz:\n\
        kernel/fs/jbd2/jbd2.ko.xz: kernel/lib/crc-x.ko.xz\n\
        kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc-x.ko.xz kernel/fs/mbcache.ko.xz\n\
        ../../etc/evil.ko:\n\
        nonsense\n";

    #[test]
    fn what_a_module_needs_comes_before_it() {
        let files = Dependencies::parse(TEXT).files("ext4").unwrap();
        assert_eq!(
            files,
            [
                "kernel/fs/mbcache.ko.xz",
                "kernel/lib/crc-x.ko.xz",
                "kernel/fs/jbd2/jbd2.ko.xz",
                "kernel/fs/ext4/ext4.ko.xz"
            ]
        );
    }

    #[test]
    fn names_are_compared_without_regard_to_dashes_or_suffix() {
        for (path, name) in
            [("a/b-c.ko", "b_c"), ("b-c.ko.zst", "b_c"), ("b_c", "b_c"), ("x.ko.gz", "x"), ("", "")]
        {
            assert_eq!(module_name(path), name);
        }
        let text = "kernel/snd-hda.ko.gz:\n";
        assert_eq!(Dependencies::parse(text).files("snd_hda").unwrap(), ["kernel/snd-hda.ko.gz"]);
    }

    #[test]
    fn a_path_out_of_the_module_directory_is_no_module() {
        assert_eq!(Dependencies::parse(TEXT).files("evil"), None);
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "([a-z/.]{0,9}:? ?[a-z/. ]{0,9}\n){0,6}", name in ".*") {
            std::hint::black_box(Dependencies::parse(&text).files(&name));
        }
    }
}
