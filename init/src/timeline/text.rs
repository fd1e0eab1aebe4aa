//! The time-line as a table with bars, for a terminal.

use super::{Kind, Outcome, Step, Timeline, phases};
use crate::terminal::{cut, harmless};

/// Bars are at least so wide, and left out on a terminal that has no room for them (columns).
const BAR_LEAST: usize = 10;
/// Longest name (columns).
const NAME_LIMIT: usize = 32;
/// Eighths of a column, as block characters.
const EIGHTHS: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// The table in lines of at most `width` columns, with what failed and why, and the sum of each phase below.
#[must_use]
pub fn table(timeline: &Timeline, width: usize) -> String {
    let names: Vec<String> =
        timeline.steps.iter().map(|step| cut(&harmless(&step.name), NAME_LIMIT)).collect();
    let name_width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(4);
    let bars = width.saturating_sub(name_width + 35);
    let bars = if bars >= BAR_LEAST { bars } else { 0 };
    let span = timeline.boot_end();
    let mut text = format!("{:>9}  {:>9}  {:<8}  {}\n", "START", "TOOK", "KIND", "STEP");
    for (step, name) in timeline.steps.iter().zip(&names) {
        let took = step.took().map_or_else(|| "…".to_owned(), seconds);
        let kind = step.kind.word();
        let mut line = format!("{:>9}  {took:>9}  {kind:<8}  {name:<name_width$}", seconds(step.start));
        if bars > 0 && step.kind != Kind::Shutdown {
            line.push_str("  ");
            line.push_str(&bar(step, span, bars));
        }
        text.push_str(cut(line.trim_end(), width).as_str());
        text.push('\n');
        if step.outcome == Outcome::Failed {
            let words = if step.detail.is_empty() { "failed" } else { &step.detail };
            let line = format!("{:>30}  ↳ FAILED: {}", "", harmless(words));
            text.push_str(&cut(&line, width));
            text.push('\n');
        }
    }
    let parts: Vec<String> = phases(timeline)
        .iter()
        .map(|phase| format!("{} {}", phase.kind.word(), seconds(phase.end - phase.start)))
        .collect();
    if !parts.is_empty() {
        text.push_str(&format!("\n{} in all: {}\n", seconds(span), parts.join(" + ")));
    }
    text
}

fn seconds(time: f64) -> String {
    format!("{time:.3}s")
}

/// A bar in `columns`, to an eighth of a column.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn bar(step: &Step, span: f64, columns: usize) -> String {
    let eighths = (columns * 8) as f64;
    // Saturating conversions of numbers between 0 and `eighths`.
    let at = |time: f64| (time / span.max(1e-9) * eighths).round().clamp(0.0, eighths) as usize;
    let (start, end) = (at(step.start), at(step.end.unwrap_or(span)));
    // A bar begins at a whole column: there are no block characters for right parts.
    let first = (start / 8).min(columns.saturating_sub(1));
    let length = end.saturating_sub(first * 8).max(1);
    let full = if step.end.is_none() { '░' } else { '█' };
    let mut bar = " ".repeat(first);
    bar.extend(std::iter::repeat_n(full, length / 8));
    if let Some(part) = EIGHTHS.get(length % 8).filter(|part| **part != ' ') {
        bar.push(*part);
    }
    bar
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn step(kind: Kind, name: &str, start: u64, end: u64) -> Step {
        Step::done(kind, name, Duration::from_millis(start), Duration::from_millis(end))
    }

    fn sample() -> Timeline {
        let mut failed = step(Kind::Onboot, "001-net", 1200, 1500);
        failed.outcome = Outcome::Failed;
        failed.detail = "exited with code 1".into();
        let steps = vec![
            step(Kind::Kernel, "kernel", 0, 1000),
            step(Kind::Pid1, "pid1/mounts", 1000, 1200),
            failed,
            Step::begun(Kind::Service, "slapd/create", Duration::from_millis(1500)),
            step(Kind::Service, "ntpd/create", 1500, 2000),
        ];
        Timeline { steps, ..Timeline::default() }
    }

    #[test]
    fn steps_have_bars_and_failures_their_reasons() {
        let expected = "    START       TOOK  KIND      STEP
   0.000s     1.000s  kernel    kernel        ██████████
   1.000s     0.200s  pid1      pid1/mounts             ██
   1.200s     0.300s  onboot    001-net                   ███
                                ↳ FAILED: exited with code 1
   1.500s          …  service   slapd/create                 ░░░░░
   1.500s     0.500s  service   ntpd/create                  █████

2.000s in all: kernel 1.000s + pid1 0.200s + onboot 0.300s + service 0.500s
";
        assert_eq!(table(&sample(), 67), expected);
    }

    #[test]
    fn a_narrow_terminal_gets_no_bars() {
        let text = table(&sample(), 50);
        assert!(!text.contains('█') && text.contains("ntpd/create"), "{text}");
    }

    proptest! {
        #[test]
        fn no_line_of_a_step_is_wider_than_the_terminal(
            width in 20_usize..200, times in prop::collection::vec((0_u64..100_000, 0_u64..100_000), 0..8)
        ) {
            let steps = times.iter().map(|(start, took)| step(Kind::Onboot, "\u{1b}[31mname", *start, start + took));
            let timeline = Timeline { steps: steps.collect(), ..Timeline::default() };
            for line in table(&timeline, width).lines().skip(1).take(timeline.steps.len()) {
                prop_assert!(line.chars().count() <= width, "{}", line);
            }
        }
    }
}
