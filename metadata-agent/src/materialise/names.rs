//! The names at the top that are this module's own.

/// The link that leads to the tree.
pub(super) const DATA: &str = ".data";
/// The link that becomes [`DATA`].
pub(super) const NEW_DATA: &str = ".data.new";
/// The image's own, under names that the tree has, too.
pub(super) const IMAGE: &str = ".image";
/// What a tree's directory begins with; a number follows.
const TREE: &str = ".tree-";

/// Whether a top-level name is for this module's own use.
#[must_use]
pub fn is_internal(name: &str) -> bool {
    [DATA, NEW_DATA, IMAGE].contains(&name) || name.starts_with(TREE)
}

/// The directory of a tree.
pub(super) fn tree_name(number: u64) -> String {
    format!("{TREE}{number}")
}

/// The number of a tree's directory, if the name is one.
pub(super) fn tree_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(TREE)?;
    let number = digits.parse().ok()?;
    (tree_name(number) == name).then_some(number)
}

/// Where the link of a name at the top leads.
pub(super) fn link_text(name: &str) -> String {
    format!("{DATA}/{name}")
}

/// Where a tree's entry leads while the image's own is shown there.
pub(super) fn image_link_text(name: &str) -> String {
    format!("../{IMAGE}/{name}")
}
