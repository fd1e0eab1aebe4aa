//! Which images a build has made or used, so that all others can go.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::pkg::PkgError;

/// The shortest beginning of an id that buildah prints.
const SHORTEST: usize = 11;
/// The whole of an id.
const LONGEST: usize = 64;
/// Behind the name of a build that failed: what the last one that did not has used is used by the next one, too.
const FAILED: &str = "~failed";
/// Before the number of the process that is writing a note, and the note's name.
const UNFINISHED: &str = ".new-";

/// Images, each by its id or the beginning of that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used(BTreeSet<String>);

impl Used {
    /// Adds an image.
    pub fn add(&mut self, id: &str) {
        let id = id.trim_start_matches("sha256:");
        if (SHORTEST..=LONGEST).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit()) {
            self.0.insert(id.to_owned());
        }
    }

    /// Adds the images that a build tells of in its log.
    pub fn read(&mut self, log: &Path) -> Result<(), PkgError> {
        // Programs that a build runs may print anything.
        let bytes = fs::read(log).map_err(PkgError::io("reading", log))?;
        self.add_told(&String::from_utf8_lossy(&bytes));
        Ok(())
    }

    /// `--> Using cache ID` and `--> ID` for each step; the image's own id alone on a line.
    fn add_told(&mut self, log: &str) {
        for line in log.lines() {
            let told = line.strip_prefix("--> ").map_or(line, |step| step.trim_start_matches("Using cache "));
            self.add(told.trim());
        }
    }

    /// Those of `images`, by their whole ids, that are not among them.
    pub fn missing_of(&self, images: Vec<String>) -> Vec<String> {
        let is_used = |image: &String| self.0.iter().any(|id| image.starts_with(id.as_str()));
        images.into_iter().filter(|image| !is_used(image)).collect()
    }

    /// Writes them down in the directory `notes`, instead of those of the last build of the same package that ended in the
    /// same way. One that succeeded makes up for those that failed.
    pub fn note(&self, notes: &Path, reference: &str, succeeded: bool) -> Result<(), PkgError> {
        let [good, failed] = files(notes, reference);
        let path = if succeeded { &good } else { &failed };
        // Whole or not at all: half a note would cost what was not noted.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let new = notes.join(format!("{UNFINISHED}{}-{name}", std::process::id()));
        let text: String = self.0.iter().map(|id| format!("{id}\n")).collect();
        fs::write(&new, text).map_err(PkgError::io("writing", &new))?;
        fs::rename(&new, path).map_err(PkgError::io("renaming to", path))?;
        if succeeded && failed.exists() {
            fs::remove_file(&failed).map_err(PkgError::io("removing", &failed))?;
        }
        Ok(())
    }
}

/// What was written down in the directory `notes`, of all packages together. Nobody may be writing.
pub fn noted(notes: &Path) -> Result<Used, PkgError> {
    let mut used = Used::default();
    for entry in fs::read_dir(notes).map_err(PkgError::io("reading", notes))? {
        let path = entry.map_err(PkgError::io("reading", notes))?.path();
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes())) {
            fs::remove_file(&path).map_err(PkgError::io("removing", &path))?;
            continue;
        }
        let text = fs::read_to_string(&path).map_err(PkgError::io("reading", &path))?;
        text.lines().for_each(|id| used.add(id));
    }
    Ok(used)
}

/// The notes on a package's last build that succeeded, and on its last one that failed.
fn files(notes: &Path, reference: &str) -> [PathBuf; 2] {
    let repository = reference.rsplit_once(':').map_or(reference, |(repository, _)| repository);
    let name: String = repository.chars().map(|c| if c == '/' { '+' } else { c }).collect();
    [notes.join(&name), notes.join(format!("{name}{FAILED}"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by buildah 1.28 for two stages, one of whose steps was cached, and a program that prints what looks like it.
    const LOG: &str = "\
[1/2] STEP 1/3: FROM localhost/lkb/debian:trixie AS build
[1/2] STEP 2/3: COPY a /a
--> Using cache a82632bfded9720461a71125537eec58d9d07cae81d4ffa9d2c2ffc333852009
--> a82632bfded
[1/2] STEP 3/3: RUN make
--> see the log
deadbeef
--> 92da3343690
[2/2] STEP 1/2: FROM scratch
[2/2] STEP 2/2: COPY --from=build /b /b
[2/2] COMMIT localhost/t/p:3
--> 5d60588b47c
Successfully tagged localhost/t/p:3
5d60588b47c43efad140797c1e0f450ffb539b996b4443cd3f0363e156896364
";

    fn id(start: &str) -> String {
        format!("{start:0<64}")
    }

    fn used(ids: &[&str]) -> Used {
        let mut used = Used::default();
        ids.iter().for_each(|id| used.add(id));
        used
    }

    #[test]
    fn the_steps_of_a_build_are_read_from_its_log() {
        let mut used = Used::default();
        used.add_told(LOG);
        let kept = [
            "a82632bfded9720461a71125537eec58d9d07cae81d4ffa9d2c2ffc333852009".to_owned(),
            id("92da3343690"),
            "5d60588b47c43efad140797c1e0f450ffb539b996b4443cd3f0363e156896364".to_owned(),
        ];
        let gone = [id("deadbeef"), id("92da3343691")];
        assert_eq!(used.missing_of([kept.as_slice(), &gone].concat()), gone);
    }

    #[test]
    fn what_is_no_id_is_not_used() {
        let nothing = used(&["", "sha256:", "abc", "xyzxyzxyzxyz", "0123456789ab cdef", &"0".repeat(65)]);
        assert_eq!(nothing, Used::default());
        assert_eq!(used(&["sha256:0123456789ab"]), used(&["0123456789ab"]));
    }

    #[test]
    fn the_newest_build_of_each_package_is_what_counts() {
        let dir = tempfile::tempdir().unwrap();
        let [old, new, other] = ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"];
        used(&[old]).note(dir.path(), "lkb/a:1", true).unwrap();
        used(&[other]).note(dir.path(), "lkb/b:1", true).unwrap();
        assert_eq!(noted(dir.path()).unwrap(), used(&[old, other]));
        used(&[new]).note(dir.path(), "lkb/a:2", true).unwrap();
        assert_eq!(noted(dir.path()).unwrap(), used(&[new, other]));
    }

    #[test]
    fn a_build_that_failed_keeps_what_it_made_until_the_next_one_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let [good, first, second] = ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"];
        used(&[good]).note(dir.path(), "lkb/a:1", true).unwrap();
        used(&[first]).note(dir.path(), "lkb/a:2", false).unwrap();
        assert_eq!(noted(dir.path()).unwrap(), used(&[good, first]));
        used(&[second]).note(dir.path(), "lkb/a:3", false).unwrap();
        assert_eq!(noted(dir.path()).unwrap(), used(&[good, second]));
        used(&[second]).note(dir.path(), "lkb/a:4", true).unwrap();
        assert_eq!(noted(dir.path()).unwrap(), used(&[second]));
    }

    #[test]
    fn a_note_that_was_cut_off_counts_for_nothing_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".new-1"), "aaaaaaaaaaaa\n").unwrap();
        assert_eq!(noted(dir.path()).unwrap(), Used::default());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn packages_of_the_same_name_in_several_organisations_have_notes_of_their_own() {
        let dir = Path::new("/n");
        assert_eq!(files(dir, "lkb/a:1")[0], dir.join("lkb+a"));
        assert_eq!(files(dir, "host:5000/lkb/a:1")[0], dir.join("host:5000+lkb+a"));
        assert_ne!(files(dir, "lkb/a:1"), files(dir, "other/a:1"));
    }
}
