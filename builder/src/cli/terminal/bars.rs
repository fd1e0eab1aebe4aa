//! Long work on a terminal: a line for each, redrawn in place, gone when it is done.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::{Event, Work};

/// How often a line is redrawn when nothing is heard of its work.
const TICK: Duration = Duration::from_millis(150);

/// The lines of all work that goes on.
#[derive(Debug)]
pub struct Bars {
    all: MultiProgress,
    lines: Mutex<HashMap<(Work, String), ProgressBar>>,
}

impl Bars {
    /// None yet; they are drawn on standard error.
    pub fn new() -> Self {
        Self { all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()), lines: Mutex::default() }
    }

    /// Runs `say` while no line is on the screen.
    pub fn suspended<T>(&self, say: impl FnOnce() -> T) -> T {
        self.all.suspend(say)
    }

    /// Draws what has happened.
    pub fn show(&self, event: &Event<'_>) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        match *event {
            Event::Started { work, name } => {
                let line = ProgressBar::new_spinner().with_style(unmeasured());
                let line = self.all.add(line.with_message(format!("{} {name}", work.doing())));
                line.enable_steady_tick(TICK);
                lines.insert((work, name.to_owned()), line);
            }
            Event::Advanced { work, name, bytes, total } => {
                let Some(line) = lines.get(&(work, name.to_owned())) else { return };
                if line.length() != Some(total) {
                    line.set_style(measured());
                    line.set_length(total);
                }
                line.set_position(bytes);
            }
            Event::Finished { work, name, .. } => {
                if let Some(line) = lines.remove(&(work, name.to_owned())) {
                    line.finish_and_clear();
                }
            }
            Event::Note(_) => {}
        }
    }

    /// Takes all lines from the screen, whatever becomes of their work.
    pub fn clear(&self) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.drain().for_each(|(_, line)| line.finish_and_clear());
    }
}

fn unmeasured() -> ProgressStyle {
    style("{spinner} {wide_msg} {elapsed}")
}

fn measured() -> ProgressStyle {
    style("{spinner} {wide_msg} {bar:20} {decimal_bytes:>9}/{decimal_total_bytes:9} {decimal_bytes_per_sec:>11}")
        .progress_chars("=> ")
}

fn style(template: &str) -> ProgressStyle {
    // The templates are above, and a test reads them.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    #[test]
    fn work_has_a_line_until_it_is_done() {
        let screen = InMemoryTerm::new(10, 90);
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let bars = Bars { all: MultiProgress::with_draw_target(target), lines: Mutex::default() };
        let (work, name) = (Work::Pull, "example/a:1");
        bars.show(&Event::Started { work, name });
        bars.show(&Event::Advanced { work, name, bytes: 1_000_000, total: 4_000_000 });
        bars.lines.lock().unwrap().values().for_each(ProgressBar::force_draw);
        let shown = screen.contents();
        for part in ["pulling example/a:1", "=====>", "1.00 MB/4.00 MB"] {
            assert!(shown.contains(part), "{shown}");
        }
        bars.suspended(|| assert_eq!(screen.contents(), ""));
        bars.show(&Event::Finished { work, name, bytes: None, digest: None });
        assert_eq!(screen.contents(), "");
        bars.show(&Event::Started { work, name });
        bars.clear();
        assert_eq!(screen.contents(), "");
    }
}
