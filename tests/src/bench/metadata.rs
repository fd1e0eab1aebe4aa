//! How long after the link is up user-data is there.
//!
//! By the machine's own clock, which counts instructions and stands still for nobody: so the cloud that is asked runs in the
//! machine as well, and what it takes to answer is measured, too.

use std::time::Duration;

use super::figures::{Figures, Options};
use super::machine::{Boot, Image, Settings, boot};
use super::marks::Marks;
use crate::{image, root};

/// As much as the least machine has in a cloud, in MiB.
const MEMORY: u32 = 512;
/// How long a boot may take on this host before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(240);

/// Measures it.
///
/// # Errors
/// When the image cannot be built, or user-data does not come.
pub fn measure(options: &Options) -> Result<Figures, String> {
    let source = root().join("tests/bench/metadata.yml");
    let dir = image::out_dir();
    let image = Image::build(&dir, "bench-metadata", &[&source])?;
    let boot = boot(&image, &Settings { memory: MEMORY, seed: options.seed, patience: PATIENCE })?;
    let file = dir.join("bench-metadata.console");
    std::fs::write(&file, &boot.console).map_err(|e| format!("{}: {e}", file.display()))?;
    link_to_user_data(&boot).map(|seconds| Figures::from([("link_to_user_data_s", Ok(seconds))]))
}

fn link_to_user_data(boot: &Boot) -> Result<f64, String> {
    let marks = Marks::read(&boot.console);
    // Without it the machine has other user-data than it was given.
    marks.asked_off.ok_or("user-data did not come, or is not what it should be")?;
    let (link, user_data) = marks.link.zip(marks.user_data).ok_or("the machine does not say when")?;
    Ok(user_data - link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_measured_from_link_to_user_data_and_only_if_all_of_it_came() {
        let console = |lines: &[&str]| Boot { console: lines.join("\n"), wall: Duration::ZERO, ended: true };
        let lines = [
            "[    7.000000] bench: link",
            "[    7.030000] bench: user-data",
            "[    7.031000] bench: power off",
        ];
        let seconds = link_to_user_data(&console(&lines)).unwrap();
        assert!((seconds - 0.03).abs() < 1e-9, "{seconds}");
        assert!(link_to_user_data(&console(&lines[..2])).is_err());
        assert!(link_to_user_data(&console(&[lines[0], lines[2]])).is_err());
    }
}
