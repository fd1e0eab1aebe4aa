//! A package's tag: a hash of its sources, the same that LinuxKit computes for the same git tree.

use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::PkgError;
use super::git::{WorkTree, hex};
use super::recipe::Recipe;

/// The tag of a package that git doesn't know.
pub const UNVERSIONED: &str = "latest";

/// What goes into a package besides its own directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// Directories and files.
    pub paths: Vec<PathBuf>,
    /// How its binaries are compiled, if it has any.
    pub recipe: Option<Recipe>,
}

/// Which state of the sources is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The commit.
    pub commit: String,
    /// The directory that is hashed instead of the package, one that holds it.
    pub path: Option<PathBuf>,
    /// Whether the sources count as changed since the commit.
    pub dirty: bool,
}

/// The commit whose work tree is at hand: only there it can be told what has changed since.
pub const HEAD: &str = "HEAD";

impl Default for State {
    fn default() -> Self {
        Self { commit: HEAD.into(), path: None, dirty: false }
    }
}

/// What a package's tag is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentHash {
    /// The hash, as it stands in tags.
    pub text: String,
    /// Whether the sources are others than those that git has.
    pub dirty: bool,
    /// The last commit that changed them, when it has all of them.
    pub revision: Option<String>,
}

/// The content hash of `package` and of the other `sources` that go into it.
///
/// | sources | hash |
/// |---|---|
/// | the package alone | git's hash of its tree |
/// | with extra sources | SHA-1 over the text of all their hashes, in the order given |
/// | changed since the commit | the same, then `-dirty-` and seven digits of a hash of the contents |
/// | not in git | [`UNVERSIONED`] |
///
/// The sources of another commit than [`HEAD`] have no changes. LinuxKit does not see changes in extra sources.
///
/// # Errors
/// When git fails, the commit has none of it, the package is not below the directory that is hashed for it, or a source
/// does not exist.
pub fn content_hash(package: &Path, sources: &Sources, state: &State) -> Result<ContentHash, PkgError> {
    let Some(tree) = WorkTree::around(package)? else {
        return Ok(ContentHash { text: UNVERSIONED.into(), dirty: state.dirty, revision: None });
    };
    let hashed = hashed(package, state)?;
    let at_hand = state.commit == HEAD;
    let mut objects: Vec<String> = tree.object(&state.commit, &hashed)?.into_iter().collect();
    let mut dirt = Vec::new();
    if state.dirty || (at_hand && tree.is_changed(&hashed)?) {
        dirt.push(tree.contents(package)?);
    }
    for path in &sources.paths {
        objects.extend(tree.object(&state.commit, path)?);
        if at_hand && tree.is_changed(path)? {
            dirt.push(tree.contents(path)?);
        }
    }
    let mut paths = vec![hashed.as_path()];
    paths.extend(sources.paths.iter().map(PathBuf::as_path));
    if let Some(recipe) = &sources.recipe {
        let (now, then) = recipe.texts(&tree, &state.commit)?;
        if at_hand && then.as_ref() != Some(&now) {
            dirt.push(hex(&Sha256::digest(&now)));
        }
        objects.extend(then.map(|text| hex(&Sha1::digest(text))));
    }
    if objects.is_empty() && !at_hand {
        let message = format!("is not in commit {}", state.commit);
        return Err(PkgError::Manifest { file: package.into(), message });
    }
    let revision = if dirt.is_empty() { tree.last_change(&state.commit, &paths)? } else { None };
    let text = combine(&objects, &dirt, *sources != Sources::default());
    Ok(ContentHash { text, dirty: !dirt.is_empty(), revision })
}

/// The directory that is hashed.
fn hashed(package: &Path, state: &State) -> Result<PathBuf, PkgError> {
    let Some(path) = &state.path else { return Ok(package.to_path_buf()) };
    let above = path.canonicalize().map_err(PkgError::io("opening", path))?;
    let below = package.canonicalize().map_err(PkgError::io("opening", package))?;
    match below.starts_with(&above) {
        true => Ok(above),
        false => {
            let message =
                format!("does not hold the package {}, and so can't be hashed for it", package.display());
            Err(PkgError::Manifest { file: path.clone(), message })
        }
    }
}

/// The tag from git's hashes of the sources and from the hashes of those that changed since.
fn combine(objects: &[String], dirt: &[String], several: bool) -> String {
    let clean = match objects {
        [one] if !several => one.clone(),
        many => hex(&Sha1::digest(many.concat())),
    };
    match dirt {
        [] => clean,
        [one] => format!("{clean}-dirty-{}", &one[..7]),
        many => format!("{clean}-dirty-{}", &hex(&Sha1::digest(many.concat()))[..7]),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn git(dir: &Path, args: &[&str]) -> String {
        let out = Command::new("git")
            .arg("-C")
            .arg(dir)
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
            .args(args)
            .output()
            .unwrap();
        assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_string()
    }

    fn repository() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in [("pkg/a/build.yml", "image: a\n"), ("src/lib.rs", "// a\n")] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        git(dir.path(), &["init", "-q"]);
        git(dir.path(), &["add", "."]);
        git(dir.path(), &["commit", "-qm", "one"]);
        dir
    }

    #[test]
    fn a_clean_package_is_tagged_with_gits_tree_hash() {
        let dir = repository();
        let hash =
            content_hash(&dir.path().join("pkg/a"), &Sources::default(), &State::default()).unwrap().text;
        assert_eq!(hash, git(dir.path(), &["rev-parse", "HEAD:pkg/a"]));
    }

    #[test]
    fn a_change_in_the_package_or_in_an_extra_source_makes_it_dirty() {
        let dir = repository();
        let package = dir.path().join("pkg/a");
        let extra = Sources { paths: vec![dir.path().join("src")], recipe: None };
        let clean = content_hash(&package, &extra, &State::default()).unwrap().text;
        assert!(!clean.contains("dirty"), "{clean}");

        std::fs::write(dir.path().join("src/lib.rs"), "// b\n").unwrap();
        let first = content_hash(&package, &extra, &State::default()).unwrap().text;
        assert!(first.starts_with(&format!("{clean}-dirty-")), "{first}");
        std::fs::write(package.join("new"), "x").unwrap();
        let second = content_hash(&package, &extra, &State::default()).unwrap().text;
        assert_ne!(first, second);
        assert_eq!(
            second,
            content_hash(&package, &extra, &State::default()).unwrap().text,
            "the same files must give the same tag"
        );
    }

    #[test]
    fn a_dirty_package_has_the_suffix_that_linuxkit_gives_it() {
        let dir = repository();
        let package = dir.path().join("pkg/a");
        std::fs::write(package.join("build.yml"), "image: b\n").unwrap();
        let contents = hex(&Sha256::digest("image: b\n"));
        let tree = git(dir.path(), &["rev-parse", "HEAD:pkg/a"]);
        assert_eq!(
            content_hash(&package, &Sources::default(), &State::default()).unwrap().text,
            format!("{tree}-dirty-{}", &contents[..7])
        );
    }

    #[test]
    fn touching_a_file_does_not_make_it_dirty() {
        let dir = repository();
        let file = dir.path().join("pkg/a/build.yml");
        std::fs::write(&file, "image: a\n").unwrap();
        assert!(
            !content_hash(&dir.path().join("pkg/a"), &Sources::default(), &State::default())
                .unwrap()
                .text
                .contains("dirty")
        );
    }

    #[test]
    fn a_directory_outside_git_is_unversioned() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            content_hash(dir.path(), &Sources::default(), &State::default()).unwrap().text,
            UNVERSIONED
        );
    }
}
