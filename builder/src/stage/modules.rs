//! Which module files some modules need: depmod's index in, a list of files and a smaller index out (modules.dep(5)).

use std::collections::{BTreeSet, HashMap};

/// The index of one kernel's modules, as text.
#[derive(Debug, Clone, Copy)]
pub struct Index<'t> {
    /// `modules.dep`: lines of `FILE: FILE…`.
    pub dependencies: &'t str,
    /// `modules.alias`: lines of `alias PATTERN MODULE`.
    pub aliases: &'t str,
    /// `modules.softdep`: lines of `softdep MODULE pre: … post: …`.
    pub soft: &'t str,
}

/// What was selected.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Files below the module directory, sorted.
    pub files: Vec<String>,
    /// `modules.dep` of these files.
    pub dependencies: String,
    /// `modules.alias` of these modules.
    pub aliases: String,
    /// Names that the index does not have: built in, or not in this kernel.
    pub missing: Vec<String>,
}

/// The files of modules, of all that they need, and of what they would like to have.
#[must_use]
pub fn select(index: &Index<'_>, wanted: &[&str]) -> Selection {
    let lines: HashMap<String, (&str, &str)> = index
        .dependencies
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(file, needs)| is_inside(file) && needs.split_whitespace().all(is_inside))
        .map(|(file, needs)| (module_name(file), (file, needs)))
        .collect();
    let soft = soft_dependencies(index.soft);
    let mut chosen: BTreeSet<String> = BTreeSet::new();
    let mut missing = Vec::new();
    let mut left: Vec<String> = wanted.iter().rev().map(|name| module_name(name)).collect();
    while let Some(name) = left.pop() {
        if chosen.contains(&name) {
            continue;
        }
        match lines.get(&name) {
            Some((_, needs)) => {
                left.extend(needs.split_whitespace().map(module_name));
                // A soft dependency may be an alias, like `crypto-crc32c`.
                let liked = soft.iter().filter(|(module, _)| *module == name).flat_map(|(_, names)| names);
                left.extend(liked.flat_map(|liked| resolve(index.aliases, &lines, liked)));
                chosen.insert(name);
            }
            None if wanted.iter().any(|wanted| module_name(wanted) == name) => missing.push(name),
            None => {}
        }
    }
    let mut entries: Vec<(&str, &str)> = chosen.iter().filter_map(|name| lines.get(name).copied()).collect();
    entries.sort_unstable();
    let is_chosen =
        |line: &&str| line.split_whitespace().nth(2).is_some_and(|name| chosen.contains(&module_name(name)));
    Selection {
        files: entries.iter().map(|(file, _)| (*file).to_owned()).collect(),
        dependencies: entries.iter().map(|(file, needs)| format!("{file}:{needs}\n")).collect(),
        aliases: index.aliases.lines().filter(is_chosen).flat_map(|line| [line, "\n"]).collect(),
        missing,
    }
}

/// The modules that each module would like to have.
fn soft_dependencies(text: &str) -> Vec<(String, Vec<&str>)> {
    let parse = |line: &'_ str| {
        let mut words = line.split_whitespace();
        (words.next()? == "softdep").then(|| words.next().map(module_name)).flatten()
    };
    let names = |line| str::split_whitespace(line).skip(2).filter(|word| !matches!(*word, "pre:" | "post:"));
    text.lines().filter_map(|line| Some((parse(line)?, names(line).collect()))).collect()
}

/// The modules that a name means: itself, or those that have it as an alias without wildcards.
fn resolve(aliases: &str, lines: &HashMap<String, (&str, &str)>, name: &str) -> Vec<String> {
    let own = module_name(name);
    if lines.contains_key(&own) {
        return vec![own];
    }
    let claims = aliases.lines().filter_map(|line| {
        let mut words = line.strip_prefix("alias ")?.split_whitespace();
        let (pattern, module) = (words.next()?, words.next()?);
        (module_name(pattern) == own).then(|| module_name(module))
    });
    claims.collect()
}

fn is_inside(path: &str) -> bool {
    !path.is_empty() && !path.starts_with('/') && path.split('/').all(|part| part != "..")
}

/// The names of the modules that depmod's `modules.dep` or `modules.builtin` lists.
pub(super) fn module_names(list: &str) -> BTreeSet<String> {
    list.lines().map(|line| module_name(line.split(':').next().unwrap_or(line).trim())).collect()
}

/// The kernel's name for a module file: `kernel/drivers/net/virtio-net.ko.xz` is `virtio_net`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = [".ko", ".ko.gz", ".ko.xz", ".ko.zst"].iter().find_map(|end| file.strip_suffix(end));
    stem.unwrap_or(file).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: Index<'_> = Index {
        dependencies: "k/virtio-blk.ko.xz: k/virtio.ko.xz k/ring.ko\nk/virtio.ko.xz: k/ring.ko\nk/ring.ko:\n\
            k/erofs.ko.xz: k/crc.ko\nk/crc.ko:\nk/crc32c-intel.ko.xz:\nk/lz4.ko:\nk/net.ko: k/ring.ko\n\
            ../evil.ko:\nk/half.ko: /etc/passwd\n",
        aliases: "# aliases\nalias virtio:d2* virtio_blk\nalias crypto-crc32c crc32c_intel\nalias pci:x net\nalias fs-erofs erofs\n",
        soft: "softdep crc pre: crypto-crc32c\nsoftdep erofs pre: lz4 post: nowhere\nsoftdep net pre: lz4\nsoftdep\n",
    };

    #[test]
    fn modules_come_with_all_that_they_need_and_like_and_their_index() {
        let selection = select(&INDEX, &["erofs", "virtio-blk", "ext4"]);
        assert_eq!(
            selection.files,
            [
                "k/crc.ko",
                "k/crc32c-intel.ko.xz",
                "k/erofs.ko.xz",
                "k/lz4.ko",
                "k/ring.ko",
                "k/virtio-blk.ko.xz",
                "k/virtio.ko.xz"
            ]
        );
        assert!(selection.dependencies.contains("k/virtio-blk.ko.xz: k/virtio.ko.xz k/ring.ko\n"));
        assert!(!selection.dependencies.contains("net"));
        assert_eq!(
            selection.aliases,
            "alias virtio:d2* virtio_blk\nalias crypto-crc32c crc32c_intel\nalias fs-erofs erofs\n"
        );
        assert_eq!(selection.missing, ["ext4"]);
    }

    #[test]
    fn files_out_of_the_module_directory_are_never_selected() {
        let selection = select(&INDEX, &["evil", "half"]);
        assert!(selection.files.is_empty());
        assert_eq!(selection.missing, ["evil", "half"]);
    }

    #[test]
    fn a_kernel_without_modules_has_none() {
        let empty = Index { dependencies: "", aliases: "", soft: "" };
        assert_eq!(select(&empty, &["ext4"]).files, Vec::<String>::new());
    }
}
